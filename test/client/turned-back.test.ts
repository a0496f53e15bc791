// An account's own node that turns back time: it gives old contacts, or hides the newest of the account's own keys. And what
// happens by right: several devices, one that was away, a new one, rotations and resets, and a crash in the midst of one.

import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { AccountService, type GetSealedContactsResponse } from "../../gen/keypears/v1/account_service_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import {
  type Account,
  ContactDecision,
  type Environment,
  logIn,
  openAccount,
  type Seen,
} from "../../src/client/index.ts";
import { verifyKeySet } from "../../src/protocol/key-set.ts";
import { environment, type Person, reasonOf, signUp } from "../support/clients.ts";
import { startTestNodes, type TestNode } from "../support/nodes.ts";
import { type Bends, bend, bentEnvironment } from "./bent-node.ts";

const TIMEOUT_MS = 120_000;
const BOB = "bob@partner.test";
const CAROL = "carol@partner.test";
const { getSealedContacts, getSealedKeys, putSealedContacts } = AccountService.method;
const { listKeySets } = KeySetService.method;

let nodes: TestNode[] = [];
let env: Environment;
/** The node lies to every device as this says. */
const bends: Bends = new Map();
let alice: Person;
/** What Alice's first device has kept. */
let kept: Seen;
let laptop: Account;

beforeAll(async () => {
  nodes = await startTestNodes({ domain: "acme.test" });
  env = bentEnvironment(environment(nodes), bends, `${nodes[0]?.apiUrl}`);
}, TIMEOUT_MS);

beforeEach(async () => {
  bends.clear();
  alice = await signUp(env, `alice-${crypto.randomUUID()}@acme.test`);
  kept = alice.signedIn.credentials.seen ?? {};
  laptop = reopen();
}, TIMEOUT_MS);

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.remove()));
}, TIMEOUT_MS);

it("cannot give an empty contact book for one that was seen", { timeout: TIMEOUT_MS }, async () => {
  await laptop.contacts.block(BOB);
  bend(bends, getSealedContacts, async () => ({ version: 0n }));

  expect(await reasonOf(reopen().contacts.list())).toBe("CONTACTS_ROLLED_BACK");
  expect(await reasonOf(reopen().contacts.accept(CAROL))).toBe("CONTACTS_ROLLED_BACK");
  expect(await reasonOf(reopen().keyRing())).toBe("CONTACTS_ROLLED_BACK");
});

it("cannot give an old contact book for one that was seen", { timeout: TIMEOUT_MS }, async () => {
  const old = await storedContactsAfter(() => laptop.contacts.accept(CAROL));
  await laptop.contacts.block(BOB);
  bend(bends, getSealedContacts, async () => old);

  expect(await reasonOf(reopen().contacts.list())).toBe("CONTACTS_ROLLED_BACK");
});

it("cannot give an old contact book under a new version, not even to a device that remembers nothing", {
  timeout: TIMEOUT_MS,
}, async () => {
  const { sealedContacts } = await storedContactsAfter(() => laptop.contacts.accept(CAROL));
  await laptop.contacts.block(BOB);
  bend(bends, getSealedContacts, async (_request, honest) => ({ ...(await honest()), sealedContacts }));

  expect(await reasonOf(reopen().contacts.list())).toBe("CONTACTS_ROLLED_BACK");
  expect(await reasonOf(reopen({}).contacts.list())).toBe("CONTACTS_ROLLED_BACK");
});

it("cannot give a contact book that it refused for the one that it took under the same version", {
  timeout: TIMEOUT_MS,
}, async () => {
  let refused: Uint8Array = new Uint8Array();
  bend(bends, putSealedContacts, async ({ sealedContacts = new Uint8Array() }) => {
    refused = sealedContacts;
    throw new ConnectError("the disk is full", Code.Unavailable);
  });
  expect(await reasonOf(laptop.contacts.accept(CAROL))).toBe("NODE_UNREACHABLE");
  bends.clear();
  await laptop.contacts.block(BOB);

  bend(bends, getSealedContacts, async () => ({ version: 1n, sealedContacts: refused }));

  expect(await reasonOf(reopen().contacts.list())).toBe("CONTACTS_ROLLED_BACK");
});

