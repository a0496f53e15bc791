/**
 * Letters of other scripts that most fonts draw like Latin ones: what a name is made of that is to be taken for another
 * although it mixes no scripts (whole-script confusables, Unicode Technical Standard #39 §4.2). A short table of small
 * letters, those that are drawn the same; for warnings and refusals of new names only, since nothing stored depends on it.
 */

const LOOK_ALIKES: ReadonlyMap<string, string> = new Map([
  // Cyrillic
  ...pairs("асԁеһіјӏорԛѕԝхуѵ", "acdehijlopqswxyv"),
  // Greek
  ...pairs("αικνορτυχγωϲϳ", "aiknoptuxywcj"),
  // Armenian
  ...pairs("օսոհյց", "ounhjg"),
]);

/** The text with each letter that looks like a Latin one replaced by that one: `сосо` (Cyrillic) as `coco`. */
export function latinLookAlike(text: string): string {
  return [...text].map((character) => LOOK_ALIKES.get(character) ?? character).join("");
}

/** Whether a text is in another script, and yet reads as Latin letters throughout. */
export function looksLatin(text: string): boolean {
  const replaced = latinLookAlike(text);
  return (
    replaced !== text &&
    !/\p{Script=Latin}/u.test(text) &&
    !/[^\p{Script=Latin}\p{Script=Common}]/u.test(replaced)
  );
}

function pairs(from: string, to: string): [string, string][] {
  return [...from].map((character, index) => [character, to.charAt(index)]);
}
