/**
 * SHA-2 (FIPS 180-4), HKDF (RFC 5869) and Argon2id (RFC 9106) in plain JavaScript.
 */

import { argon2idAsync } from "@noble/hashes/argon2.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import type { Primitives } from "../primitives.ts";

/** SHA-256, SHA-512, HKDF-SHA-256 and Argon2id on noble; Argon2id yields to the event loop as it goes. */
export const jsHashes: Pick<Primitives, "sha256" | "sha512" | "hkdfSha256" | "argon2id"> = {
  sha256: (data) => sha256(data),
  sha512: (data) => sha512(data),
  hkdfSha256: (ikm, salt, info, length) => hkdf(sha256, ikm, salt, info, length),
  argon2id: (password, salt, { memoryKiB, passes, lanes }, length) =>
    argon2idAsync(password, salt, { m: memoryKiB, t: passes, p: lanes, dkLen: length }),
};
