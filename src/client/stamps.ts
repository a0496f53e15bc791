/**
 * The work that a node asks for before it takes something from somebody whom it does not know (docs/protocol.md, section
 * 6.4): an account to be made, or a first share.
 */

import { mineStamp } from "../crypto/stamp.ts";
import { MAX_STAMP_DIFFICULTY } from "../protocol/limits.ts";
import { ClientError } from "./errors.ts";
import type { WorkOptions } from "./sign-in.ts";

/**
 * A nonce for a stamp key.
 *
 * @throws ClientError STAMP_TOO_HARD above the difficulty that the protocol allows.
 */
export async function earnStamp(key: Uint8Array, difficulty: number, options: WorkOptions): Promise<bigint> {
  if (difficulty > MAX_STAMP_DIFFICULTY) {
    throw new ClientError(
      "STAMP_TOO_HARD",
      `the node asks for a stamp of difficulty ${difficulty}, which is too much`,
    );
  }
  const { onProgress, signal } = options;
  return mineStamp(key, difficulty, {
    ...(signal && { signal }),
    onProgress: ({ tries, expected }) => onProgress?.({ step: "stamp", tries, expected }),
  });
}
