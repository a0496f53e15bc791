import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { DomainKeyRotationBodySchema, DomainKeyRotationSchema } from "../../gen/keypears/v1/domain_pb.ts";
import { concat } from "../../src/crypto/bytes.ts";
import { composite } from "../../src/crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../../src/crypto/contexts.ts";
import { domainKeyHash, generateCompositeKeyPair } from "../../src/protocol/domain-key.ts";
import { buildRotation, verifyRotation, verifyRotations } from "../../src/protocol/domain-rotation.ts";
import { DOMAIN, owner, rogue } from "./owned-domain.ts";
import { refusal } from "./refusal.ts";
import { number } from "./wire.ts";

const [second, third] = [generateCompositeKeyPair(), generateCompositeKeyPair()];
const rotate = (oldKey = owner, newKey = second, serial = 8, domain = DOMAIN) =>
  buildRotation({ domain, oldKey, newPublicKey: newKey.publicKey, serial });
const first = rotate();

describe("a change of the domain key", () => {
  it("says from which key to which, and from which serial on", () => {
    expect(verifyRotation(first)).toEqual({
      domain: DOMAIN,
      oldHash: domainKeyHash(owner.publicKey),
      newPublicKey: second.publicKey,
      newHash: domainKeyHash(second.publicKey),
      serial: 8,
    });
  });

  it("is not made to the same key, nor without a serial", () => {
    expect(refusal(() => rotate(owner, owner)).message).toContain("new key is the old one");
    for (const serial of [0, -1, 1.5, 2 ** 53]) expect(() => rotate(owner, second, serial)).toThrow("serial");
    expect(() => rotate(owner, second, 8, "Acme.example")).toThrow("canonical");
  });

  it("is refused with a signature of somebody else, over something else or for something else", () => {
    const { body, oldPublicKey } = first;
    const by = (signature: Uint8Array, key = oldPublicKey, any = body) =>
      refusal(() =>
        verifyRotation(create(DomainKeyRotationSchema, { body: any, oldPublicKey: key, signature })),
      );
    const { domainKeyRotation, domainAuthorization } = SIGNATURE_CONTEXT;
    expect(by(composite.sign(rogue.secretKey, body, domainKeyRotation)).message).toContain("does not verify");
    expect(by(composite.sign(second.secretKey, body, domainKeyRotation)).message).toContain(
      "does not verify",
    );
    expect(by(composite.sign(owner.secretKey, body, domainAuthorization)).message).toContain(
      "does not verify",
    );
    expect(by(composite.sign(rogue.secretKey, body, domainKeyRotation), rogue.publicKey).message).toContain(
      "not the one that the body names",
    );
    expect(by(first.signature, new Uint8Array()).message).toContain("not the one that the body names");
    const more = concat(body, number(99, 1));
    expect(
      by(composite.sign(owner.secretKey, more, domainKeyRotation), oldPublicKey, more).message,
    ).toContain("canonical encoding");
    const message = fromBinary(DomainKeyRotationBodySchema, body);
    const later = toBinary(DomainKeyRotationBodySchema, { ...message, version: 2 });
    expect(
      by(composite.sign(owner.secretKey, later, domainKeyRotation), oldPublicKey, later).message,
    ).toContain("version 2");
  });
});

describe("a chain of changes", () => {
  const next = rotate(second, third, 9);

  it("leads from key to key to the present one; none is one", () => {
    expect(verifyRotations([], DOMAIN, owner.publicKey)).toEqual([]);
    const chain = verifyRotations([first, next], DOMAIN, third.publicKey);
    expect(chain.map(({ serial }) => serial)).toEqual([8, 9]);
  });

  it.each([
    ["leads to another key", [first], third, DOMAIN, "does not lead to the domain key"],
    ["is in another order", [next, first], second, DOMAIN, "does not follow"],
    ["has a gap", [first, rotate(rogue, third, 9)], third, DOMAIN, "does not follow"],
    ["has a serial twice", [first, rotate(second, third, 8)], third, DOMAIN, "serial is not above"],
    ["is of another domain", [first], second, "other.example", "of acme.example, not of other.example"],
    ["is longer than 16", Array.from({ length: 17 }, () => first), second, DOMAIN, "more than 16"],
  ])("is refused if it %s", (_, rotations, to, domain, message) => {
    const error = refusal(() => verifyRotations(rotations, domain, to.publicKey));
    expect(error.reason).toBe("DOMAIN_ROTATION_INVALID");
    expect(error.message).toContain(message);
  });
});
