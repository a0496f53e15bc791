// One input at a time: the 16 words of the state as four rows of four, a vector each. The way for short inputs.

import { BLOCK_LENGTH } from "./layout";

/**
 * Compresses one input of `blocks` blocks, the last of `lastLength` bytes (with zeros behind it up to the block's end),
 * from the chaining value at `cv`, and writes 64 bytes to `out`: the new chaining value, and the second half of what an
 * output node gives.
 */
export function compressOne(
  cv: usize, input: usize, blocks: u32, lastLength: u32,
  low: u32, high: u32,
  flags: u32, startFlag: u32, endFlag: u32,
  out: usize,
): void {
  let h0 = v128.load(cv, 0);
  let h1 = v128.load(cv, 16);
  let blockFlags = flags | startFlag;
  let length = BLOCK_LENGTH;
  let r0: v128, r1: v128, r2: v128, r3: v128;
  do {
    if (--blocks == 0) {
      blockFlags |= endFlag;
      length = lastLength;
    }
    // Message words in the order of use: x and y for the columns, z and w for the diagonals. The diagonal that starts in
    // column i is worked on in lane i + 1, where its second row stands, so that this row, the last to be ready, stays.
    const m0 = v128.load(input, 0), m1 = v128.load(input, 16), m2 = v128.load(input, 32), m3 = v128.load(input, 48);
    let x = v128.shuffle<i32>(m0, m1, 0, 2, 4, 6);
    let y = v128.shuffle<i32>(m0, m1, 1, 3, 5, 7);
    let z = v128.shuffle<i32>(m3, m2, 2, 4, 6, 0);
    let w = v128.shuffle<i32>(m3, m2, 3, 5, 7, 1);
    r0 = h0;
    r1 = h1;
    r2 = i32x4(0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a);
    r3 = i32x4(low, high, length, blockFlags);
    for (let round = 1; ; round++) {
      //@ columns then diagonals
      if (round == 7) break;
      // The permutation of section 2.2, table 2, in that order of use.
      const nextX = v128.shuffle<i32>(x, y, 1, 5, 7, 2);
      const nextY = v128.shuffle<i32>(v128.shuffle<i32>(x, z, 3, 6, 0, 0), w, 0, 1, 2, 7);
      const nextZ = v128.shuffle<i32>(v128.shuffle<i32>(w, y, 0, 4, 0, 1), z, 0, 1, 7, 3);
      const nextW = v128.shuffle<i32>(v128.shuffle<i32>(z, w, 1, 6, 0, 0), y, 0, 1, 6, 3);
      x = nextX;
      y = nextY;
      z = nextZ;
      w = nextW;
    }
    r0 = v128.xor(r0, r2);
    r1 = v128.xor(r1, r3);
    if (blocks == 0) {
      v128.store(out, v128.xor(r2, h0), 32);
      v128.store(out, v128.xor(r3, h1), 48);
    }
    h0 = r0;
    h1 = r1;
    input += BLOCK_LENGTH;
    blockFlags = flags;
  } while (blocks);
  v128.store(out, h0, 0);
  v128.store(out, h1, 16);
}
