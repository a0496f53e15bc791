// A contact's keys on their way into the pins: domains that leave sets out or never end their list, keys that change while
// somebody looks, and what a person agreed to.

import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { AccountService } from "../../gen/keypears/v1/account_service_pb.ts";
import { KeySetView } from "../../gen/keypears/v1/key_set_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { openAccount } from "../../src/client/index.ts";
import { verifyKeySet } from "../../src/protocol/key-set.ts";
import type { ShareContent } from "../../src/protocol/payload.ts";
import { delivered, environment, type Person, reasonOf, shareIds, signUp } from "../support/clients.ts";
import { startTestNodes, type TestNode } from "../support/nodes.ts";
import { makeKeySet, published } from "../support/people.ts";
import { type Bends, bend, bentEnvironment } from "./bent-node.ts";

const TIMEOUT_MS = 120_000;
const HELLO: ShareContent = { kind: "text", text: "hello" };
const { getKeySet, listKeySets } = KeySetService.method;

let nodes: TestNode[] = [];
/** What the nodes of acme.test and partner.test tell Alice otherwise than they should. */
const acme: Bends = new Map();
const partner: Bends = new Map();
let alice: Person;
let bob: Person;

beforeAll(async () => {
  nodes = await startTestNodes({ domain: "acme.test" }, { domain: "partner.test" });
}, TIMEOUT_MS);

beforeEach(async () => {
  acme.clear();
  partner.clear();
  const [own, theirs] = nodes;
  const env = environment(nodes);
  const name = crypto.randomUUID();
  const [person, friend] = await Promise.all([
    signUp(env, `alice-${name}@acme.test`),
    signUp(env, `bob-${name}@partner.test`),
  ]);
  const bent = bentEnvironment(bentEnvironment(env, acme, `${own?.apiUrl}`), partner, `${theirs?.apiUrl}`);
  alice = { ...person, account: openAccount(bent, person.signedIn) };
  bob = friend;
}, TIMEOUT_MS);

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.remove()));
}, TIMEOUT_MS);

it("refuses a newer set whose domain leaves out the one that is pinned", {
  timeout: TIMEOUT_MS,
}, async () => {
  await alice.account.contacts.confirm(bob.address);
  const another = makeKeySet(bob.address, Date.now() - 60_000);
  const next = makeKeySet(bob.address, Date.now(), another);
  bend(partner, getKeySet, async () => ({ published: published(next) }));
  bend(partner, listKeySets, async () => ({ keySets: [published(next)] }));

  expect(await reasonOf(alice.account.contacts.lookUp(bob.address))).toBe("CONTACT_FORK");
  expect(await reasonOf(alice.account.contacts.confirm(bob.address))).toBe("CONTACT_FORK");
  expect(await reasonOf(alice.account.shares.send(bob.address, HELLO))).toBe("CONTACT_FORK");
});

it("refuses a share whose sender's domain leaves out the set that is pinned", {
  timeout: TIMEOUT_MS,
}, async () => {
  await alice.account.contacts.confirm(bob.address);
  await bob.account.resetKeys(bob.password);
  const { shareId } = await bob.account.shares.send(alice.address, HELLO);
  await delivered(bob, shareId);
  bend(partner, listKeySets, async (_request, honest) => ({
    keySets: (await honest()).keySets.filter(({ keySet }) => keySet && verifyKeySet(keySet).number > 1),
  }));

  expect(await reasonOf(alice.account.shares.open(shareId))).toBe("CONTACT_FORK");
});

it("takes no offence at keys that are rotated while it looks", { timeout: TIMEOUT_MS }, async () => {
  await alice.account.contacts.confirm(bob.address);
  await bob.account.rotateKeys();
  bend(partner, getKeySet, async (_request, honest) => {
    const answer = await honest();
    await bob.account.rotateKeys();
    return answer;
  });

  const found = await alice.account.contacts.lookUp(bob.address);

  expect(found).toMatchObject({ standing: "continued", keySet: { number: 2 } });
  expect(found.seen.map(({ number }) => number)).toEqual([1, 2]);
});

