// Four inputs side by side: lane i of every vector belongs to input i. The way for many chunks, and for many parents.

import { BLOCK_LENGTH } from "./layout";

/**
 * Compresses four inputs of `blocks` whole blocks, `stride` bytes apart, each from the key at `key`, and writes their
 * chaining values to `out`, 32 bytes each. Input i has the chunk counter `low + i * step`, which must not carry into
 * `high`.
 */
export function compressFour(
  key: usize, input: usize, stride: usize, blocks: u32,
  low: u32, high: u32, step: u32,
  flags: u32, startFlag: u32, endFlag: u32,
  out: usize,
): void {
  let h0 = v128.load32_splat(key, 0);
  let h1 = v128.load32_splat(key, 4);
  let h2 = v128.load32_splat(key, 8);
  let h3 = v128.load32_splat(key, 12);
  let h4 = v128.load32_splat(key, 16);
  let h5 = v128.load32_splat(key, 20);
  let h6 = v128.load32_splat(key, 24);
  let h7 = v128.load32_splat(key, 28);
  const lows = i32x4.add(i32x4.splat(low), i32x4.mul(i32x4.splat(step), i32x4(0, 1, 2, 3)));
  const highs = i32x4.splat(high);
  let blockFlags = flags | startFlag;
  let a0: v128, a1: v128, a2: v128, a3: v128, b0: v128, b1: v128, b2: v128, b3: v128;
  do {
    if (--blocks == 0) blockFlags |= endFlag;
    //@ load message words
    let v0 = h0, v1 = h1, v2 = h2, v3 = h3, v4 = h4, v5 = h5, v6 = h6, v7 = h7;
    //@ let v8 to v11
    let v12 = lows, v13 = highs, v14 = i32x4.splat(BLOCK_LENGTH), v15 = i32x4.splat(blockFlags);
    //@ seven rounds
    h0 = v128.xor(v0, v8);
    h1 = v128.xor(v1, v9);
    h2 = v128.xor(v2, v10);
    h3 = v128.xor(v3, v11);
    h4 = v128.xor(v4, v12);
    h5 = v128.xor(v5, v13);
    h6 = v128.xor(v6, v14);
    h7 = v128.xor(v7, v15);
    input += BLOCK_LENGTH;
    blockFlags = flags;
  } while (blocks);
  //@ store chaining values
}
