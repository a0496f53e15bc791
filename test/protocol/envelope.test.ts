import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Envelope,
  EnvelopeHeaderSchema,
  EnvelopeSchema,
  type KeyWrap,
  type Stamp,
  StampSchema,
} from "../../gen/keypears/v1/envelope_pb.ts";
import { concat, u32 } from "../../src/crypto/bytes.ts";
import { COMPOSITE_SIGNATURE_LENGTH, composite } from "../../src/crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../../src/crypto/contexts.ts";
import { primitives } from "../../src/crypto/select.ts";
import { parseEnvelope, shareIdOf, verifyEnvelopeSignature } from "../../src/protocol/envelope.ts";
import { signingKey } from "../../src/protocol/key-set.ts";
import { MAX_ENVELOPE_BYTES } from "../../src/protocol/limits.ts";
import { sealShare } from "../../src/protocol/seal.ts";
import { firstKeySet, nextKeySet, START } from "./people.ts";
import { refusal, unlessRefused } from "./refusal.ts";
import { bytes, number } from "./wire.ts";

const alice = nextKeySet(firstKeySet("alice@example.com"));
const bob = firstKeySet("bob@example.org");
const YEAR = 365 * 24 * 60 * 60 * 1_000;
const LATEST = 8_640_000_000_000_000n;

const { envelope, shareId } = sealShare({
  content: { kind: "text", text: "the cat sleeps on the keyboard" },
  sender: alice,
  recipient: bob.keySet,
  createdAt: START,
  expiresAt: START + YEAR,
});
const header = () => fromBinary(EnvelopeHeaderSchema, envelope.header);

/** The envelope with some parts changed; nothing of it is signed anew, since parsing looks at no signature. */
function withHeader(change: MessageInitShape<typeof EnvelopeHeaderSchema>): Envelope {
  return withParts({ header: toBinary(EnvelopeHeaderSchema, Object.assign(header(), change)) });
}
function withWraps(change: (wraps: [KeyWrap, KeyWrap]) => KeyWrap[]): Envelope {
  const [recipient, sender] = header().wraps;
  if (!recipient || !sender) throw new Error("the envelope has no two wraps");
  return withHeader({ wraps: change([recipient, sender]) });
}
function withParts(change: Partial<Envelope>): Envelope {
  return create(EnvelopeSchema, { ...envelope, ...change });
}
const refused = (changed: Envelope, maxBytes?: number) => {
  const { reason, field, message } = refusal(() => parseEnvelope(changed, maxBytes));
  expect(reason).toBe("ENVELOPE_INVALID");
  if (message.startsWith("envelope: ")) expect(field).toBe("envelope");
  return message.replace("envelope: ", "");
};

