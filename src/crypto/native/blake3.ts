/**
 * BLAKE3 beside OpenSSL, which has none: in WebAssembly where there is any, else in JavaScript.
 */

import type { Blake3 } from "../primitives.ts";
import { wasmBlake3 } from "../wasm/index.ts";

/** The BLAKE3 that completes the native tier. */
export async function nativeBlake3(): Promise<Blake3> {
  return (await wasmBlake3()) ?? (await import("../js/blake3.ts")).jsBlake3;
}
