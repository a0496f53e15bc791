// Callers that mean ill, or were written badly: every one is told what was wrong and why, changes nothing in the database,
// and leaves the node as it was.

import { gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type KeySet,
  type KeySetBody,
  KeySetBodySchema,
  KeySetSchema,
} from "../../gen/keypears/v1/key_set_pb.ts";
import { type Environment, logIn, nodeClients, openAccount } from "../../src/client/index.ts";
import { loginKeyOf } from "../../src/client/sign-in.ts";
import { concat, randomBytes } from "../../src/crypto/bytes.ts";
import { composite } from "../../src/crypto/composite.ts";
import { SIGNATURE_CONTEXT } from "../../src/crypto/contexts.ts";
import { type PrivateSeeds, signingKey } from "../../src/protocol/key-set.ts";
import { MAX_ANONYMOUS_REQUEST_BYTES, MAX_REQUEST_BYTES } from "../../src/protocol/limits.ts";
import { refusal } from "../services/refusal.ts";
import { delivered, environment, type Person, reasonOf, seal, signUp } from "../support/clients.ts";
import { contentOf } from "../support/database.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";
import { type PeerProcess, startPeer } from "../support/peer-process.ts";
import { makeKeySet, sealedKeys } from "../support/people.ts";

const TIMEOUT_MS = 120_000;
const MINUTE = 60_000;

/** What fetch and an error's JSON have in common: the status, the code and the reason. */
interface HttpRefusal {
  readonly status: number;
  readonly code: string;
  readonly reason: string;
}

