import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomBytes, stampKey, verifyStamp } from "../../src/crypto/index.ts";
import { buildKeySet } from "../../src/protocol/key-set.ts";
import { asStored, createPerson, creationRequest, newSeeds, startNode, type TestNode } from "./node.ts";
import { refusal } from "./refusal.ts";

let node: TestNode;
beforeAll(async () => {
  node = await startNode();
});
afterAll(() => node.close());

type CreationRequest = Awaited<ReturnType<typeof creationRequest>>;

/** Every way in which a request to make an account can be wrong in itself. */
const WRONG: readonly {
  readonly what: string;
  readonly change: (request: CreationRequest) => object;
  readonly reason: string;
  readonly field?: string;
}[] = [
  { what: "no address", change: () => ({ address: "" }), reason: "ADDRESS_INVALID", field: "address" },
  {
    what: "a malformed address",
    change: () => ({ address: "a@b" }),
    reason: "ADDRESS_INVALID",
    field: "address",
  },
  { what: "a foreign domain", change: () => ({ address: "a@partner.test" }), reason: "DOMAIN_NOT_HOSTED" },
  {
    what: "no password parameters",
    change: () => ({ passwordParameters: undefined }),
    reason: "FIELD_INVALID",
    field: "password_parameters",
  },
  ...[
    { field: "salt", value: randomBytes(16) },
    { field: "memory_kib", key: "memoryKib", value: 65_535 },
    { field: "memory_kib", key: "memoryKib", value: 1_048_577 },
    { field: "passes", value: 2 },
    { field: "passes", value: 11 },
    { field: "lanes", value: 0 },
    { field: "lanes", value: 2 },
  ].map(({ field, key = field, value }) => ({
    what: `password parameter ${field} ${typeof value === "number" ? value : "of 16 bytes"}`,
    change: (request: CreationRequest) => ({
      passwordParameters: { ...request.passwordParameters, [key]: value },
    }),
    reason: "FIELD_INVALID",
    field: `password_parameters.${field}`,
  })),
  ...[0, 31, 33].map((length) => ({
    what: `a login key of ${length} bytes`,
    change: () => ({ loginKey: randomBytes(length) }),
    reason: "FIELD_INVALID",
    field: "login_key",
  })),
  {
    what: "no wrapped account key",
    change: () => ({ wrappedAccountKey: undefined }),
    reason: "FIELD_INVALID",
    field: "wrapped_account_key",
  },
  {
    what: "an account key wrapped for another way in",
    change: ({ wrappedAccountKey }) => ({ wrappedAccountKey: { ...wrappedAccountKey, kind: "recovery" } }),
    reason: "FIELD_INVALID",
    field: "wrapped_account_key.kind",
  },
  {
    what: "a wrap that is not the first",
    change: ({ wrappedAccountKey }) => ({ wrappedAccountKey: { ...wrappedAccountKey, number: 2 } }),
    reason: "FIELD_INVALID",
    field: "wrapped_account_key.number",
  },
  {
    what: "a wrapped account key that is cut",
    change: ({ wrappedAccountKey }) => ({
      wrappedAccountKey: { ...wrappedAccountKey, wrappedKey: randomBytes(59) },
    }),
    reason: "FIELD_INVALID",
    field: "wrapped_account_key.wrapped_key",
  },
  {
    what: "no sealed keys",
    change: () => ({ sealedKeys: undefined }),
    reason: "FIELD_INVALID",
    field: "sealed_keys",
  },
  {
    what: "sealed keys of another number",
    change: ({ sealedKeys }) => ({ sealedKeys: { ...sealedKeys, number: 2 } }),
    reason: "FIELD_INVALID",
    field: "sealed_keys.number",
  },
  ...[
    { field: "sealed_ed25519_seed", key: "sealedEd25519Seed" },
    { field: "sealed_x25519_seed", key: "sealedX25519Seed" },
    { field: "sealed_ml_dsa_65_seed", key: "sealedMlDsa65Seed" },
    { field: "sealed_ml_kem_768_seed", key: "sealedMlKem768Seed" },
  ].map(({ field, key }) => ({
    what: `${field} of 61 bytes`,
    change: ({ sealedKeys }: CreationRequest) => ({ sealedKeys: { ...sealedKeys, [key]: randomBytes(61) } }),
    reason: "FIELD_INVALID",
    field: `sealed_keys.${field}`,
  })),
  {
    what: "a device name of 101 characters",
    change: () => ({ deviceName: "x".repeat(101) }),
    reason: "FIELD_INVALID",
    field: "device_name",
  },
  ...["line\nbreak", "\u001b[31mred", "\u202egnp.exe", "two\u2028lines"].map((deviceName) => ({
    what: `the device name ${JSON.stringify(deviceName)}`,
    change: () => ({ deviceName }),
    reason: "FIELD_INVALID",
    field: "device_name",
  })),
  { what: "no challenge", change: () => ({ challenge: new Uint8Array() }), reason: "CHALLENGE_INVALID" },
  {
    what: "a forged challenge",
    change: ({ challenge }) => ({ challenge: challenge.with(31, 1) }),
    reason: "CHALLENGE_INVALID",
  },
  { what: "no key set", change: () => ({ keySet: undefined }), reason: "FIELD_INVALID", field: "key_set" },
  {
    what: "a key set of another address",
    change: () => ({
      keySet: buildKeySet({ address: "mallory@acme.test", createdAt: node.now(), seeds: newSeeds() }),
    }),
    reason: "KEY_SET_INVALID",
    field: "key_set",
  },
  {
    what: "a key set that is dated too early",
    change: ({ address }) => ({
      keySet: buildKeySet({ address, createdAt: node.now() - 300_001, seeds: newSeeds() }),
    }),
    reason: "KEY_SET_INVALID",
    field: "key_set",
  },
  {
    what: "a key set that is dated too late",
    change: ({ address }) => ({
      keySet: buildKeySet({ address, createdAt: node.now() + 300_001, seeds: newSeeds() }),
    }),
    reason: "KEY_SET_INVALID",
    field: "key_set",
  },
  {
    what: "a key set that signs itself wrongly",
    change: ({ keySet }) => ({
      keySet: { ...keySet, selfSignature: keySet.selfSignature.with(100, keySet.selfSignature[100]! ^ 1) },
    }),
    reason: "KEY_SET_INVALID",
    field: "key_set",
  },
  {
    what: "a key set in another encoding",
    change: ({ keySet }) => ({ keySet: { ...keySet, body: new Uint8Array([...keySet.body, 0x50, 0x00]) } }),
    reason: "KEY_SET_INVALID",
    field: "key_set",
  },
  {
    what: "bytes that are no key set",
    change: ({ keySet }) => ({ keySet: { ...keySet, body: randomBytes(3_000) } }),
    reason: "KEY_SET_INVALID",
    field: "key_set",
  },
];

