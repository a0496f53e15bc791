// The kernel's memory, laid out by hand: nothing is allocated. `../kernel.ts` holds the same numbers.

/** BLAKE3 (specification of 2020), section 2.1: the initialization vector, also the key of the unkeyed modes. */
export const IV: usize = memory.data<u32>(
  [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
  16,
);

/** Key of the keyed mode and of key derivation: 32 bytes. */
export const KEY: usize = 1152;
/** Chaining value of the node that is output: 32 bytes, and 32 that compressing it leaves behind. */
export const NODE: usize = 1184;
/** Length of key and node together. */
export const SECRETS_LENGTH: usize = 96;
/** What is output: 1,024 bytes. */
export const OUT: usize = 1280;
/** Chaining values of one level of a subtree: 132 of 32 bytes, the last four to spare for lanes without an input. */
export const LEVEL: usize = 4096;
/** Chaining values of the subtrees so far, left to right: 64 of 32 bytes, more than 2^53 chunks ever make. */
export const STACK: usize = 8320;
/** Length of level and stack together. */
export const NODES_LENGTH: usize = 6304;
/** The input, and behind it a chunk to spare for lanes without an input. */
export const INPUT: usize = 16384;

export const BLOCK_LENGTH: u32 = 64;
export const CHUNK_LENGTH: u32 = 1024;
export const CHUNK_BLOCKS: u32 = 16;
export const CV_LENGTH: usize = 32;
/** Chunks that the input has room for, a power of two. */
export const INPUT_CHUNKS: u32 = 128;

/** Domain flags, section 2.1, table 3. */
export const CHUNK_START: u32 = 1;
export const CHUNK_END: u32 = 2;
export const PARENT: u32 = 4;
export const ROOT: u32 = 8;
export const KEYED_HASH: u32 = 16;
export const DERIVE_KEY_MATERIAL: u32 = 64;

/** Where the key of a mode stands. */
@inline
export function keyOf(flags: u32): usize {
  return flags & (KEYED_HASH | DERIVE_KEY_MATERIAL) ? KEY : IV;
}
