/**
 * Composite signatures, id-MLDSA65-Ed25519-SHA512 of draft-ietf-lamps-pq-composite-sigs, bit for bit: a signature
 * holds only if both its halves do, so it stays unforgeable while either algorithm does. Every signature of the
 * protocol is one of these.
 */

import { concat, u8, utf8 } from "./bytes.ts";
import { CryptoError, requireLength } from "./errors.ts";
import {
  ED25519_PUBLIC_KEY_LENGTH,
  ED25519_SEED_LENGTH,
  ED25519_SIGNATURE_LENGTH,
  ML_DSA_65_PUBLIC_KEY_LENGTH,
  ML_DSA_65_SEED_LENGTH,
  ML_DSA_65_SIGNATURE_LENGTH,
  type Primitives,
} from "./primitives.ts";
import { primitives } from "./select.ts";
import { verifyOnThreads } from "./verify-threads.ts";

/** ML-DSA-65 seed ‖ Ed25519 seed: 64 bytes. */
export const COMPOSITE_SECRET_KEY_LENGTH = ML_DSA_65_SEED_LENGTH + ED25519_SEED_LENGTH;
/** ML-DSA-65 public key ‖ Ed25519 public key: 1,984 bytes. */
export const COMPOSITE_PUBLIC_KEY_LENGTH = ML_DSA_65_PUBLIC_KEY_LENGTH + ED25519_PUBLIC_KEY_LENGTH;
/** ML-DSA-65 signature ‖ Ed25519 signature: 3,373 bytes. */
export const COMPOSITE_SIGNATURE_LENGTH = ML_DSA_65_SIGNATURE_LENGTH + ED25519_SIGNATURE_LENGTH;
/** Longest context, in bytes. */
export const COMPOSITE_MAX_CONTEXT_LENGTH = 255;

// The draft's Prefix (§2.2) and the Label of this pair of algorithms (§6), which is also the ML-DSA context.
const PREFIX = utf8("CompositeAlgorithmSignatures2025");
const LABEL = utf8("COMPSIG-MLDSA65-Ed25519-SHA512");

// Enough to keep libuv's pool busy for some ten milliseconds, in which this thread may wait for a disk, and few enough that
// others' work there soon has its turn.
const AT_ONCE = 64;

/** One signature to verify: the arguments of `verify` by their names. */
export interface SignedItem {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  readonly context: string | Uint8Array;
}

/** Composite signatures on one tier of primitives. */
export interface Composite {
  /**
   * The 1,984-byte public key of the 64-byte secret key.
   *
   * @throws CryptoError `wrong-length`.
   */
  publicKey(secretKey: Uint8Array): Uint8Array;
  /**
   * A 3,373-byte signature over `message`, hedged: two calls give different bytes.
   *
   * @param secretKey ML-DSA-65 seed ‖ Ed25519 seed, 64 bytes, the draft's serialized private key.
   * @param context what the signature is for, at most 255 bytes; strings are taken as UTF-8.
   * @throws CryptoError `wrong-length` for the key or the context, `malformed` for a context with a lone surrogate.
   */
  sign(secretKey: Uint8Array, message: Uint8Array, context: string | Uint8Array): Uint8Array;
  /** Whether both halves hold; false for wrong lengths, context included. */
  verify(
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
    context: string | Uint8Array,
  ): boolean;
  /**
   * For each item what `verify` says of it, in their order, worked out on all cores where the tier can, and off the event
   * loop. The items must not change until then.
   */
  verifyMany(items: readonly SignedItem[]): Promise<boolean[]>;
}

/** Composite signatures on the given primitives. */
export function compositeOf(tier: Primitives): Composite {
  const { ed25519, mlDsa65 } = tier;
  return {
    publicKey(secretKey) {
      requireLength("composite secret key", secretKey, COMPOSITE_SECRET_KEY_LENGTH);
      return concat(
        mlDsa65.publicKey(secretKey.subarray(0, ML_DSA_65_SEED_LENGTH)),
        ed25519.publicKey(secretKey.subarray(ML_DSA_65_SEED_LENGTH)),
      );
    },
    sign(secretKey, message, context) {
      requireLength("composite secret key", secretKey, COMPOSITE_SECRET_KEY_LENGTH);
      const representative = messageRepresentative(tier, message, context);
      if (representative === null) {
        throw new CryptoError("wrong-length", "composite context must be at most 255 bytes");
      }
      return concat(
        mlDsa65.sign(secretKey.subarray(0, ML_DSA_65_SEED_LENGTH), representative, LABEL),
        ed25519.sign(secretKey.subarray(ML_DSA_65_SEED_LENGTH), representative),
      );
    },
    verify(publicKey, message, signature, context) {
      const halves = split(tier, { publicKey, message, signature, context });
      return (
        halves !== null &&
        // Ed25519 first: a forgery is refused at the lower price.
        ed25519.verify(halves.ed25519Key, halves.representative, halves.ed25519Signature) &&
        mlDsa65.verify(halves.mlDsa65Key, halves.representative, halves.mlDsa65Signature, LABEL)
      );
    },
    verifyMany(items) {
      const { verifyAside: verifyEd25519 } = ed25519;
      const { verifyAside: verifyMlDsa65 } = mlDsa65;
      if (verifyEd25519 === undefined || verifyMlDsa65 === undefined) return verifyOnThreads(items, this);
      return mapConcurrently(items, AT_ONCE, async (item) => {
        const halves = split(tier, item);
        return (
          halves !== null &&
          (await verifyEd25519(halves.ed25519Key, halves.representative, halves.ed25519Signature)) &&
          (await verifyMlDsa65(halves.mlDsa65Key, halves.representative, halves.mlDsa65Signature, LABEL))
        );
      });
    },
  };
}

/** Composite signatures on the chosen primitives. */
export const composite: Composite = compositeOf(primitives());

/** What the two halves of an item are verified from; null when a length is wrong, or the context cannot be one. */
function split(tier: Primitives, { publicKey, message, signature, context }: SignedItem) {
  if (publicKey.length !== COMPOSITE_PUBLIC_KEY_LENGTH) return null;
  if (signature.length !== COMPOSITE_SIGNATURE_LENGTH) return null;
  if (typeof context === "string" && !context.isWellFormed()) return null;
  const representative = messageRepresentative(tier, message, context);
  if (representative === null) return null;
  return {
    representative,
    mlDsa65Key: publicKey.subarray(0, ML_DSA_65_PUBLIC_KEY_LENGTH),
    ed25519Key: publicKey.subarray(ML_DSA_65_PUBLIC_KEY_LENGTH),
    mlDsa65Signature: signature.subarray(0, ML_DSA_65_SIGNATURE_LENGTH),
    ed25519Signature: signature.subarray(ML_DSA_65_SIGNATURE_LENGTH),
  };
}

/** Results of an asynchronous function on all items, in their order, with no more than `atOnce` of them under way. */
async function mapConcurrently<T, R>(
  items: readonly T[],
  atOnce: number,
  run: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const work = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await run(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work));
  return results;
}

/** M' = Prefix ‖ Label ‖ u8(len(ctx)) ‖ ctx ‖ SHA-512(M) (§3.1), or null when the context is too long. */
function messageRepresentative(
  { sha512 }: Primitives,
  message: Uint8Array,
  context: string | Uint8Array,
): Uint8Array | null {
  const ctx = typeof context === "string" ? utf8(context) : context;
  if (ctx.length > COMPOSITE_MAX_CONTEXT_LENGTH) return null;
  return concat(PREFIX, LABEL, u8(ctx.length), ctx, sha512(message));
}
