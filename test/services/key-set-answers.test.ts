import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KeySetView } from "../../gen/keypears/v1/key_set_pb.ts";
import { noHints } from "../../src/hints.ts";
import {
  createKeySetAnswers,
  type FoundAnswer,
  type KeySetAnswers,
  type KeySetAnswersOptions,
} from "../../src/services/key-set-answers.ts";
import type { KeySetStore } from "../../src/storage/stores.ts";
import { type LinkedHints, linkHints } from "./linked-hints.ts";
import { START } from "./node.ts";

const { BODY, FULL, UNSPECIFIED } = KeySetView;
const ALICE = "alice@acme.test";
const BOB = "bob@acme.test";

type Found = Awaited<ReturnType<KeySetStore["get"]>>;

let now: number;
let hints: LinkedHints;
/** Look-ups in the database, each with what lets it end. */
let reads: { readonly address: string; end(found?: Found): void; fail(error: Error): void }[];

beforeEach(() => {
  now = START;
  hints = linkHints();
  reads = [];
});

/** Answers over a database whose look-ups end when the test says so. */
function answersWith(options: Partial<KeySetAnswersOptions> = {}): KeySetAnswers {
  const get: KeySetStore["get"] = (address) =>
    new Promise((resolve, reject) => {
      reads.push({ address, end: (found = foundSet()) => resolve(found), fail: reject });
    });
  return createKeySetAnswers({
    keySets: { get },
    clock: () => now,
    hints: hints.ours,
    firstContactDifficulty: 1,
    ...options,
  });
}

function foundSet({ activeNumber = 1, bodyLength = 3_200 } = {}): Found {
  const keySet = {
    number: 1,
    body: new Uint8Array(bodyLength),
    hash: new Uint8Array(32),
    selfSignature: new Uint8Array(3_373),
    continuitySignature: new Uint8Array(3_373),
    createdAt: START,
    revokesPrevious: false,
  };
  return { kind: "found", keySet, activeNumber, supersededAt: 0, revoked: false };
}

/** Fills the cache with an answer. */
async function keep(
  answers: KeySetAnswers,
  address = ALICE,
  number = 0,
  view: KeySetView = BODY,
): Promise<FoundAnswer> {
  const finding = answers.find(address, number, view);
  reads.at(-1)?.end();
  return finding;
}

describe("an answer to a look-up", () => {
  it("is read once and then known, by number and view apart", async () => {
    const answers = answersWith();
    expect(answers.known(ALICE, 0, BODY)).toBeUndefined();
    const found = await keep(answers);
    expect(found).toEqual({ kind: "found", answer: answers.known(ALICE, 0, BODY) });
    expect(await answers.find(ALICE, 0, BODY)).toEqual(found);
    expect(reads).toHaveLength(1);
    for (const [number, view] of [
      [1, BODY],
      [0, FULL],
    ] as const) {
      expect(answers.known(ALICE, number, view)).toBeUndefined();
    }
    expect(answers.known(BOB, 0, BODY)).toBeUndefined();
  });

  it("is the same for the full view by name and by default", async () => {
    const answers = answersWith();
    await keep(answers, ALICE, 0, UNSPECIFIED);
    expect(answers.known(ALICE, 0, FULL)).toBeDefined();
  });

  it("is read once for all who ask while it is read", async () => {
    const answers = answersWith();
    const asked = [1, 2, 3].map(() => answers.find(ALICE, 0, BODY));
    expect(reads).toHaveLength(1);
    reads[0]?.end();
    expect(
      new Set((await Promise.all(asked)).map((found) => found.kind === "found" && found.answer)).size,
    ).toBe(1);
  });

  it("is not kept when there is none, nor when the database fails", async () => {
    const answers = answersWith();
    const unknown: Found[] = [{ kind: "address-unknown" }, { kind: "number-unknown", activeNumber: 3 }];
    for (const found of unknown) {
      const finding = answers.find(ALICE, 9, BODY);
      reads.at(-1)?.end(found);
      expect(await finding).toEqual(found);
    }
    const finding = answers.find(ALICE, 9, BODY);
    reads.at(-1)?.fail(new Error("gone"));
    await expect(finding).rejects.toThrow("gone");
    expect((await keep(answers, ALICE, 9)).kind).toBe("found");
    expect(reads).toHaveLength(4);
  });

  it("is kept for a minute, since a hint may be lost", async () => {
    const answers = answersWith();
    await keep(answers);
    now += 59_999;
    expect(answers.known(ALICE, 0, BODY)).toBeDefined();
    now += 1;
    expect(answers.known(ALICE, 0, BODY)).toBeUndefined();
    await keep(answers);
    now -= 1;
    expect(answers.known(ALICE, 0, BODY), "after the clock was set back").toBeUndefined();
  });
});

