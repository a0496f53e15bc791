/**
 * Makes the worked examples of docs/protocol.md from fixed seeds: `node scripts/protocol-examples.ts` writes
 * docs/protocol-examples.json, with every value whole, and the appendix of docs/protocol.md, with long values shortened.
 * Signatures and encapsulations are random, so a new run gives other bytes of those; test/protocol/examples.test.ts
 * recomputes all that has one right value and verifies the rest.
 */

import { readFile, writeFile } from "node:fs/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ContactBookSchema, ContactDecision } from "../gen/keypears/v1/contact_book_pb.ts";
import { DomainKeyRotationBodySchema } from "../gen/keypears/v1/domain_pb.ts";
import { EnvelopeHeaderSchema } from "../gen/keypears/v1/envelope_pb.ts";
import type { KeySet } from "../gen/keypears/v1/key_set_pb.ts";
import { SEED_LENGTH, type SeedAlgorithm } from "../src/crypto/account-key.ts";
import { concat, fromHex, lp, toHex, u8, u32, u64, utf8 } from "../src/crypto/bytes.ts";
import { composite } from "../src/crypto/composite.ts";
import { contentKeyCommitment, sealContent } from "../src/crypto/content.ts";
import { DERIVATION_CONTEXT, SEALING_LABEL, SIGNATURE_CONTEXT } from "../src/crypto/contexts.ts";
import { pad, paddedLength } from "../src/crypto/padding.ts";
import {
  DEFAULT_PASSWORD_COST,
  loginKey,
  loginVerifier,
  passwordKey,
  wrappingKey,
} from "../src/crypto/password.ts";
import { primitives } from "../src/crypto/select.ts";
import { mineStamp, stampKey } from "../src/crypto/stamp.ts";
import { buildDiscoveryDocument } from "../src/protocol/discovery-document.ts";
import { buildAuthorization, parseAuthorizationBody } from "../src/protocol/domain-authorization.ts";
import { domainClaimMessage, signDomainClaim } from "../src/protocol/domain-claim.ts";
import { type CompositeKeyPair, domainKeyHash } from "../src/protocol/domain-key.ts";
import { domainProofMessage } from "../src/protocol/domain-proof.ts";
import { buildRotation } from "../src/protocol/domain-rotation.ts";
import { domainTxtName, formatDomainTxt } from "../src/protocol/domain-txt.ts";
import { shareIdOf } from "../src/protocol/envelope.ts";
import { fingerprint } from "../src/protocol/fingerprint.ts";
import {
  buildKeySet,
  type ParsedKeySet,
  type PrivateSeeds,
  parseKeySetBody,
  signingKey,
  verifyingKey,
} from "../src/protocol/key-set.ts";
import { encodePayload, type ShareContent } from "../src/protocol/payload.ts";

const ALICE = "alice@acme.example";
const BOB = "bob@partner.example";
/** 2026-01-01T00:00:00Z, and an hour and a day later. */
const CREATED_AT = 1_767_225_600_000;
const ROTATED_AT = CREATED_AT + 3_600_000;
const SENT_AT = CREATED_AT + 86_400_000;
const STAMP_DIFFICULTY = 4_096;
/** Lengths on both sides of every edge that there is between 0 and a few KiB, and the longest payload. */
const PADDED_EXAMPLES = [0, 1, 511, 512, 543, 544, 1_023, 1_024, 4_000, 65_535, 65_536, 253_951];
/** Values longer than this many bytes are shortened in the text. */
const LONGEST_IN_TEXT = 256;

/** Values of the examples: texts, numbers, and bytes in lower-case hex. */
export type Values = { readonly [name: string]: string | number };
/** Examples by name. */
export type Examples = { readonly [name: string]: Values };

/** Bytes that follow from a label: BLAKE3-derive("keypears examples", label). Never a way to make real keys. */
export function exampleBytes(label: string, length = 32): Uint8Array {
  return primitives().blake3.deriveKey("keypears examples", utf8(label), length);
}

