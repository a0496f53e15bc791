// Which scripts a piece of text is written in, so that display can warn of a name that borrows look-alike letters from
// another script: mixed-script detection of Unicode Technical Standard #39 §5.1, over the recommended scripts of UAX #31
// Table 5. For eyes only: nothing stored or signed depends on it, since its answer changes with the engine's Unicode.

const RECOMMENDED_SCRIPTS =
  "Latin Cyrillic Greek Arabic Armenian Bengali Bopomofo Devanagari Ethiopic Georgian Gujarati Gurmukhi Han Hangul " +
  "Hebrew Hiragana Kannada Katakana Khmer Lao Malayalam Myanmar Oriya Sinhala Tamil Telugu Thaana Thai Tibetan";

/** Stands for every script that UAX #31 does not recommend for identifiers. */
const OTHER_SCRIPT = "a rare script";

// Writing systems that are several scripts by nature (UTS #39 §5.1, augmented script sets).
const WRITING_SYSTEMS: ReadonlyArray<{ readonly name: string; readonly scripts: readonly string[] }> = [
  { name: "Japanese", scripts: ["Han", "Hiragana", "Katakana"] },
  { name: "Korean", scripts: ["Han", "Hangul"] },
  { name: "Han with Bopomofo", scripts: ["Han", "Bopomofo"] },
];

interface ScriptTest {
  readonly script: string;
  /** Matches a character whose Script property is this script. */
  readonly own: RegExp;
  /** Matches a character whose Script_Extensions include it. */
  readonly shared: RegExp;
}

/**
 * The scripts that `text` mixes, in the order in which they appear; empty when one script or one writing system (Japanese,
 * Korean, Han with Bopomofo) could have written all of it. Digits, punctuation and marks that all scripts share count
 * for none.
 *
 *     mixedScripts("pаypal")   // ["Latin", "Cyrillic"], for the Cyrillic а
 */
export function mixedScripts(text: string): readonly string[] {
  if (/^[ -~]*$/.test(text)) return [];
  let possible: readonly string[] | undefined;
  const found = new Set<string>();
  for (const character of text) {
    if (/[\p{scx=Common}\p{scx=Inherited}]/u.test(character)) continue;
    const writers = writersOf(character);
    possible = [...writers].filter((writer) => possible?.includes(writer) ?? true);
    const own = scriptTests().find((test) => test.own.test(character));
    if (own !== undefined) found.add(own.script);
    else if (writers.has(OTHER_SCRIPT)) found.add(OTHER_SCRIPT);
  }
  return possible?.length === 0 ? [...found] : [];
}

/** The augmented script set of one character. */
function writersOf(character: string): ReadonlySet<string> {
  const writers = new Set<string>();
  for (const { script, shared } of scriptTests()) {
    if (shared.test(character)) writers.add(script);
  }
  for (const { name, scripts } of WRITING_SYSTEMS) {
    if (scripts.some((script) => writers.has(script))) writers.add(name);
  }
  if (writers.size === 0) writers.add(OTHER_SCRIPT);
  return writers;
}

let tests: readonly ScriptTest[] | undefined;

// Made at first need: compiling the classes costs milliseconds that a command which shows only ASCII should not pay.
function scriptTests(): readonly ScriptTest[] {
  tests ??= RECOMMENDED_SCRIPTS.split(" ").map((script) => ({
    script,
    own: new RegExp(`\\p{Script=${script}}`, "u"),
    shared: new RegExp(`\\p{Script_Extensions=${script}}`, "u"),
  }));
  return tests;
}