describe("an envelope that is refused", () => {
  it.each([
    ["larger than the protocol allows", undefined, 1],
    ["larger than this node takes", 10_000, 1],
    ["larger than this node takes by what its signature is long", 10_000, COMPOSITE_SIGNATURE_LENGTH],
  ])("is %s", (_, maxBytes, excess) => {
    const room = (maxBytes ?? MAX_ENVELOPE_BYTES) - envelope.header.length - COMPOSITE_SIGNATURE_LENGTH;
    const tooLarge = withParts({ ciphertext: new Uint8Array(room + excess) });
    expect(refusal(() => parseEnvelope(tooLarge, maxBytes))).toMatchObject({
      reason: "ENVELOPE_TOO_LARGE",
      field: "envelope",
      message: `envelope is larger than ${maxBytes ?? MAX_ENVELOPE_BYTES} bytes`,
    });
    expect(parseEnvelope(withParts({ ciphertext: new Uint8Array(room) }), maxBytes).sender).toBe(
      "alice@example.com",
    );
  });

  it.each([0, 1, COMPOSITE_SIGNATURE_LENGTH - 1, COMPOSITE_SIGNATURE_LENGTH + 1])(
    "has a signature of %i bytes",
    (length) => {
      expect(refused(withParts({ signature: new Uint8Array(length) }))).toBe(
        `signature is ${length} bytes, not 3373`,
      );
    },
  );

  it.each([0, 16, 512, 527])("has a ciphertext of %i bytes", (length) => {
    expect(refused(withParts({ ciphertext: new Uint8Array(length) }))).toBe(
      "ciphertext is shorter than the shortest padded payload",
    );
  });

  it.each([
    ["no header", new Uint8Array(), "version 0 is not known"],
    [
      "a header with an unknown field",
      concat(envelope.header, number(10, 1)),
      "envelope header is not in canonical encoding",
    ],
    [
      "a header with a repeated scalar",
      concat(number(1, 1), envelope.header),
      "envelope header is not in canonical encoding",
    ],
    [
      "a header that is cut off",
      envelope.header.subarray(0, -1),
      "envelope header is no valid protobuf message",
    ],
    [
      "a header with a trailing byte",
      concat(envelope.header, Uint8Array.of(0)),
      "envelope header is no valid protobuf message",
    ],
    ["a header of nothing but wraps", bytesOf(100_000), "version 0 is not known"],
  ])("has %s", (_, changed, message) => {
    expect(refused(withParts({ header: changed }))).toBe(message);
  });

  const cases: [string, Envelope, string][] = [
    ["version 0", withHeader({ version: 0 }), "version 0 is not known"],
    ["version 2", withHeader({ version: 2 }), "version 2 is not known"],
    ["no sender", withHeader({ sender: "" }), "sender is not an address in canonical form"],
    [
      "a sender in capitals",
      withHeader({ sender: "Alice@example.com" }),
      "sender is not an address in canonical form",
    ],
    [
      "a recipient in needless quotes",
      withHeader({ recipient: '"bob"@example.org' }),
      "recipient is not an address in canonical form",
    ],
    [
      "a recipient under a U-label",
      withHeader({ recipient: "bob@bücher.example" }),
      "recipient is not an address in canonical form",
    ],
    [
      "a recipient not in NFC",
      withHeader({ recipient: "rene\u0301@example.org" }),
      "recipient is not an address in canonical form",
    ],
    ["sender key number 0", withHeader({ senderKeyNumber: 0 }), "sender_key_number is not from 1 to 100"],
    ["sender key number 101", withHeader({ senderKeyNumber: 101 }), "sender_key_number is not from 1 to 100"],
    [
      "a nonce too short",
      withHeader({ contentNonce: new Uint8Array(11) }),
      "content_nonce is 11 bytes, not 12",
    ],
    [
      "a nonce too long",
      withHeader({ contentNonce: new Uint8Array(13) }),
      "content_nonce is 13 bytes, not 12",
    ],
    [
      "no commitment",
      withHeader({ contentKeyCommitment: new Uint8Array() }),
      "content_key_commitment is 0 bytes, not 32",
    ],
    [
      "a commitment too long",
      withHeader({ contentKeyCommitment: new Uint8Array(33) }),
      "content_key_commitment is 33 bytes, not 32",
    ],
    ["no wraps", withWraps(() => []), "there are not exactly two wraps"],
    ["one wrap", withWraps(([recipient]) => [recipient]), "there are not exactly two wraps"],
    [
      "three wraps",
      withWraps(([recipient, sender]) => [recipient, sender, sender]),
      "there are not exactly two wraps",
    ],
    [
      "the wraps swapped",
      withWraps(([recipient, sender]) => [sender, recipient]),
      "the first wrap is not the recipient's",
    ],
    [
      "the recipient's wrap twice",
      withWraps(([recipient]) => [recipient, recipient]),
      "the second wrap is not the sender's",
    ],
    [
      "the sender's wrap twice",
      withWraps(([, sender]) => [sender, sender]),
      "the first wrap is not the recipient's",
    ],
    [
      "another recipient than its wrap",
      withHeader({ recipient: "carol@example.org" }),
      "the first wrap is not the recipient's",
    ],
    [
      "another sender than its wrap",
      withHeader({ sender: "mallory@example.com" }),
      "the second wrap is not the sender's",
    ],
    [
      "another sender key number than its wrap",
      withHeader({ senderKeyNumber: 1 }),
      "the sender's wrap is not of sender_key_number",
    ],
    [
      "recipient's key number 0",
      withWraps(([recipient, sender]) => [{ ...recipient, keyNumber: 0 }, sender]),
      "key_number is not from 1 to 100",
    ],
    [
      "recipient's key number 101",
      withWraps(([recipient, sender]) => [{ ...recipient, keyNumber: 101 }, sender]),
      "key_number is not from 1 to 100",
    ],
    ["created_at 0", withHeader({ createdAt: 0n }), "created_at is no time"],
    [
      "created_at beyond time",
      withHeader({ createdAt: LATEST + 1n, expiresAt: 0n }),
      "created_at is no time",
    ],
    [
      "the highest created_at",
      withHeader({ createdAt: 2n ** 64n - 1n, expiresAt: 0n }),
      "created_at is no time",
    ],
    ["expires_at beyond time", withHeader({ expiresAt: 2n ** 64n - 1n }), "expires_at is no time"],
    [
      "expires_at before created_at",
      withHeader({ expiresAt: BigInt(START - 1) }),
      "expires_at is not within a year after created_at",
    ],
    [
      "expires_at at created_at",
      withHeader({ expiresAt: BigInt(START) }),
      "expires_at is not within a year after created_at",
    ],
    [
      "expires_at a year and a millisecond later",
      withHeader({ expiresAt: BigInt(START + YEAR + 1) }),
      "expires_at is not within a year after created_at",
    ],
  ];
  for (const side of [0, 1]) {
    const whose = side === 0 ? "the recipient's" : "the sender's";
    const wrapLengths = [
      ["x25519_ephemeral", "x25519Ephemeral", 32],
      ["ml_kem_ciphertext", "mlKemCiphertext", 1_088],
      ["wrapped_key", "wrappedKey", 48],
    ] as const;
    for (const [field, property, length] of wrapLengths) {
      for (const wrong of [0, length - 1, length + 1]) {
        const changed = withWraps((wraps) =>
          wraps.map((wrap, index) =>
            index === side ? { ...wrap, [property]: new Uint8Array(wrong) } : wrap,
          ),
        );
        cases.push([
          `${whose} ${field} of ${wrong} bytes`,
          changed,
          `${field} is ${wrong} bytes, not ${length}`,
        ]);
      }
    }
  }
  it.each(cases)("has %s", (_, changed, message) => {
    expect(refused(changed)).toBe(message);
  });

  it("is anything made of random bytes, with a protocol error and nothing else", () => {
    const part = fc.uint8Array({ maxLength: 700 });
    fc.assert(
      fc.property(part, part, fc.boolean(), (random, ciphertext, signed) => {
        const signature = new Uint8Array(signed ? COMPOSITE_SIGNATURE_LENGTH : 0);
        refusal(() => parseEnvelope(create(EnvelopeSchema, { header: random, ciphertext, signature })));
      }),
    );
  });
});