/** The seeds of a person's key set. */
export function exampleSeeds(person: string): PrivateSeeds {
  const seed = (algorithm: SeedAlgorithm) => exampleBytes(`${person} ${algorithm}`, SEED_LENGTH[algorithm]);
  return {
    ed25519: seed("ed25519"),
    x25519: seed("x25519"),
    mlDsa65: seed("ml-dsa-65"),
    mlKem768: seed("ml-kem-768"),
  };
}

/** What every run gives the same: all but signatures, encapsulations and what hangs on them. */
export async function fixedExamples(): Promise<Examples> {
  const { alice1, alice2, bob1 } = keySets();
  return {
    "seeds of alice 1": seedValues("alice 1"),
    "seeds of alice 2": seedValues("alice 2"),
    "seeds of bob 1": seedValues("bob 1"),
    "key set alice 1": keySetValues(alice1.body),
    "key set alice 2": keySetValues(alice2.body),
    "key set bob 1": keySetValues(bob1.body),
    "composite signature": compositeValues(),
    ...(await passwordValues()),
    ...sealedValues(),
    ...domainValues().fixed,
    "creation challenge": challengeValues(),
    "session token": sessionValues(),
    padding: paddingValues(),
  };
}

/** All examples, with fresh signatures and encapsulations. */
export async function allExamples(): Promise<Examples> {
  const fixed = await fixedExamples();
  const { alice1, alice2, bob1 } = keySets();
  const signatures = ({ selfSignature, continuitySignature }: KeySet): Values => ({
    self_signature: toHex(selfSignature),
    continuity_signature: toHex(continuitySignature),
  });
  const secretKey = signingKey(exampleSeeds("alice 1"));
  const { message, context } = fixed["composite signature"] as { message: string; context: string };
  const { signatures: ofDomains } = domainValues();
  const share = await shareValues(parseKeySetBody(alice2.body), parseKeySetBody(bob1.body));
  return {
    ...fixed,
    "key set alice 1": { ...fixed["key set alice 1"], ...signatures(alice1) },
    "key set alice 2": { ...fixed["key set alice 2"], ...signatures(alice2) },
    "key set bob 1": { ...fixed["key set bob 1"], ...signatures(bob1) },
    "composite signature": {
      ...fixed["composite signature"],
      signature: toHex(composite.sign(secretKey, fromHex(message), context)),
    },
    ...Object.fromEntries(
      Object.entries(ofDomains).map(([name, signature]) => [name, { ...fixed[name], ...signature }]),
    ),
    ...share,
  };
}

/** The appendix of docs/protocol.md. */
export function renderExamples(examples: Examples): string {
  const parts = Object.entries(examples).map(([name, values]) => {
    const lines = Object.entries(values).map(([key, value]) => `${key.padEnd(24)} ${shown(key, value)}`);
    return `### ${name}\n\n\`\`\`text\n${lines.join("\n")}\n\`\`\`\n`;
  });
  return `${BEGIN}\n\n${parts.join("\n")}\n${END}`;
}

/** The document with its appendix replaced. */
export function withAppendix(document: string, appendix: string): string {
  const [before, rest] = document.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error("the document has no place for examples");
  return before + appendix + after;
}

const BEGIN = "<!-- examples: written by scripts/protocol-examples.ts, from here -->";
const END = "<!-- examples: to here -->";

function keySets(): { alice1: KeySet; alice2: KeySet; bob1: KeySet } {
  const first = (address: string, person: string) =>
    buildKeySet({ address, createdAt: CREATED_AT, seeds: exampleSeeds(person) });
  const alice1 = first(ALICE, "alice 1");
  const alice2 = buildKeySet({
    address: ALICE,
    createdAt: ROTATED_AT,
    seeds: exampleSeeds("alice 2"),
    previous: { keySet: parseKeySetBody(alice1.body), seeds: exampleSeeds("alice 1") },
  });
  return { alice1, alice2, bob1: first(BOB, "bob 1") };
}

function seedValues(person: string): Values {
  const { ed25519, x25519, mlDsa65, mlKem768 } = exampleSeeds(person);
  return {
    ed25519: toHex(ed25519),
    x25519: toHex(x25519),
    "ml-dsa-65": toHex(mlDsa65),
    "ml-kem-768": toHex(mlKem768),
  };
}

