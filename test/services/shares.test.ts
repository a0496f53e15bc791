import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  ContactState,
  DeliveryState,
  RejectionReason,
  ShareBox,
} from "../../gen/keypears/v1/share_service_pb.ts";
import { randomBytes } from "../../src/crypto/index.ts";
import { createPerson, deliver, type Person, seal, startNode, stranger, type TestNode } from "./node.ts";
import { refusal } from "./refusal.ts";

const MINUTE = 60 * 1_000;

let node: TestNode;
let alice: Person;
let bob: Person;
let mallory: Person;
beforeAll(async () => {
  node = await startNode();
  alice = await createPerson(node, "alice@acme.test");
  bob = await createPerson(node, "bob@acme.test");
  mallory = await createPerson(node, "mallory@acme.test");
});
afterAll(() => node.close());

describe("a share id", () => {
  const METHODS = [
    "getShare",
    "getShareStatus",
    "markOpened",
    "deleteShare",
    "retryShare",
    "cancelShare",
  ] as const;

  it.each(METHODS.flatMap((method) => [0, 31, 33].map((length) => ({ method, length }))))(
    "of $length bytes is refused by $method",
    async ({ method, length }) => {
      const refused = await refusal(alice.shares[method]({ shareId: randomBytes(length) }));
      expect(refused).toMatchObject({
        code: "InvalidArgument",
        reason: "FIELD_INVALID",
        field: "share_id",
        message: `share_id: must be 32 bytes, is ${length}`,
      });
    },
  );

  it("of another account finds nothing and changes nothing", async () => {
    const received = await deliver(node, alice, bob);
    const { envelope, shareId: sent } = seal(node, alice, stranger("x@partner.test", node));
    await alice.shares.sendShare({ envelope });
    const before = node.contents();
    for (const shareId of [received, sent]) {
      for (const box of [ShareBox.RECEIVED, ShareBox.SENT]) {
        const unknown = { code: "NotFound", reason: "SHARE_UNKNOWN" };
        expect(await refusal(mallory.shares.getShare({ shareId, box }))).toMatchObject(unknown);
        expect(await refusal(mallory.shares.getShareStatus({ shareId }))).toMatchObject(unknown);
        expect(await refusal(mallory.shares.markOpened({ shareId }))).toMatchObject(unknown);
        expect(await refusal(mallory.shares.retryShare({ shareId }))).toMatchObject(unknown);
        expect(await refusal(mallory.shares.cancelShare({ shareId }))).toMatchObject(unknown);
        expect(await mallory.shares.deleteShare({ shareId, box })).toMatchObject({ cancelled: false });
      }
    }
    expect(node.contents()).toBe(before);
  });
});

describe("a box", () => {
  it("that is none is refused", async () => {
    const box = 3 as ShareBox;
    const shareId = randomBytes(32);
    for (const call of [
      alice.shares.listShares({ box }),
      alice.shares.getShare({ box, shareId }),
      alice.shares.deleteShare({ box, shareId }),
    ]) {
      expect(await refusal(call)).toMatchObject({
        code: "InvalidArgument",
        reason: "FIELD_INVALID",
        field: "box",
      });
    }
  });
});

