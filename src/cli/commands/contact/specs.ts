/** The commands under `contact`. */

import type { CommandSpec } from "../../command-spec.ts";

const ADDRESS = ["<ADDRESS>", "the contact's address"] as const;

/** `contact …` */
export const CONTACT_COMMANDS: readonly CommandSpec[] = [
  {
    name: "list",
    summary: "list your contacts",
    examples: ["keypears contact list"],
    password: true,
    load: async () => (await import("./list.ts")).run,
  },
  {
    name: "accept",
    summary: "take shares from an address without a stamp",
    arguments: [ADDRESS],
    examples: ["keypears contact accept bob@partner.example"],
    password: true,
    load: async () => (await import("./accept.ts")).run,
  },
  {
    name: "block",
    summary: "refuse shares from an address",
    arguments: [ADDRESS],
    examples: ["keypears contact block mallory@partner.example"],
    password: true,
    load: async () => (await import("./block.ts")).run,
  },
  {
    name: "confirm",
    summary: "accept a contact's present keys, best after comparing fingerprints",
    arguments: [ADDRESS],
    options: [
      [
        "--fingerprint <text>",
        "what the contact reads from `keypears keys show`: makes the contact verified",
      ],
    ],
    examples: ['keypears contact confirm bob@partner.example --fingerprint "D96P 6F2N …"'],
    password: true,
    load: async () => (await import("./confirm.ts")).run,
  },
  {
    name: "forget",
    summary: "remove a contact, with its keys that you know",
    arguments: [ADDRESS],
    examples: ["keypears contact forget bob@partner.example"],
    password: true,
    load: async () => (await import("./forget.ts")).run,
  },
];