function keySetValues(body: Uint8Array): Values {
  const { address, number, createdAt, publicKeys, previousHash, hash } = parseKeySetBody(body);
  return {
    address,
    number,
    created_at: createdAt,
    ed25519_public_key: toHex(publicKeys.ed25519),
    x25519_public_key: toHex(publicKeys.x25519),
    ml_dsa_65_public_key: toHex(publicKeys.mlDsa65),
    ml_kem_768_public_key: toHex(publicKeys.mlKem768),
    previous_hash: toHex(previousHash),
    body: toHex(body),
    key_set_hash: toHex(hash),
    fingerprint: fingerprint(hash),
  };
}

function compositeValues(): Values {
  const seeds = exampleSeeds("alice 1");
  const context = SIGNATURE_CONTEXT.keySet;
  const message = utf8("a message");
  const representative = concat(
    utf8("CompositeAlgorithmSignatures2025"),
    utf8("COMPSIG-MLDSA65-Ed25519-SHA512"),
    u8(context.length),
    utf8(context),
    primitives().sha512(message),
  );
  return {
    secret_key: toHex(signingKey(seeds)),
    public_key: toHex(composite.publicKey(signingKey(seeds))),
    context,
    message: toHex(message),
    "M'": toHex(representative),
    ed25519_half: toHex(primitives().ed25519.sign(seeds.ed25519, representative)),
  };
}

async function passwordValues(): Promise<Examples> {
  const password = "correct horse battery staple";
  const salt = exampleBytes("password salt");
  const key = await passwordKey(password, ALICE, salt, DEFAULT_PASSWORD_COST);
  const bound = primitives().blake3.deriveKey(DERIVATION_CONTEXT.passwordSalt, concat(lp(ALICE), salt));
  const wrap = wrappingKey(key);
  const accountKey = exampleBytes("account key");
  const nonce = exampleBytes("account key nonce", 12);
  const aad = concat(lp(SEALING_LABEL.accountKey), lp(ALICE), lp("password"), u32(1));
  return {
    password: {
      password,
      address: ALICE,
      salt: toHex(salt),
      memory_kib: DEFAULT_PASSWORD_COST.memoryKiB,
      passes: DEFAULT_PASSWORD_COST.passes,
      lanes: DEFAULT_PASSWORD_COST.lanes,
      argon2id_salt: toHex(bound.subarray(0, 16)),
      password_key: toHex(key),
      wrapping_key: toHex(wrap),
      login_key: toHex(loginKey(key)),
      login_verifier: toHex(loginVerifier(ALICE, loginKey(key))),
    },
    "account key wrap": {
      wrapping_key: toHex(wrap),
      account_key: toHex(accountKey),
      kind: "password",
      number: 1,
      nonce: toHex(nonce),
      aad: toHex(aad),
      wrapped_key: toHex(sealed(wrap, nonce, accountKey, aad)),
    },
  };
}

function sealedValues(): Examples {
  const { blake3 } = primitives();
  const accountKey = exampleBytes("account key");
  const seed = exampleSeeds("alice 1").ed25519;
  const seedKey = blake3.deriveKey(DERIVATION_CONTEXT.privateKeys, accountKey);
  const seedNonce = exampleBytes("seed nonce", 12);
  const seedAad = concat(lp(SEALING_LABEL.privateKey), lp("ed25519"), lp(ALICE), u32(1));

  const book = toBinary(
    ContactBookSchema,
    create(ContactBookSchema, {
      contacts: [
        {
          address: BOB,
          pins: [{ number: 1, hash: parseKeySetBody(keySets().bob1.body).hash }],
          verified: true,
          decision: ContactDecision.ACCEPTED,
          replied: true,
          createdAt: BigInt(SENT_AT),
        },
      ],
      version: 1n,
      ownKeySet: { number: 1, hash: parseKeySetBody(keySets().alice1.body).hash },
    }),
  );
  const contactsKey = blake3.deriveKey(DERIVATION_CONTEXT.contacts, accountKey);
  const contactsNonce = exampleBytes("contacts nonce", 12);
  const contactsAad = concat(lp(SEALING_LABEL.contacts), lp(ALICE));
  return {
    "sealed seed": {
      account_key: toHex(accountKey),
      private_keys_key: toHex(seedKey),
      algorithm: "ed25519",
      address: ALICE,
      number: 1,
      seed: toHex(seed),
      nonce: toHex(seedNonce),
      aad: toHex(seedAad),
      sealed_ed25519_seed: toHex(sealed(seedKey, seedNonce, seed, seedAad)),
    },
    "sealed contacts": {
      account_key: toHex(accountKey),
      contacts_key: toHex(contactsKey),
      contact_book: toHex(book),
      nonce: toHex(contactsNonce),
      aad: toHex(contactsAad),
      sealed_contacts: toHex(sealed(contactsKey, contactsNonce, book, contactsAad)),
    },
  };
}

