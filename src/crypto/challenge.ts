/**
 * Challenges that an open node sets before it creates an account (docs/protocol.md section 6.4). They are answered with
 * a stamp, and authenticated instead of stored: whoever holds the cluster's secret recognises its own.
 *
 *     challenge = u64(expires) ‖ 16 random bytes ‖ u64(difficulty) ‖ lp(address) ‖ BLAKE3-keyed(secret, all before)
 */

import { concat, equalConstantTime, lp, randomBytes, u64 } from "./bytes.ts";
import { BLAKE3_LENGTH } from "./primitives.ts";
import { primitives } from "./select.ts";

/** How long a challenge may be answered, in milliseconds. */
export const CHALLENGE_LIFETIME_MS = 15 * 60 * 1000;
/** Length of a challenge's id, its first three fields: what the stamp is bound to, beside the address. */
export const CHALLENGE_ID_LENGTH = 32;

const RANDOM_LENGTH = 16;
const MAC_LENGTH = BLAKE3_LENGTH;
const DIFFICULTY_OFFSET = 8 + RANDOM_LENGTH;

/** What `openChallenge` found. */
export type OpenedChallenge =
  | {
      status: "valid";
      /** 32 bytes, for `stampKey`. Unique: remember it as spent until `expiresAt`. */
      id: Uint8Array;
      difficulty: number;
      /** Milliseconds since the epoch. */
      expiresAt: number;
    }
  | { status: "expired" }
  /** Not made under this secret for this address, or altered. */
  | { status: "invalid" };

/**
 * A new challenge for one address.
 *
 * @param secret 32 bytes, the same on every node of a cluster.
 * @param address canonical.
 * @param now milliseconds since the epoch.
 */
export function buildChallenge(
  secret: Uint8Array,
  { address, difficulty, now }: { address: string; difficulty: number; now: number },
): Uint8Array<ArrayBuffer> {
  const fields = concat(
    u64(now + CHALLENGE_LIFETIME_MS),
    randomBytes(RANDOM_LENGTH),
    u64(difficulty),
    lp(address),
  );
  return concat(fields, primitives().blake3.keyed(secret, fields));
}

/**
 * Checks that a challenge was built under `secret` for `address` and has not expired, and reads it.
 *
 * @param secret 32 bytes. @throws CryptoError `wrong-length` for the secret alone.
 * @param now milliseconds since the epoch.
 */
export function openChallenge(
  secret: Uint8Array,
  challenge: Uint8Array,
  { address, now }: { address: string; now: number },
): OpenedChallenge {
  const fields = challenge.subarray(0, Math.max(0, challenge.length - MAC_LENGTH));
  const mac = challenge.subarray(fields.length);
  if (!equalConstantTime(mac, primitives().blake3.keyed(secret, fields))) return { status: "invalid" };
  if (!equalConstantTime(fields.subarray(CHALLENGE_ID_LENGTH), lp(address))) return { status: "invalid" };
  const view = new DataView(fields.buffer, fields.byteOffset, CHALLENGE_ID_LENGTH);
  const expiresAt = Number(view.getBigUint64(0));
  if (now >= expiresAt) return { status: "expired" };
  return {
    status: "valid",
    id: fields.slice(0, CHALLENGE_ID_LENGTH),
    difficulty: Number(view.getBigUint64(DIFFICULTY_OFFSET)),
    expiresAt,
  };
}
