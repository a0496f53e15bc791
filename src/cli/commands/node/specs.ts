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
];
