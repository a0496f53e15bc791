/**
 * The WebAssembly tier, for everything that hashes: BLAKE3 on the kernel of our own, the rest by hash-wasm. Nothing of it
 * is loaded before it is asked for, but the kernel. Signatures and key exchange have no implementation here: see
 * docs/decisions/020-wasm-and-post-quantum.md.
 */

import type { Blake3, HashPrimitives } from "../primitives.ts";
import { kernelBlake3 } from "./blake3.ts";
import { compileKernel } from "./kernel.ts";

const compiled = compileKernel();

/** The compiled kernel, which threads instantiate too; null where WebAssembly has no SIMD or is missing. */
export function kernelModule(): WebAssembly.Module | null {
  return compiled;
}

/** BLAKE3 on the kernel; on hash-wasm where SIMD is missing; null where WebAssembly is. */
export async function wasmBlake3(): Promise<Blake3 | null> {
  if (compiled !== null) return kernelBlake3(compiled);
  return whereAllowed(async () => (await import("./blake3-hash-wasm.ts")).hashWasmBlake3());
}

/** SHA-256, or null where WebAssembly is missing. */
export async function wasmSha256(): Promise<HashPrimitives["sha256"] | null> {
  return whereAllowed(async () => (await import("./sha2.ts")).createSha256());
}

/** SHA-512, or null where WebAssembly is missing. */
export async function wasmSha512(): Promise<HashPrimitives["sha512"] | null> {
  return whereAllowed(async () => (await import("./sha2.ts")).createSha512());
}

/** HKDF-SHA-256, or null where WebAssembly is missing. */
export async function wasmHkdfSha256(): Promise<HashPrimitives["hkdfSha256"] | null> {
  return whereAllowed(async () => (await import("./sha2.ts")).createHkdfSha256());
}

/** Argon2id, or null where WebAssembly is missing. */
export async function wasmArgon2id(): Promise<HashPrimitives["argon2id"] | null> {
  return whereAllowed(async () => (await import("./argon2.ts")).hashWasmArgon2id);
}

/** The whole tier, or null where WebAssembly is missing. */
export async function createWasmTier(): Promise<HashPrimitives | null> {
  const [blake3, sha256, sha512, hkdfSha256, argon2id] = await Promise.all([
    wasmBlake3(),
    wasmSha256(),
    wasmSha512(),
    wasmHkdfSha256(),
    wasmArgon2id(),
  ]);
  if (!blake3 || !sha256 || !sha512 || !hkdfSha256 || !argon2id) return null;
  return { tier: "wasm", blake3, sha256, sha512, hkdfSha256, argon2id };
}

/** What is loaded, or null where WebAssembly is missing or a page's content policy forbids it. */
async function whereAllowed<T>(load: () => Promise<T>): Promise<T | null> {
  if (typeof WebAssembly !== "object") return null;
  try {
    return await load();
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return null;
    throw error;
  }
}
