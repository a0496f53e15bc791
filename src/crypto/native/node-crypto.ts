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

// Enough for the keys of some eight hundred who sign, whoever they are.
const MAX_CACHED_BYTES = 32 * 1024 * 1024;
// What an imported key takes, about: OpenSSL expands those of the lattice schemes, matrix and all.
const IMPORTED_BYTES: Readonly<Record<KeyType, number>> = {
  ed25519: 2 * 1024,
  x25519: 2 * 1024,
  "ml-dsa-65": 40 * 1024,
  "ml-kem-768": 20 * 1024,
};

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

/** Makes an importer with a cache of its own, bounded in bytes, least recently used out first. */
export function createPublicKeyImporter(crypto: NodeCrypto): PublicKeyImporter {
  const cache = new Map<string, { readonly imported: nodeCryptoModule.KeyObject; readonly bytes: number }>();
  let cachedBytes = 0;
  return (type, key) => {
    const name = type + asBuffer(key).toString(LATIN1);
    let entry = cache.get(name);
    if (entry === undefined) {
      const imported = crypto.createPublicKey({
        key: key as Buffer,
        format: "raw-public",
        asymmetricKeyType: type,
      });
      entry = { imported, bytes: IMPORTED_BYTES[type] };
      cachedBytes += entry.bytes;
      for (const [oldest, { bytes }] of cache) {
        if (cachedBytes <= MAX_CACHED_BYTES) break;
        cache.delete(oldest);
        cachedBytes -= bytes;
      }
    } else {
      cache.delete(name);
    }
    cache.set(name, entry);
    return entry.imported;
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
