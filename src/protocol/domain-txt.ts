/**
 * The DNS record at `_keypears.{domain}` (docs/protocol.md, section 2.1): `v=kp2; h=<64 hex>[; s=<minimum serial>]`, a list of
 * tags like those of DKIM (RFC 6376 §3.2). A second channel that must not contradict the discovery document. Whoever holds
 * only the web server cannot change it.
 */

/** Label in front of the domain. */
export const DOMAIN_TXT_LABEL = "_keypears";

/** What one record says. */
export interface DomainTxt {
  /** BLAKE3 of the domain public key, 64 lower-case hex digits. */
  readonly keyHash: string;
  /** The lowest serial of an authorization that the owner still stands by. */
  readonly minSerial?: number;
}

/** What the records at a name say, those of other protocols left out. */
export interface DomainTxtReading {
  readonly found: readonly DomainTxt[];
  /** Records that begin with `v=kp2` and cannot be read, as text. They match nothing, and are not absence either. */
  readonly malformed: readonly string[];
}

const OURS = /^[ \t]*v[ \t]*=[ \t]*kp2[ \t]*(?:;|$)/;
const TAG = /^[ \t]*([a-z][a-z0-9_]*)[ \t]*=[ \t]*([!-:<-~]*)[ \t]*$/;
const HASH = /^[0-9a-f]{64}$/;
const SERIAL = /^(?:0|[1-9][0-9]{0,15})$/;

/** The name to look up. A domain of more than 243 octets has none, since no name in DNS is that long. */
export function domainTxtName(domain: string): string {
  return `${DOMAIN_TXT_LABEL}.${domain}`;
}

/** The record's text, as one puts it into a zone: `v=kp2; h=3f…; s=7`. */
export function formatDomainTxt({ keyHash, minSerial }: DomainTxt): string {
  return `v=kp2; h=${keyHash}${minSerial ? `; s=${minSerial}` : ""}`;
}

/**
 * Reads the TXT records at a name.
 *
 * @param records each as the chunks of at most 255 octets in which it came, which belong together without anything between.
 */
export function readDomainTxt(records: readonly (readonly string[])[]): DomainTxtReading {
  const found: DomainTxt[] = [];
  const malformed: string[] = [];
  for (const chunks of records) {
    const text = chunks.join("");
    if (!OURS.test(text)) continue;
    const record = parseRecord(text);
    if (record === undefined) malformed.push(text);
    else found.push(record);
  }
  return { found, malformed };
}

/** Tags that are not known are ignored, so that later versions can add some; one that stands twice is not. */
function parseRecord(text: string): DomainTxt | undefined {
  const tags = new Map<string, string>();
  for (const part of text.replace(/;[ \t]*$/, "").split(";")) {
    const [, name, value] = TAG.exec(part) ?? [];
    if (name === undefined || value === undefined || tags.has(name)) return undefined;
    tags.set(name, value);
  }
  const keyHash = tags.get("h");
  if (keyHash === undefined || !HASH.test(keyHash)) return undefined;
  const serial = tags.get("s");
  if (serial === undefined) return { keyHash };
  const minSerial = Number(serial);
  return SERIAL.test(serial) && Number.isSafeInteger(minSerial) ? { keyHash, minSerial } : undefined;
}
