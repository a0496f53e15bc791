/** How demos tell what happens, step by step. */

import { styleText } from "node:util";
import { visible } from "../visible.ts";

/** How a demo tells what happens. */
export interface Narrator {
  /** Begins a step that may take a while. */
  begin(step: string): void;
  /** Ends it; `ok` says whether it went as it should. */
  end(outcome: string, ok: boolean): void;
}

/** Tells each step on standard output; nothing if `silent`. */
export function narrator(silent: boolean): Narrator {
  if (silent) return { begin() {}, end() {} };
  let number = 0;
  return {
    begin(step) {
      number += 1;
      process.stdout.write(`${styleText("dim", `${number}`)}  ${visible(step)}\n`);
    },
    end(outcome, ok) {
      process.stdout.write(
        `   ${ok ? styleText("green", "✓") : styleText("red", "✗")} ${visible(outcome)}\n`,
      );
    },
  };
}
