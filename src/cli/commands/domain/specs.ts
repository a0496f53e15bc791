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

const AUTHORIZATION = ["--authorization <file>", "the authorization (default: beside the key)"] as const;
const ADDRESS = ["<ADDRESS>", "an account of a domain that you administer"] as const;

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
  {
    name: "host",
    summary: "print what to authorize for your node to host a domain",
    description:
      "Print where the methods of your account's node live, and with which keys it proves what it hosts.",
    examples: ["keypears domain host"],
    load: async () => (await import("./host.ts")).run,
  },
  {
    name: "claim",
    summary: "have your account's node host your domain",
    description:
      "Give the authorization to the node of your account, and sign with the domain key that your account is to administer the " +
      "domain there. The node looks at what your domain publishes, and says what is missing.",
    arguments: [DOMAIN],
    options: [AUTHORIZATION, KEY],
    examples: ["keypears domain claim acme.example"],
    notes:
      "The password is the domain key's. It also brings a suspended domain back, and replaces its administrator.",
    password: true,
    load: async () => (await import("./claim.ts")).run,
  },
  {
    name: "renew",
    summary: "give the host a new authorization",
    arguments: [DOMAIN],
    options: [AUTHORIZATION, KEY],
    examples: ["keypears domain renew acme.example"],
    notes: "After keypears domain authorize, or rotate-key: publish the new document first.",
    load: async () => (await import("./renew.ts")).run,
  },
  {
    name: "status",
    summary: "see how your domain stands at its host",
    arguments: [["[DOMAIN]", "your domain; all that you administer if left out"]],
    options: [["--check", "have the node check it now, at most once a minute"]],
    examples: ["keypears domain status", "keypears domain status acme.example --check"],
    load: async () => (await import("./status.ts")).run,
  },
  {
    name: "registration",
    summary: "say who may make an account at your domain",
    arguments: [DOMAIN, ["<MODE>", "open, invitation or closed"]],
    examples: ["keypears domain registration acme.example invitation"],
    load: async () => (await import("./registration.ts")).run,
  },
  {
    name: "invite",
    summary: "make an invitation for one account",
    arguments: [DOMAIN],
    options: [
      ["--name <name>", "the only name that may be taken, the part before the @"],
      ["--for <duration>", "how long it is good, at most 30d (default: 7d)"],
    ],
    examples: [
      "keypears domain invite acme.example",
      "keypears domain invite acme.example --name postmaster",
    ],
    notes: "The code is shown once. Names such as postmaster and admin need an invitation that names them.",
    load: async () => (await import("./invite.ts")).run,
  },
  {
    name: "invitations",
    summary: "list invitations that wait to be used",
    arguments: [DOMAIN],
    examples: ["keypears domain invitations acme.example"],
    load: async () => (await import("./invitations.ts")).run,
  },
  {
    name: "uninvite",
    summary: "take an invitation back",
    arguments: [DOMAIN, ["<ID>", "its id, as `keypears domain invitations` prints it"]],
    examples: ["keypears domain uninvite acme.example 3f9a1c20b7d84e5f9a1c20b7d84e5f60"],
    load: async () => (await import("./uninvite.ts")).run,
  },
  {
    name: "accounts",
    summary: "list the accounts of your domain",
    arguments: [DOMAIN],
    examples: ["keypears domain accounts acme.example"],
    load: async () => (await import("./accounts.ts")).run,
  },
  {
    name: "suspend",
    summary: "suspend an account: its sessions end, and nothing comes or goes",
    arguments: [ADDRESS],
    examples: ["keypears domain suspend bob@acme.example"],
    notes: "What was sent before still goes out. Its public keys can still be looked up.",
    load: async () => (await import("./suspend.ts")).run,
  },
  {
    name: "unsuspend",
    summary: "lift the suspension of an account",
    arguments: [ADDRESS],
    examples: ["keypears domain unsuspend bob@acme.example"],
    load: async () => (await import("./unsuspend.ts")).run,
  },
  {
    name: "remove",
    summary: "remove an account with all that it holds, for good",
    arguments: [ADDRESS],
    options: [["--yes", "do not ask"]],
    examples: ["keypears domain remove bob@acme.example"],
    load: async () => (await import("./remove.ts")).run,
  },
  {
    name: "audit",
    summary: "read what was done to your domain, and verify that nothing is missing",
    arguments: [DOMAIN],
    options: [["--seen <hash>", "hash of a record that you saw earlier, which has to be among them still"]],
    examples: ["keypears domain audit acme.example"],
    notes: "The log is verified whenever it is read: each record holds the hash of the one before.",
    load: async () => (await import("./audit.ts")).run,
  },
];
