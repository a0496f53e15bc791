import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  type DomainAuthorization,
  DomainAuthorizationBodySchema,
  DomainAuthorizationSchema,
} from "../../gen/keypears/v1/domain_pb.ts";
import { concat } from "../../src/crypto/bytes.ts";
import { composite } from "../../src/crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../../src/crypto/contexts.ts";
import {
  authorizationStanding,
  buildAuthorization,
  parseAuthorizationBody,
  verifyAuthorization,
} from "../../src/protocol/domain-authorization.ts";
import { domainClaimMessage, signDomainClaim, verifyDomainClaim } from "../../src/protocol/domain-claim.ts";
import { API_URL, authorized, DAY, DOMAIN, host, NOW, owner, rogue, terms } from "./owned-domain.ts";
import { refusal } from "./refusal.ts";
import { bytes, number } from "./wire.ts";

type Change = MessageInitShape<typeof DomainAuthorizationBodySchema>;
const { body } = authorized();
const bodyWith = (change: Change) =>
  toBinary(
    DomainAuthorizationBodySchema,
    Object.assign(fromBinary(DomainAuthorizationBodySchema, body), change),
  );

/** An authorization around any body, signed by the owner. */
const signed = (any: Uint8Array): DomainAuthorization =>
  create(DomainAuthorizationSchema, {
    body: any,
    signature: composite.sign(owner.secretKey, any, SIGNATURE_CONTEXT.domainAuthorization),
  });

const key = host.publicKey;
const otherKey = (first: number) => Uint8Array.from([first, ...key.subarray(1)]);

describe("an authorization", () => {
  it.each<[string, Change, string]>([
    ["of another version", { version: 2 }, "version 2 is not known"],
    ["for a domain in another spelling", { domain: "Acme.example" }, "domain is not in canonical form"],
    ["for no domain", { domain: "" }, "domain is not in canonical form"],
    ["for an apiUrl in another spelling", { apiUrl: `${API_URL}/` }, "api_url is none"],
    ["for an apiUrl in cleartext", { apiUrl: "http://host.example/api" }, "api_url is none"],
    ["of no node key", { nodePublicKeys: [] }, "1 to 4 node keys"],
    ["of five node keys", { nodePublicKeys: [1, 2, 3, 4, 5].map(otherKey) }, "1 to 4 node keys"],
    ["of one node key twice", { nodePublicKeys: [key, otherKey(0), key] }, "names a node key twice"],
    ["of a node key that is too short", { nodePublicKeys: [key.subarray(1)] }, "1983 bytes, not 1984"],
    ["without a serial", { serial: 0n }, "serial is not from 1"],
    ["with a serial that no number holds", { serial: 2n ** 53n }, "serial is not from 1"],
    ["without a beginning", { notBefore: 0n }, "not_before is no time"],
    ["that ends as it begins", { notAfter: BigInt(terms().notBefore) }, "not_after is not after"],
    ["that ends beyond all time", { notAfter: 2n ** 63n }, "not_after is not after"],
    [
      "that holds a millisecond longer than 398 days",
      { notAfter: BigInt(terms().notBefore + 398 * DAY + 1) },
      "longer than 398 days",
    ],
  ])("%s is refused although the owner signed it", (_, change, message) => {
    const error = refusal(() => verifyAuthorization(signed(bodyWith(change)), owner.publicKey));
    expect(error.reason).toBe("DOMAIN_AUTHORIZATION_INVALID");
    expect(error.message).toContain(message);
  });

  it.each<[string, Uint8Array]>([
    ["with a field that nobody knows", concat(body, number(99, 1))],
    ["with a default written out", concat(number(1, 1), bytes(2, DOMAIN), bytes(3, ""), body.subarray(2))],
    ["with a serial twice", concat(body, number(5, 8))],
    ["that is cut off", body.subarray(0, -1)],
    ["that is empty", new Uint8Array()],
  ])("%s is refused although the owner signed it", (_, any) => {
    expect(refusal(() => verifyAuthorization(signed(any), owner.publicKey)).reason).toBe(
      "DOMAIN_AUTHORIZATION_INVALID",
    );
  });

  it("is refused by another key, under another context and with any bit changed", () => {
    const good = authorized();
    const refused = (authorization: DomainAuthorization, by = owner.publicKey) =>
      refusal(() => verifyAuthorization(authorization, by)).message;
    expect(refused(good, rogue.publicKey)).toContain("does not verify");
    expect(refused(good, new Uint8Array())).toContain("does not verify");
    const signature = composite.sign(owner.secretKey, good.body, SIGNATURE_CONTEXT.domainKeyRotation);
    expect(refused(create(DomainAuthorizationSchema, { body: good.body, signature }))).toContain(
      "does not verify",
    );
    expect(refused(create(DomainAuthorizationSchema, { ...good, body: bodyWith({ serial: 8n }) }))).toContain(
      "does not verify",
    );
  });

  it("says what its owner said", () => {
    const wanted = terms({ nodePublicKeys: [key, rogue.publicKey], notAfter: terms().notBefore + 398 * DAY });
    expect(verifyAuthorization(authorized(wanted), owner.publicKey)).toMatchObject(wanted);
    expect(parseAuthorizationBody(body).body).toBe(body);
  });

  it("is not signed if others would refuse it", () => {
    for (const change of [
      { serial: 0 },
      { serial: 1.5 },
      { apiUrl: `${API_URL}/` },
      { notAfter: Number.NaN },
    ]) {
      expect(refusal(() => buildAuthorization(terms(change), owner.secretKey)).reason).toBe(
        "DOMAIN_AUTHORIZATION_INVALID",
      );
    }
  });

  it("is in date from 5 minutes before its beginning to its end, which it does not reach", () => {
    const dates = { notBefore: NOW, notAfter: NOW + DAY };
    const at = (now: number) => authorizationStanding(dates, now);
    expect([NOW - 300_001, NOW - 300_000, NOW + DAY - 1, NOW + DAY].map(at)).toEqual([
      "not-yet",
      "in-date",
      "in-date",
      "expired",
    ]);
  });
});

