import { describe, expect, it } from "vitest";
import { mixedScripts } from "../../src/protocol/script.ts";

describe("mixed scripts", () => {
  it.each([
    ["Latin and Cyrillic", "p\u0430ypal", ["Latin", "Cyrillic"]],
    ["Latin and Greek", "micr\u03bfsoft", ["Latin", "Greek"]],
    ["Latin and Han", "abc中", ["Latin", "Han"]],
    ["Hangul and Hiragana, which no writing system joins", "가か", ["Hangul", "Hiragana"]],
    ["Bopomofo and Katakana", "ㄅカ", ["Bopomofo", "Katakana"]],
    ["Latin and a script that few read", "a\u13a0", ["Latin", "a rare script"]],
    ["three at once, in order of appearance", "\u0430a\u03bf", ["Cyrillic", "Latin", "Greek"]],
  ])("are found: %s", (_, text, scripts) => {
    expect(mixedScripts(text)).toEqual(scripts);
  });

  it.each([
    ["nothing", ""],
    ["ASCII", "Alice-42_!"],
    ["Latin with marks and digits", "Zoë-e\u0301 7"],
    ["Cyrillic with digits", "иван-42"],
    ["Japanese in all three scripts", "日本ひらカタカナー々"],
    ["Korean with Han", "한國"],
    ["Han with Bopomofo", "中ㄅ"],
    ["emoji", "😀👍"],
    ["one rare script alone", "\u13a0\u13a1"],
  ])("are not found in %s", (_, text) => {
    expect(mixedScripts(text)).toEqual([]);
  });
});
