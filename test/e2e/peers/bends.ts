// Ways to bend an envelope. What is bent in the header or the ciphertext is signed again by its sender afterwards, so that
// nothing but the bend itself can be what a receiver refuses.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Envelope,
  type EnvelopeHeader,
  EnvelopeHeaderSchema,
  EnvelopeSchema,
} from "../../../gen/keypears/v1/envelope_pb.ts";
import { concat, randomBytes } from "../../../src/crypto/bytes.ts";
import { composite } from "../../../src/crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../../../src/crypto/contexts.ts";
import { shareIdOf } from "../../../src/protocol/envelope.ts";
import { signingKey } from "../../../src/protocol/key-set.ts";
import { MAX_ENVELOPE_BYTES } from "../../../src/protocol/limits.ts";
import type { TestKeySet } from "../../support/people.ts";

type ChangeHeader = (header: EnvelopeHeader) => Partial<EnvelopeHeader>;
type ChangeBytes = (bytes: Uint8Array) => Uint8Array;
type ChangeEnvelope = (envelope: Envelope) => Partial<Envelope>;

const DAY_MS = 86_400_000;

/** Headers that say what none may say, in canonical encoding. */
const HEADERS = {
  "version 2": () => ({ version: 2 }),
  "no sender": () => ({ sender: "" }),
  "a sender in capitals": ({ sender }) => ({ sender: sender.toUpperCase() }),
  "a sender without a domain": () => ({ sender: "mallory" }),
  "a sender with two at signs": ({ sender }) => ({ sender: `mallory@${sender}` }),
  "a sender at an IP address": () => ({ sender: "mallory@[127.0.0.1]" }),
  "a sender with a control character": ({ sender }) => ({ sender: `\u0007${sender}` }),
  "a recipient that is not canonical": ({ recipient }) => ({ recipient: ` ${recipient}` }),
  "another recipient than its wrap": ({ recipient }) => ({ recipient: `x${recipient}` }),
  "key number 0": () => ({ senderKeyNumber: 0 }),
  "key number 101": () => ({ senderKeyNumber: 101 }),
  "another key number than its wrap": ({ senderKeyNumber }) => ({ senderKeyNumber: senderKeyNumber + 1 }),
  "no creation time": () => ({ createdAt: 0n }),
  "a creation time beyond all clocks": () => ({ createdAt: 2n ** 64n - 1n }),
  "an expiry before its creation": ({ createdAt }) => ({ expiresAt: createdAt - 1n }),
  "an expiry in two years": ({ createdAt }) => ({ expiresAt: createdAt + BigInt(730 * DAY_MS) }),
  "a nonce of 11 bytes": () => ({ contentNonce: randomBytes(11) }),
  "a commitment of 31 bytes": () => ({ contentKeyCommitment: randomBytes(31) }),
  "no wrap": () => ({ wraps: [] }),
  "one wrap": ({ wraps }) => ({ wraps: wraps.slice(0, 1) }),
  "three wraps": ({ wraps }) => ({ wraps: [...wraps, ...wraps.slice(0, 1)] }),
  "wraps in the wrong order": ({ wraps }) => ({ wraps: wraps.toReversed() }),
  "an ephemeral key of 31 bytes": (header) => eachWrap(header, { x25519Ephemeral: randomBytes(31) }),
  "an ephemeral key of 33 bytes": (header) => eachWrap(header, { x25519Ephemeral: randomBytes(33) }),
  "a KEM ciphertext of 1,087 bytes": (header) => eachWrap(header, { mlKemCiphertext: randomBytes(1_087) }),
  "a KEM ciphertext of 1,089 bytes": (header) => eachWrap(header, { mlKemCiphertext: randomBytes(1_089) }),
  "a wrapped key of 47 bytes": (header) => eachWrap(header, { wrappedKey: randomBytes(47) }),
} as const satisfies Record<string, ChangeHeader>;