describe("an envelope", () => {
  it("is read as it was sealed", () => {
    expect(parseEnvelope(withParts({ stamp: stamp(7n) }))).toEqual({
      shareId,
      sender: "alice@example.com",
      senderKeyNumber: 2,
      recipient: "bob@example.org",
      recipientKeyNumber: 1,
      createdAt: START,
      expiresAt: START + YEAR,
      header: header(),
      headerBytes: envelope.header,
      ciphertext: envelope.ciphertext,
      signature: envelope.signature,
      stampNonce: 7n,
    });
    expect(parseEnvelope(envelope).stampNonce).toBeUndefined();
  });

  it("may be sent to oneself, with two wraps all the same", () => {
    const own = sealShare({
      content: { kind: "text", text: "note to self" },
      sender: alice,
      recipient: alice.keySet,
      createdAt: START,
      expiresAt: 0,
    });
    const parsed = parseEnvelope(own.envelope);
    expect([parsed.sender, parsed.recipient]).toEqual(["alice@example.com", "alice@example.com"]);
    expect(parsed.header.wraps).toHaveLength(2);
    expect(refused(createWithOneWrap(own.envelope))).toBe("there are not exactly two wraps");
  });

  it("may expire a millisecond after it was made, or never, and be dated at either end of time", () => {
    expect(parseEnvelope(withHeader({ expiresAt: BigInt(START + 1) })).expiresAt).toBe(START + 1);
    expect(parseEnvelope(withHeader({ expiresAt: 0n })).expiresAt).toBe(0);
    expect(parseEnvelope(withHeader({ createdAt: 1n, expiresAt: 0n })).createdAt).toBe(1);
    expect(parseEnvelope(withHeader({ createdAt: LATEST, expiresAt: 0n })).createdAt).toBe(Number(LATEST));
  });

  it("has the field numbers of the contract", () => {
    const wraps = header().wraps.map((wrap) =>
      concat(
        bytes(1, wrap.address),
        number(2, wrap.keyNumber),
        bytes(3, wrap.x25519Ephemeral),
        bytes(4, wrap.mlKemCiphertext),
        bytes(5, wrap.wrappedKey),
      ),
    );
    const byHand = concat(
      number(1, 1),
      bytes(2, "alice@example.com"),
      number(3, 2),
      bytes(4, "bob@example.org"),
      number(5, START),
      number(6, START + YEAR),
      bytes(7, header().contentNonce),
      bytes(8, header().contentKeyCommitment),
      ...wraps.map((wrap) => bytes(9, wrap)),
    );
    expect(envelope.header).toEqual(byHand);
  });
});

