import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StampSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import { ContactState, DeliveryState } from "../../gen/keypears/v1/share_service_pb.ts";
import { randomBytes } from "../../src/crypto/index.ts";
import { buildKeySet } from "../../src/protocol/key-set.ts";
import {
  createPerson,
  newSeeds,
  type Person,
  seal,
  sealedKeys,
  startNode,
  stranger,
  type TestNode,
} from "./node.ts";
import { refusal } from "./refusal.ts";

const MINUTE = 60 * 1_000;
const DAY = 24 * 60 * MINUTE;

let node: TestNode;
let alice: Person;
let bob: ReturnType<typeof stranger>;
beforeEach(async () => {
  node = await startNode();
  alice = await createPerson(node, "alice@acme.test");
  bob = stranger("bob@partner.test", node);
});
afterEach(() => node.close());

type Sealed = ReturnType<typeof seal>["envelope"];

describe("sending a share", () => {
  it.each<{
    what: string;
    envelope: () => object | undefined;
    code?: string;
    reason: string;
    field?: string;
  }>([
    { what: "no envelope", envelope: () => undefined, reason: "FIELD_INVALID", field: "envelope" },
    { what: "an empty envelope", envelope: () => ({}), reason: "ENVELOPE_INVALID", field: "envelope" },
    changed("a cut signature", ({ signature }) => ({ signature: signature.slice(1) })),
    changed("a cut ciphertext", ({ ciphertext }) => ({ ciphertext: ciphertext.slice(0, 500) })),
    changed("a header with a field more", ({ header }) => ({ header: new Uint8Array([...header, 0x78, 1]) })),
    changed("a header that repeats a field", ({ header }) => ({ header: new Uint8Array([...header, 8, 1]) })),
    changed("random bytes for a header", () => ({ header: randomBytes(2_500) })),
    changed("a changed ciphertext", ({ ciphertext }) => ({
      ciphertext: ciphertext.with(9, ciphertext[9]! ^ 1),
    })),
    changed("a changed signature", ({ signature }) => ({ signature: signature.with(9, signature[9]! ^ 1) })),
    {
      what: "256 KiB and a byte",
      envelope: () => ({ ...seal(node, alice, bob).envelope, ciphertext: new Uint8Array(256 * 1024 + 1) }),
      reason: "ENVELOPE_TOO_LARGE",
      field: "envelope",
    },
    {
      what: "another sender",
      envelope: () => seal(node, stranger("mallory@acme.test", node), bob).envelope,
      code: "PermissionDenied",
      reason: "SENDER_MISMATCH",
    },
    {
      what: "keys that the sender never published",
      envelope: () => seal(node, stranger(alice.address, node), bob).envelope,
      reason: "ENVELOPE_INVALID",
      field: "envelope",
    },
    {
      what: "a key set that is not there",
      envelope: () => seal(node, { ...alice, keySet: { ...alice.keySet, number: 2 } }, bob).envelope,
      code: "NotFound",
      reason: "KEY_SET_UNKNOWN",
    },
    {
      what: "a date more than 5 minutes ahead",
      envelope: () => seal(node, alice, bob, { createdAt: node.now() + 5 * MINUTE + 1 }).envelope,
      code: "FailedPrecondition",
      reason: "ENVELOPE_FUTURE_DATED",
    },
    {
      what: "a date 3 days back",
      envelope: () => seal(node, alice, bob, { createdAt: node.now() - 3 * DAY }).envelope,
      code: "FailedPrecondition",
      reason: "ENVELOPE_EXPIRED",
    },
    {
      what: "an expiry that has passed",
      envelope: () => seal(node, alice, bob, { createdAt: node.now() - 10, expiresAt: node.now() }).envelope,
      code: "FailedPrecondition",
      reason: "ENVELOPE_EXPIRED",
    },
  ])(
    "is refused for $what, and nothing is queued",
    async ({ envelope, code = "InvalidArgument", reason, field }) => {
      const before = node.contents();
      const sent = envelope();
      const refused = await refusal(alice.shares.sendShare(sent ? { envelope: sent } : {}));
      expect(refused).toMatchObject({ code, reason, ...(field && { field }) });
      expect(node.contents()).toBe(before);
      expect(node.wakes()).toBe(0);
    },
  );

  it("queues it for whatever domain, answers with its id and wakes the outbox", async () => {
    const { envelope, shareId } = seal(node, alice, bob);
    const sent = await alice.shares.sendShare({ envelope });
    expect(sent).toMatchObject({ shareId, delivery: { state: DeliveryState.QUEUED, attempts: 0 } });
    expect(node.wakes()).toBe(1);
    expect(await node.storage.outbox.dueDestinations("UNTRIED", node.now(), 10)).toEqual(["partner.test"]);
    expect(await alice.shares.getShareStatus({ shareId })).toMatchObject({
      delivery: { state: DeliveryState.QUEUED },
    });
  });

  it("changes nothing when it is sent again", async () => {
    const { envelope } = seal(node, alice, bob);
    const first = await alice.shares.sendShare({ envelope });
    const before = node.contents();
    expect(await alice.shares.sendShare({ envelope })).toEqual(first);
    expect(node.contents()).toBe(before);
    expect(node.wakes()).toBe(1);
  });

  it("queues a rejected one again when it comes with another stamp, and not without", async () => {
    const { envelope, shareId } = seal(node, alice, bob);
    await alice.shares.sendShare({ envelope });
    const lease = {
      destination: "partner.test",
      token: "0".repeat(32),
      leaseMs: 60_000,
      limit: 1,
      maxBytes: 1e6,
      now: node.now(),
    };
    const [leased] = await node.storage.outbox.lease(lease);
    const update = { kind: "rejected", reason: 6, message: "a stamp is needed" } as const;
    await node.storage.outbox.settle(lease.token, [{ outboxId: leased!.outboxId, update }], node.now());
    expect(await alice.shares.sendShare({ envelope })).toMatchObject({
      delivery: { state: DeliveryState.REJECTED, rejectionReason: 6 },
    });
    const stamped = await alice.shares.sendShare({
      envelope: { ...envelope, stamp: create(StampSchema, { nonce: 2n ** 63n }) },
    });
    expect(stamped).toMatchObject({ shareId, delivery: { state: DeliveryState.QUEUED } });
    expect(node.wakes()).toBe(2);
  });

  it("is refused when the quota is used up", async () => {
    const small = await startNode({ limits: { maxAccountBytes: 10_000 } });
    try {
      const person = await createPerson(small, "alice@acme.test");
      await person.shares.sendShare({ envelope: seal(small, person, bob).envelope });
      const refused = await refusal(person.shares.sendShare({ envelope: seal(small, person, bob).envelope }));
      expect(refused).toMatchObject({ code: "ResourceExhausted", reason: "QUOTA_EXCEEDED" });
    } finally {
      await small.close();
    }
  });
});

