/** The commands under `share`. */

import type { CommandSpec } from "../../command-spec.ts";

const ID = ["<ID>", "the share's id, or its first 6 digits or more"] as const;

/** `share …` */
export const SHARE_COMMANDS: readonly CommandSpec[] = [
  {
    name: "send",
    summary: "send a secret, a text or a file",
    description:
      "Seal a secret for an address, so that only its owner and you can open it, and have your node deliver it.",
    arguments: [
      ["<TO>", "the recipient's address"],
      [
        "[FIELD...]",
        "KEY=VALUE; KEY=- reads the value from standard input, KEY alone asks for it; - alone sends a text",
      ],
    ],
    options: [
      ["--text [message]", "send a text; without one it is asked for or read from standard input"],
      ["--file <path>", "send a file, byte for byte"],
      ["--env <path>", "send a .env file, byte for byte, after checking that it is one"],
      ["--name <name>", "what to call the secret, or the file"],
      ["--expires <duration>", "when it ends, such as 12h, 7d or 4w; at most 365d"],
      ["--no-wait", "do not wait for its delivery"],
    ],
    examples: [
      "keypears share send bob@partner.example API_KEY",
      "keypears share send bob@partner.example USER=app PASSWORD=- < password.txt",
      "keypears share send bob@partner.example --env .env --expires 7d",
      "git diff | keypears share send bob@partner.example -",
    ],
    notes:
      "Careful: what stands in an argument can be read by every user of this machine, and stays in the shell's history. For a " +
      "secret, write KEY alone to be asked, KEY=- or --text to read standard input, or send a file.",
    password: true,
    load: async () => (await import("./send.ts")).run,
  },
  {
    name: "list",
    summary: "list what you received, newest first",
    options: [
      ["--sent", "what you sent, and how its delivery stands"],
      ["--limit <n>", "at most this many (default: 50)"],
    ],
    examples: ["keypears share list", "keypears share list --sent --json"],
    load: async () => (await import("./list.ts")).run,
  },
  {
    name: "open",
    summary: "open a share",
    description:
      "Check who sent a share, and print what it says: a text or a secret's KEY=VALUE lines. A file is written with --out, or " +
      "when standard output is not a terminal; the name that the sender gave it is never used as a path.",
    arguments: [ID],
    options: [
      ["--out <path>", "write the content to this file, readable by you alone"],
      ["--force", "replace the file if there is one"],
      ["--field <key>", "print the value of this field only"],
      ["--sent", "open your own copy of a share that you sent"],
      [
        "--accept-sender <fingerprint>",
        "open it although its sender's keys changed or could not be confirmed, if this is their fingerprint",
      ],
    ],
    examples: [
      "keypears share open 3f9a1c20",
      "keypears share open 3f9a1c20 --out .env",
      "export TOKEN=$(keypears share open 3f9a1c20 --field TOKEN)",
    ],
    password: true,
    load: async () => (await import("./open.ts")).run,
  },
  {
    name: "status",
    summary: "see how the delivery of a share that you sent stands",
    arguments: [ID],
    examples: ["keypears share status 3f9a1c20"],
    load: async () => (await import("./status.ts")).run,
  },
  {
    name: "watch",
    summary: "print shares as they come, until Ctrl-C",
    options: [["--all", "those that are there already, too"]],
    examples: ["keypears share watch", "keypears share watch --json"],
    notes: "With --json: one object a line.",
    password: true,
    load: async () => (await import("./watch.ts")).run,
  },
  {
    name: "delete",
    summary: "delete a share that you received, or your copy of one that you sent",
    arguments: [ID],
    options: [["--sent", "your copy of a share that you sent; takes it back if it is still queued"]],
    examples: ["keypears share delete 3f9a1c20"],
    load: async () => (await import("./delete.ts")).run,
  },
];