describe("the id of a share", () => {
  it("is BLAKE3 of the header behind its length, and the ciphertext", () => {
    const { blake3 } = primitives();
    const { header: head, ciphertext } = envelope;
    expect(shareId).toEqual(blake3.hash(concat(u32(head.length), head, ciphertext)));
  });

  it("tells apart where the header ends and the ciphertext begins", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 50 }), fc.nat(), fc.nat(), (all, a, b) => {
        const [one, other] = [a % (all.length + 1), b % (all.length + 1)];
        const same = shareIdOf(all.subarray(0, one), all.subarray(one)).toString();
        expect(shareIdOf(all.subarray(0, other), all.subarray(other)).toString() === same).toBe(
          one === other,
        );
      }),
    );
  });

  it("says nothing of signature and stamp, which may differ between copies of one share", () => {
    const signature = composite.sign(signingKey(alice.seeds), shareId, SIGNATURE_CONTEXT.share);
    expect(signature).not.toEqual(envelope.signature);
    const again = parseEnvelope(withParts({ signature, stamp: stamp(1n) }));
    expect(again.shareId).toEqual(shareId);
    expect(verifyEnvelopeSignature(again, alice.keySet.publicKeys)).toBe(true);
  });

  it("is another for two payloads under one header, so that one's signature is not the other's", () => {
    const other = parseEnvelope(withParts({ ciphertext: envelope.ciphertext.map((byte) => byte ^ 1) }));
    expect(other.shareId).not.toEqual(shareId);
    expect(verifyEnvelopeSignature(other, alice.keySet.publicKeys)).toBe(false);
  });
});

describe("an envelope's signature", () => {
  const verified = (changed: Envelope, signer = alice) =>
    verifyEnvelopeSignature(parseEnvelope(changed), signer.keySet.publicKeys);
  const sign = (message: Uint8Array, context: string, signer = alice) =>
    composite.sign(signingKey(signer.seeds), message, context);

  it.each([
    ["the recipient", () => withParts({ signature: sign(shareId, SIGNATURE_CONTEXT.share, bob) })],
    [
      "the sender's former set",
      () =>
        withParts({ signature: sign(shareId, SIGNATURE_CONTEXT.share, firstKeySet("alice@example.com")) }),
    ],
    [
      "the sender under the context of key sets",
      () => withParts({ signature: sign(shareId, SIGNATURE_CONTEXT.keySet) }),
    ],
    ["the sender under no context", () => withParts({ signature: sign(shareId, "") })],
    [
      "the sender over the header alone",
      () => withParts({ signature: sign(envelope.header, SIGNATURE_CONTEXT.share) }),
    ],
    ["nobody", () => withParts({ signature: new Uint8Array(COMPOSITE_SIGNATURE_LENGTH) })],
  ])("does not hold when it is made by %s", (_, forged) => {
    expect(verified(forged())).toBe(false);
  });

  it("does not hold when any bit of header, ciphertext or signature is flipped", () => {
    fc.assert(
      fc.property(fc.constantFrom("header", "ciphertext", "signature"), fc.nat(), (part, where) => {
        const bit = where % (envelope[part].length * 8);
        const changed = envelope[part].map((byte, index) =>
          index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte,
        );
        const forged = withParts({ [part]: changed });
        const parsed = unlessRefused(() => parseEnvelope(forged));
        if (parsed) expect(verifyEnvelopeSignature(parsed, alice.keySet.publicKeys)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it("holds under the sender's set alone", () => {
    expect(verified(envelope)).toBe(true);
    expect(verified(envelope, bob)).toBe(false);
  });
});

function stamp(nonce: bigint): Stamp {
  return create(StampSchema, { nonce });
}

/** As many empty wraps as fit so many bytes: what costs a decoder most. */
function bytesOf(length: number): Uint8Array {
  return new Uint8Array(length).map((_, index) => (index % 2 === 0 ? 0x4a : 0));
}

function createWithOneWrap(own: Envelope): Envelope {
  const message = fromBinary(EnvelopeHeaderSchema, own.header);
  message.wraps.length = 1;
  return create(EnvelopeSchema, { ...own, header: toBinary(EnvelopeHeaderSchema, message) });
}
