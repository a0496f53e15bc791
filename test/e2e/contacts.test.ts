// What stands between two people: stamps for a first contact, accepting and blocking, and keys that change.

import { beforeAll, expect, it } from "vitest";
import { RejectionReason } from "../../gen/keypears/v1/share_service_pb.ts";
import { DeliveryState } from "../../src/client/index.ts";
import { generateSeeds } from "../../src/client/key-ring.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import { buildKeySet, verifyKeySet } from "../../src/protocol/key-set.ts";
import type { ShareContent } from "../../src/protocol/payload.ts";
import { delivered, type Person, reasonOf, seal, settled, shareIds, signUp } from "../support/clients.ts";
import { query } from "../support/database.ts";
import { stamp } from "../support/people.ts";
import { describePair } from "./pair.ts";

const TIMEOUT_MS = 120_000;
const DIFFICULTY = 512;
const HELLO: ShareContent = { kind: "text", text: "hello" };

describePair(
  "two people",
  (pair) => {
    let alice: Person;
    let bob: Person;

    beforeAll(async () => {
      const { env } = pair();
      [alice, bob] = await Promise.all([signUp(env, "alice@acme.test"), signUp(env, "bob@partner.test")]);
    }, TIMEOUT_MS);

    /** Sends without a stamp, whatever the recipient asks for. */
    async function sendUnstamped(from: Person, to: Person): Promise<Uint8Array> {
      const { envelope, shareId } = await seal(from, to, HELLO);
      await from.node.shares.sendShare({ envelope });
      return shareId;
    }

    async function rejectionOf(from: Person, shareId: Uint8Array): Promise<RejectionReason> {
      const { state, rejectionReason } = await settled(from, shareId);
      expect(state).toBe(DeliveryState.REJECTED);
      return rejectionReason;
    }

    async function hasStamp(shareId: Uint8Array): Promise<boolean> {
      const statement = "select stamp_nonce from sent_shares where share_id = ?";
      const [row] = await query(pair().acme.database, statement, [shareId]);
      return row?.stamp_nonce instanceof Uint8Array;
    }

    /** Puts a set that `person` never made in the place of the one with this number, as a node could that lies. */
    async function swapKeySet(person: Person, number: number): Promise<() => Promise<void>> {
      const { acme, partner } = pair();
      const node = person.address.endsWith("@acme.test") ? acme : partner;
      const { database } = node;
      const where = "where account_id = (select id from accounts where address = ?) and number = ?";
      const [row] = await query(database, `select * from key_sets ${where}`, [person.address, number]);
      const set = async (body: Uint8Array, hash: Uint8Array, signature: Uint8Array) => {
        const statement = `update key_sets set body = ?, hash = ?, self_signature = ? ${where}`;
        await query(database, statement, [body, hash, signature, person.address, number]);
        node.missHints();
      };
      const previous = (await person.account.keyRing()).find(({ keySet }) => keySet.number === number - 1);
      const record = buildKeySet({
        address: person.address,
        createdAt: Date.now(),
        seeds: generateSeeds(),
        ...(previous && { previous: { keySet: previous.keySet } }),
        revokesPrevious: false,
      });
      await set(record.body, verifyKeySet(record).hash, record.selfSignature);
      return () => set(row?.body as Uint8Array, row?.hash as Uint8Array, row?.self_signature as Uint8Array);
    }

    it("need no stamp any more once one of them has replied", { timeout: TIMEOUT_MS }, async () => {
      const refused = await sendUnstamped(alice, bob);
      expect(await rejectionOf(alice, refused)).toBe(RejectionReason.STAMP_REQUIRED);

      const first = await alice.account.shares.send(bob.address, HELLO);
      await delivered(alice, first.shareId);
      expect(await hasStamp(first.shareId)).toBe(true);
      expect(await rejectionOf(alice, await sendUnstamped(alice, bob))).toBe(RejectionReason.STAMP_REQUIRED);

      await bob.account.shares.open(first.shareId);
      const reply = await bob.account.shares.send(alice.address, HELLO);
      await delivered(bob, reply.shareId);
      await alice.account.shares.open(reply.shareId);

      await delivered(alice, await sendUnstamped(alice, bob));
      const next = await alice.account.shares.send(bob.address, HELLO);
      await delivered(alice, next.shareId);
      expect(await hasStamp(next.shareId)).toBe(false);
    });

    it("have a refused share queued again by sending it with a stamp", { timeout: TIMEOUT_MS }, async () => {
      const carol = await signUp(pair().env, "carol@acme.test");
      const { envelope, shareId } = await seal(carol, bob, HELLO);
      await carol.node.shares.sendShare({ envelope });
      expect(await rejectionOf(carol, shareId)).toBe(RejectionReason.STAMP_REQUIRED);

      await stamp(envelope, shareId, bob.address, DIFFICULTY);
      await carol.node.shares.sendShare({ envelope });

      await delivered(carol, shareId);
      expect((await bob.account.shares.open(shareId)).content).toEqual(HELLO);
    });

    it("send without a stamp to whoever accepted them, and not at all to whoever blocked them", {
      timeout: TIMEOUT_MS,
    }, async () => {
      const dave = await signUp(pair().env, "dave@acme.test");
      await bob.account.contacts.accept(dave.address);
      await delivered(dave, await sendUnstamped(dave, bob));

      await bob.account.contacts.block(dave.address);
      const refused = await dave.account.shares.send(bob.address, HELLO);
      expect(await rejectionOf(dave, refused.shareId)).toBe(RejectionReason.NOT_ACCEPTED);
      expect(await shareIds(bob)).not.toContain(toHex(refused.shareId));

      await bob.account.contacts.forget(dave.address);
      expect(await rejectionOf(dave, await sendUnstamped(dave, bob))).toBe(RejectionReason.STAMP_REQUIRED);
    });

    it("send nothing to keys that were reset until a person confirms them", {
      timeout: TIMEOUT_MS,
    }, async () => {
      const erin = await signUp(pair().env, "erin@partner.test");
      await delivered(alice, (await alice.account.shares.send(erin.address, HELLO)).shareId);
      const sent = await shareIds(alice, "sent");
      const before = await alice.account.contacts.lookUp(erin.address);

      await erin.account.resetKeys(erin.password);
      const refused = alice.account.shares.send(erin.address, HELLO);

      await expect(refused).rejects.toMatchObject({
        reason: "CONTACT_CHANGED",
        metadata: { pinned_fingerprint: before.fingerprint },
      });
      expect(await shareIds(alice, "sent")).toEqual(sent);
      const compared = (await alice.account.contacts.lookUp(erin.address)).fingerprint;
      expect(await reasonOf(alice.account.contacts.confirm(erin.address, before.fingerprint))).toBe(
        "FINGERPRINT_MISMATCH",
      );
      await alice.account.contacts.confirm(erin.address, compared);
      await delivered(alice, (await alice.account.shares.send(erin.address, HELLO)).shareId);
    });

    it("open nothing from keys that were reset until a person confirms them", {
      timeout: TIMEOUT_MS,
    }, async () => {
      const frank = await signUp(pair().env, "frank@acme.test");
      const { shareId: known } = await frank.account.shares.send(bob.address, HELLO);
      await delivered(frank, known);
      expect((await bob.account.shares.open(known)).standing).toBe("new");

      await frank.account.resetKeys(frank.password);
      const { shareId } = await frank.account.shares.send(bob.address, HELLO);
      await delivered(frank, shareId);

      expect(await reasonOf(bob.account.shares.open(shareId))).toBe("CONTACT_CHANGED");
      expect((await bob.node.shares.getShare({ shareId })).summary?.openedAt).toBe(0n);
      expect((await bob.account.shares.open(known)).standing).toBe("pinned");
      await bob.account.contacts.confirm(frank.address);
      expect((await bob.account.shares.open(shareId)).content).toEqual(HELLO);
    });

    it("refuse keys that fork from those that they know, old ones and new ones", {
      timeout: TIMEOUT_MS,
    }, async () => {
      const grace = await signUp(pair().env, "grace@partner.test");
      const { shareId: pinning } = await alice.account.shares.send(grace.address, HELLO);
      await delivered(alice, pinning);
      const reply = await grace.account.shares.send(alice.address, HELLO);
      await delivered(grace, reply.shareId);
      const sent = await shareIds(alice, "sent");

      const restore = await swapKeySet(grace, 1);
      expect(await reasonOf(alice.account.shares.send(grace.address, HELLO))).toBe("CONTACT_FORK");
      expect(await reasonOf(alice.account.contacts.confirm(grace.address))).toBe("CONTACT_FORK");
      expect(await shareIds(alice, "sent")).toEqual(sent);
      await restore();
      await grace.account.rotateKeys();
      await delivered(alice, (await alice.account.shares.send(grace.address, HELLO)).shareId);

      // The set that is pinned by now is the second one.
      const restoreAgain = await swapKeySet(grace, 2);
      expect(await reasonOf(alice.account.shares.send(grace.address, HELLO))).toBe("CONTACT_FORK");
      await restoreAgain();
      expect((await alice.account.shares.open(reply.shareId)).content).toEqual(HELLO);
    });

    it("cannot be told apart by capitals, and are one contact in any spelling", {
      timeout: TIMEOUT_MS,
    }, async () => {
      const { shareId, recipient } = await alice.account.shares.send("BOB@Partner.TEST", HELLO);
      await delivered(alice, shareId);

      expect(recipient).toBe("bob@partner.test");
      const contacts = await alice.account.contacts.list();
      expect(contacts.filter(({ address }) => address === "bob@partner.test")).toHaveLength(1);
    });
  },
  { "first-contact-difficulty": DIFFICULTY },
);
