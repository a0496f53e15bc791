/**
 * BLAKE3 in plain JavaScript.
 */

import { blake3 } from "@noble/hashes/blake3.js";
import { utf8 } from "../bytes.ts";
import { BLAKE3_LENGTH, type Blake3, type Blake3Hasher } from "../primitives.ts";

/** BLAKE3 on noble. */
export const jsBlake3: Blake3 = {
  hash: (data, dkLen = BLAKE3_LENGTH) => blake3(data, { dkLen }),
  keyed: (key, data, dkLen = BLAKE3_LENGTH) => blake3(data, { key, dkLen }),
  deriveKey: (context, material, dkLen = BLAKE3_LENGTH) =>
    blake3(material, { context: utf8(context), dkLen }),
  hasher() {
    const state = blake3.create({});
    const self: Blake3Hasher = {
      update(data) {
        state.update(data);
        return self;
      },
      digest: (length = BLAKE3_LENGTH) => state.xof(length),
    };
    return self;
  },
};
