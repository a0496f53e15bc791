/** Asks before what cannot be taken back. */

import type { CommandContext } from "./context.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import { askText, canAsk } from "./prompt.ts";

/**
 * Has a person type `expected` before something is done for good.
 *
 * @param yes --yes was given.
 * @throws CliError `NOT_CONFIRMED`.
 */
export async function confirmByTyping(
  context: CommandContext,
  yes: boolean,
  expected: string,
  warning: string,
): Promise<void> {
  if (yes) return;
  if (!canAsk(context)) {
    throw new CliError("NOT_CONFIRMED", EXIT.usage, "this cannot be taken back", "say so with --yes");
  }
  const answer = await askText(`${warning} Type ${expected} to go on`);
  if (answer.trim() !== expected)
    throw new CliError("NOT_CONFIRMED", EXIT.usage, "nothing was done", "type it exactly");
}