/** An owner who consents to a host, changes the domain key, and claims the domain there. */
function domainValues(): { readonly fixed: Examples; readonly signatures: Examples } {
  const keyPair = (label: string): CompositeKeyPair => {
    const secretKey = exampleBytes(label, 64);
    return { secretKey, publicKey: composite.publicKey(secretKey) };
  };
  const [owner, next, node] = [keyPair("domain key 1"), keyPair("domain key 2"), keyPair("node key")];
  const domain = "acme.example";
  const apiUrl = "https://host.example/api";
  const consent = buildAuthorization(
    {
      domain,
      apiUrl,
      nodePublicKeys: [node.publicKey],
      serial: 7,
      notBefore: CREATED_AT,
      notAfter: CREATED_AT + 365 * 86_400_000,
    },
    owner.secretKey,
  );
  const rotation = buildRotation({ domain, oldKey: owner, newPublicKey: next.publicKey, serial: 8 });
  const authorization = parseAuthorizationBody(consent.body);
  const proofNonce = exampleBytes("proof nonce");
  const proofMessage = domainProofMessage(authorization, proofNonce, SENT_AT);
  const claim = {
    domain,
    apiUrl,
    nodePublicKey: node.publicKey,
    administrator: "alice@host.example",
    nonce: exampleBytes("claim nonce"),
    expiresAt: SENT_AT + 900_000,
  };
  const keyHash = toHex(domainKeyHash(owner.publicKey));
  const keyValues = ({ secretKey, publicKey }: CompositeKeyPair): Values => ({
    secret_key: toHex(secretKey),
    public_key: toHex(publicKey),
    hash: toHex(domainKeyHash(publicKey)),
  });
  return {
    fixed: {
      "domain key 1": keyValues(owner),
      "domain key 2": keyValues(next),
      "node key": keyValues(node),
      "domain authorization": {
        domain,
        api_url: apiUrl,
        serial: 7,
        not_before: authorization.notBefore,
        not_after: authorization.notAfter,
        body: toHex(consent.body),
        body_hash: toHex(authorization.bodyHash),
      },
      "domain key rotation": {
        domain,
        serial: Number(fromBinary(DomainKeyRotationBodySchema, rotation.body).serial),
        old_public_key: toHex(rotation.oldPublicKey),
        body: toHex(rotation.body),
      },
      "domain proof": {
        nonce: toHex(proofNonce),
        time: SENT_AT,
        message: toHex(proofMessage),
      },
      "domain claim": {
        administrator: claim.administrator,
        nonce: toHex(claim.nonce),
        expires_at: claim.expiresAt,
        message: toHex(domainClaimMessage(claim)),
      },
      "what a domain publishes": {
        "keypears.json": buildDiscoveryDocument(apiUrl, {}, { domainPubKeyHash: keyHash, minSerial: 7 }),
        txt_name: domainTxtName(domain),
        txt: formatDomainTxt({ keyHash, minSerial: 7 }),
      },
    },
    signatures: {
      "domain authorization": { signature: toHex(consent.signature) },
      "domain key rotation": { signature: toHex(rotation.signature) },
      "domain proof": {
        signature: toHex(composite.sign(node.secretKey, proofMessage, SIGNATURE_CONTEXT.domainProof)),
      },
      "domain claim": { signature: toHex(signDomainClaim(claim, owner.secretKey)) },
    },
  };
}

