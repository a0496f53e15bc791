/**
 * The way to node:crypto without an import of it, so that bundlers and browsers never see one, and the import of raw
 * keys. Public keys are kept as key objects in a small cache, because importing one costs as much as a third of the
 * verification; private keys never are.
 */

import type * as nodeCryptoModule from "node:crypto";

/** The module object of node:crypto. */
export type NodeCrypto = typeof nodeCryptoModule;

/** Key types by Node's names. */
export type KeyType = "ed25519" | "x25519" | "ml-dsa-65" | "ml-kem-768";

/** Imports raw public keys, remembering the ones used last. */
export type PublicKeyImporter = (type: KeyType, key: Uint8Array) => nodeCryptoModule.KeyObject;

const LATIN1 = "latin1"; // one character per byte: the cheapest exact spelling of a key as a map key
const CACHED_PUBLIC_KEYS = 256; // about 10 MB at most: OpenSSL expands an ML-DSA-65 key to some 40 KB

/** node:crypto where this engine has it, else undefined. */
export function findNodeCrypto(): NodeCrypto | undefined {
  return globalThis.process?.getBuiltinModule?.("node:crypto");
}

/** A private key from its raw form: the scalar of the curves, the seed of the lattice schemes. */
export function importPrivateKey(
  crypto: NodeCrypto,
  type: KeyType,
  seed: Uint8Array,
): nodeCryptoModule.KeyObject {
  return crypto.createPrivateKey({
    key: seed as Buffer,
    format: type.startsWith("ml-") ? "raw-seed" : "raw-private",
    asymmetricKeyType: type,
  });
}

/** The raw public key that belongs to a private key. */
export function rawPublicKey(crypto: NodeCrypto, type: KeyType, seed: Uint8Array): Uint8Array {
  const publicKey = crypto.createPublicKey(importPrivateKey(crypto, type, seed));
  return plain(publicKey.export({ format: "raw-public" }));
}

/** Makes an importer with a cache of its own, least recently used out first. */
export function createPublicKeyImporter(crypto: NodeCrypto): PublicKeyImporter {
  const cache = new Map<string, nodeCryptoModule.KeyObject>();
  return (type, key) => {
    const name = type + asBuffer(key).toString(LATIN1);
    let imported = cache.get(name);
    if (imported === undefined) {
      imported = crypto.createPublicKey({
        key: key as Buffer,
        format: "raw-public",
        asymmetricKeyType: type,
      });
      if (cache.size >= CACHED_PUBLIC_KEYS) cache.delete(cache.keys().next().value as string);
    } else {
      cache.delete(name);
    }
    cache.set(name, imported);
    return imported;
  };
}

/** Verifies on libuv's threads. The message and the signature must not change until it is done. */
export function verifyInThreadPool(
  crypto: NodeCrypto,
  message: Uint8Array,
  key: nodeCryptoModule.KeyObject | nodeCryptoModule.VerifyKeyObjectInput,
  signature: Uint8Array,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    crypto.verify(null, message, key, signature, (error, valid) => {
      if (error) reject(error);
      else resolve(valid);
    });
  });
}

/** The same bytes as a plain Uint8Array: a Buffer would compare and slice differently from the other tiers'. */
export function plain(bytes: Uint8Array | ArrayBuffer): Uint8Array {
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes);
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
