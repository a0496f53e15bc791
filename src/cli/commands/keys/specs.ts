/** The commands under `keys`. */

import type { CommandSpec } from "../../command-spec.ts";

/** `keys …` */
export const KEYS_COMMANDS: readonly CommandSpec[] = [
  {
    name: "show",
    summary: "show your active keys and their fingerprint",
    description:
      "Show your active keys, after comparing what the node publishes with what your own seeds give.",
    examples: ["keypears keys show"],
    password: true,
    load: async () => (await import("./show.ts")).run,
  },
  {
    name: "rotate",
    summary: "publish new keys that the present ones vouch for",
    options: [["--revoke-previous", "after a compromise: nothing new may use the present keys from now on"]],
    examples: ["keypears keys rotate", "keypears keys rotate --revoke-previous"],
    password: true,
    load: async () => (await import("./rotate.ts")).run,
  },
  {
    name: "reset",
    summary: "publish new keys that nothing vouches for; contacts will have to confirm them",
    options: [["--yes", "do not ask again"]],
    examples: ["keypears keys reset"],
    notes: "Needs the password even while unlocked. To exchange keys that are not in doubt, use keys rotate.",
    password: true,
    load: async () => (await import("./reset.ts")).run,
  },
  {
    name: "history",
    summary: "list all your key sets",
    examples: ["keypears keys history"],
    password: true,
    load: async () => (await import("./history.ts")).run,
  },
  {
    name: "verify",
    summary: "look up a contact's keys and compare them with what you know",
    description:
      "Ask a contact's own domain for its keys, and compare them with those that you saw before and, if given, with the " +
      "fingerprint that the contact told you. Changes nothing: contact confirm does.",
    arguments: [["<ADDRESS>", "the contact's address"]],
    options: [["--fingerprint <text>", "what the contact reads from `keypears keys show`"]],
    examples: ["keypears keys verify bob@partner.example"],
    password: true,
    load: async () => (await import("./verify.ts")).run,
  },
];
