/**
 * Names as a person may be shown them (docs/protocol.md, section 1): with warnings of what is invisible, turns the direction
 * of text, mixes scripts or is drawn like something else. For eyes only, never to be parsed, compared or sent.
 */

import { domainToUnicode } from "./idna.ts";
import { looksLatin } from "./look-alikes.ts";
import { mixedScripts } from "./script.ts";

/** A name as a person may be shown it. */
export interface DisplayedName {
  /** Safe to write to a terminal. */
  readonly text: string;
  /** What a reader should know before trusting `text`, a sentence each; mostly none. */
  readonly warnings: readonly string[];
}

// Whatever a reader cannot see or a terminal might obey: controls, format characters, private use and unassigned code
// points, separators other than the space, and what fonts are told to ignore.
const UNPRINTABLE = /[[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]--[ ]]/gv;

/** A canonical domain with its labels in Unicode; a label that is warned of stays an A-label. */
export function displayDomain(domain: string): DisplayedName {
  const aLabels = domain.split(".");
  const uLabels = domainToUnicode(domain).split(".");
  const labels = aLabels.map((aLabel, index) => {
    const uLabel = uLabels[index] ?? aLabel;
    const what = `the domain's label "${aLabel}"`;
    const warnings = [...textWarnings(what, uLabel)];
    // Under a top-level label of its own script a name is read in that script: сосо.рф is no trap.
    if (looksLatin(uLabel) && aLabels.at(-1) === uLabels.at(-1)) {
      warnings.push(`${what} is in another script and looks like Latin letters`);
    }
    return { text: warnings.length === 0 ? uLabel : aLabel, warnings };
  });
  return {
    text: labels.map(({ text }) => text).join("."),
    warnings: labels.flatMap(({ warnings }) => warnings),
  };
}

/** Text with the characters spelled out, as `\u{202e}`, that cannot be seen or that a terminal might obey. */
export function spellOutUnprintable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** What to warn of in a piece of text that a person reads as one word. @param what names it, in the warnings. */
export function textWarnings(what: string, text: string): readonly string[] {
  const warnings: string[] = [];
  if (text.search(UNPRINTABLE) >= 0) warnings.push(`${what} has invisible or control characters`);
  const scripts = mixedScripts(text);
  if (scripts.length > 0) warnings.push(`${what} mixes letters of ${scripts.join(", ")}`);
  return warnings;
}