describe("an account that sends much", () => {
  it("is told to wait once its burst is used up, whatever it sends, and holds up nobody else", async () => {
    const strict = await startNode({ limits: { sendsPerSecond: 1, sendBurst: 2 } });
    try {
      const person = await createPerson(strict, "alice@acme.test");
      const other = await createPerson(strict, "carol@acme.test");
      const send = (from: Person) => from.shares.sendShare({ envelope: seal(strict, from, bob).envelope });
      expect(await refusal(person.shares.sendShare({}))).toMatchObject({ reason: "FIELD_INVALID" });
      await send(person);
      const before = strict.contents();
      expect(await refusal(send(person))).toMatchObject({
        code: "ResourceExhausted",
        reason: "RATE_LIMITED",
        retryAfterMs: 1_000,
      });
      expect(strict.contents()).toBe(before);
      await expect(send(other)).resolves.toBeDefined();
      strict.advance(1_000);
      await expect(send(person)).resolves.toBeDefined();
    } finally {
      await strict.close();
    }
  });

  it("is refused a recipient more than it may have contacts", async () => {
    const strict = await startNode({ limits: { maxContacts: 1 } });
    try {
      const person = await createPerson(strict, "alice@acme.test");
      const carol = stranger("carol@partner.test", strict);
      const send = (to: typeof bob) =>
        person.shares.sendShare({ envelope: seal(strict, person, to).envelope });
      await send(bob);
      expect(await refusal(send(carol))).toMatchObject({
        code: "ResourceExhausted",
        reason: "QUOTA_EXCEEDED",
      });
      const set = (address: string, state: ContactState) => person.shares.setContact({ address, state });
      expect(await refusal(set("carol@partner.test", ContactState.BLOCKED))).toMatchObject({
        reason: "QUOTA_EXCEEDED",
      });
      await set("bob@partner.test", ContactState.NONE);
      await expect(send(carol)).resolves.toBeDefined();
    } finally {
      await strict.close();
    }
  });
});

describe("a superseded key set", () => {
  async function rotate(revokesPrevious: boolean): Promise<void> {
    node.advance(1_000);
    const previous = { keySet: alice.keySet, seeds: alice.seeds };
    const { address } = alice;
    const keySet = buildKeySet({
      address,
      createdAt: node.now(),
      seeds: newSeeds(),
      previous,
      revokesPrevious,
    });
    await alice.keySets.publishKeySet({ keySet, expectedActiveNumber: 1, sealedKeys: sealedKeys(2) });
  }
  const send = (createdAt = node.now()) =>
    alice.shares.sendShare({ envelope: seal(node, alice, bob, { createdAt }).envelope });

  it("signs for another 4 days what is dated up to 5 minutes after its successor", async () => {
    const created = node.now();
    await rotate(false);
    const successor = node.now();
    await expect(send()).resolves.toBeDefined();
    node.advance(5 * MINUTE);
    await expect(send(successor + 5 * MINUTE)).resolves.toBeDefined();
    expect(await refusal(send(successor + 5 * MINUTE + 1))).toMatchObject({
      code: "FailedPrecondition",
      reason: "KEY_RETIRED",
      metadata: { active_number: "2" },
    });
    node.advance(2 * DAY);
    await expect(send(created)).resolves.toBeDefined();
  });

  it("signs nothing more once it is revoked", async () => {
    const created = node.now();
    await rotate(true);
    expect(await refusal(send(created))).toMatchObject({ reason: "KEY_RETIRED" });
  });
});

function changed(what: string, change: (envelope: Sealed) => object) {
  return {
    what,
    envelope: () => {
      const { envelope } = seal(node, alice, bob);
      return { ...envelope, ...change(envelope) };
    },
    reason: "ENVELOPE_INVALID",
    field: "envelope",
  };
}