function challengeValues(): Values {
  const secret = exampleBytes("cluster secret");
  const expiresAt = SENT_AT + 900_000;
  const id = concat(u64(expiresAt), exampleBytes("challenge random", 16), u64(STAMP_DIFFICULTY));
  const fields = concat(id, lp(ALICE));
  return {
    secret: toHex(secret),
    address: ALICE,
    expires_at: expiresAt,
    difficulty: STAMP_DIFFICULTY,
    id: toHex(id),
    challenge: toHex(concat(fields, primitives().blake3.keyed(secret, fields))),
    stamp_key: toHex(stampKey(id, ALICE)),
  };
}

function sessionValues(): Values {
  const token = exampleBytes("session token");
  return {
    bytes: toHex(token),
    session_token: Buffer.from(token).toString("base64url"),
    stored_hash: toHex(primitives().blake3.hash(token)),
  };
}

function paddingValues(): Values {
  return Object.fromEntries(PADDED_EXAMPLES.map((length) => [`${length} bytes`, paddedLength(length)]));
}

/** One share from Alice's second set to Bob's first, step by step. */
async function shareValues(alice: ParsedKeySet, bob: ParsedKeySet): Promise<Examples> {
  const content: ShareContent = {
    kind: "secret",
    name: "staging database",
    fields: [
      { name: "DB_USER", value: "app" },
      { name: "DB_PASSWORD", value: "tr0ub4dor&3" },
    ],
  };
  const payload = encodePayload(content);
  const contentKey = exampleBytes("content key");
  const contentNonce = exampleBytes("content nonce", 12);
  const recipientWrap = keyWrap("recipient ephemeral", contentKey, alice, bob);
  const senderWrap = keyWrap("sender ephemeral", contentKey, alice, alice);
  const header = toBinary(
    EnvelopeHeaderSchema,
    create(EnvelopeHeaderSchema, {
      version: 1,
      sender: ALICE,
      senderKeyNumber: alice.number,
      recipient: BOB,
      createdAt: BigInt(SENT_AT),
      expiresAt: BigInt(SENT_AT + 7 * 86_400_000),
      contentNonce,
      contentKeyCommitment: contentKeyCommitment(contentKey),
      wraps: [recipientWrap.wrap, senderWrap.wrap],
    }),
  );
  const ciphertext = sealContent(contentKey, contentNonce, payload, header);
  const shareId = shareIdOf(header, ciphertext);
  const signature = composite.sign(signingKey(exampleSeeds("alice 2")), shareId, SIGNATURE_CONTEXT.share);
  const key = stampKey(shareId, BOB);
  const nonce = await mineStamp(key, STAMP_DIFFICULTY);
  return {
    "key wrap for the recipient": recipientWrap.values,
    "key wrap for the sender": senderWrap.values,
    envelope: {
      payload: toHex(payload),
      padded_payload: toHex(pad(payload)),
      content_key: toHex(contentKey),
      content_nonce: toHex(contentNonce),
      content_key_commitment: toHex(contentKeyCommitment(contentKey)),
      header: toHex(header),
      ciphertext: toHex(ciphertext),
      share_id: toHex(shareId),
      sender_public_key: toHex(verifyingKey(alice.publicKeys)),
      signature: toHex(signature),
    },
    stamp: {
      id: toHex(shareId),
      address: BOB,
      difficulty: STAMP_DIFFICULTY,
      stamp_key: toHex(key),
      nonce: String(nonce),
      work: toHex(primitives().blake3.keyed(key, u64(nonce))),
      limit: (2n ** 256n / BigInt(STAMP_DIFFICULTY)).toString(16).padStart(64, "0"),
    },
  };
}

