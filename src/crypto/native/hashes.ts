/**
 * SHA-2 (FIPS 180-4), HKDF (RFC 5869) and Argon2id (RFC 9106) through OpenSSL.
 */

import type { Primitives } from "../primitives.ts";
import { type NodeCrypto, plain } from "./node-crypto.ts";

/** SHA-256, SHA-512, HKDF-SHA-256 and Argon2id on node:crypto; Argon2id runs in the thread pool. */
export function nativeHashes(
  crypto: NodeCrypto,
): Pick<Primitives, "sha256" | "sha512" | "hkdfSha256" | "argon2id"> {
  return {
    sha256: (data) => plain(crypto.hash("sha256", data, "buffer")),
    sha512: (data) => plain(crypto.hash("sha512", data, "buffer")),
    hkdfSha256: (ikm, salt, info, length) => plain(crypto.hkdfSync("sha256", ikm, salt, info, length)),
    argon2id: (password, salt, { memoryKiB, passes, lanes }, length) =>
      new Promise((resolve, reject) => {
        const parameters = {
          message: password,
          nonce: salt,
          parallelism: lanes,
          tagLength: length,
          memory: memoryKiB,
          passes,
        };
        crypto.argon2("argon2id", parameters, (error, key) => (error ? reject(error) : resolve(plain(key))));
      }),
  };
}
