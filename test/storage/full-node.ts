// A database with something in every table, of the kinds that are easily lost on the way: empty and large byte strings, nulls,
// texts in many scripts, numbers up to 2^53, and gaps in what is numbered.

import type { Storage } from "../../src/storage/open.ts";
import {
  acceptance,
  account,
  bytes,
  createAccount,
  DAY,
  enqueue,
  envelope,
  keySet,
  MAX_BYTES,
  NOW,
  notice,
  password,
  range,
  request,
  sealedKeys,
  session,
} from "./fixtures.ts";
import { claim, hostedDomain } from "./suites/domains.ts";

/** Ids of what there is to look for. */
export interface FullNode {
  readonly alice: number;
  readonly bob: number;
  readonly received: Uint8Array;
  readonly sent: Uint8Array;
}

/** Fills an empty storage; `shares` of some kinds, more than a page of what is read at a time. */
export async function fillNode(storage: Storage, shares = 600): Promise<FullNode> {
  const made = account("alice@acme.test", { challenge: { id: bytes(), expiresAt: NOW + DAY } });
  const created = await storage.accounts.create(made);
  if (created.kind !== "created") throw new Error("account was not created");
  const alice = created.accountId;
  const bob = await createAccount(storage, "böb.用户@partner.test", {
    session: session(NOW, "Böbs ноутбук 💻 \u{10FFFF}"),
  });
  const gone = await createAccount(storage, "gone@partner.test");

  await storage.keySets.publish({
    accountId: alice,
    expectedActiveNumber: 1,
    keySet: keySet(2, Number.MAX_SAFE_INTEGER, true),
    sealedKeys: sealedKeys(2),
    now: NOW,
    notice: notice(NOW, 2),
    request: request("PublishKeySet"),
  });
  await storage.accounts.changePassword({
    accountId: alice,
    expectedWrapNumber: 1,
    password: password(2),
    keepSessionId: made.session.id,
    now: NOW,
    notice: notice(),
    request: request("ChangePassword"),
  });
  await storage.accounts.putSealedContacts({
    accountId: alice,
    expectedVersion: 0,
    sealed: bytes(700_000),
    now: NOW,
    request: request("PutSealedContacts"),
  });
  await storage.contacts.set(bob, "mallory@acme.test", "BLOCKED", { now: NOW, maxContacts: 10 });

  const shared = acceptance(bob).senderKeySet;
  const acceptances = range(1, shares).map((i) =>
    acceptance(bob, {
      envelope: envelope({ ciphertext: i % 7 === 0 ? new Uint8Array(0) : bytes(200) }),
      ...(i % 3 === 0 && { senderKeySet: shared }),
      firstContact: i === 1,
    }),
  );
  await storage.received.accept(acceptances);
  const large = acceptance(bob, { envelope: envelope({ ciphertext: bytes(250_000) }) });
  await storage.received.accept([large]);
  await storage.received.markOpened(bob, large.envelope.shareId, NOW + 1);
  await storage.received.delete(bob, acceptances[4]!.envelope.shareId);

  const first = await enqueue(storage, alice, { stampNonce: 2n ** 64n - 1n });
  await Promise.all(range(1, 20).map(() => enqueue(storage, alice)));
  await storage.outbox.lease({
    destination: "partner.test",
    token: "held",
    leaseMs: 60_000,
    limit: 3,
    maxBytes: MAX_BYTES,
    now: NOW,
  });
  await storage.secrets.clusterSecret();
  await claim(storage, hostedDomain({ nextCheckAt: Number.MAX_SAFE_INTEGER }));
  const act = { domain: "owner.test", actor: "alice@acme.test", time: NOW };
  await storage.invitations.create(
    act,
    { id: "0c".repeat(16), name: "用户", codeHash: bytes(), createdAt: NOW, expiresAt: NOW + DAY },
    10,
  );
  await storage.nodeKeys.add({ secretKey: bytes(64), activeFrom: NOW }, 0);
  await storage.peerDomains.replace("acme.test", 0, {
    keyHash: "0a".repeat(32),
    serial: Number.MAX_SAFE_INTEGER,
    bodyHash: "",
    txtSeen: true,
    provenAt: NOW,
    pending: { keyHash: "0b".repeat(32), since: NOW, lastSeen: NOW + 1 },
  });
  // Its numbers are never given again.
  await storage.received.accept([acceptance(gone)]);
  await storage.accounts.delete(gone, NOW);
  return { alice, bob, received: large.envelope.shareId, sent: first.shareId };
}
