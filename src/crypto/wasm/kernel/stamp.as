// The search for a stamp (docs/protocol.md section 6.4): the keyed hash of eight bytes is one compression, and four
// nonces are tried at a time. Only the first word of each hash is computed.

import { CHUNK_END, CHUNK_START, KEY, KEYED_HASH, ROOT } from "./layout";

/**
 * The first `low` from `start` on, in so many groups of four, whose nonce `high << 32 | low` under the key at KEY gives a
 * hash that begins with a big-endian word of at most `limit`; -1 when there is none. Beyond 32 bits it begins at 0 again.
 */
export function searchStamp(high: u32, start: u32, groups: u32, limit: u32): f64 {
  const swap = i8x16(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
  const limits = i32x4.splat(limit);
  const m0 = v128.swizzle(i32x4.splat(high), swap);
  let lows = i32x4.add(i32x4.splat(start), i32x4(0, 1, 2, 3));
  //@ load state of a stamp
  //@ first columns of a stamp
  for (let group: u32 = 0; group < groups; group++) {
    const m1 = v128.swizzle(lows, swap);
    //@ copy state of a stamp
    //@ seven rounds of a stamp
    const hits = i32x4.le_u(v128.swizzle(v128.xor(v0, v8), swap), limits);
    if (v128.any_true(hits)) return f64(start + 4 * group + ctz(i32x4.bitmask(hits)));
    lows = i32x4.add(lows, i32x4(4, 4, 4, 4));
  }
  return -1;
}