describe("a claim", () => {
  const claim = {
    domain: DOMAIN,
    apiUrl: API_URL,
    nodePublicKey: host.publicKey,
    administrator: "alice@host.example",
    nonce: new Uint8Array(32).fill(7),
    expiresAt: NOW,
  };
  const signature = signDomainClaim(claim, owner.secretKey);

  it("verifies as it was signed", () => {
    expect(() => verifyDomainClaim(claim, owner.publicKey, signature)).not.toThrow();
  });

  it.each([
    ["domain", { domain: "other.example" }],
    ["host", { apiUrl: "https://rogue.example/api" }],
    ["node, to which it was relayed", { nodePublicKey: rogue.publicKey }],
    ["administrator", { administrator: "mallory@host.example" }],
    ["nonce", { nonce: new Uint8Array(32).fill(8) }],
    ["end", { expiresAt: NOW + 1 }],
  ])("means nothing for another %s", (_, change) => {
    const error = refusal(() => verifyDomainClaim({ ...claim, ...change }, owner.publicKey, signature));
    expect(error).toMatchObject({ reason: "DOMAIN_CLAIM_INVALID", field: "signature" });
  });

  it("means nothing by another key", () => {
    expect(refusal(() => verifyDomainClaim(claim, rogue.publicKey, signature)).reason).toBe(
      "DOMAIN_CLAIM_INVALID",
    );
  });

  it("cannot be shifted between its fields", () => {
    const shifted = { ...claim, domain: DOMAIN + API_URL.slice(0, 1), apiUrl: API_URL.slice(1) };
    expect(domainClaimMessage(shifted)).not.toEqual(domainClaimMessage(claim));
  });
});
