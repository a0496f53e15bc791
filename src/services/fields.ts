/**
 * Checks of request fields that several methods share. Each throws an error that names the field by its path in the schema,
 * and says what it should have been.
 */

import type { DescEnum, UnknownEnum } from "@bufbuild/protobuf";
import type { PasswordParameters, WrappedAccountKey } from "../../gen/keypears/v1/account_service_pb.ts";
import type { SealedKeySet } from "../../gen/keypears/v1/key_set_pb.ts";
import {
  BLAKE3_LENGTH,
  DEFAULT_PASSWORD_COST,
  MAX_PASSWORD_COST,
  PASSWORD_SALT_LENGTH,
  SEALED_BOX_OVERHEAD,
  SEED_LENGTH,
  WRAPPED_ACCOUNT_KEY_LENGTH,
} from "../crypto/index.ts";
import { type Address, parseAddress } from "../protocol/address.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { MAX_DEVICE_NAME_LENGTH } from "../protocol/limits.ts";
import type { PasswordRecord, SealedKeySetRecord } from "../storage/stores.ts";
import type { ServiceContext } from "./context.ts";
import { fieldError, serviceError, toConnectError } from "./errors.ts";

/** Control characters, line separators, and what turns the direction of text: a list of devices must read as it is. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

/** A byte string of exactly `length` bytes. */
export function bytesField(field: string, bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw fieldError(field, `must be ${length} bytes, is ${bytes.length}`);
  return bytes;
}

/** A message field that has to be there. */
export function requiredField<Message>(field: string, message: Message | undefined): Message {
  if (message === undefined) throw fieldError(field, "is missing");
  return message;
}

/** A value of an enum that this node knows. Proto3 lets others through. */
export function enumField<Value extends number>(
  field: string,
  value: Value,
  desc: DescEnum,
): Exclude<Value, UnknownEnum> {
  if (desc.value[value] === undefined) throw fieldError(field, `${value} is not a known value`);
  return value as Exclude<Value, UnknownEnum>;
}

/** A uint64 that a number holds exactly. */
export function uint64Field(field: string, value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw fieldError(field, "is out of range");
  return Number(value);
}

/** What `read` makes of a field. What the protocol refuses in it is refused by the field's name. */
export function readField<Value>(field: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw toConnectError(new ProtocolError(error.reason, error.message, { field, cause: error }));
  }
}

/** An address in any spelling that canonicalizes. */
export function addressField(field: string, input: string): Address {
  return readField(field, () => parseAddress(input));
}

/** An address of a domain that this node hosts. @throws ConnectError DOMAIN_NOT_HOSTED */
export function hostedAddressField(
  field: string,
  input: string,
  { domains }: Pick<ServiceContext, "domains">,
): Address {
  const address = addressField(field, input);
  if (!domains.has(address.domain)) throw domainNotHosted(field, address.domain);
  return address;
}

/** FAILED_PRECONDITION with DOMAIN_NOT_HOSTED. */
export function domainNotHosted(field: string, domain: string) {
  const message = `${field}: ${domain} is not hosted here, ask the host that it names`;
  return serviceError("DOMAIN_NOT_HOSTED", message, { metadata: { domain } });
}

/** FAILED_PRECONDITION with DOMAIN_SUSPENDED. */
export function domainSuspended(domain: string) {
  const message = `the owner of ${domain} does not consent to this host any more, or cannot be asked: nothing new comes or goes`;
  return serviceError("DOMAIN_SUSPENDED", message, { metadata: { domain } });
}

/** What a client calls a device. */
export function deviceNameField(name: string): string {
  if (name.length > MAX_DEVICE_NAME_LENGTH) {
    throw fieldError("device_name", `must be at most ${MAX_DEVICE_NAME_LENGTH} characters`);
  }
  if (UNPRINTABLE.test(name) || !name.isWellFormed()) {
    throw fieldError("device_name", "must hold no control characters");
  }
  return name;
}

/** The sealed seeds of the key set with this number. */
export function sealedKeysField(sealed: SealedKeySet | undefined, number: number): SealedKeySetRecord {
  const keys = requiredField("sealed_keys", sealed);
  if (keys.number !== number) throw fieldError("sealed_keys.number", `must be ${number}, as in the key set`);
  const seed = (field: string, bytes: Uint8Array, seedLength: number) =>
    bytesField(`sealed_keys.${field}`, bytes, seedLength + SEALED_BOX_OVERHEAD);
  return {
    number,
    ed25519: seed("sealed_ed25519_seed", keys.sealedEd25519Seed, SEED_LENGTH.ed25519),
    x25519: seed("sealed_x25519_seed", keys.sealedX25519Seed, SEED_LENGTH.x25519),
    mlDsa65: seed("sealed_ml_dsa_65_seed", keys.sealedMlDsa65Seed, SEED_LENGTH["ml-dsa-65"]),
    mlKem768: seed("sealed_ml_kem_768_seed", keys.sealedMlKem768Seed, SEED_LENGTH["ml-kem-768"]),
  };
}

/** How a password is stretched, and the account key under it. The wrap's number is for the caller to judge. */
export function passwordFields(
  parameters: PasswordParameters | undefined,
  wrapped: WrappedAccountKey | undefined,
): Omit<PasswordRecord, "loginVerifier"> {
  const { salt, memoryKib, passes, lanes } = requiredField("password_parameters", parameters);
  bytesField("password_parameters.salt", salt, PASSWORD_SALT_LENGTH);
  rangeField("memory_kib", memoryKib, DEFAULT_PASSWORD_COST.memoryKiB, MAX_PASSWORD_COST.memoryKiB);
  rangeField("passes", passes, DEFAULT_PASSWORD_COST.passes, MAX_PASSWORD_COST.passes);
  rangeField("lanes", lanes, DEFAULT_PASSWORD_COST.lanes, MAX_PASSWORD_COST.lanes);
  const wrap = requiredField("wrapped_account_key", wrapped);
  if (wrap.kind !== "password") throw fieldError("wrapped_account_key.kind", 'must be "password"');
  bytesField("wrapped_account_key.wrapped_key", wrap.wrappedKey, WRAPPED_ACCOUNT_KEY_LENGTH);
  return {
    salt,
    memoryKiB: memoryKib,
    passes,
    lanes,
    wrappedAccountKey: wrap.wrappedKey,
    wrapNumber: wrap.number,
  };
}

/** A share id. */
export function shareIdField(shareId: Uint8Array): Uint8Array {
  return bytesField("share_id", shareId, BLAKE3_LENGTH);
}

function rangeField(name: string, value: number, min: number, max: number): void {
  if (value >= min && value <= max) return;
  const range = min === max ? `${min}` : `from ${min} to ${max}`;
  throw fieldError(`password_parameters.${name}`, `must be ${range}, is ${value}`);
}
