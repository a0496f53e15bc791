/** The commands under `account`. */

import type { CommandSpec } from "../../command-spec.ts";

const ADDRESS = ["<ADDRESS>", "the account's address, such as alice@acme.example"] as const;
const DEVICE = [
  "--device <name>",
  "what to call this device among your sessions (default: its host name)",
] as const;

/** How passwords come in; part of the help of commands that ask for one. */
const PASSWORDS =
  "A password comes from a prompt, from KEYPEARS_PASSWORD, or from standard input with --password-stdin; never from an argument.";

const REMEMBERED = "The profile remembers --resolve, if it is given.";

/** `account …` */
export const ACCOUNT_COMMANDS: readonly CommandSpec[] = [
  {
    name: "create",
    summary: "make an account at the node of its domain",
    arguments: [ADDRESS],
    options: [
      DEVICE,
      ["--invitation <code>", "the code of an invitation, where the domain or the name needs one"],
    ],
    examples: [
      "keypears account create alice@acme.example",
      "keypears account create alice@acme.example --profile work --password-stdin < password.txt",
    ],
    notes: `${PASSWORDS} ${REMEMBERED}`,
    password: true,
    load: async () => (await import("./create.ts")).run,
  },
  {
    name: "login",
    summary: "use an account on this device",
    arguments: [["[ADDRESS]", "the account's address; by default that of the profile"]],
    options: [
      DEVICE,
      [
        "--password-changed",
        "the password was changed on another device: take the new way in which it is stretched",
      ],
    ],
    examples: ["keypears account login alice@acme.example"],
    notes: `${PASSWORDS} ${REMEMBERED}`,
    password: true,
    load: async () => (await import("./login.ts")).run,
  },
  {
    name: "logout",
    summary: "end this device's session, and lock",
    examples: ["keypears account logout"],
    load: async () => (await import("./logout.ts")).run,
  },
  {
    name: "password",
    summary: "change the password, and end all other sessions",
    examples: [
      "keypears account password",
      "printf 'old\\nnew\\n' | keypears account password --password-stdin",
    ],
    notes:
      "Without a terminal: the present and the new password on two lines, or KEYPEARS_PASSWORD and KEYPEARS_NEW_PASSWORD.",
    password: true,
    load: async () => (await import("./password.ts")).run,
  },
  {
    name: "sessions",
    summary: "list the devices that are signed in, and what happened to the account",
    options: [["--revoke <id>", "end one of them; the first digits of its id are enough"]],
    examples: ["keypears account sessions", "keypears account sessions --revoke 5f0c2e"],
    load: async () => (await import("./sessions.ts")).run,
  },
  {
    name: "delete",
    summary: "delete the account and all that it stored, for good",
    options: [["--yes", "do not ask again"]],
    examples: ["keypears account delete"],
    notes: "The address stays taken for good, because its keys were published.",
    password: true,
    load: async () => (await import("./delete.ts")).run,
  },
];
