/** The commands under `outbox`. */

import type { CommandSpec } from "../../command-spec.ts";

const ID = ["<ID>", "the share's id, or its first 6 digits or more"] as const;

/** `outbox …` */
export const OUTBOX_COMMANDS: readonly CommandSpec[] = [
  {
    name: "list",
    summary: "list what you sent and what is not delivered yet, and why",
    options: [["--limit <n>", "at most this many (default: 50)"]],
    examples: ["keypears outbox list", "keypears outbox list --json"],
    load: async () => (await import("./list.ts")).run,
  },
  {
    name: "retry",
    summary: "make the next attempt to deliver a share now",
    arguments: [ID],
    examples: ["keypears outbox retry 3f9a1c20"],
    load: async () => (await import("./retry.ts")).run,
  },
  {
    name: "cancel",
    summary: "give up the delivery of a share, and keep your copy",
    description:
      "Give up the delivery of a share that waits for its next attempt. One that is attempted at this moment may have arrived " +
      "already: it cannot be taken back.",
    arguments: [ID],
    examples: ["keypears outbox cancel 3f9a1c20"],
    load: async () => (await import("./cancel.ts")).run,
  },
];
