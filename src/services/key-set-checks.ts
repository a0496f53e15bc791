/** What a node asks of a new key set (docs/protocol.md, section 3.1), whether it is an address's first one or the next. */

import type { KeySet } from "../../gen/keypears/v1/key_set_pb.ts";
import { type ParsedKeySet, verifyKeySet } from "../protocol/key-set.ts";
import { KEY_SET_CLOCK_SKEW_MS } from "../protocol/limits.ts";
import type { KeySetRecord } from "../storage/stores.ts";
import { serviceError } from "./errors.ts";
import { readField, requiredField } from "./fields.ts";

/** A key set that signs itself, and the bytes to store. */
export interface VerifiedKeySet {
  readonly parsed: ParsedKeySet;
  readonly record: KeySetRecord;
}

/**
 * Reads a new key set: strictly encoded, of this address and number, dated now, signed by itself.
 *
 * @throws ConnectError KEY_SET_INVALID.
 */
export function newKeySetField(
  field: KeySet | undefined,
  address: string,
  number: number,
  now: number,
): VerifiedKeySet {
  const keySet = requiredField("key_set", field);
  const parsed = readField("key_set", () => verifyKeySet(keySet));
  if (parsed.address !== address) throw keySetInvalid("it is of another address");
  if (parsed.number !== number) throw keySetInvalid(`number must be ${number}`);
  if (Math.abs(parsed.createdAt - now) > KEY_SET_CLOCK_SKEW_MS) {
    throw keySetInvalid("created_at is more than 5 minutes off this node's clock, set yours");
  }
  return {
    parsed,
    record: {
      number: parsed.number,
      body: keySet.body,
      hash: parsed.hash,
      selfSignature: keySet.selfSignature,
      continuitySignature: keySet.continuitySignature,
      createdAt: parsed.createdAt,
      revokesPrevious: parsed.revokesPrevious,
    },
  };
}

/** INVALID_ARGUMENT with KEY_SET_INVALID. */
export function keySetInvalid(problem: string) {
  return serviceError("KEY_SET_INVALID", `key set: ${problem}`, { field: "key_set" });
}