describe("a received share", () => {
  it("is given with its envelope and its sender's key set as they came", async () => {
    const { envelope, shareId } = seal(node, alice, bob, { expiresAt: node.now() + MINUTE });
    await node.as().federation.deliverShares({
      envelopes: [envelope],
    });
    const got = await bob.shares.getShare({ shareId, box: ShareBox.RECEIVED });
    expect(got.envelope).toMatchObject({
      header: envelope.header,
      ciphertext: envelope.ciphertext,
      signature: envelope.signature,
    });
    expect(got.envelope?.stamp).toBeUndefined();
    expect(got.senderKeySet?.body).toEqual(alice.keySet.body);
    expect(got.summary).toMatchObject({
      shareId,
      sender: alice.address,
      recipient: bob.address,
      senderKeyNumber: 1,
      senderKeySetHash: alice.keySet.hash,
      expiresAt: BigInt(node.now() + MINUTE),
      ciphertextBytes: envelope.ciphertext.length,
      openedAt: 0n,
    });
    expect(got.summary?.delivery).toBeUndefined();
  });

  it("keeps the moment at which it was first opened", async () => {
    const shareId = await deliver(node, alice, bob);
    const opened = BigInt(node.now());
    expect(await bob.shares.markOpened({ shareId })).toMatchObject({ openedAt: opened });
    node.advance(MINUTE);
    expect(await bob.shares.markOpened({ shareId })).toMatchObject({ openedAt: opened });
    expect((await bob.shares.getShare({ shareId })).summary).toMatchObject({ openedAt: opened });
  });

  it("is gone after it was deleted, which succeeds twice, and a replay does not bring it back", async () => {
    const { envelope, shareId } = seal(node, alice, bob);
    await node.as().federation.deliverShares({ envelopes: [envelope] });
    await bob.shares.deleteShare({ shareId });
    await bob.shares.deleteShare({ shareId });
    const { results } = await node.as().federation.deliverShares({ envelopes: [envelope] });
    expect(results).toMatchObject([{ outcome: 2 }]);
    expect(await refusal(bob.shares.getShare({ shareId }))).toMatchObject({ reason: "SHARE_UNKNOWN" });
  });

  it("is gone once it has expired", async () => {
    const { envelope, shareId } = seal(node, alice, bob, { expiresAt: node.now() + MINUTE });
    await node.as().federation.deliverShares({ envelopes: [envelope] });
    node.advance(MINUTE);
    for (const call of [bob.shares.getShare({ shareId }), bob.shares.markOpened({ shareId })]) {
      expect(await refusal(call)).toMatchObject({ reason: "SHARE_UNKNOWN" });
    }
  });
});

describe("a sent share", () => {
  it("is in the sender's box with its delivery, and can be opened again by the sender", async () => {
    const { envelope, shareId } = seal(node, alice, stranger("carol@partner.test", node));
    await alice.shares.sendShare({ envelope });
    const got = await alice.shares.getShare({ shareId, box: ShareBox.SENT });
    expect(got.summary).toMatchObject({
      shareId,
      recipient: "carol@partner.test",
      sequence: 0n,
      senderKeySetHash: new Uint8Array(),
      delivery: { state: DeliveryState.QUEUED },
    });
    expect(got.envelope).toMatchObject({ header: envelope.header, ciphertext: envelope.ciphertext });
    expect(got.senderKeySet?.body).toEqual(alice.keySet.body);
    expect(await refusal(alice.shares.getShare({ shareId }))).toMatchObject({ reason: "SHARE_UNKNOWN" });
  });

  it("is not delivered any more when it is deleted while it waits", async () => {
    const { envelope, shareId } = seal(node, alice, stranger("dave@cancelled.test", node));
    await alice.shares.sendShare({ envelope });
    expect(await alice.shares.deleteShare({ shareId, box: ShareBox.SENT })).toMatchObject({
      cancelled: true,
    });
    expect(await node.storage.outbox.dueDestinations("UNTRIED", node.now(), 100)).not.toContain(
      "cancelled.test",
    );
    expect(await alice.shares.deleteShare({ shareId, box: ShareBox.SENT })).toMatchObject({
      cancelled: false,
    });
  });
});

describe("the delivery of a sent share", () => {
  it("can be tried again and cancelled while it waits, and its sender keeps the copy", async () => {
    const { envelope, shareId } = seal(node, alice, stranger("z@partner.test", node));
    await alice.shares.sendShare({ envelope });
    const retried = await alice.shares.retryShare({ shareId });
    expect(retried.delivery?.state).toBe(DeliveryState.QUEUED);
    const waiting = await alice.shares.listShares({ box: ShareBox.SENT, undeliveredOnly: true });
    expect(waiting.shares.map((share) => share.shareId)).toContainEqual(shareId);

    for (const _ of ["once", "and again"]) {
      const { delivery } = await alice.shares.cancelShare({ shareId });
      expect(delivery?.state).toBe(DeliveryState.CANCELLED);
    }
    expect(await refusal(alice.shares.retryShare({ shareId }))).toMatchObject({
      code: "FailedPrecondition",
      reason: "DELIVERY_ENDED",
    });
    const left = await alice.shares.listShares({ box: ShareBox.SENT, undeliveredOnly: true });
    expect(left.shares.map((share) => share.shareId)).not.toContainEqual(shareId);
    expect((await alice.shares.getShare({ shareId, box: ShareBox.SENT })).envelope).toEqual({
      ...envelope,
      stamp: undefined,
    });
  });

  it("is asked for in the sent box only", async () => {
    const refused = await refusal(alice.shares.listShares({ box: ShareBox.RECEIVED, undeliveredOnly: true }));
    expect(refused).toMatchObject({ reason: "FIELD_INVALID", field: "undelivered_only" });
  });
});