describe("a change of an address's key sets", () => {
  it("drops all numbers and views of the address, and no other address", async () => {
    const answers = answersWith();
    const kept = [0, 1, 57, 100].flatMap((number) => [BODY, FULL].map((view) => [number, view] as const));
    for (const [number, view] of kept) await keep(answers, ALICE, number, view);
    await keep(answers, BOB);
    await answers.changed(ALICE);
    for (const [number, view] of kept) expect(answers.known(ALICE, number, view)).toBeUndefined();
    expect(answers.known(BOB, 0, BODY)).toBeDefined();
  });

  it("is known to the other processes before it is reported", async () => {
    const ours = answersWith();
    const theirs = answersWith({ hints: hints.theirs });
    await keep(theirs);
    await keep(theirs, BOB);
    await ours.changed(ALICE);
    expect(hints.sent).toEqual([{ kind: "key-sets", address: ALICE }]);
    expect(theirs.known(ALICE, 0, BODY)).toBeUndefined();
    expect(theirs.known(BOB, 0, BODY)).toBeDefined();
  });

  it("is not reported before the hint has arrived", async () => {
    let arrived = (): void => {};
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    let reported = false;
    const answers = answersWith({ hints: { ...noHints(), send: () => arrival } });
    const reporting = answers.changed(ALICE).then(() => {
      reported = true;
    });
    await new Promise(setImmediate);
    expect(reported).toBe(false);
    arrived();
    await reporting;
  });

  it.each<[string, (answers: KeySetAnswers, theirs: KeySetAnswers) => Promise<void> | void]>([
    ["here", (answers) => answers.changed(ALICE)],
    ["elsewhere", (_answers, theirs) => theirs.changed(ALICE)],
    ["unheard of", () => hints.mend()],
  ])(
    "%s overtakes a look-up that began before: it is neither kept nor shared any more",
    async (_where, change) => {
      const answers = answersWith();
      const theirs = answersWith({ hints: hints.theirs });
      const before = answers.find(ALICE, 0, BODY);
      await change(answers, theirs);
      const after = answers.find(ALICE, 0, BODY);
      expect(reads).toHaveLength(2);
      // The later one ends first: the earlier must not take its place.
      reads[1]?.end(foundSet({ activeNumber: 2 }));
      const fresh = await after;
      reads[0]?.end(foundSet({ activeNumber: 1 }));
      expect((await before).kind).toBe("found");
      expect({ kind: "found", answer: answers.known(ALICE, 0, BODY) }).toEqual(fresh);
      expect(await answers.find(ALICE, 0, BODY)).toEqual(fresh);
    },
  );

  it("leaves nothing behind of a look-up that it overtook and that ends at last", async () => {
    const answers = answersWith();
    const before = answers.find(ALICE, 0, BODY);
    await answers.changed(ALICE);
    reads[0]?.end();
    await before;
    expect(answers.known(ALICE, 0, BODY)).toBeUndefined();
  });
});

describe("answers while hints do not arrive", () => {
  it("live a second, those from before too", async () => {
    const answers = answersWith();
    await keep(answers);
    now += 1_000;
    expect(answers.known(ALICE, 0, BODY)).toBeDefined();
    hints.cut();
    expect(answers.known(ALICE, 0, BODY)).toBeUndefined();
    await keep(answers);
    now += 999;
    expect(answers.known(ALICE, 0, BODY)).toBeDefined();
    now += 1;
    expect(answers.known(ALICE, 0, BODY)).toBeUndefined();
  });

  it("count from when their look-up began, not from when it ended", async () => {
    const answers = answersWith();
    hints.cut();
    const finding = answers.find(ALICE, 0, BODY);
    now += 1_000;
    reads[0]?.end();
    await finding;
    expect(answers.known(ALICE, 0, BODY)).toBeUndefined();
  });

  it("are all dropped when hints arrive again", async () => {
    const answers = answersWith();
    await keep(answers);
    await keep(answers, BOB);
    hints.cut();
    hints.mend();
    for (const address of [ALICE, BOB]) expect(answers.known(address, 0, BODY)).toBeUndefined();
  });
});

describe("the memory for answers", () => {
  const ROOM = 1024 * 1024;
  let answers: KeySetAnswers;
  const names = Array.from({ length: 400 }, (_, index) => `person${index}@acme.test`);
  const knownOf = () =>
    names.map((name) => answers.known(name, 0, FULL)).filter((each) => each !== undefined);
  const held = () => knownOf().reduce((sum, answer) => sum + answer.heldBytes, 0);

  beforeEach(async () => {
    answers = answersWith({ maxBytes: ROOM });
    for (const name of names) await keep(answers, name, 0, FULL);
  });
  afterEach(() => expect(held()).toBeLessThanOrEqual(ROOM));

  it("is bounded, and keeps what was asked for last", () => {
    expect(knownOf().length).toBeGreaterThan(50);
    expect(knownOf().length).toBeLessThan(names.length / 2);
    expect(answers.known(names.at(-1) ?? "", 0, FULL)).toBeDefined();
    expect(answers.known(names[0] ?? "", 0, FULL)).toBeUndefined();
  });

  it("counts what is made of an answer later: JSON and gzip push others out", async () => {
    const before = knownOf();
    for (const answer of before) {
      answer.bytes("json");
      await answer.gzip("json");
    }
    expect(knownOf().length).toBeLessThan(before.length * 0.7);
    expect(knownOf().length).toBeGreaterThan(10);
  });

  it("is not taken by what was dropped before JSON was made of it", async () => {
    const dropped = knownOf();
    for (const name of names) await answers.changed(name);
    for (const answer of dropped) answer.bytes("json");
    expect(knownOf()).toHaveLength(0);
  });
});
