/** Key sets, for programs and for people. */

import type { OwnKeySet } from "../client/key-ring.ts";
import { fingerprint } from "../protocol/fingerprint.ts";
import { showTime } from "./duration.ts";

/** One of the account's own key sets. */
export function describeKeySet({ keySet, continuous }: OwnKeySet) {
  return {
    number: keySet.number,
    fingerprint: fingerprint(keySet.hash),
    hash: Buffer.from(keySet.hash).toString("hex"),
    createdAt: keySet.createdAt,
    continuous,
    revokesPrevious: keySet.revokesPrevious,
  };
}

/** The same as a line of text. */
export function keySetLine(ownKeySet: OwnKeySet, active: boolean): string {
  const { number, fingerprint: shown, createdAt, continuous } = describeKeySet(ownKeySet);
  const origin = number === 1 ? "first" : continuous ? "vouched for by the one before" : "reset";
  return `${String(number).padStart(3)}  ${shown}  ${showTime(createdAt)}  ${origin}${active ? ", active" : ""}`;
}
