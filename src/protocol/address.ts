// Addresses (docs/protocol.md section 1): `name@domain`, exactly what email allows, RFC 5321 §4.1.2 dot-string or
// quoted-string with the UTF-8 of RFC 6531 §3.3. The canonical form made here is the one stored, compared, hashed and
// signed; two inputs are one account exactly when their canonical forms are equal octet by octet. The same code serves
// the node and browsers.

import { utf8 } from "../crypto/bytes.ts";
import { canonicalDomain, MAX_DOMAIN_OCTETS } from "./domain.ts";
import { ProtocolError } from "./errors.ts";
import { domainToUnicode } from "./idna.ts";
import { mixedScripts } from "./script.ts";

/** An address taken apart, every part in canonical form. */
export interface Address {
  /** `local@domain`; at most 320 octets of UTF-8. */
  readonly canonical: string;
  /** The local part as it stands in `canonical`: a dot-string, or a quoted-string where it is none. */
  readonly local: string;
  /** Lower-case A-labels; at most 255 octets. */
  readonly domain: string;
}

/** Longest local part, in octets of its canonical form (RFC 5321 §4.5.3.1.1). */
export const MAX_LOCAL_PART_OCTETS = 64;

/** Longest canonical address, in octets: local part, "@", domain. */
export const MAX_ADDRESS_OCTETS = MAX_LOCAL_PART_OCTETS + 1 + MAX_DOMAIN_OCTETS;

// Quoting, backslash pairs and decomposed letters make an input longer than its canonical form. Past this no sane one
// is left, and the work done on a hostile one stays small.
const MAX_INPUT_UNITS = 4_096;

// atext of RFC 5322 §3.2.3, and UTF8-non-ascii of RFC 6531 §3.3.
const DOT_STRING =
  /^[\w!#$%&'*+\-/=?^`{|}~\u{80}-\u{10ffff}]+(?:\.[\w!#$%&'*+\-/=?^`{|}~\u{80}-\u{10ffff}]+)*$/u;
// U+0000–001F and U+007F: no form of an address may hold them.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to refuse.
const CONTROL = /[\x00-\x1f\x7f]/;
// A quotedString of RFC 5321 at the start; QcontentSMTP with qtextSMTP as RFC 6531 extends it. Controls are out already.
const QUOTED_STRING = /^"((?:[^"\\]|\\[ -~])*)"/u;
// Whatever a reader cannot see or a terminal might obey: controls, format characters, private use and unassigned code
// points, separators other than the space, and what fonts are told to ignore.
const UNPRINTABLE = /[[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]--[ ]]/gv;

/**
 * Reads an address and brings it to canonical form. Nothing is trimmed or guessed.
 *
 *     parseAddress('"Alice"@Bücher.Example').canonical === "alice@xn--bcher-kva.example"
 *
 * @throws ProtocolError `ADDRESS_INVALID`, field "address", whose message names what is wrong.
 */
export function parseAddress(input: string): Address {
  if (input === "") throw invalid("address is empty");
  if (input.length > MAX_INPUT_UNITS) throw invalid("address is too long");
  if (!input.isWellFormed()) throw invalid("address has a lone surrogate");
  if (CONTROL.test(input)) throw invalid("address has a control character");

  const { content, rest } = input.startsWith('"') ? splitQuoted(input) : splitDotString(input);
  const local = canonicalLocalPart(content);
  const domain = domainOf(rest);
  return { canonical: `${local}@${domain}`, local, domain };
}

/** Whether `text` is an address in canonical form already. Never throws. */
export function isCanonicalAddress(text: string): boolean {
  try {
    return parseAddress(text).canonical === text;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

/** An address as a person may be shown it. */
export interface DisplayedAddress {
  /** For eyes only, never to be parsed, compared or sent: safe to write to a terminal. */
  readonly text: string;
  /** What a reader should know before trusting `text`, a sentence each; mostly none. */
  readonly warnings: readonly string[];
}

/**
 * Prepares an address for people: U-labels in place of A-labels, with a warning for a local part or label that mixes
 * scripts, as look-alike names do, or holds characters that are invisible, turn the direction of text or control a
 * terminal. Such characters of the local part are spelled out as `\u{202e}`; a label that is warned of stays an A-label.
 */
export function displayAddress(address: Address): DisplayedAddress {
  const nameWarnings = warningsOf("the name", address.local);
  const local = address.local.replace(UNPRINTABLE, (character) => {
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });

  const uLabels = domainToUnicode(address.domain).split(".");
  const labels = address.domain.split(".").map((aLabel, index) => {
    const uLabel = uLabels[index] ?? aLabel;
    const warnings = warningsOf(`the domain's label "${aLabel}"`, uLabel);
    return { text: warnings.length === 0 ? uLabel : aLabel, warnings };
  });
  return {
    text: `${local}@${labels.map((label) => label.text).join(".")}`,
    warnings: [...nameWarnings, ...labels.flatMap((label) => label.warnings)],
  };
}

function warningsOf(what: string, text: string): readonly string[] {
  const warnings: string[] = [];
  if (text.search(UNPRINTABLE) >= 0) warnings.push(`${what} has invisible or control characters`);
  const scripts = mixedScripts(text);
  if (scripts.length > 0) warnings.push(`${what} mixes letters of ${scripts.join(", ")}`);
  return warnings;
}

interface SplitAddress {
  /** The local part's characters, without quotes and backslashes. */
  readonly content: string;
  /** What follows the "@". */
  readonly rest: string;
}

function splitQuoted(input: string): SplitAddress {
  const match = QUOTED_STRING.exec(input);
  if (match === null)
    throw invalid("quoted local part is not closed, or has a backslash before no printable ASCII");
  const [quoted, inner = ""] = match;
  if (input[quoted.length] !== "@") throw invalid('quoted local part is not followed by "@"');
  return { content: inner.replace(/\\(.)/gu, "$1"), rest: input.slice(quoted.length + 1) };
}

function splitDotString(input: string): SplitAddress {
  const at = input.indexOf("@");
  if (at < 0) throw invalid('address has no "@"');
  const content = input.slice(0, at);
  if (content === "") throw invalid("local part is empty");
  if (!DOT_STRING.test(content)) {
    if (/^\.|\.\.|\.$/.test(content))
      throw invalid("local part has a dot at its start, its end or beside another");
    throw invalid("local part has a character that must stand in quotes");
  }
  return { content, rest: input.slice(at + 1) };
}

// NFC stands on both sides of lower-casing. Before it, so that canonically equal inputs meet (U+212A KELVIN SIGN is K).
// After it, because some small letters compose where their capital does not: H with U+0331 stays two characters, h with
// U+0331 is U+1E96. Whether quotes are needed is asked last: NFC turns U+037E into a semicolon.
function canonicalLocalPart(content: string): string {
  if (content === "") throw invalid("local part is empty");
  const name = content
    .normalize("NFC")
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .normalize("NFC");
  const local = DOT_STRING.test(name) ? name : `"${name.replace(/["\\]/g, "\\$&")}"`;
  // Quotes and backslashes count: they are part of RFC 5321's Local-part, whose size it limits.
  if (utf8(local).length > MAX_LOCAL_PART_OCTETS) {
    throw invalid(`local part is longer than ${MAX_LOCAL_PART_OCTETS} octets`);
  }
  return local;
}

function domainOf(rest: string): string {
  try {
    return canonicalDomain(rest);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new ProtocolError("ADDRESS_INVALID", error.message, { field: "address", cause: error });
  }
}

function invalid(message: string): ProtocolError {
  return new ProtocolError("ADDRESS_INVALID", message, { field: "address" });
}
