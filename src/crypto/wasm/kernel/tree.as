// BLAKE3's tree (section 2.4) over what stands in the input. Whole subtrees are worked level by level, four nodes at a
// time; a stack joins them, each joined only when the next one comes, because the last join is the root's.
//
// `index` counts the chunks of this tree so far, and `base` is the chunk counter of its first one: 0, but for a subtree
// of a larger tree, where it is a multiple of the subtree's size. Both are whole numbers below 2^53.

import { compressFour } from "./lanes";
import {
  BLOCK_LENGTH, CHUNK_BLOCKS, CHUNK_END, CHUNK_LENGTH, CHUNK_START, CV_LENGTH, INPUT, INPUT_CHUNKS, KEY, keyOf, LEVEL, NODE,
  NODES_LENGTH, OUT, PARENT, ROOT, SECRETS_LENGTH, STACK,
} from "./layout";
import { compressOne } from "./rows";

/** Hashes `chunks` whole chunks of the input into the stack of `depth` chaining values. Returns the stack's new depth. */
export function absorb(chunks: u32, flags: u32, index: f64, base: f64, depth: u32): u32 {
  return absorbFrom(INPUT, chunks, flags, u64(index), u64(base), depth);
}

/** Puts the chaining value at OUT, of a subtree that begins at `index`, on the stack. Returns the stack's new depth. */
export function graft(flags: u32, index: f64, depth: u32): u32 {
  depth = joinDownTo(u32(popcnt(u64(index))), depth, flags);
  memory.copy(STACK + depth * CV_LENGTH, OUT, CV_LENGTH);
  return depth + 1;
}

/**
 * Ends the tree with the last `length` bytes of the input and writes `outLength` bytes to OUT, or, when that is 0, the
 * chaining value of the tree as a subtree. A tree of one chunk must have it in the input: only the root's node may be
 * output. Leaves nothing of the input, nor of what was computed on the way, in memory.
 */
export function finish(length: u32, flags: u32, index: f64, base: f64, depth: u32, outLength: u32): void {
  const unused = length & (BLOCK_LENGTH - 1);
  if (unused != 0) memory.fill(INPUT + length, 0, BLOCK_LENGTH - unused);
  if (index == 0 && length <= CHUNK_LENGTH) {
    finishChunk(length, flags, u64(base), outLength);
  } else {
    finishTree(length, flags, u64(index), u64(base), depth, outLength);
    // A level has a node for each chunk, and lanes without an input; after earlier pieces, whatever these left.
    memory.fill(LEVEL, 0, index == 0 ? (length / CHUNK_LENGTH + 4) * CV_LENGTH : NODES_LENGTH);
    if (index == 0) memory.fill(STACK, 0, 3 * CV_LENGTH);
  }
  memory.fill(INPUT, 0, length);
  memory.fill(KEY, 0, SECRETS_LENGTH);
}

function finishChunk(length: u32, flags: u32, counter: u64, outLength: u32): void {
  let blocks = (length + (BLOCK_LENGTH - 1)) / BLOCK_LENGTH;
  if (blocks == 0) {
    v128.store(INPUT, i32x4(0, 0, 0, 0), 0);
    v128.store(INPUT, i32x4(0, 0, 0, 0), 16);
    v128.store(INPUT, i32x4(0, 0, 0, 0), 32);
    v128.store(INPUT, i32x4(0, 0, 0, 0), 48);
    blocks = 1;
  }
  if (outLength == 0) return hashChunk(INPUT, length, flags, counter, OUT);
  const before = blocks - 1;
  let cv = keyOf(flags);
  let startFlag = CHUNK_START;
  if (before > 0) {
    compressOne(cv, INPUT, before, BLOCK_LENGTH, u32(counter), u32(counter >> 32), flags, CHUNK_START, 0, NODE);
    cv = NODE;
    startFlag = 0;
  }
  const last = before * BLOCK_LENGTH;
  output(cv, INPUT + last, length - last, flags | startFlag | CHUNK_END, outLength);
}

function finishTree(length: u32, flags: u32, index: u64, base: u64, depth: u32, outLength: u32): void {
  let input = INPUT;
  let whole = length / CHUNK_LENGTH;
  const rest = length % CHUNK_LENGTH;
  if (index % INPUT_CHUNKS != 0) {
    depth = absorbFrom(input, whole, flags, index, base, depth);
    input += whole * CHUNK_LENGTH;
    index += whole;
    whole = 0;
  }
  hashChunks(input, whole, flags, base + index);
  let nodes = whole;
  if (rest > 0) {
    hashChunk(input + whole * CHUNK_LENGTH, rest, flags, base + index + whole, LEVEL + whole * CV_LENGTH);
    nodes++;
  }
  if (nodes > 0) {
    depth = joinDownTo(u32(popcnt(index)), depth, flags);
    nodes = joinLevels(nodes, depth == 0 ? 2 : 1, flags);
    memory.copy(STACK + depth * CV_LENGTH, LEVEL, nodes * CV_LENGTH);
    depth += nodes;
  }
  if (outLength == 0) {
    joinDownTo(1, depth, flags);
    memory.copy(OUT, STACK, CV_LENGTH);
  } else {
    joinDownTo(2, depth, flags);
    output(keyOf(flags), STACK, BLOCK_LENGTH, flags | PARENT, outLength);
  }
}