/** Headers in an encoding that is not the canonical one. */
const HEADER_BYTES = {
  "an empty header": () => new Uint8Array(),
  "a header of noise": (header) => randomBytes(header.length),
  "a truncated header": (header) => header.subarray(0, -10),
  // Field 15, varint 1.
  "an unknown field": (header) => concat(header, Uint8Array.of(0x78, 0x01)),
  "its version twice": (header) => concat(Uint8Array.of(0x08, 0x01), header),
  "its version at the end": (header) => concat(header.subarray(2), header.subarray(0, 2)),
  "its version as an overlong varint": (header) =>
    concat(Uint8Array.of(0x08, 0x81, 0x00), header.subarray(2)),
  "a default spelled out": (header) => concat(header, Uint8Array.of(0x30, 0x00)),
} as const satisfies Record<string, ChangeBytes>;

/** Ciphertexts that cannot be any. */
const CIPHERTEXTS = {
  "no ciphertext": () => new Uint8Array(),
  "a ciphertext shorter than any": (ciphertext) => ciphertext.subarray(0, 100),
  "more than an envelope holds": () => randomBytes(MAX_ENVELOPE_BYTES),
} as const satisfies Record<string, ChangeBytes>;

/** What is not signed again. */
const ENVELOPES = {
  nothing: () => ({}),
  "no signature": () => ({ signature: new Uint8Array() }),
  "a truncated signature": ({ signature }) => ({ signature: signature.subarray(0, -1) }),
  "a signature with a byte more": ({ signature }) => ({ signature: concat(signature, Uint8Array.of(0)) }),
  "a flipped bit in the ML-DSA half": ({ signature }) => ({ signature: flip(signature, 7) }),
  "a flipped bit in the Ed25519 half": ({ signature }) => ({
    signature: flip(signature, signature.length - 9),
  }),
  "a flipped bit in the ciphertext": ({ ciphertext }) => ({ ciphertext: flip(ciphertext, 40) }),
} as const satisfies Record<string, ChangeEnvelope>;

/** The bends by what makes them wrong. */
export const BENDS = {
  header: Object.keys(HEADERS) as (keyof typeof HEADERS)[],
  encoding: Object.keys(HEADER_BYTES) as (keyof typeof HEADER_BYTES)[],
  ciphertext: Object.keys(CIPHERTEXTS) as (keyof typeof CIPHERTEXTS)[],
  envelope: Object.keys(ENVELOPES) as (keyof typeof ENVELOPES)[],
};

/** Names a bend; "nothing" is none. */
export type Bend = (typeof BENDS)[keyof typeof BENDS][number];

/** A bent copy of an envelope of this sender's. */
export function bendEnvelope(envelope: Envelope, bend: Bend, sender: TestKeySet): Envelope {
  const { header, ciphertext } = envelope;
  const changeHeader: ChangeHeader | undefined = lookUp(HEADERS, bend);
  if (changeHeader) {
    const message = fromBinary(EnvelopeHeaderSchema, header);
    Object.assign(message, changeHeader(message));
    return signed(toBinary(EnvelopeHeaderSchema, message), ciphertext, sender);
  }
  const changeBytes: ChangeBytes | undefined = lookUp(HEADER_BYTES, bend);
  if (changeBytes) return signed(changeBytes(header), ciphertext, sender);
  const changeCiphertext: ChangeBytes | undefined = lookUp(CIPHERTEXTS, bend);
  if (changeCiphertext) return signed(header, changeCiphertext(ciphertext), sender);
  const bent = create(EnvelopeSchema, { header, ciphertext, signature: envelope.signature });
  const changeEnvelope: ChangeEnvelope | undefined = lookUp(ENVELOPES, bend);
  return Object.assign(bent, changeEnvelope?.(bent));
}

function signed(header: Uint8Array, ciphertext: Uint8Array, { seeds }: TestKeySet): Envelope {
  const signature = composite.sign(signingKey(seeds), shareIdOf(header, ciphertext), SIGNATURE_CONTEXT.share);
  return create(EnvelopeSchema, { header, ciphertext, signature });
}

function lookUp<T>(bends: Readonly<Record<string, T>>, bend: string): T | undefined {
  return Object.hasOwn(bends, bend) ? bends[bend] : undefined;
}

function eachWrap(
  { wraps }: EnvelopeHeader,
  change: Partial<EnvelopeHeader["wraps"][number]>,
): Partial<EnvelopeHeader> {
  return { wraps: wraps.map((wrap) => Object.assign(wrap, change)) };
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