describe("a caller", () => {
  let node: TestNode;
  let env: Environment;
  let peer: PeerProcess;
  let alice: Person;

  beforeAll(async () => {
    peer = startPeer();
    node = await startTestNode({ domain: "acme.test" });
    env = environment([node]);
    alice = await signUp(env, "alice@acme.test");
  }, TIMEOUT_MS);

  afterAll(async () => {
    await peer?.stop();
    await node?.remove();
  }, TIMEOUT_MS);

  /** That something is refused, changes nothing, and is followed by a healthy share. */
  async function changesNothing<T>(attempt: () => Promise<T>): Promise<T> {
    const before = await contentOf(node.database);
    const result = await attempt();
    expect(await contentOf(node.database)).toEqual(before);
    const { shareId } = await alice.account.shares.send(alice.address, { kind: "text", text: "healthy" });
    await delivered(alice, shareId);
    expect((await alice.account.shares.open(shareId)).content).toEqual({ kind: "text", text: "healthy" });
    return result;
  }

  /** A call in the Connect protocol, as bytes of the caller's choice. */
  async function post(
    method: string,
    body: Uint8Array | string,
    headers: Record<string, string> = {},
  ): Promise<HttpRefusal> {
    const response = await fetch(`${node.apiUrl}/keypears.v1.${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: body as BodyInit,
    });
    const { code, details } = (await response.json()) as {
      code: string;
      details: { debug?: { reason: string } }[];
    };
    return { status: response.status, code, reason: details?.[0]?.debug?.reason ?? "" };
  }

  it.each([
    "",
    "alice",
    "@acme.test",
    "alice@",
    "alice@@acme.test",
    "alice@acme",
    "alice@127.0.0.1",
    "alice@[127.0.0.1]",
    "alice@acme..test",
    ".alice@acme.test",
    "al\u0000ice@acme.test",
    "al\u007fice@acme.test",
    `${"a".repeat(65)}@acme.test`,
    `alice@${"a".repeat(64)}.test`,
    "alice@xn--a.test",
    "alice@acme.test\n",
    "<alice@acme.test>",
    "alice@acme.test@partner.test",
  ])("that asks about the address %j is told that it is none", { timeout: TIMEOUT_MS }, async (address) => {
    await changesNothing(async () => {
      const expected = { reason: "ADDRESS_INVALID", code: "InvalidArgument", field: "address" };
      expect(await refusal(alice.node.keySets.getKeySet({ address }))).toMatchObject(expected);
      expect(await refusal(alice.node.accounts.getCreationChallenge({ address }))).toMatchObject(expected);
      expect(await refusal(alice.node.accounts.getLoginParameters({ address }))).toMatchObject(expected);
      expect(await refusal(alice.node.accounts.logIn({ address, loginKey: randomBytes(32) }))).toMatchObject(
        expected,
      );
      expect(await refusal(alice.node.shares.setContact({ address, state: 2 }))).toMatchObject(expected);
    });
  });

  it.each<[string, Uint8Array | string, Record<string, string>, string]>([
    ["no JSON", '{"address":', {}, "MESSAGE_INVALID"],
    ["JSON that is no object", "[1,2,3]", {}, "MESSAGE_INVALID"],
    ["a field of another type", '{"address":17}', {}, "FIELD_INVALID"],
    ["UTF-8 that is none", Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d), {}, "MESSAGE_INVALID"],
    [
      "truncated protobuf",
      Uint8Array.of(0x0a, 0x7f, 0x61),
      { "content-type": "application/proto" },
      "MESSAGE_INVALID",
    ],
    ["noise for gzip", randomBytes(100), { "content-encoding": "gzip" }, "MESSAGE_INVALID"],
    [
      "truncated gzip",
      gzipSync('{"address":"alice@acme.test"}').subarray(0, 30),
      { "content-encoding": "gzip" },
      "MESSAGE_INVALID",
    ],
    [
      "more than it may without a session",
      `{"address":"${"a".repeat(MAX_ANONYMOUS_REQUEST_BYTES)}"}`,
      {},
      "MESSAGE_TOO_LARGE",
    ],
    [
      "what decompresses to more than it may",
      gzipSync(Buffer.alloc(MAX_ANONYMOUS_REQUEST_BYTES + 1, 0x20)),
      { "content-encoding": "gzip" },
      "MESSAGE_TOO_LARGE",
    ],
    ["a compression that nobody knows", "{}", { "content-encoding": "br" }, "ENCODING_UNSUPPORTED"],
  ])("that sends %s is told so", { timeout: TIMEOUT_MS }, async (_, body, headers, reason) => {
    const refused = await changesNothing(() => post("KeySetService/GetKeySet", body, headers));

    expect(refused.reason).toBe(reason);
  });

  it("that delivers more than a delivery may be is told so, however it is packed", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const large = Buffer.alloc(MAX_REQUEST_BYTES + 1, 0x20);

    await changesNothing(async () => {
      for (const [body, headers] of [
        [large, {}],
        [gzipSync(large), { "content-encoding": "gzip" }],
      ] as const) {
        const refused = await post("FederationService/DeliverShares", body, headers);
        expect(refused).toEqual({ status: 429, code: "resource_exhausted", reason: "MESSAGE_TOO_LARGE" });
      }
    });
  });

  it("with a wrong password gets no session, and no word about what was wrong", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { stretching } = alice.signedIn.credentials;
    const loginKey = await loginKeyOf(alice.signedIn.credentials, "wrong password", {});

    const refused = await changesNothing(() =>
      refusal(alice.node.accounts.logIn({ address: alice.address, loginKey })),
    );

    expect(refused).toMatchObject({
      reason: "LOGIN_FAILED",
      code: "Unauthenticated",
      message: "the address or the password is wrong",
    });
    expect(
      await reasonOf(
        logIn(env, { address: alice.address, password: "wrong", deviceName: "x", known: stretching }),
      ),
    ).toBe("LOGIN_FAILED");
  });

  it.each<[string, (token: string) => string]>([
    ["that was never one", () => Buffer.from(randomBytes(32)).toString("base64url")],
    ["with a letter changed", (token) => (token.startsWith("A") ? "B" : "A") + token.slice(1)],
    ["that is cut off", (token) => token.slice(0, -1)],
    ["of no form at all", () => "' or 1=1 --"],
  ])("with a session %s can do nothing with it", { timeout: TIMEOUT_MS }, async (_, bend) => {
    const token = bend(alice.signedIn.credentials.sessionToken);
    const { shares, accounts } = nodeClients(env, node.apiUrl, () => token);

    await changesNothing(async () => {
      expect((await refusal(shares.listShares({}))).reason).toBe("SESSION_INVALID");
      expect((await refusal(accounts.getSealedKeys({}))).reason).toBe("SESSION_INVALID");
    });
  });

  it("whose session was revoked can do nothing any more", { timeout: TIMEOUT_MS }, async () => {
    const { address, password } = alice;
    const device = openAccount(env, await logIn(env, { address, password, deviceName: "stolen laptop" }));
    const { envelope } = await seal(alice, alice, { kind: "text", text: "from the thief" });
    const { sessionToken, sessionId } = device.credentials;
    const thief = nodeClients(env, node.apiUrl, () => sessionToken);
    await thief.shares.listShares({});

    await alice.account.revokeSession(sessionId);

    await changesNothing(async () => {
      expect((await refusal(thief.shares.sendShare({ envelope }))).reason).toBe("SESSION_INVALID");
      expect((await refusal(thief.accounts.listSessions({}))).reason).toBe("SESSION_INVALID");
      expect((await refusal(thief.accounts.logOut({}))).reason).toBe("SESSION_INVALID");
    });
  });

  it("with a stolen session cannot put keys of its own in the place of the owner's", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const stolen = {
      apiUrl: node.apiUrl,
      token: alice.signedIn.credentials.sessionToken,
      address: alice.address,
    };
    const none = new Uint8Array();

    await changesNothing(async () => {
      const withoutLoginKey = { ...stolen, loginKey: none, forgeContinuity: false };
      expect(await peer.ask("publishReset", withoutLoginKey)).toMatchObject({ reason: "LOGIN_KEY_REQUIRED" });
      const guessing = { ...stolen, loginKey: randomBytes(32), forgeContinuity: false };
      expect(await peer.ask("publishReset", guessing)).toMatchObject({ reason: "LOGIN_FAILED" });
      const forging = { ...stolen, loginKey: none, forgeContinuity: true };
      expect(await peer.ask("publishReset", forging)).toMatchObject({
        reason: "KEY_SET_INVALID",
        message: "key set: continuity signature does not verify",
      });
    });
    const { notices } = await alice.account.sessions();
    expect(notices).toEqual([]);
    expect(await alice.account.keyRing()).toHaveLength(1);
  });

  it("with a stolen session cannot change the password or delete the account", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { accounts } = nodeClients(env, node.apiUrl, () => alice.signedIn.credentials.sessionToken);

    await changesNothing(async () => {
      expect((await refusal(accounts.deleteAccount({}))).reason).toBe("LOGIN_KEY_REQUIRED");
      expect((await refusal(accounts.deleteAccount({ loginKey: randomBytes(31) }))).reason).toBe(
        "FIELD_INVALID",
      );
      expect((await refusal(accounts.deleteAccount({ loginKey: randomBytes(32) }))).reason).toBe(
        "LOGIN_FAILED",
      );
      const guess = alice.account.changePassword({ current: "a guess", next: "the thief's" });
      expect(await reasonOf(guess)).toBe("LOGIN_FAILED");
    });
  });

  type Bend = (body: KeySetBody) => Partial<KeySetBody>;
  it.each<[string, Bend, ((bytes: Uint8Array) => Uint8Array)?]>([
    ["version 2", () => ({ version: 2 })],
    ["another address", () => ({ address: "bob@acme.test" })],
    ["an address that is not canonical", () => ({ address: "Alice@acme.test" })],
    ["a number too high", ({ number }) => ({ number: number + 1 })],
    ["number 0", () => ({ number: 0 })],
    ["a date 6 minutes ahead", ({ createdAt }) => ({ createdAt: createdAt + BigInt(6 * MINUTE) })],
    ["a date before its predecessor's", () => ({ createdAt: 1n })],
    ["an Ed25519 key of 31 bytes", () => ({ ed25519PublicKey: randomBytes(31) })],
    ["an Ed25519 key of small order", () => ({ ed25519PublicKey: new Uint8Array(32) })],
    ["an X25519 key of 33 bytes", () => ({ x25519PublicKey: randomBytes(33) })],
    ["an X25519 key of low order", () => ({ x25519PublicKey: new Uint8Array(32) })],
    ["an ML-DSA key of 1,951 bytes", () => ({ mlDsa65PublicKey: randomBytes(1_951) })],
    ["an ML-KEM key of 1,185 bytes", () => ({ mlKem768PublicKey: randomBytes(1_185) })],
    ["an ML-KEM key above the modulus", () => ({ mlKem768PublicKey: new Uint8Array(1_184).fill(0xff) })],
    ["another previous hash", () => ({ previousHash: randomBytes(32) })],
    ["no previous hash", () => ({ previousHash: new Uint8Array() })],
    ["an unknown field", () => ({}), (bytes) => concat(bytes, Uint8Array.of(0x78, 0x01))],
    ["its version twice", () => ({}), (bytes) => concat(Uint8Array.of(0x08, 0x01), bytes)],
    ["its version at the end", () => ({}), (bytes) => concat(bytes.subarray(2), bytes.subarray(0, 2))],
    ["a default spelled out", () => ({}), (bytes) => concat(bytes, Uint8Array.of(0x50, 0x00))],
    ["its end cut off", () => ({}), (bytes) => bytes.subarray(0, -5)],
  ])(
    "that publishes a key set with %s, properly signed, is refused",
    { timeout: TIMEOUT_MS },
    async (_, bend, encode = (bytes) => bytes) => {
      const [active] = await alice.account.keyRing();
      const { record, seeds } = makeKeySet(alice.address, Date.now(), {
        ...active,
        record: create(KeySetSchema),
      });
      const body = fromBinary(KeySetBodySchema, record.body);
      const bent = encode(toBinary(KeySetBodySchema, Object.assign(body, bend(body))));

      const refused = await changesNothing(() => refusal(publish(sign(bent, seeds, active.seeds))));

      expect(refused).toMatchObject({ reason: "KEY_SET_INVALID", code: "InvalidArgument", field: "key_set" });
    },
  );

  /** A key set that signs itself, and that its predecessor vouches for, whatever it says. */
  function sign(body: Uint8Array, own: PrivateSeeds, previous: PrivateSeeds): KeySet {
    const by = (seeds: PrivateSeeds, context: (typeof SIGNATURE_CONTEXT)[keyof typeof SIGNATURE_CONTEXT]) =>
      composite.sign(signingKey(seeds), body, context);
    return create(KeySetSchema, {
      body,
      selfSignature: by(own, SIGNATURE_CONTEXT.keySet),
      continuitySignature: by(previous, SIGNATURE_CONTEXT.keySetRotation),
    });
  }

  function publish(keySet: KeySet): Promise<unknown> {
    const { ed25519, x25519, mlDsa65, mlKem768 } = sealedKeys(2);
    return alice.node.keySets.publishKeySet({
      requestId: crypto.randomUUID(),
      expectedActiveNumber: 1,
      keySet,
      sealedKeys: {
        number: 2,
        sealedEd25519Seed: ed25519,
        sealedX25519Seed: x25519,
        sealedMlDsa65Seed: mlDsa65,
        sealedMlKem768Seed: mlKem768,
      },
    });
  }
});