it("gives up a list of key sets that does not end", { timeout: TIMEOUT_MS }, async () => {
  await alice.account.contacts.confirm(bob.address);
  await bob.account.rotateKeys();
  const { keySets } = await bob.node.keySets.listKeySets({ address: bob.address, view: KeySetView.FULL });
  let pages = 0;
  bend(partner, listKeySets, async () => {
    pages += 1;
    if (pages > 1_000) throw new Error("it does not give up");
    return { keySets, nextPageToken: "more" };
  });

  expect(await reasonOf(alice.account.contacts.lookUp(bob.address))).toBe("NODE_ANSWER_INVALID");
});

it("sends nothing as long as it cannot keep what it pins", { timeout: TIMEOUT_MS }, async () => {
  bend(acme, AccountService.method.putSealedContacts, async () => {
    throw new ConnectError("the disk is full", Code.Unavailable);
  });

  expect(await reasonOf(alice.account.shares.send(bob.address, HELLO))).toBe("NODE_UNREACHABLE");
  expect(await shareIds(alice, "sent")).toEqual([]);
});

it("opens a share under changed keys only for the fingerprint that a person agreed to", {
  timeout: TIMEOUT_MS,
}, async () => {
  const before = (await alice.account.contacts.lookUp(bob.address)).fingerprint;
  expect((await alice.account.contacts.confirm(bob.address, before)).verified).toBe(true);
  await bob.account.resetKeys(bob.password);
  const { shareId } = await bob.account.shares.send(alice.address, HELLO);
  await delivered(bob, shareId);
  const { fingerprint } = await alice.account.contacts.lookUp(bob.address);

  const shares = alice.account.shares;
  expect(await reasonOf(shares.open(shareId))).toBe("CONTACT_CHANGED");
  expect(await reasonOf(shares.open(shareId, { acceptSender: before }))).toBe("FINGERPRINT_MISMATCH");
  const opened = await shares.open(shareId, { acceptSender: fingerprint.toLowerCase() });

  expect(opened).toMatchObject({ standing: "changed", content: HELLO, senderFingerprint: fingerprint });
  // Somebody compared the old keys, and nobody the new ones.
  expect(await alice.account.contacts.list()).toMatchObject([{ address: bob.address, verified: false }]);
});

it("keeps that fingerprints were compared over a rotation", { timeout: TIMEOUT_MS }, async () => {
  const { fingerprint } = await alice.account.contacts.lookUp(bob.address);
  await alice.account.contacts.confirm(bob.address, fingerprint);
  await bob.account.rotateKeys();
  const { shareId } = await bob.account.shares.send(alice.address, HELLO);
  await delivered(bob, shareId);

  expect((await alice.account.shares.open(shareId)).standing).toBe("continued");
  expect(await alice.account.contacts.list()).toMatchObject([{ address: bob.address, verified: true }]);
});

it("opens a share that its sender's domain cannot confirm only for the fingerprint that a person agreed to", {
  timeout: TIMEOUT_MS,
}, async () => {
  const { shareId } = await bob.account.shares.send(alice.address, HELLO);
  await delivered(bob, shareId);
  bend(partner, listKeySets, async () => {
    throw new ConnectError("gone", Code.Unavailable);
  });

  const shares = alice.account.shares;
  const error: unknown = await shares.open(shareId).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ reason: "CONTACT_UNCONFIRMED" });
  const { fingerprint } = (error as { metadata: { fingerprint: string } }).metadata;
  const other = `${fingerprint.slice(0, -1)}${fingerprint.endsWith("0") ? "1" : "0"}`;
  expect(await reasonOf(shares.open(shareId, { acceptSender: other }))).toBe("FINGERPRINT_MISMATCH");
  expect((await shares.open(shareId, { acceptSender: fingerprint })).standing).toBe("unconfirmed");
});
