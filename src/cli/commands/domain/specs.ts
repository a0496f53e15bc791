/** The commands under `domain`. */

import type { CommandSpec } from "../../command-spec.ts";

const DOMAIN = ["<DOMAIN>", "your domain, such as acme.example"] as const;
const KEY = [
  "--key <file>",
  "the domain key's file (default: domains/DOMAIN.key in the configuration folder)",
] as const;
const OUT = ["--out <file>", "where to write the authorization (default: beside the key)"] as const;
const DAYS = ["--days <number>", "how long it holds, at most 398 (default: 365)"] as const;
const SERIAL = ["--serial <number>", "its serial (default: one above the last one)"] as const;

/** `domain …` */
export const DOMAIN_COMMANDS: readonly CommandSpec[] = [
  {
    name: "keygen",
    summary: "make the key that says who may host your domain",
    description:
      "Make a domain key, and seal it with a password into a file that only you can read. It never leaves this machine: do " +
      "this on yours, not on the server. Needs no account and no network.",
    arguments: [DOMAIN],
    options: [
      ["--out <file>", "where to write it (default: domains/DOMAIN.key in the configuration folder)"],
    ],
    examples: ["keypears domain keygen acme.example"],
    notes: "A file that is there is never replaced.",
    password: true,
    load: async () => (await import("./keygen.ts")).run,
  },
  {
    name: "authorize",
    summary: "sign your consent to a host",
    description:
      "Sign an authorization: which host may serve your domain, with which node keys, and how long. What is not said is as in " +
      "the one before, so that a renewal needs no options. Needs no network.",
    arguments: [DOMAIN],
    options: [
      ["--api-url <url>", "where the host's methods live, as its discovery document says"],
      [
        "--node-key <key...>",
        "public key of the host's node, in hex or as a file; up to 4, its next one among them",
      ],
      DAYS,
      SERIAL,
      KEY,
      OUT,
    ],
    examples: [
      "keypears domain authorize acme.example --api-url https://host.example/api --node-key node.key",
      "keypears domain authorize acme.example",
    ],
    notes:
      "Each authorization has a higher serial than the one before, counted in a file beside the key. It takes effect when the " +
      "host has it and your discovery document names the same apiUrl and this key.",
    password: true,
    load: async () => (await import("./authorize.ts")).run,
  },
  {
    name: "document",
    summary: "print what to publish: keypears.json and the DNS record",
    description:
      "Print the discovery document and the TXT record of your domain. Needs no password and no network.",
    arguments: [DOMAIN],
    options: [["--api-url <url>", "where the host's methods live (default: as authorized last)"], KEY],
    examples: ["keypears domain document acme.example"],
    load: async () => (await import("./document.ts")).run,
  },
  {
    name: "rotate-key",
    summary: "make a new domain key that the present one vouches for",
    description:
      "Make a new domain key under the same password, have the present one vouch for it, and sign a new authorization with it. " +
      "The present one stays beside it, in a file of its own. Needs no network.",
    arguments: [DOMAIN],
    options: [
      ["--api-url <url>", "where the host's methods live (default: as authorized last)"],
      ["--node-key <key...>", "public keys of the host's node (default: as authorized last)"],
      DAYS,
      SERIAL,
      KEY,
      OUT,
    ],
    examples: ["keypears domain rotate-key acme.example"],
    password: true,
    load: async () => (await import("./rotate-key.ts")).run,
  },
  {
    name: "revoke",
    summary: "take back authorizations",
    description:
      "Raise the lowest serial that you stand by, and print the document and the record to publish. Needs no password and no " +
      "network.",
    arguments: [DOMAIN],
    options: [["--below <serial>", "take back those with a lower serial only (default: all)"], KEY],
    examples: ["keypears domain revoke acme.example", "keypears domain revoke acme.example --below 8"],
    notes: "To move to another host: authorize it first, then revoke --below the new serial.",
    load: async () => (await import("./revoke.ts")).run,
  },
];