/** A key wrap with every value in between, which the library itself never lets out. */
function keyWrap(label: string, contentKey: Uint8Array, sender: ParsedKeySet, to: ParsedKeySet) {
  const { x25519, mlKem768, sha256, hkdfSha256 } = primitives();
  const ephemeralSecret = exampleBytes(label);
  const x25519Ephemeral = x25519.publicKey(ephemeralSecret);
  const dhSecret = x25519.sharedSecret(ephemeralSecret, to.publicKeys.x25519);
  const { ciphertext: mlKemCiphertext, sharedSecret } = mlKem768.encapsulate(to.publicKeys.mlKem768);
  const info = concat(
    lp(SEALING_LABEL.keyWrap),
    lp(sender.address),
    u32(sender.number),
    lp(to.address),
    u32(to.number),
    x25519Ephemeral,
    to.publicKeys.x25519,
    sha256(mlKemCiphertext),
    sha256(to.publicKeys.mlKem768),
  );
  const kek = hkdfSha256(concat(dhSecret, sharedSecret), new Uint8Array(32), info, 32);
  const wrappedKey = primitives().aes256Gcm.seal(kek, new Uint8Array(12), contentKey);
  return {
    wrap: { address: to.address, keyNumber: to.number, x25519Ephemeral, mlKemCiphertext, wrappedKey },
    values: {
      sender: sender.address,
      sender_key_number: sender.number,
      address: to.address,
      key_number: to.number,
      ephemeral_secret: toHex(ephemeralSecret),
      x25519_ephemeral: toHex(x25519Ephemeral),
      ss_dh: toHex(dhSecret),
      ml_kem_ciphertext: toHex(mlKemCiphertext),
      ss_kem: toHex(sharedSecret),
      info: toHex(info),
      kek: toHex(kek),
      content_key: toHex(contentKey),
      wrapped_key: toHex(wrappedKey),
    },
  };
}

function sealed(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, aad: Uint8Array): Uint8Array {
  return concat(nonce, primitives().aes256Gcm.seal(key, nonce, plaintext, aad));
}

/** A value in the text: signed bodies field by field, other long bytes by their ends, length and hash. */
function shown(key: string, value: string | number): string {
  if (value === "") return "(empty)";
  if (typeof value === "number" || !/^(?:[0-9a-f]{2})+$/.test(value)) return String(value);
  const bytes = fromHex(value);
  if (key === "body" || key === "header") return `${summary(bytes)}\n${fieldLines(bytes, "  ").join("\n")}`;
  return bytes.length <= LONGEST_IN_TEXT ? value : summary(bytes);
}

function summary(bytes: Uint8Array): string {
  const ends = `${toHex(bytes.subarray(0, 8))}…${toHex(bytes.subarray(-8))}`;
  return `${ends} (${bytes.length} bytes, BLAKE3 ${toHex(primitives().blake3.hash(bytes))})`;
}

/** The fields of a message in their encoding: tag and length, then the value. */
function fieldLines(message: Uint8Array, indent: string): string[] {
  const lines: string[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const start = at;
    const tag = varint();
    const tagEnd = at;
    const value = varint();
    if (tag % 8 === 0) {
      lines.push(`${indent}${toHex(message.subarray(start, tagEnd))} ${toHex(message.subarray(tagEnd, at))}`);
      continue;
    }
    const front = `${indent}${toHex(message.subarray(start, tagEnd))} ${toHex(message.subarray(tagEnd, at))}`;
    const content = message.subarray(at, at + value);
    at += value;
    if (Math.floor(tag / 8) === 9 && value > LONGEST_IN_TEXT) {
      lines.push(front, ...fieldLines(content, `${indent}    `));
    } else {
      lines.push(`${front} ${content.length <= LONGEST_IN_TEXT ? toHex(content) : summary(content)}`);
    }
  }
  return lines;
}

if (import.meta.main) {
  const folder = new URL("../docs/", import.meta.url);
  const examples = await allExamples();
  await writeFile(new URL("protocol-examples.json", folder), `${JSON.stringify(examples, null, 2)}\n`);
  const document = new URL("protocol.md", folder);
  await writeFile(document, withAppendix(await readFile(document, "utf8"), renderExamples(examples)));
  console.log("wrote docs/protocol-examples.json and the appendix of docs/protocol.md");
}
