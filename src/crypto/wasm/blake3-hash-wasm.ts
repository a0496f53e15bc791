/**
 * BLAKE3 where WebAssembly has no SIMD: the plain mode by hash-wasm, several times faster than JavaScript from the first
 * byte; the keyed and the derivation mode by noble, because hash-wasm has no derivation and fixes a key when it is made.
 */

import { blake3 as nobleBlake3 } from "@noble/hashes/blake3.js";
import hashWasm from "hash-wasm/dist/blake3.umd.min.js";
import { utf8 } from "../bytes.ts";
import { BLAKE3_LENGTH, BLAKE3_MAX_LENGTH, type Blake3, type Blake3Hasher } from "../primitives.ts";

type WasmHasher = Awaited<ReturnType<typeof createBLAKE3>>;

const { createBLAKE3 } = hashWasm; // a CommonJS build, which Node gives as its default export

/**
 * BLAKE3 with its WebAssembly instances ready, so that everything is synchronous from here on. The shortest outputs
 * of an extendable-output function are prefixes of its longer ones, so two instances serve every length: one makes
 * 32 bytes and one the most that is allowed.
 */
export async function hashWasmBlake3(): Promise<Blake3> {
  const [short, long, incremental] = await Promise.all([
    createBLAKE3(8 * BLAKE3_LENGTH),
    createBLAKE3(8 * BLAKE3_MAX_LENGTH),
    createBLAKE3(8 * BLAKE3_LENGTH),
  ]);
  const finish = (wasm: WasmHasher, length: number) => {
    const digest = wasm.digest("binary");
    return digest.length === length ? digest : digest.slice(0, length);
  };
  return {
    hash(data, length = BLAKE3_LENGTH) {
      const wasm = length <= BLAKE3_LENGTH ? short : long;
      return finish(wasm.init().update(data), length);
    },
    keyed: (key, data, dkLen = BLAKE3_LENGTH) => nobleBlake3(data, { key, dkLen }),
    deriveKey: (context, material, dkLen = BLAKE3_LENGTH) =>
      nobleBlake3(material, { context: utf8(context), dkLen }),
    hasher: createHasherFactory(incremental, (state, length) =>
      finish((length <= BLAKE3_LENGTH ? short : long).init().load(state), length),
    ),
  };
}

/**
 * Many hashers on one WebAssembly instance. The instance holds the state of the one that used it last; when another
 * takes its turn, that state is saved on the JavaScript side. A stream that has the instance to itself copies nothing.
 */
function createHasherFactory(
  wasm: WasmHasher,
  digest: (state: Uint8Array, length: number) => Uint8Array,
): () => Blake3Hasher {
  let current: { state: Uint8Array } | null = null;
  const initial = wasm.init().save();
  return () => {
    const own = { state: initial };
    const take = () => {
      if (current === own) return;
      if (current !== null) current.state = wasm.save();
      wasm.load(own.state);
      current = own;
    };
    const self: Blake3Hasher = {
      update(data) {
        take();
        wasm.update(data);
        return self;
      },
      digest(length = BLAKE3_LENGTH) {
        take();
        current = null;
        return digest(wasm.save(), length);
      },
    };
    return self;
  };
}
