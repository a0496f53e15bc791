/**
 * SHA-256 and SHA-512 (FIPS 180-4) in WebAssembly, by hash-wasm, and HKDF-SHA-256 (RFC 5869) on the former.
 */

import { concat, wipe } from "../bytes.ts";
import { type HashPrimitives, SHA_256_LENGTH } from "../primitives.ts";

/** What an instance of hash-wasm does for one algorithm. */
interface WasmHasher {
  init(): WasmHasher;
  update(data: Uint8Array): WasmHasher;
  digest(outputType: "binary"): Uint8Array;
}

type Hash = (data: Uint8Array) => Uint8Array;

const SHA_256_BLOCK_LENGTH = 64;
const HMAC_INNER_PAD = 0x36; // RFC 2104 §2
const HMAC_OUTER_PAD = 0x5c;
const HASH_WASM_INPUT_LENGTH = 16_384; // what an instance of hash-wasm holds of its input at once
const ZEROS = new Uint8Array(HASH_WASM_INPUT_LENGTH);

/** SHA-256, its instance ready. */
export async function createSha256(): Promise<HashPrimitives["sha256"]> {
  const { default: hashWasm } = await import("hash-wasm/dist/sha256.umd.min.js");
  return leavingNothing(await hashWasm.createSHA256());
}

/** SHA-512, its instance ready. */
export async function createSha512(): Promise<HashPrimitives["sha512"]> {
  const { default: hashWasm } = await import("hash-wasm/dist/sha512.umd.min.js");
  return leavingNothing(await hashWasm.createSHA512());
}

/** HKDF-SHA-256, on an instance of its own. */
export async function createHkdfSha256(): Promise<HashPrimitives["hkdfSha256"]> {
  const sha256 = await createSha256();
  return (ikm, salt, info, length) => {
    const pseudorandomKey = hmacSha256(sha256, salt, ikm);
    const output = new Uint8Array(Math.ceil(length / SHA_256_LENGTH) * SHA_256_LENGTH);
    let block = new Uint8Array(0);
    for (let i = 1; (i - 1) * SHA_256_LENGTH < length; i++) {
      const message = concat(block, info, Uint8Array.of(i));
      wipe(block);
      block = new Uint8Array(hmacSha256(sha256, pseudorandomKey, message));
      wipe(message);
      output.set(block, (i - 1) * SHA_256_LENGTH);
    }
    wipe(pseudorandomKey, block, output.subarray(length));
    return output.slice(0, length);
  };
}

/** HMAC (RFC 2104) with SHA-256. */
function hmacSha256(sha256: Hash, key: Uint8Array, message: Uint8Array): Uint8Array {
  const block = new Uint8Array(SHA_256_BLOCK_LENGTH);
  block.set(key.length > SHA_256_BLOCK_LENGTH ? sha256(key) : key);
  const inner = concat(
    block.map((byte) => byte ^ HMAC_INNER_PAD),
    message,
  );
  const outer = concat(
    block.map((byte) => byte ^ HMAC_OUTER_PAD),
    sha256(inner),
  );
  const tag = sha256(outer);
  wipe(block, inner, outer);
  return tag;
}

/** A hash that overwrites what its instance still holds of the input: it has no other way to wipe its memory. */
function leavingNothing(wasm: WasmHasher): Hash {
  return (data) => {
    const digest = wasm.init().update(data).digest("binary");
    wasm
      .init()
      .update(ZEROS.subarray(0, Math.min(data.length, HASH_WASM_INPUT_LENGTH)))
      .init();
    return digest;
  };
}
