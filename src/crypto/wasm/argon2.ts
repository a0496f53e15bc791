/**
 * Argon2id (RFC 9106) in WebAssembly, by hash-wasm. Each call has an instance of its own, gone with all its memory after
 * it. It holds the thread while it runs.
 */

import hashWasm from "hash-wasm/dist/argon2.umd.min.js";
import type { HashPrimitives } from "../primitives.ts";

/** Argon2id on hash-wasm, which takes no empty password: that one goes to JavaScript. */
export const hashWasmArgon2id: HashPrimitives["argon2id"] = async (password, salt, parameters, length) => {
  if (password.length === 0) {
    const { jsHashes } = await import("../js/hashes.ts");
    return jsHashes.argon2id(password, salt, parameters, length);
  }
  return hashWasm.argon2id({
    password,
    salt,
    parallelism: parameters.lanes,
    iterations: parameters.passes,
    memorySize: parameters.memoryKiB,
    hashLength: length,
    outputType: "binary",
  });
};