describe("the list of shares", () => {
  it.each<[string, object, string, string]>([
    ["a negative page size", { pageSize: -7 }, "FIELD_INVALID", "page_size"],
    ["a page token that is none", { pageToken: "%%%" }, "PAGE_TOKEN_INVALID", "page_token"],
    ["a page token of a number only", { pageToken: "MTI" }, "PAGE_TOKEN_INVALID", "page_token"],
  ])("is refused for %s", async (_what, request, reason, field) => {
    expect(await refusal(alice.shares.listShares(request))).toMatchObject({
      code: "InvalidArgument",
      reason,
      field,
    });
  });

  it.each([
    ["received", ShareBox.RECEIVED],
    ["sent", ShareBox.SENT],
  ])("pages through %s shares, newest first, without a gap or a repetition", async (name, box) => {
    const person = await createPerson(node, `pages-${name}@acme.test`);
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      if (box === ShareBox.RECEIVED) ids.unshift(hex(await deliver(node, alice, person)));
      else {
        const { envelope, shareId } = seal(node, person, stranger("x@partner.test", node));
        await person.shares.sendShare({ envelope });
        ids.unshift(hex(shareId));
      }
    }
    const listed: string[] = [];
    let pageToken = "";
    do {
      const page = await person.shares.listShares({ box, pageSize: 2, pageToken });
      expect(page.shares.length).toBeLessThanOrEqual(2);
      listed.push(...page.shares.map(({ shareId }) => hex(shareId)));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(listed).toEqual(ids);
  });

  it("takes a page token neither from the other box nor from another account", async () => {
    await deliver(node, alice, bob);
    await deliver(node, alice, bob);
    const { nextPageToken } = await bob.shares.listShares({ pageSize: 1 });
    expect(nextPageToken).not.toBe("");
    const invalid = { reason: "PAGE_TOKEN_INVALID" };
    expect(
      await refusal(bob.shares.listShares({ box: ShareBox.SENT, pageToken: nextPageToken })),
    ).toMatchObject(invalid);
    expect(await refusal(mallory.shares.listShares({ pageToken: nextPageToken }))).toMatchObject(invalid);
  });

  it("never returns more than 100 shares, however many are asked for", async () => {
    const person = await createPerson(node, "hundred@acme.test");
    for (let i = 0; i < 101; i++) {
      await person.shares.sendShare({
        envelope: seal(node, person, stranger("x@partner.test", node)).envelope,
      });
    }
    const { shares, nextPageToken } = await person.shares.listShares({
      box: ShareBox.SENT,
      pageSize: 2 ** 31 - 1,
    });
    expect(shares).toHaveLength(100);
    expect(nextPageToken).not.toBe("");
  });
});

describe("a contact", () => {
  it.each<[string, object, string, string]>([
    ["no address", {}, "ADDRESS_INVALID", "address"],
    ["a state that is none", { address: "x@partner.test", state: 9 }, "FIELD_INVALID", "state"],
  ])("is refused for %s", async (_what, request, reason, field) => {
    const before = node.contents();
    expect(await refusal(alice.shares.setContact(request))).toMatchObject({
      code: "InvalidArgument",
      reason,
      field,
    });
    expect(node.contents()).toBe(before);
  });

  it("is kept by its canonical address", async () => {
    const set = await alice.shares.setContact({ address: "Bob@Partner.TEST", state: ContactState.ACCEPTED });
    expect(set).toMatchObject({ address: "bob@partner.test", state: ContactState.ACCEPTED });
    const account = await node.storage.accounts.byAddress(alice.address);
    expect(await node.storage.contacts.state(account!.id, "bob@partner.test")).toBe("ACCEPTED");
    const forgotten = await alice.shares.setContact({ address: "bob@partner.test" });
    expect(forgotten).toMatchObject({ state: ContactState.NONE });
    expect(await node.storage.contacts.state(account!.id, "bob@partner.test")).toBe("NONE");
  });

  it("that is blocked delivers nothing any more", async () => {
    const victim = await createPerson(node, "victim@acme.test");
    await victim.shares.setContact({ address: mallory.address, state: ContactState.BLOCKED });
    const { envelope } = seal(node, mallory, victim);
    const { results } = await node.as().federation.deliverShares({ envelopes: [envelope] });
    expect(results).toMatchObject([{ outcome: 3, rejectionReason: RejectionReason.NOT_ACCEPTED }]);
    expect((await victim.shares.listShares({})).shares).toEqual([]);
  });
});

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
