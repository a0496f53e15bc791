/** All commands of the tool. */

import type { CommandGroup, CommandSpec } from "./command-spec.ts";
import { ACCOUNT_COMMANDS } from "./commands/account/specs.ts";
import { CONTACT_COMMANDS } from "./commands/contact/specs.ts";
import { DOMAIN_COMMANDS } from "./commands/domain/specs.ts";
import { KEYS_COMMANDS } from "./commands/keys/specs.ts";
import { NODE_COMMANDS } from "./commands/node/specs.ts";
import { OUTBOX_COMMANDS } from "./commands/outbox/specs.ts";
import { SHARE_COMMANDS } from "./commands/share/specs.ts";

/** Commands with a word in front. */
export const GROUPS: readonly CommandGroup[] = [
  { name: "account", summary: "make an account, log in and out", commands: ACCOUNT_COMMANDS },
  { name: "keys", summary: "show, rotate and compare keys", commands: KEYS_COMMANDS },
  { name: "share", summary: "send, list and open secrets", commands: SHARE_COMMANDS },
  { name: "outbox", summary: "see and steer what is not delivered yet", commands: OUTBOX_COMMANDS },
  { name: "contact", summary: "say whom you know", commands: CONTACT_COMMANDS },
  {
    name: "domain",
    summary: "prove that your domain is hosted where you want it",
    commands: DOMAIN_COMMANDS,
  },
  { name: "node", summary: "keep the keys of a node that you run", commands: NODE_COMMANDS },
];

/** The others. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "unlock",
    summary: "unlock once for many commands",
    description:
      "Ask for the password once, and hold the account key in the memory of a small process of its own until it is locked, " +
      "the time is up or the profile logs out. Programs that run as you can use it meanwhile.",
    options: [["--for <duration>", "how long, such as 30m or 8h; at most 7d (default: 8h)"]],
    examples: ["keypears unlock", "keypears unlock --for 30m"],
    password: true,
    load: async () => (await import("./commands/unlock.ts")).run,
  },
  {
    name: "lock",
    summary: "end an unlock now",
    examples: ["keypears lock"],
    load: async () => (await import("./commands/lock.ts")).run,
  },
  {
    name: "discover",
    summary: "see where a domain's node is, and check it",
    description:
      "Look up what a domain publishes, ask the node that it names for its description and for a proof of the owner's consent, " +
      "make every check that a node makes before it trusts a domain, and say what the owner has to mend. Needs no account.",
    arguments: [["<DOMAIN>", "the part of an address after the @"]],
    options: [
      ["--confirm-key <hash>", "take this waiting key for the domain's, after its owner told you its hash"],
    ],
    examples: ["keypears discover acme.example", "keypears discover acme.example --json"],
    notes:
      "What a domain has proven is remembered with the profile for 30 days, in which it may not prove less. The result is " +
      "printed whatever it is; the exit code says what it was.",
    load: async () => (await import("./commands/discover.ts")).run,
  },
  {
    name: "hash",
    summary: "hash files with BLAKE3, or check them against a list",
    description:
      "Print the BLAKE3 hash of files as b3sum does, a line for each, or check files against such lines. Needs no account.",
    arguments: [["[FILE...]", "files to hash, or with --check lists to check; - or none is standard input"]],
    options: [
      ["-c, --check", "read lists of hashes and names, and check the files that they name"],
      ["--quiet", "with --check: print only what failed"],
      ["-l, --length <bytes>", "length of the hash, 1 to 1024 (default: 32)"],
      ["--no-names", "print hashes without names"],
    ],
    examples: ["keypears hash *.iso > SUMS", "keypears hash --check SUMS", "tar c folder | keypears hash"],
    notes:
      "A file that cannot be read keeps no other one from being hashed: it is told about, and the exit code is not 0. In names " +
      "a backslash and a line feed are written \\\\ and \\n, in lines that begin with a backslash.",
    load: async () => (await import("./commands/hash.ts")).run,
  },
  {
    name: "serve",
    summary: "run a node",
    description:
      "Run a node until it is told to stop (SIGTERM or Ctrl-C). Options win over KEYPEARS_* variables, over the file.",
    options: [["--config <file>", "JSON file with the options below as keys"]],
    examples: [
      "keypears serve --config ~/.config/keypears/node.json",
      "keypears serve --dev --domain acme.test --resolve acme.test=http://127.0.0.1:4273",
    ],
    ownResolve: true,
    load: async () => (await import("./commands/serve.ts")).run,
  },
  {
    name: "init",
    summary: "write a node's first configuration",
    description:
      "Write a configuration file for `keypears serve`, readable by you alone, and make the folder of its database.",
    options: [
      ["--config <file>", "where to write it (default: node.json in the configuration folder)"],
      ["--force", "replace a file that is there"],
    ],
    examples: [
      "keypears init --domain acme.example",
      "keypears init --domain acme.example --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem",
    ],
    ownResolve: true,
    load: async () => (await import("./commands/init.ts")).run,
  },
  {
    name: "migrate",
    summary: "move a node's database to another",
    description:
      "Copy all that a node stores to an empty database, from SQLite to PostgreSQL or back, and compare both row by row. Stop " +
      "the node first. The old database is left as it is.",
    options: [
      ["--from <URL>", "the database to read: sqlite:PATH or postgres://… [KEYPEARS_MIGRATE_FROM]"],
      ["--to <URL>", "the database to fill; has to be empty [KEYPEARS_MIGRATE_TO]"],
    ],
    examples: [
      "keypears migrate --from sqlite:/var/lib/keypears/node.sqlite --to postgres://node@db.example/keypears",
    ],
    notes:
      "It happens in one transaction: after an error or Ctrl-C there are empty tables in the new database, nothing more, and it " +
      "can be run again. A URL with a password belongs into the variables, where others on the machine cannot see it.",
    load: async () => (await import("./commands/migrate.ts")).run,
  },
  {
    name: "crypto",
    summary: "see which code computes what on this machine",
    description:
      "Print for each cryptographic primitive the tier that computes it here: native (OpenSSL through Node), wasm or js. " +
      "KEYPEARS_CRYPTO_TIER puts a tier first.",
    examples: ["keypears crypto", "KEYPEARS_CRYPTO_TIER=js keypears crypto --json"],
    load: async () => (await import("./commands/crypto.ts")).run,
  },
  {
    name: "demo",
    summary: "watch two nodes exchange a secret on this machine",
    options: [["--file <path>", "send this file in place of a generated one"]],
    examples: ["keypears demo", "keypears demo --file .env"],
    ownResolve: true,
    load: async () => (await import("./commands/demo.ts")).run,
  },
];
