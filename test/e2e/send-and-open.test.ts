// Alice at one domain sends Bob at another a secret, end to end: two nodes, two databases, real sockets between them.

import { beforeAll, expect, it, vi } from "vitest";
import { KeySetView } from "../../gen/keypears/v1/key_set_pb.ts";
import { logIn, openAccount } from "../../src/client/index.ts";
import { randomBytes, toHex } from "../../src/crypto/bytes.ts";
import { MAX_PAYLOAD_BYTES, type ShareContent } from "../../src/protocol/payload.ts";
import {
  delivered,
  PATIENCE,
  type Person,
  reasonOf,
  seal,
  settled,
  shareIds,
  signUp,
} from "../support/clients.ts";
import { query } from "../support/database.ts";
import { makeKeySet } from "../support/people.ts";
import { describePair } from "./pair.ts";

const TIMEOUT_MS = 120_000;

/** As much as a share can hold: what is left for the bytes beside the file's name and type. */
const LARGEST_FILE: ShareContent = {
  kind: "file",
  name: "backup.tar",
  mediaType: "application/x-tar",
  content: randomBytes(MAX_PAYLOAD_BYTES - 39),
};

describePair("a share between two domains", (pair) => {
  let alice: Person;
  let bob: Person;

  beforeAll(async () => {
    const { env } = pair();
    [alice, bob] = await Promise.all([signUp(env, "alice@acme.test"), signUp(env, "bob@partner.test")]);
  }, TIMEOUT_MS);

  async function send(content: ShareContent): Promise<Uint8Array> {
    const { shareId } = await alice.account.shares.send("bob@partner.test", content);
    await delivered(alice, shareId);
    return shareId;
  }

  it.each<[string, ShareContent]>([
    ["text", { kind: "text", text: "the door code is 4711 — für später, 🔑" }],
    ["an empty text", { kind: "text", text: "" }],
    [
      "a secret with fields",
      {
        kind: "secret",
        name: "database of acme.test",
        fields: [
          { name: "USER", value: "app" },
          { name: "PASSWORD", value: "pa ss\nwört" },
        ],
      },
    ],
    [
      "a file",
      { kind: "file", name: ".env", mediaType: "application/x-dotenv", content: randomBytes(10_000) },
    ],
    ["the largest file", LARGEST_FILE],
  ])("carries %s, and leaves the sender a copy", { timeout: TIMEOUT_MS }, async (_, content) => {
    const shareId = await send(content);

    const opened = await bob.account.shares.open(shareId);
    expect(opened.content).toEqual(content);
    expect(opened.summary.sender).toBe("alice@acme.test");
    expect((await alice.account.shares.open(shareId, { box: "sent" })).content).toEqual(content);
  });

  it("holds no more than it can, and says how much that is", { timeout: TIMEOUT_MS }, async () => {
    const tooLarge = { ...LARGEST_FILE, content: randomBytes(MAX_PAYLOAD_BYTES - 38) } as ShareContent;

    const refused = alice.account.shares.send("bob@partner.test", tooLarge);

    await expect(refused).rejects.toThrow(`at most ${MAX_PAYLOAD_BYTES}`);
    expect(await reasonOf(refused)).toBe("PAYLOAD_TOO_LARGE");
  });

  it("is told to be opened once its recipient has opened it", { timeout: TIMEOUT_MS }, async () => {
    const shareId = await send({ kind: "text", text: "read me" });
    const before = await bob.node.shares.getShare({ shareId });
    expect(before.summary?.openedAt).toBe(0n);

    await bob.account.shares.open(shareId);

    const after = await bob.node.shares.getShare({ shareId });
    expect(after.summary?.openedAt).toBeGreaterThan(0n);
  });

  it("opens after either side has rotated its keys, once and again", { timeout: TIMEOUT_MS }, async () => {
    const content: ShareContent = { kind: "text", text: "sealed to an older set" };
    const shareId = await send(content);

    await bob.account.rotateKeys();
    await alice.account.rotateKeys();
    await bob.account.rotateKeys();

    expect((await bob.account.shares.open(shareId)).content).toEqual(content);
    expect((await alice.account.shares.open(shareId, { box: "sent" })).content).toEqual(content);
    const next = await send({ kind: "text", text: "sealed to the new set" });
    const opened = await bob.account.shares.open(next);
    expect([opened.summary.senderKeyNumber, opened.standing]).toEqual([2, "continued"]);
  });

  it("to oneself is in both boxes, and each copy is deleted alone", { timeout: TIMEOUT_MS }, async () => {
    const content: ShareContent = { kind: "text", text: "a note to myself" };
    const { shareId } = await alice.account.shares.send("alice@acme.test", content);
    await delivered(alice, shareId);

    expect((await alice.account.shares.open(shareId)).content).toEqual(content);
    await alice.account.shares.delete(shareId, "received");
    expect(await reasonOf(alice.account.shares.open(shareId))).toBe("SHARE_UNKNOWN");
    expect((await alice.account.shares.open(shareId, { box: "sent" })).content).toEqual(content);
  });

  it("to somebody at the same node takes the same way", { timeout: TIMEOUT_MS }, async () => {
    const carol = await signUp(pair().env, "carol@acme.test");
    const content: ShareContent = { kind: "text", text: "across the corridor" };
    const { shareId } = await alice.account.shares.send("carol@acme.test", content);
    await delivered(alice, shareId);

    expect((await carol.account.shares.open(shareId)).content).toEqual(content);
  });

  it("to nobody is refused before anything is sent", { timeout: TIMEOUT_MS }, async () => {
    const sent = await shareIds(alice, "sent");

    const refused = alice.account.shares.send("nobody@partner.test", { kind: "text", text: "hello?" });

    expect(await reasonOf(refused)).toBe("ADDRESS_UNKNOWN");
    expect(await shareIds(alice, "sent")).toEqual(sent);
  });

  it("that expires is gone from its recipient's list when it has", { timeout: TIMEOUT_MS }, async () => {
    const expiresAt = Date.now() + 4_000;
    const { shareId } = await alice.account.shares.send(
      "bob@partner.test",
      { kind: "text", text: "valid until noon" },
      { expiresAt },
    );
    await delivered(alice, shareId);
    const { summary } = await bob.node.shares.getShare({ shareId });
    expect(summary?.expiresAt).toBe(BigInt(expiresAt));

    await vi.waitFor(async () => {
      expect(await shareIds(bob)).not.toContain(toHex(shareId));
    }, PATIENCE);
    expect(await reasonOf(bob.account.shares.open(shareId))).toBe("SHARE_UNKNOWN");
  });

  it("that its recipient deleted stays deleted when it is delivered again", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { envelope, shareId } = await seal(alice, bob, { kind: "text", text: "burn after reading" });
    await alice.node.shares.sendShare({ envelope });
    await delivered(alice, shareId);

    await bob.account.shares.delete(shareId, "received");
    await alice.account.shares.delete(shareId, "sent");
    await alice.node.shares.sendShare({ envelope });
    await delivered(alice, shareId);

    expect(await shareIds(bob)).not.toContain(toHex(shareId));
  });

  it("needs a session of its sender, who cannot be somebody else", { timeout: TIMEOUT_MS }, async () => {
    const { envelope } = await seal(alice, bob, { kind: "text", text: "who sends this?" });
    const mallory = await signUp(pair().env, "mallory@acme.test");

    const refused = mallory.node.shares.sendShare({ envelope });

    await expect(refused).rejects.toThrow("its sender is not the account that sends it");
    expect(await shareIds(mallory, "sent")).toEqual([]);
  });

  it("is not opened by anyone else, who does not even learn of it", { timeout: TIMEOUT_MS }, async () => {
    const shareId = await send({ kind: "text", text: "for Bob alone" });
    const eve = await signUp(pair().env, "eve@partner.test");

    expect(await reasonOf(eve.account.shares.open(shareId))).toBe("SHARE_UNKNOWN");
    expect(await shareIds(eve)).toEqual([]);
  });

  it("is kept, with all else, when both nodes stop and start again", { timeout: TIMEOUT_MS }, async () => {
    const { acme, partner, env } = pair();
    const content: ShareContent = { kind: "text", text: "still here tomorrow" };
    const shareId = await send(content);
    const [sent, received] = [await shareIds(alice, "sent"), await shareIds(bob)];

    await Promise.all([acme.stop(), partner.stop()]);
    await Promise.all([acme.start(), partner.start()]);

    expect(await shareIds(alice, "sent")).toEqual(sent);
    expect(await shareIds(bob)).toEqual(received);
    const onAnotherDevice = openAccount(
      env,
      await logIn(env, { address: bob.address, password: bob.password, deviceName: "another device" }),
    );
    expect((await onAnotherDevice.shares.open(shareId)).content).toEqual(content);
  });

  it("that was taken while the other node was down arrives when it is up", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { acme, partner } = pair();
    const shareId = await send({ kind: "text", text: "before" });
    const { envelope, shareId: waiting } = await seal(alice, bob, { kind: "text", text: "meanwhile" });

    await partner.stop();
    await alice.node.shares.sendShare({ envelope });
    await vi.waitFor(async () => {
      const { attempts, message } = await alice.account.shares.status(waiting);
      expect(attempts).toBeGreaterThan(0);
      expect(message).toMatch(/no connection with partner\.test|broke/);
    }, PATIENCE);
    await acme.stop(); // what was taken has to survive this too
    await acme.start();
    await partner.start();
    await delivered(alice, waiting);

    expect((await shareIds(bob)).slice(0, 2)).toEqual([toHex(waiting), toHex(shareId)]);
  });

  it("is refused by a client whose own published keys were swapped", { timeout: TIMEOUT_MS }, async () => {
    const { acme, env } = pair();
    const dave = await signUp(env, "dave@acme.test");
    const swapped = makeKeySet(dave.address, Date.now());
    const where = "account_id = (select id from accounts where address = ?) and number = 1";

    await query(acme.database, `update key_sets set body = ?, hash = ?, self_signature = ? where ${where}`, [
      swapped.record.body,
      swapped.keySet.hash,
      swapped.record.selfSignature,
      dave.address,
    ]);

    const { published } = await dave.node.keySets.getKeySet({
      address: dave.address,
      view: KeySetView.BODY,
    });
    expect(published?.keySet?.body).toEqual(swapped.record.body);
    expect(await reasonOf(dave.account.keyRing())).toBe("OWN_KEYS_MISMATCH");
    const refused = dave.account.shares.send("bob@partner.test", { kind: "text", text: "is this me?" });
    expect(await reasonOf(refused)).toBe("OWN_KEYS_MISMATCH");
  });

  it("that is refused over there is shown with the reason to its sender", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { envelope, shareId } = await seal(alice, bob, { kind: "text", text: "to the old keys" });
    await bob.account.rotateKeys({ revokePrevious: true });

    await alice.node.shares.sendShare({ envelope });
    const { rejectionReason, message } = await settled(alice, shareId);

    expect(rejectionReason).toBe(3);
    expect(message).toBe("sealed to a key set that is not in use: seal it again");
    expect(await shareIds(bob)).not.toContain(toHex(shareId));
    const again = await alice.account.shares.sendAgain(shareId);
    await delivered(alice, again.shareId);
    expect((await bob.account.shares.open(again.shareId)).content).toEqual({
      kind: "text",
      text: "to the old keys",
    });
  });
});
