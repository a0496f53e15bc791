/** The commands under `node`, for whoever runs one. */

import type { CommandSpec } from "../../command-spec.ts";

const CONFIG = [
  "--config <file>",
  "the node's configuration (default: node.json in the configuration folder)",
] as const;

/** `node …` */
export const NODE_COMMANDS: readonly CommandSpec[] = [
  {
    name: "keys",
    summary: "print the public keys with which your node proves what it hosts",
    description:
      "Print the node's public key, and the one that follows it, in hex: what owners of domains authorize.",
    options: [CONFIG],
    examples: ["keypears node keys", "keypears node keys --config /etc/keypears/node.json"],
    ownResolve: true,
    load: async () => (await import("./keys.ts")).run,
  },
  {
    name: "rotate-key",
    summary: "make the key that follows your node's, 30 days from now",
    description:
      "Make the node's next key and publish it. It follows in 30 days; until then owners of hosted domains authorize both.",
    options: [
      CONFIG,
      ["--now", "let it follow at once, because others may have the present one"],
      ["--yes", "do not ask, with --now"],
    ],
    examples: ["keypears node rotate-key", "keypears node rotate-key --now"],
    notes: "With --now, no hosted domain is proven until its owner has authorized the new key.",
    ownResolve: true,
    load: async () => (await import("./rotate-key.ts")).run,
  },
  {
    name: "install",
    summary: "keep the authorization for a domain of your node's own",
    description:
      "Keep the owner's authorization for one of the domains in the node's configuration: its discovery document has version 2 " +
      "from then on, and its peers can check the proof.",
    arguments: [["<FILE>", "the authorization, as `keypears domain authorize` wrote it"]],
    options: [CONFIG, ["--min-serial <serial>", "the lowest serial that you stand by (default: none)"]],
    examples: ["keypears node install acme.example.key.authorization.json"],
    notes: "A node that runs takes it up within a minute.",
    ownResolve: true,
    load: async () => (await import("./install.ts")).run,
  },
  {
    name: "peers",
    summary: "list what other domains have proven to your node, and whose key waits",
    description:
      "List the domains that proved themselves to the node within 30 days: when and with which serial. A new key that nothing " +
      "vouches for waits, and deliveries with it, until it has stood for 7 days or you confirm it.",
    options: [
      CONFIG,
      ["--waiting", "only those with a key that waits"],
      ["--limit <n>", "at most this many (default: 50)"],
      ["--after <domain>", "those that follow this one by name"],
    ],
    examples: ["keypears node peers", "keypears node peers --waiting"],
    ownResolve: true,
    load: async () => (await import("./peers.ts")).run,
  },
  {
    name: "confirm-peer",
    summary: "confirm another domain's new key",
    description:
      "Take a key that waits for the domain's, after its owner told you the key's hash over another way than the domain itself.",
    arguments: [["<DOMAIN>", "the domain whose key waits"]],
    options: [CONFIG, ["--key <hash>", "the hash that the owner told you, 64 hex digits"]],
    examples: [
      "keypears node confirm-peer partner.example --key 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
    ownResolve: true,
    load: async () => (await import("./confirm-peer.ts")).run,
  },
];
