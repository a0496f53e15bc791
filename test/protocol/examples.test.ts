import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  DomainAuthorizationSchema,
  DomainKeyRotationSchema,
  DomainProofSchema,
} from "../../gen/keypears/v1/domain_pb.ts";
import { EnvelopeSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import { KeySetSchema } from "../../gen/keypears/v1/key_set_pb.ts";
import {
  allExamples,
  type Examples,
  exampleSeeds,
  fixedExamples,
  renderExamples,
  withAppendix,
} from "../../scripts/protocol-examples.ts";
import { openContacts, openSeed, unwrapAccountKey } from "../../src/crypto/account-key.ts";
import { concat, fromHex, toHex, utf8 } from "../../src/crypto/bytes.ts";
import { openChallenge } from "../../src/crypto/challenge.ts";
import { compositeOf } from "../../src/crypto/composite.ts";
import { contentKeyCommitment, openContent } from "../../src/crypto/content.ts";
import { unwrapContentKey } from "../../src/crypto/key-wrap.ts";
import { unpad } from "../../src/crypto/padding.ts";
import { stampKey, verifyStamp } from "../../src/crypto/stamp.ts";
import { parseDiscoveryDocument } from "../../src/protocol/discovery-document.ts";
import { checkDomain } from "../../src/protocol/domain-check.ts";
import { verifyDomainClaim } from "../../src/protocol/domain-claim.ts";
import { verifyRotation } from "../../src/protocol/domain-rotation.ts";
import { parseEnvelope, verifyEnvelopeSignature } from "../../src/protocol/envelope.ts";
import { fingerprint } from "../../src/protocol/fingerprint.ts";
import { continues, parseKeySetBody, verifyKeySet } from "../../src/protocol/key-set.ts";
import { decodePayload } from "../../src/protocol/payload.ts";
import { openShare } from "../../src/protocol/seal.ts";
import { js, tiers } from "../crypto/tiers.ts";

const docs = new URL("../../docs/", import.meta.url);
const examples: Examples = JSON.parse(readFileSync(new URL("protocol-examples.json", docs), "utf8"));
const document = readFileSync(new URL("protocol.md", docs), "utf8");

const text = (example: string, value: string) => String(examples[example]?.[value]);
const hex = (example: string, value: string) => fromHex(text(example, value));
const keySet = (name: string) => {
  const record = create(KeySetSchema, {
    body: hex(`key set ${name}`, "body"),
    selfSignature: hex(`key set ${name}`, "self_signature"),
    continuitySignature: hex(`key set ${name}`, "continuity_signature"),
  });
  return { record, parsed: verifyKeySet(record) };
};
const ALICE = "alice@acme.example";
const BOB = "bob@partner.example";

describe("the examples of the protocol document", () => {
  it("are what the code makes of their seeds, wherever there is one right value", {
    timeout: 60_000,
  }, async () => {
    const fixed = await fixedExamples();
    for (const [name, values] of Object.entries(fixed)) expect(examples[name]).toMatchObject(values);
  });

  it("are all there, each with all its values", { timeout: 60_000 }, async () => {
    const shape = (each: Examples) =>
      Object.entries(each).map(([name, values]) => [name, Object.keys(values)]);
    expect(shape(examples)).toEqual(shape(await allExamples()));
  });

  it("stand in the document as they stand in the file", () => {
    expect(withAppendix(document, renderExamples(examples))).toBe(document);
  });

  it("have key sets that sign themselves and a second one that continues the first", () => {
    const [alice1, alice2, bob1] = [keySet("alice 1"), keySet("alice 2"), keySet("bob 1")];
    expect(continues(alice1.parsed, alice2.parsed, alice2.record.continuitySignature)).toBe(true);
    expect([alice1, bob1].map(({ record }) => record.continuitySignature.length)).toEqual([0, 0]);
    for (const [name, { parsed }] of Object.entries({
      "alice 1": alice1,
      "alice 2": alice2,
      "bob 1": bob1,
    })) {
      expect(fingerprint(parsed.hash)).toBe(text(`key set ${name}`, "fingerprint"));
    }
  });

  it.each(tiers)(
    "have a composite signature that the %s tier verifies, with the half that is not random",
    (_, tier) => {
      const { verify, publicKey } = compositeOf(tier);
      const of = (value: string) => hex("composite signature", value);
      const context = text("composite signature", "context");
      expect(toHex(publicKey(of("secret_key")))).toBe(text("composite signature", "public_key"));
      expect(verify(of("public_key"), of("message"), of("signature"), context)).toBe(true);
      expect(verify(of("public_key"), of("message"), of("signature"), "keypears/v1/share")).toBe(false);
      expect(of("signature").subarray(3309)).toEqual(of("ed25519_half"));
      expect(tier.ed25519.sign(exampleSeeds("alice 1").ed25519, of("M'"))).toEqual(of("ed25519_half"));
    },
  );

  it("have an account key, a seed and contacts that open as sealed", () => {
    const accountKey = hex("account key wrap", "account_key");
    const wrapped = hex("account key wrap", "wrapped_key");
    const slot = { address: ALICE, kind: "password", number: 1 } as const;
    expect(unwrapAccountKey(hex("account key wrap", "wrapping_key"), wrapped, slot)).toEqual(accountKey);
    const seed = openSeed(accountKey, hex("sealed seed", "sealed_ed25519_seed"), {
      algorithm: "ed25519",
      address: ALICE,
      number: 1,
    });
    expect(toHex(seed)).toBe(text("seeds of alice 1", "ed25519"));
    const book = openContacts(accountKey, hex("sealed contacts", "sealed_contacts"), ALICE);
    expect(toHex(book)).toBe(text("sealed contacts", "contact_book"));
  });

  it("have an owner's consent, a change of the domain key, a proof and a claim that verify", () => {
    const of = (example: string, value: string) => hex(example, value);
    const [owner, next, node] = ["domain key 1", "domain key 2", "node key"].map((name) =>
      of(name, "public_key"),
    );
    const consent = create(DomainAuthorizationSchema, {
      body: of("domain authorization", "body"),
      signature: of("domain authorization", "signature"),
    });
    const rotation = create(DomainKeyRotationSchema, {
      body: of("domain key rotation", "body"),
      oldPublicKey: of("domain key rotation", "old_public_key"),
      signature: of("domain key rotation", "signature"),
    });
    const now = Number(text("domain proof", "time"));
    const proof = create(DomainProofSchema, {
      domainPublicKey: owner!,
      authorization: consent,
      time: BigInt(now),
      nodePublicKey: node!,
      signature: of("domain proof", "signature"),
    });
    const document = parseDiscoveryDocument(utf8(text("what a domain publishes", "keypears.json")));
    const { standing } = checkDomain(
      {
        domain: text("domain authorization", "domain"),
        document: { kind: "found", document },
        txt: { kind: "found", records: [[text("what a domain publishes", "txt")]] },
        shown: { kind: "proof", proof, nonce: of("domain proof", "nonce") },
      },
      undefined,
      now,
    );
    expect(standing).toBe("proven");
    expect(verifyRotation(rotation).newPublicKey).toEqual(next);
    const claim = {
      domain: text("domain authorization", "domain"),
      apiUrl: text("domain authorization", "api_url"),
      nodePublicKey: node!,
      administrator: text("domain claim", "administrator"),
      nonce: of("domain claim", "nonce"),
      expiresAt: Number(text("domain claim", "expires_at")),
    };
    expect(() => verifyDomainClaim(claim, owner!, of("domain claim", "signature"))).not.toThrow();
  });

  it("have a creation challenge that its node recognises", () => {
    const challenge = hex("creation challenge", "challenge");
    const expiresAt = Number(text("creation challenge", "expires_at"));
    const opened = openChallenge(hex("creation challenge", "secret"), challenge, {
      address: ALICE,
      now: expiresAt - 1,
    });
    expect(opened).toEqual({ status: "valid", id: challenge.slice(0, 32), difficulty: 4_096, expiresAt });
    expect(toHex(stampKey(challenge.slice(0, 32), ALICE))).toBe(text("creation challenge", "stamp_key"));
  });

  it("have a stamp whose work is below the limit", () => {
    expect(text("stamp", "id")).toBe(text("envelope", "share_id"));
    const key = stampKey(hex("stamp", "id"), BOB);
    expect(toHex(key)).toBe(text("stamp", "stamp_key"));
    expect(verifyStamp(key, BigInt(text("stamp", "nonce")), 4_096)).toBe(true);
    expect(text("stamp", "work") < text("stamp", "limit")).toBe(true);
    const nonce = fromHex(BigInt(text("stamp", "nonce")).toString(16).padStart(16, "0"));
    expect(toHex(js.blake3.keyed(key, nonce))).toBe(text("stamp", "work"));
  });

  it.each([
    ["recipient", "bob 1", BOB],
    ["sender", "alice 2", ALICE],
  ])("have a key wrap for the %s, right in each of its steps", (who, owner, address) => {
    const name = `key wrap for the ${who}`;
    const { x25519, mlKem768 } = exampleSeeds(owner);
    const of = (value: string) => hex(name, value);
    expect(js.x25519.publicKey(of("ephemeral_secret"))).toEqual(of("x25519_ephemeral"));
    expect(js.x25519.sharedSecret(x25519, of("x25519_ephemeral"))).toEqual(of("ss_dh"));
    expect(js.mlKem768.decapsulate(mlKem768, of("ml_kem_ciphertext"))).toEqual(of("ss_kem"));
    const ikm = concat(of("ss_dh"), of("ss_kem"));
    expect(js.hkdfSha256(ikm, new Uint8Array(32), of("info"), 32)).toEqual(of("kek"));
    expect(js.aes256Gcm.seal(of("kek"), new Uint8Array(12), of("content_key"))).toEqual(of("wrapped_key"));
    const wrap = {
      x25519Ephemeral: of("x25519_ephemeral"),
      mlKemCiphertext: of("ml_kem_ciphertext"),
      wrappedKey: of("wrapped_key"),
    };
    const context = {
      sender: ALICE,
      senderKeyNumber: 2,
      wrapAddress: address,
      wrapKeyNumber: Number(text(name, "key_number")),
    };
    expect(unwrapContentKey(wrap, { x25519, mlKem768 }, context)).toEqual(of("content_key"));
  });

  it("have an envelope that both its parties open", () => {
    const envelope = parseEnvelope(
      create(EnvelopeSchema, {
        header: hex("envelope", "header"),
        ciphertext: hex("envelope", "ciphertext"),
        signature: hex("envelope", "signature"),
      }),
    );
    expect(toHex(envelope.shareId)).toBe(text("envelope", "share_id"));
    const { publicKeys } = parseKeySetBody(hex("key set alice 2", "body"));
    expect(verifyEnvelopeSignature(envelope, publicKeys)).toBe(true);
    const content = decodePayload(hex("envelope", "payload"));
    const parties = [
      ["recipient", "bob 1"],
      ["sender", "alice 2"],
    ] as const;
    for (const [role, owner] of parties) {
      const opener = { role, seeds: exampleSeeds(owner) };
      expect(openShare(envelope, publicKeys, opener, envelope.createdAt)).toEqual(content);
    }
  });

  it("have a content that is padded, committed to and sealed as the envelope says", () => {
    const of = (value: string) => hex("envelope", value);
    expect(unpad(of("padded_payload"))).toEqual(of("payload"));
    expect(contentKeyCommitment(of("content_key"))).toEqual(of("content_key_commitment"));
    expect(openContent(of("content_key"), of("content_nonce"), of("ciphertext"), of("header"))).toEqual(
      of("payload"),
    );
  });
});