function absorbFrom(input: usize, chunks: u32, flags: u32, index: u64, base: u64, depth: u32): u32 {
  while (chunks > 0) {
    // The largest subtree that begins here.
    let size: u32 = 1 << (31 - clz(chunks));
    while (index & (size - 1)) size >>= 1;
    hashChunks(input, size, flags, base + index);
    depth = joinDownTo(u32(popcnt(index)), depth, flags);
    // Its root stays open as two nodes, for it may come to be the root of all.
    const nodes = joinLevels(size, 2, flags);
    memory.copy(STACK + depth * CV_LENGTH, LEVEL, nodes * CV_LENGTH);
    depth += nodes;
    input += size * CHUNK_LENGTH;
    index += size;
    chunks -= size;
  }
  return depth;
}

/** Chaining values of whole chunks, to LEVEL. A multiple of four stands before the counter, or there is but one or two. */
function hashChunks(input: usize, chunks: u32, flags: u32, counter: u64): void {
  const key = keyOf(flags);
  let out = LEVEL;
  while (chunks > 2) {
    compressFour(key, input, CHUNK_LENGTH, CHUNK_BLOCKS, u32(counter), u32(counter >> 32), 1, flags, CHUNK_START, CHUNK_END, out);
    if (chunks <= 4) return;
    chunks -= 4;
    counter += 4;
    input += 4 * CHUNK_LENGTH;
    out += 4 * CV_LENGTH;
  }
  for (; chunks > 0; chunks--) {
    hashChunk(input, CHUNK_LENGTH, flags, counter, out);
    counter++;
    input += CHUNK_LENGTH;
    out += CV_LENGTH;
  }
}

/** Chaining value of one chunk of 0 to 1,024 bytes; 64 bytes are written. */
function hashChunk(input: usize, length: u32, flags: u32, counter: u64, out: usize): void {
  const before = length == 0 ? 0 : (length - 1) / BLOCK_LENGTH;
  compressOne(
    keyOf(flags), input, before + 1, length - before * BLOCK_LENGTH, u32(counter), u32(counter >> 32),
    flags, CHUNK_START, CHUNK_END, out,
  );
}

/** Joins the nodes at LEVEL, level by level, until no more than `most` are left. An odd one moves up as it is. */
function joinLevels(nodes: u32, most: u32, flags: u32): u32 {
  const key = keyOf(flags);
  while (nodes > most) {
    let pairs = nodes >> 1;
    let from = LEVEL;
    let to = LEVEL;
    // What is written lies before what is read next, the surplus of both ways included.
    while (pairs > 2) {
      compressFour(key, from, 2 * CV_LENGTH, 1, 0, 0, 0, flags | PARENT, 0, 0, to);
      const done = min<u32>(pairs, 4);
      pairs -= done;
      from += done * 2 * CV_LENGTH;
      to += done * CV_LENGTH;
    }
    for (; pairs > 0; pairs--) {
      compressOne(key, from, 1, BLOCK_LENGTH, 0, 0, flags | PARENT, 0, 0, to);
      from += 2 * CV_LENGTH;
      to += CV_LENGTH;
    }
    if (nodes & 1) memory.copy(to, from, CV_LENGTH);
    nodes = (nodes + 1) >> 1;
  }
  return nodes;
}

/** Joins the two topmost nodes of the stack until no more than `most` are left. */
function joinDownTo(most: u32, depth: u32, flags: u32): u32 {
  while (depth > most) {
    depth--;
    const pair = STACK + (depth - 1) * CV_LENGTH;
    compressOne(keyOf(flags), pair, 1, BLOCK_LENGTH, 0, 0, flags | PARENT, 0, 0, pair);
  }
  return depth;
}

/** Writes the root node's output, block by block (section 2.6). */
function output(cv: usize, block: usize, length: u32, flags: u32, outLength: u32): void {
  for (let i: u32 = 0; i * BLOCK_LENGTH < outLength; i++) {
    compressOne(cv, block, 1, length, i, 0, flags | ROOT, 0, 0, OUT + i * BLOCK_LENGTH);
  }
}