it("cannot keep a contact book under another version than it was asked to", {
  timeout: TIMEOUT_MS,
}, async () => {
  bend(bends, putSealedContacts, async (_request, honest) => ({ version: (await honest()).version + 1n }));

  expect(await reasonOf(laptop.contacts.block(BOB))).toBe("NODE_ANSWER_INVALID");
});

it("cannot hide the newest own key set from the device that published it", {
  timeout: TIMEOUT_MS,
}, async () => {
  await laptop.rotateKeys({ revokePrevious: true });
  hideNewestKeySet(1);

  expect(await reasonOf(reopen().keyRing())).toBe("OWN_KEYS_MISMATCH");
  expect(await reasonOf(reopen().rotateKeys())).toBe("OWN_KEYS_MISMATCH");
  expect(await reasonOf(reopen().shares.send(alice.address, { kind: "text", text: "hello" }))).toBe(
    "OWN_KEYS_MISMATCH",
  );
});

it("cannot hide the newest own key set from another device, which finds it in the contact book", {
  timeout: TIMEOUT_MS,
}, async () => {
  await laptop.rotateKeys();
  await laptop.resetKeys(alice.password);
  hideNewestKeySet(2);

  expect(await reasonOf(reopen({}).keyRing())).toBe("OWN_KEYS_MISMATCH");
});

it("cannot hide a rotation that the contact book does not know of from the device that saw it", {
  timeout: TIMEOUT_MS,
}, async () => {
  await laptop.contacts.block(BOB);
  bend(bends, putSealedContacts, async () => {
    throw new ConnectError("the disk is full", Code.Unavailable);
  });
  expect(await reasonOf(laptop.rotateKeys())).toBe("NODE_UNREACHABLE");
  hideNewestKeySet(1);

  expect(await reasonOf(reopen().keyRing())).toBe("OWN_KEYS_MISMATCH");
});

it("may fail between a new key set and the contact book without locking anybody out", {
  timeout: TIMEOUT_MS,
}, async () => {
  await laptop.contacts.block(BOB);
  bend(bends, putSealedContacts, async () => {
    throw new ConnectError("the disk is full", Code.Unavailable);
  });
  expect(await reasonOf(laptop.rotateKeys())).toBe("NODE_UNREACHABLE");
  bends.clear();

  const devices = [laptop, reopen(), reopen({})];
  for (const device of devices) expect(await newestOf(device)).toBe(2);
  await laptop.contacts.accept(CAROL);

  // The next change has brought the book up to date.
  hideNewestKeySet(1);
  expect(await reasonOf(reopen({}).keyRing())).toBe("OWN_KEYS_MISMATCH");
});

it("serves two devices that change the contacts in turn, and one that was away meanwhile", {
  timeout: TIMEOUT_MS,
}, async () => {
  const away = reopen({ ...kept });
  await away.contacts.accept("dave@partner.test");
  const phone = reopen({});
  for (let turn = 0; turn < 3; turn++) {
    await laptop.contacts.accept(`l${turn}@partner.test`);
    await phone.contacts.accept(`p${turn}@partner.test`);
  }

  await away.contacts.block("dave@partner.test");

  const contacts = await reopen({}).contacts.list();
  expect(contacts).toHaveLength(7);
  expect(contacts[0]).toMatchObject({ address: "dave@partner.test", decision: ContactDecision.BLOCKED });
  expect(kept.contacts?.version).toBe(6n);
  expect(await reopen().contacts.list()).toHaveLength(7);
  expect(kept.contacts?.version).toBe(8n);
});

