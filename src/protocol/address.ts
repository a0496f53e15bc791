// Addresses (docs/protocol.md section 1): `name@domain`, exactly what email allows, RFC 5321 §4.1.2 dot-string or
// quoted-string with the UTF-8 of RFC 6531 §3.3. The canonical form made here is the one stored, compared, hashed and
// signed; two inputs are one account exactly when their canonical forms are equal octet by octet. The same code serves
// the node and browsers.

import { utf8 } from "../crypto/bytes.ts";
import { type DisplayedName, displayDomain, spellOutUnprintable, textWarnings } from "./display.ts";
import { canonicalDomain, MAX_DOMAIN_OCTETS } from "./domain.ts";
import { ProtocolError } from "./errors.ts";

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

/**
 * An address for a person's eyes, never to be parsed, compared or sent: its domain in Unicode, with warnings where a part
 * mixes scripts, is drawn like something else, or holds characters that are invisible, turn the direction of text or control
 * a terminal. Such characters of the local part are spelled out as `\u{202e}`; a label that is warned of stays an A-label.
 */
export function displayAddress(address: Address): DisplayedName {
  const domain = displayDomain(address.domain);
  return {
    text: `${spellOutUnprintable(address.local)}@${domain.text}`,
    warnings: [...textWarnings("the name", address.local), ...domain.warnings],
  };
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
