/**
 * Text of others on its way to a terminal: whatever could move the cursor, turn the direction of reading or hide is spelled
 * out as `\u{1b}`, so that what is read is what was sent.
 */

const UNPRINTABLE = /[[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]--[ ]]/gv;
const UNPRINTABLE_IN_LINES = /[[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]--[ \n\t]]/gv;
const PLAIN_ADDRESS = /^(?!.*(?:@|\.)xn--)[!-~]+$/;

/** One line of text, safe to show. Line breaks are spelled out too. */
export function visible(text: string): string {
  return text.replace(UNPRINTABLE, spellOut);
}

/** Text of several lines, safe to show. */
export function visibleLines(text: string): string {
  return text.replace(UNPRINTABLE_IN_LINES, spellOut);
}

/**
 * An address from elsewhere, safe to show, with what a reader should know about it in brackets. The tables of international
 * names are loaded for such names only.
 */
export async function visibleAddress(address: string): Promise<string> {
  if (PLAIN_ADDRESS.test(address)) return address;
  const { displayAddress, parseAddress } = await import("../protocol/address.ts");
  try {
    const { text, warnings } = displayAddress(parseAddress(address));
    return warnings.length === 0 ? text : `${text} (careful: ${warnings.join("; ")})`;
  } catch {
    return visible(address); // no address: shown as the text that it is
  }
}

function spellOut(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