it("serves devices of which one publishes keys while others have old ones in memory", {
  timeout: TIMEOUT_MS,
}, async () => {
  const phone = reopen({});
  expect(await newestOf(phone)).toBe(1);
  expect(await newestOf(laptop)).toBe(1);

  await phone.rotateKeys();
  await laptop.contacts.block(BOB); // meets the newer book, which names the newer keys
  expect(await newestOf(laptop)).toBe(2);
  await laptop.resetKeys(alice.password);

  expect(kept.ownKeySet?.number).toBe(3);
  expect(await newestOf(reopen())).toBe(3);
  expect((await reopen({}).keyRing()).map(({ continuous }) => continuous)).toEqual([false, true, false]);
});

it("gives a device that logs in anew what it gives, and holds it to what it remembers", {
  timeout: TIMEOUT_MS,
}, async () => {
  await laptop.rotateKeys();
  await laptop.contacts.block(BOB);
  const input = { address: alice.address, password: alice.password, deviceName: "new" };

  const fresh = openAccount(env, await logIn(env, input));
  expect(fresh.credentials.seen).toEqual({});
  expect(await fresh.contacts.list()).toMatchObject([{ address: BOB }]);
  expect(await newestOf(fresh)).toBe(2);
  expect(fresh.credentials.seen).toMatchObject({ contacts: { version: 2n }, ownKeySet: { number: 2 } });

  bend(bends, getSealedContacts, async () => ({ version: 0n }));
  const again = openAccount(env, await logIn(env, { ...input, seen: kept }));
  expect(await reasonOf(again.contacts.list())).toBe("CONTACTS_ROLLED_BACK");
});

it("acts on nothing that the device could not keep in mind", { timeout: TIMEOUT_MS }, async () => {
  await laptop.contacts.block(BOB);
  const full = new Error("no space on this device");
  const forgetful = openAccount(env, signedIn({}), {
    onSeen() {
      throw full;
    },
  });

  await expect(forgetful.contacts.list()).rejects.toBe(full);
  await expect(forgetful.keyRing()).rejects.toBe(full);
});

it("cannot make the list of sessions go on for ever", { timeout: TIMEOUT_MS }, async () => {
  const page = await alice.node.accounts.listSessions({});
  const sessions = Array.from({ length: 1_000 }, () => page.sessions).flat();
  let pages = 0;
  bend(bends, AccountService.method.listSessions, async () => {
    pages += 1;
    if (pages > 1_000) throw new Error("it does not give up");
    return { sessions, nextPageToken: "more" };
  });

  expect(await reasonOf(laptop.sessions())).toBe("NODE_ANSWER_INVALID");
});

/** Alice's first device after a restart, or with `seen` another one. */
function reopen(seen?: Seen): Account {
  if (seen !== undefined) return openAccount(env, signedIn(seen));
  return openAccount(env, signedIn(kept), {
    onSeen(news) {
      kept = news;
    },
  });
}

function signedIn(seen: Seen) {
  return { ...alice.signedIn, credentials: { ...alice.signedIn.credentials, seen } };
}

async function newestOf(account: Account): Promise<number | undefined> {
  return (await account.keyRing()).at(-1)?.keySet.number;
}

/** What the node keeps once something was done. */
async function storedContactsAfter(done: () => Promise<void>): Promise<GetSealedContactsResponse> {
  await done();
  return alice.node.accounts.getSealedContacts({});
}

/** The node gives the own key sets up to a number, with their seeds, as it once did. */
function hideNewestKeySet(last: number): void {
  bend(bends, getSealedKeys, async (_request, honest) => {
    const answer = await honest();
    return { ...answer, sealedKeySets: answer.sealedKeySets.filter(({ number }) => number <= last) };
  });
  bend(bends, listKeySets, async (_request, honest) => ({
    keySets: (await honest()).keySets
      .filter(({ keySet }) => keySet && verifyKeySet(keySet).number <= last)
      .map((published) => ({ ...published, activeNumber: last })),
  }));
}