describe("creating an account", () => {
  it.each(WRONG)("is refused for $what, and nothing is stored", async ({ change, reason, field }) => {
    const request = await creationRequest(node, "alice@acme.test");
    const before = node.contents();
    const refused = await refusal(node.as().accounts.createAccount({ ...request, ...change(request) }));
    expect(refused).toMatchObject({ reason, ...(field && { field }) });
    expect(node.contents()).toBe(before);
  });

  it("is refused for a nonce whose work is not worth the difficulty", async () => {
    const request = await creationRequest(node, "alice@acme.test");
    const key = stampKey(request.challenge.slice(0, 32), request.address);
    let nonce = 0n;
    while (verifyStamp(key, nonce, node.context.creationDifficulty)) nonce++;
    const before = node.contents();
    const refused = await refusal(node.as().accounts.createAccount({ ...request, nonce }));
    expect(refused).toMatchObject({ code: "FailedPrecondition", reason: "STAMP_INVALID" });
    expect(node.contents()).toBe(before);
  });

  it("is refused with a challenge for another address", async () => {
    const { challenge, nonce } = await creationRequest(node, "alice@acme.test");
    const request = await creationRequest(node, "bob@acme.test");
    const refused = await refusal(node.as().accounts.createAccount({ ...request, challenge, nonce }));
    expect(refused).toMatchObject({ code: "FailedPrecondition", reason: "CHALLENGE_INVALID" });
  });

  it("is refused with a challenge that has expired", async () => {
    const request = await creationRequest(node, "alice@acme.test");
    node.advance(15 * 60_000);
    const refused = await refusal(node.as().accounts.createAccount(request));
    expect(refused).toMatchObject({
      reason: "CHALLENGE_INVALID",
      message: expect.stringContaining("expired"),
    });
  });

  it("opens a session for the new address, whose key set everyone can look up", async () => {
    const request = await creationRequest(node, "carol@acme.test");
    const created = await node.as().accounts.createAccount(request);
    expect(created.sessionToken).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(created.session).toMatchObject({ deviceName: "laptop", current: true, id: expect.any(String) });
    const sealed = await node.as({ token: created.sessionToken }).accounts.getSealedKeys({});
    expect(sealed.sealedKeySets).toMatchObject([request.sealedKeys]);
    expect(sealed.wrappedAccountKey).toMatchObject(request.wrappedAccountKey);
    const { published } = await node.as().keySets.getKeySet({ address: "carol@acme.test" });
    expect(published).toMatchObject({ activeNumber: 1, keySet: { body: request.keySet.body } });
  });

  it("takes an address in any spelling and keeps its canonical form", async () => {
    const request = await creationRequest(node, "dora@xn--bcher-kva.test");
    await node.as().accounts.createAccount({ ...request, address: "DORA@Bücher.Test" });
    const { published } = await node.as().keySets.getKeySet({ address: '"dora"@BÜCHER.test' });
    expect(published?.keySet?.body).toEqual(request.keySet.body);
  });

  it("stores neither the session token nor the login key", async () => {
    const request = await creationRequest(node, "erin@acme.test");
    const { sessionToken } = await node.as().accounts.createAccount(request);
    const stored = node.contents();
    expect(stored).toContain(asStored(request.passwordParameters.salt));
    expect(stored).not.toContain(asStored(request.loginKey));
    expect(stored).not.toContain(asStored(Buffer.from(sessionToken, "base64url")));
    expect(stored).not.toContain(sessionToken);
  });

  it("spends its challenge, and its address for good", async () => {
    const request = await creationRequest(node, "frank@acme.test");
    const challengeId = asStored(request.challenge.slice(0, 32));
    expect(node.contents()).not.toContain(challengeId);
    const { sessionToken } = await node.as().accounts.createAccount(request);
    expect(node.contents()).toContain(challengeId);
    const again = () => refusal(node.as().accounts.createAccount(request));
    expect(await again()).toMatchObject({ reason: "ADDRESS_TAKEN" });
    await node.as({ token: sessionToken }).accounts.deleteAccount({ loginKey: request.loginKey });
    expect(await again()).toMatchObject({ reason: "ADDRESS_TAKEN" });
  });

  it("is refused for an address that is taken, before and after the work is done", async () => {
    await createPerson(node, "grace@acme.test");
    const challenge = node.as().accounts.getCreationChallenge({ address: "Grace@acme.test" });
    expect(await refusal(challenge)).toMatchObject({ code: "AlreadyExists", reason: "ADDRESS_TAKEN" });
  });

  it("lets one of two who ask for the same address at once have it", async () => {
    const [first, second] = [
      await creationRequest(node, "heidi@acme.test"),
      await creationRequest(node, "heidi@acme.test"),
    ];
    const outcomes = await Promise.allSettled([
      node.as().accounts.createAccount(first),
      node.as().accounts.createAccount(second),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });
});

describe("a node that makes no accounts", () => {
  it("says so to whoever asks for a challenge or an account", async () => {
    const closed = await startNode({ registrationOpen: false });
    try {
      const { accounts } = closed.as();
      const expected = { code: "PermissionDenied", reason: "REGISTRATION_CLOSED" };
      expect(await refusal(accounts.getCreationChallenge({ address: "a@acme.test" }))).toMatchObject(
        expected,
      );
      expect(await refusal(accounts.createAccount({ address: "a@acme.test" }))).toMatchObject(expected);
    } finally {
      await closed.close();
    }
  });
});

describe("the budget of creations", () => {
  it("is drawn per source prefix, and says when to come back", async () => {
    const strict = await startNode({ creationsPerMinute: 1 });
    try {
      await createPerson(strict, "alice@acme.test");
      const request = await creationRequest(strict, "bob@acme.test");
      const refused = await refusal(strict.as().accounts.createAccount(request));
      expect(refused).toMatchObject({ code: "ResourceExhausted", reason: "RATE_LIMITED" });
      expect(refused.retryAfterMs).toBeGreaterThan(0);
      await strict.as({ sourcePrefix: "198.51.100.0/24" }).accounts.createAccount(request);
    } finally {
      await strict.close();
    }
  });
});
