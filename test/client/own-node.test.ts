// An account's own node that lies about shares: about who sent one, to whom one was sent, and which box one lies in.

import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { ShareBox, ShareService } from "../../gen/keypears/v1/share_service_pb.ts";
import { openAccount, type ShareSummary } from "../../src/client/index.ts";
import { listKeySets } from "../../src/client/key-ring.ts";
import { parseEnvelope } from "../../src/protocol/envelope.ts";
import type { ShareContent } from "../../src/protocol/payload.ts";
import { sealShare } from "../../src/protocol/seal.ts";
import { delivered, environment, type Person, reasonOf, shareIds, signUp } from "../support/clients.ts";
import { startTestNodes, type TestNode } from "../support/nodes.ts";
import { type Bends, bend, bentEnvironment } from "./bent-node.ts";

const TIMEOUT_MS = 120_000;
const SECRET: ShareContent = { kind: "text", text: "for bob alone" };
const { getShare } = ShareService.method;

let nodes: TestNode[] = [];
/** Alice's own node lies to her as `bends` says. */
const bends: Bends = new Map();
let alice: Person;
let bob: Person;
let mallory: Person;

beforeAll(async () => {
  nodes = await startTestNodes({ domain: "acme.test" }, { domain: "partner.test" });
  const env = environment(nodes);
  const [own, friend, foe] = await Promise.all([
    signUp(env, "alice@acme.test"),
    signUp(env, "bob@partner.test"),
    signUp(env, "mallory@partner.test"),
  ]);
  const lying = bentEnvironment(env, bends, own.signedIn.credentials.apiUrl);
  alice = { ...own, account: openAccount(lying, own.signedIn) };
  bob = friend;
  mallory = foe;
}, TIMEOUT_MS);

beforeEach(() => bends.clear());

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.remove()));
}, TIMEOUT_MS);

it("cannot turn a share that is sent again to another recipient", { timeout: TIMEOUT_MS }, async () => {
  const { shareId } = await alice.account.shares.send(bob.address, SECRET);
  await delivered(alice, shareId);

  bendSummary({ recipient: mallory.address });

  expect(await reasonOf(alice.account.shares.sendAgain(shareId))).toBe("NODE_ANSWER_INVALID");
  expect(await shareIds(mallory)).toEqual([]);
});

it("cannot give a stranger's share out for a friend's", { timeout: TIMEOUT_MS }, async () => {
  const { shareId } = await mallory.account.shares.send(alice.address, SECRET);
  await delivered(mallory, shareId);

  bendSummary({ sender: bob.address });
  expect(await reasonOf(alice.account.shares.open(shareId))).toBe("NODE_ANSWER_INVALID");

  bends.clear();
  const { summary } = await alice.account.shares.open(shareId);
  expect(summary.sender).toBe(mallory.address);
});

it.each([{ createdAt: 1n }, { expiresAt: 1n }, { senderKeyNumber: 2 }, { shareId: new Uint8Array(32) }])(
  "cannot say otherwise of a share than its envelope says: %o",
  { timeout: TIMEOUT_MS },
  async (lie) => {
    const { shareId } = await bob.account.shares.send(alice.address, SECRET);
    await delivered(bob, shareId);

    bendSummary(lie);

    expect(await reasonOf(alice.account.shares.open(shareId))).toBe("NODE_ANSWER_INVALID");
  },
);

it("cannot give a received share out for a sent one, or the reverse", { timeout: TIMEOUT_MS }, async () => {
  const sent = await alice.account.shares.send(bob.address, SECRET);
  const received = await bob.account.shares.send(alice.address, SECRET);
  await Promise.all([delivered(alice, sent.shareId), delivered(bob, received.shareId)]);
  bend(bends, getShare, async ({ shareId = new Uint8Array(), box }) => {
    const other = box === ShareBox.SENT ? ShareBox.RECEIVED : ShareBox.SENT;
    return alice.node.shares.getShare({ shareId, box: other });
  });

  expect(await reasonOf(alice.account.shares.open(sent.shareId))).toBe("NODE_ANSWER_INVALID");
  const opened = alice.account.shares.open(received.shareId, { box: "sent" });
  expect(await reasonOf(opened)).toBe("NODE_ANSWER_INVALID");
});

it("cannot hand over a share that was addressed to somebody else", { timeout: TIMEOUT_MS }, async () => {
  const [senders, recipients] = await Promise.all([mallory.account.keyRing(), alice.account.keyRing()]);
  const [sender, recipient] = [senders[0], recipients[0].keySet];
  const { envelope, shareId } = sealShare({
    content: SECRET,
    sender,
    recipient: { ...recipient, address: bob.address },
    createdAt: Date.now(),
    expiresAt: 0,
  });
  const [senderKeySet] = await listKeySets(mallory.node, mallory.address, 0);

  bend(bends, getShare, async () => {
    const { header } = parseEnvelope(envelope);
    const { sender: from, recipient: to, senderKeyNumber, createdAt } = header;
    const summary = { shareId, sender: from, recipient: to, senderKeyNumber, createdAt };
    return { envelope, summary, ...(senderKeySet && { senderKeySet }) };
  });

  expect(await reasonOf(alice.account.shares.open(shareId))).toBe("NODE_ANSWER_INVALID");
});

/** The own node says something else of every share than it should. */
function bendSummary(lie: Partial<ShareSummary>): void {
  bend(bends, getShare, async (_request, honest) => {
    const answer = await honest();
    if (answer.summary) Object.assign(answer.summary, lie);
    return answer;
  });
}
