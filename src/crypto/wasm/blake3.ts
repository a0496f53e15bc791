/**
 * BLAKE3 on the kernel, in all three modes. Whole inputs and hashers have an instance each, so that neither disturbs the
 * other. Nothing of an input, a key or an output stays in an instance's memory once its hash is given.
 */

import { utf8 } from "../bytes.ts";
import { BLAKE3_LENGTH, type Blake3, type Blake3Hasher } from "../primitives.ts";
import {
  BLOCK_LENGTH,
  CHUNK_LENGTH,
  CV_LENGTH,
  DERIVE_KEY_CONTEXT,
  DERIVE_KEY_MATERIAL,
  HASH,
  INPUT_CHUNKS,
  INPUT_LENGTH,
  instantiateKernel,
  KEYED_HASH,
  type Kernel,
} from "./kernel.ts";

const CACHED_CONTEXTS = 64;

/** BLAKE3 on a compiled kernel. */
export function kernelBlake3(module: WebAssembly.Module): Blake3 {
  const kernel = instantiateKernel(module);
  const contextKeys = new Map<string, Uint8Array>();
  let hashers: ReturnType<typeof createHasherFactory> | undefined;
  const withKey = (key: Uint8Array, flags: number, data: Uint8Array, length: number) => {
    kernel.key.set(key);
    return hashWhole(kernel, flags, data, length);
  };
  // Contexts are hard-coded and no secrets: what each is hashed to is kept, which spares every derivation a compression.
  const contextKey = (context: string) => {
    let key = contextKeys.get(context);
    if (key === undefined) {
      key = hashWhole(kernel, DERIVE_KEY_CONTEXT, utf8(context), CV_LENGTH);
      if (contextKeys.size < CACHED_CONTEXTS) contextKeys.set(context, key);
    }
    return key;
  };
  return {
    hash: (data, length = BLAKE3_LENGTH) => hashWhole(kernel, HASH, data, length),
    keyed: (key, data, length = BLAKE3_LENGTH) => withKey(key, KEYED_HASH, data, length),
    deriveKey: (context, material, length = BLAKE3_LENGTH) =>
      withKey(contextKey(context), DERIVE_KEY_MATERIAL, material, length),
    hasher() {
      hashers ??= createHasherFactory(instantiateKernel(module));
      return hashers();
    },
  };
}

/**
 * Hashes all of `data`. When `length` is 0, it is the subtree that begins at chunk `base` of a larger input, and the result
 * its chaining value.
 */
export function hashWhole(
  kernel: Kernel,
  flags: number,
  data: Uint8Array,
  length: number,
  base = 0,
): Uint8Array {
  const { input } = kernel;
  if (data.length <= INPUT_LENGTH) {
    input.set(data);
    kernel.finish(data.length, flags, 0, base, 0, length);
    return takeOutput(kernel, length);
  }
  let [index, depth, offset] = [0, 0, 0];
  for (; data.length - offset > INPUT_LENGTH; offset += INPUT_LENGTH) {
    input.set(data.subarray(offset, offset + INPUT_LENGTH));
    depth = kernel.absorb(INPUT_CHUNKS, flags, index, base, depth);
    index += INPUT_CHUNKS;
  }
  const rest = data.length - offset;
  input.set(data.subarray(offset));
  input.fill(0, rest); // left of the piece before
  kernel.finish(rest, flags, index, base, depth, length);
  return takeOutput(kernel, length);
}

/** Copies the output and wipes it, with the rest of its last block; a chaining value when `length` is 0. */
export function takeOutput({ out }: Kernel, length: number): Uint8Array {
  const output = out.slice(0, length || CV_LENGTH);
  out.fill(0, 0, Math.ceil(output.length / BLOCK_LENGTH) * BLOCK_LENGTH);
  return output;
}

/** Where a hasher stands: what it needs again when its turn comes. */
interface HasherState {
  /** Chunks done, and the number of chaining values that stand for them. */
  index: number;
  depth: number;
  /** Bytes that wait in the input for more. */
  filled: number;
  /** The stack's chaining values and the bytes that wait, while another hasher has the instance. */
  saved: Uint8Array;
}

/**
 * Many hashers on one instance. The instance holds the state of the one that used it last; when another takes its turn,
 * that state, at most a chunk and a few chaining values, is saved. Small pieces are gathered until they fill the input,
 * so they are hashed as fast as large ones.
 */
function createHasherFactory(kernel: Kernel): () => Blake3Hasher {
  const { input, stack } = kernel;
  let current: HasherState | null = null;
  return () => {
    const own: HasherState = { index: 0, depth: 0, filled: 0, saved: new Uint8Array(0) };
    const take = () => {
      if (current === own) return;
      if (current !== null) putAside(kernel, current);
      const stackLength = own.depth * CV_LENGTH;
      stack.set(own.saved.subarray(0, stackLength));
      input.set(own.saved.subarray(stackLength));
      own.saved.fill(0);
      current = own;
    };
    const self: Blake3Hasher = {
      update(data) {
        take();
        let offset = 0;
        while (offset < data.length) {
          if (own.filled === INPUT_LENGTH) absorbWhole(kernel, own, INPUT_CHUNKS);
          const piece = data.subarray(offset, offset + INPUT_LENGTH - own.filled);
          input.set(piece, own.filled);
          own.filled += piece.length;
          offset += piece.length;
        }
        return self;
      },
      digest(length = BLAKE3_LENGTH) {
        take();
        current = null;
        kernel.finish(own.filled, HASH, own.index, 0, own.depth, length);
        return takeOutput(kernel, length);
      },
    };
    return self;
  };
}

/** Hashes the first chunks that wait, and moves what is left to the front. */
function absorbWhole({ absorb, input }: Kernel, state: HasherState, chunks: number): void {
  const length = chunks * CHUNK_LENGTH;
  state.depth = absorb(chunks, HASH, state.index, 0, state.depth);
  state.index += chunks;
  input.copyWithin(0, length, state.filled);
  state.filled -= length;
  input.fill(0, state.filled, state.filled + length);
}

/** Saves a hasher's state and clears the instance of it. The last byte always waits: it may be the root's. */
function putAside(kernel: Kernel, state: HasherState): void {
  const { input, nodes, stack } = kernel;
  const whole = Math.floor(Math.max(0, state.filled - 1) / CHUNK_LENGTH);
  if (whole > 0) absorbWhole(kernel, state, whole);
  const stackLength = state.depth * CV_LENGTH;
  state.saved = new Uint8Array(stackLength + state.filled);
  state.saved.set(stack.subarray(0, stackLength));
  state.saved.set(input.subarray(0, state.filled), stackLength);
  nodes.fill(0);
  input.fill(0, 0, state.filled);
}
