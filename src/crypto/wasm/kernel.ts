/**
 * The kernel: BLAKE3 in WebAssembly with SIMD128, built from kernel/*.as. This is its door: compiling it, and a view of
 * its memory. Everything is synchronous, so that hashing is there as soon as the module is loaded.
 */

import { KERNEL_BASE64 } from "./kernel.generated.ts";

// The kernel's memory, as kernel/layout.as lays it out.
export const KERNEL_OFFSETS = { key: 1152, out: 1280, nodes: 4096, stack: 8320, input: 16_384 } as const;
const OUT_LENGTH = 1024;
const NODES_LENGTH = 6304;
const STACK_LENGTH = 2048;

export const CHUNK_LENGTH = 1024;
export const BLOCK_LENGTH = 64;
/** Length of a chaining value. */
export const CV_LENGTH = 32;
/** Chunks that an instance holds at once: more would only spread the same work over colder memory. */
export const INPUT_CHUNKS = 128;
export const INPUT_LENGTH = INPUT_CHUNKS * CHUNK_LENGTH;

/** Domain flags that tell the modes apart (BLAKE3 section 2.1, table 3). */
export const HASH = 0;
export const KEYED_HASH = 16;
export const DERIVE_KEY_CONTEXT = 32;
export const DERIVE_KEY_MATERIAL = 64;

/** What kernel/*.as export; the comments there say what they do. */
export interface KernelFunctions {
  absorb(chunks: number, flags: number, index: number, base: number, depth: number): number;
  graft(flags: number, index: number, depth: number): number;
  finish(length: number, flags: number, index: number, base: number, depth: number, outLength: number): void;
  searchStamp(high: number, start: number, groups: number, limit: number): number;
}

/** One instance of the kernel, which works on one hash at a time, and the parts of its memory. */
export interface Kernel extends KernelFunctions {
  readonly memory: Uint8Array;
  readonly key: Uint8Array;
  readonly out: Uint8Array;
  /** All chaining values on the way, the stack among them. */
  readonly nodes: Uint8Array;
  readonly stack: Uint8Array;
  readonly input: Uint8Array;
}

// (module (type (func (result v128))) (func (type 0) (i8x16.splat (i32.const 0)))): valid only where SIMD128 is.
const SIMD_PROBE = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11],
);

/** Compiles the kernel; null where WebAssembly or its SIMD is missing, or forbidden by a page's content policy. */
export function compileKernel(): WebAssembly.Module | null {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD_PROBE)) return null;
  try {
    return new WebAssembly.Module(decode(KERNEL_BASE64));
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return null;
    throw error;
  }
}

/** A new instance with memory of its own, 192 KiB. */
export function instantiateKernel(module: WebAssembly.Module): Kernel {
  const { exports } = new WebAssembly.Instance(module);
  const { absorb, graft, finish, searchStamp } = exports as unknown as KernelFunctions;
  const memory = new Uint8Array((exports.memory as WebAssembly.Memory).buffer);
  const part = (offset: number, length: number) => memory.subarray(offset, offset + length);
  return {
    memory,
    key: part(KERNEL_OFFSETS.key, CV_LENGTH),
    out: part(KERNEL_OFFSETS.out, OUT_LENGTH),
    nodes: part(KERNEL_OFFSETS.nodes, NODES_LENGTH),
    stack: part(KERNEL_OFFSETS.stack, STACK_LENGTH),
    input: part(KERNEL_OFFSETS.input, INPUT_LENGTH),
    absorb,
    graft,
    finish,
    searchStamp,
  };
}

/** Bytes of base64, in Node by the function that it has for it: at the start of a program a loop over them takes ten times longer. */
function decode(base64: string): Uint8Array<ArrayBuffer> {
  if (globalThis.Buffer !== undefined) return Buffer.from(base64, "base64");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
