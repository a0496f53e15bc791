// Fingerprints of key sets (docs/protocol.md section 3.2), which two people read to each other to make sure that no node
// stands between them. 160 bits in the bit order of RFC 4648 §6 and an alphabet without I, L, O and U, so that what is
// misheard or mistyped most often still reads right.

import { ProtocolError } from "./errors.ts";

/** Length of a `key_set_hash`, in bytes. */
export const KEY_SET_HASH_BYTES = 32;

const FINGERPRINT_BYTES = 20;
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARACTERS = 32; // 20 bytes at 5 bits each, without a remainder
const GROUP = /.{4}(?=.)/g;

/**
 * The fingerprint of a key set: 8 groups of 4 characters with single spaces between them.
 *
 *     "D96P 6F2N …"
 *
 * @param keySetHash BLAKE3 of the key set's body, 32 bytes; its first 20 are shown.
 * @throws ProtocolError `FINGERPRINT_INVALID` for another length.
 */
export function fingerprint(keySetHash: Uint8Array): string {
  if (keySetHash.length !== KEY_SET_HASH_BYTES)
    throw invalid(`key set hash must be ${KEY_SET_HASH_BYTES} bytes`);
  let characters = "";
  let buffer = 0;
  let bits = 0;
  for (const byte of keySetHash.subarray(0, FINGERPRINT_BYTES)) {
    buffer = ((buffer << 8) | byte) & 0xfff;
    bits += 8;
    for (; bits >= 5; bits -= 5) characters += ALPHABET.charAt((buffer >> (bits - 5)) & 31);
  }
  return grouped(characters);
}

/**
 * Reads a fingerprint as a person types it and returns it as {@link fingerprint} writes it: lower case is taken, O as 0,
 * I and L as 1, and spaces and dashes stand anywhere or nowhere.
 *
 * @throws ProtocolError `FINGERPRINT_INVALID`, field "fingerprint", for another character or number of characters.
 */
export function parseFingerprint(input: string): string {
  const characters = input
    .replace(/[\s\p{Dash_Punctuation}]/gu, "")
    .replace(/[a-z]/g, (letter) => letter.toUpperCase())
    .replace(/O/g, "0")
    .replace(/[IL]/g, "1");
  if (!/^[0-9A-HJKMNP-TV-Z]*$/.test(characters)) {
    throw invalid("fingerprint has a character other than digits and letters without U");
  }
  if (characters.length !== CHARACTERS) {
    throw invalid(`fingerprint must have ${CHARACTERS} characters, got ${characters.length}`);
  }
  return grouped(characters);
}

/**
 * Whether two fingerprints, as people type them, are the same. A fingerprint is public: no constant time is needed.
 *
 * @throws ProtocolError `FINGERPRINT_INVALID` when either is none.
 */
export function sameFingerprint(a: string, b: string): boolean {
  return parseFingerprint(a) === parseFingerprint(b);
}

function grouped(characters: string): string {
  return characters.replace(GROUP, "$& ");
}

function invalid(message: string): ProtocolError {
  return new ProtocolError("FINGERPRINT_INVALID", message, { field: "fingerprint" });
}
