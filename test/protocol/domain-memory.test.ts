import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex } from "../../src/crypto/bytes.ts";
import {
  confirmDomainKey,
  type DomainMemory,
  judgeDomain,
  livingMemory,
  type SeenDomain,
  withoutPending,
} from "../../src/protocol/domain-memory.ts";
import { DAY, NOW } from "./owned-domain.ts";

const [A, B, C] = ["a", "b", "c"].map((digit) => digit.repeat(64)) as [string, string, string];
const BODY = "d".repeat(64);

type Seen2 = Extract<SeenDomain, { version: 2 }>;
const seen = (change: Partial<Seen2> = {}): Seen2 => ({
  version: 2,
  keyHash: A,
  serial: 7,
  bodyHash: BODY,
  txt: true,
  rotations: [],
  ...change,
});
const memory: DomainMemory = { keyHash: A, serial: 7, bodyHash: BODY, txtSeen: true, provenAt: NOW };
const HOUR = 3_600_000;

/** Looks one after the other, each at so many hours; the memory is carried along. */
function looks(...each: readonly (readonly [hours: number, seen: SeenDomain])[]) {
  let kept: DomainMemory | undefined = memory;
  return each.map(([hours, what]) => {
    const judgement = judgeDomain(kept, what, NOW + hours * HOUR);
    kept = judgement.memory;
    return judgement.standing;
  });
}

describe("a domain of which nothing is remembered", () => {
  it("counts as it is seen", () => {
    expect(judgeDomain(undefined, { version: 1 }, NOW)).toEqual({ standing: "version-1", memory: undefined });
    expect(judgeDomain(undefined, seen(), NOW)).toEqual({ standing: "proven", memory });
  });

  it("is one whose last proof is 30 days old", () => {
    expect(livingMemory(memory, NOW + 30 * DAY - 1)).toBe(memory);
    expect(livingMemory(memory, NOW + 30 * DAY)).toBeUndefined();
    expect(judgeDomain(memory, { version: 1 }, NOW + 30 * DAY).standing).toBe("version-1");
    expect(judgeDomain(memory, seen({ serial: 1, txt: false }), NOW + 30 * DAY).standing).toBe("proven");
  });
});

describe("a domain that has proven itself", () => {
  it.each<[string, SeenDomain, string]>([
    ["goes back to version 1", { version: 1 }, "version"],
    ["shows a lower serial", seen({ serial: 6 }), "serial"],
    ["shows another body under the same serial", seen({ bodyHash: C }), "body"],
    ["has no TXT record any more", seen({ txt: false }), "txt"],
    ["has no TXT record any more, and another key", seen({ txt: false, keyHash: B }), "txt"],
  ])("is downgraded when it %s, and nothing of the memory changes", (_, what, which) => {
    const judgement = judgeDomain(memory, what, NOW + DAY);
    expect(judgement).toEqual({ standing: "downgraded", what: which, memory });
  });

  it("is remembered anew with a higher serial, and a record that it did not have", () => {
    const without = { ...memory, txtSeen: false };
    const judgement = judgeDomain(without, seen({ serial: 8, bodyHash: C }), NOW + DAY);
    expect(judgement.memory).toEqual({ ...memory, serial: 8, bodyHash: C, provenAt: NOW + DAY });
  });

  it("goes on with a key that the remembered one vouches for, however many lie between", () => {
    const rotations = [
      { oldHash: fromHex(C), serial: 5 },
      { oldHash: fromHex(A), serial: 8 },
      { oldHash: fromHex(C), serial: 9 },
    ];
    const judgement = judgeDomain(memory, seen({ keyHash: B, serial: 9, rotations }), NOW + DAY);
    expect(judgement).toMatchObject({
      standing: "proven",
      newKey: "rotated",
      memory: { keyHash: B, serial: 9 },
    });
  });

  it.each([
    ["by another key", { oldHash: fromHex(C), serial: 8 }],
    ["with a serial that was seen under the old one", { oldHash: fromHex(A), serial: 7 }],
  ])("has changed when its new key is vouched for %s", (_, rotation) => {
    const what = seen({ keyHash: B, serial: 9, rotations: [rotation] });
    expect(judgeDomain(memory, what, NOW + DAY).standing).toBe("changed");
  });
});

describe("a key that nothing vouches for", () => {
  const other = seen({ keyHash: B, serial: 1 });

  it("waits until it has stood for 7 days, then begins its serials anew", () => {
    const first = judgeDomain(memory, other, NOW);
    expect(first).toEqual({
      standing: "changed",
      until: NOW + 7 * DAY,
      memory: { ...memory, pending: { keyHash: B, since: NOW, lastSeen: NOW } },
    });
    expect(
      looks([0, other], [48, other], [96, other], [144, other], [168 - 1 / HOUR, other], [168, other]),
    ).toEqual(["changed", "changed", "changed", "changed", "changed", "proven"]);
    const kept = { ...memory, pending: { keyHash: B, since: NOW, lastSeen: NOW + 6 * DAY } };
    expect(judgeDomain(kept, other, NOW + 7 * DAY)).toMatchObject({
      newKey: "waited",
      memory: { keyHash: B, serial: 1, provenAt: NOW + 7 * DAY },
    });
  });

  it.each<[string, SeenDomain]>([
    ["the old key", seen()],
    ["a third key", seen({ keyHash: C })],
    ["version 1", { version: 1 }],
    ["no TXT record", { ...other, txt: false }],
  ])("begins to wait anew when %s was seen meanwhile", (_, between) => {
    const standings = looks([0, other], [40, other], [80, between], [120, other], [168, other]);
    expect(standings.at(-1)).toBe("changed");
  });

  it("has not stood while nobody looked for more than 2 days", () => {
    expect(looks([0, other], [168, other])).toEqual(["changed", "changed"]);
    expect(looks([0, other], [48 + 1 / HOUR, other], [96, other], [144, other], [168, other]).at(-1)).toBe(
      "changed",
    );
  });

  it("counts at once when an operator confirms it, and no other one does", () => {
    const { memory: waiting } = judgeDomain(memory, other, NOW);
    expect(confirmDomainKey(waiting!, C, NOW)).toBeUndefined();
    expect(confirmDomainKey(memory, B, NOW)).toBeUndefined();
    const confirmed = confirmDomainKey(waiting!, B, NOW);
    expect(judgeDomain(confirmed, other, NOW)).toMatchObject({
      standing: "proven",
      memory: { keyHash: B, serial: 1 },
    });
    expect(judgeDomain(confirmed, { ...other, txt: false }, NOW).standing).toBe("downgraded");
    expect(judgeDomain(confirmed, seen(), NOW).standing).toBe("changed");
  });

  it("is forgotten by what proves nothing", () => {
    const { memory: waiting } = judgeDomain(memory, other, NOW);
    expect(withoutPending(waiting!)).toEqual(memory);
  });
});

describe("whatever is seen, in whatever order, with an attacker who has no key", () => {
  const anything: fc.Arbitrary<SeenDomain> = fc.oneof(
    fc.constant<SeenDomain>({ version: 1 }),
    fc.record({
      version: fc.constant(2 as const),
      keyHash: fc.constantFrom(A, B, C),
      serial: fc.integer({ min: 1, max: 9 }),
      bodyHash: fc.constantFrom(BODY, C),
      txt: fc.boolean(),
      rotations: fc.constant([]),
    }),
  );
  const sequence = fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), anything), { maxLength: 30 });

  it("a proof never goes with less than was remembered, and a new key never comes before its 7 days", () => {
    fc.assert(
      fc.property(sequence, (steps) => {
        let kept: DomainMemory | undefined = memory;
        let now = NOW;
        for (const [hours, what] of steps) {
          now += hours * HOUR;
          const before = livingMemory(kept, now);
          const judgement = judgeDomain(kept, what, now);
          kept = judgement.memory;
          if (before === undefined) continue;
          expect(judgement.standing).not.toBe("version-1");
          if (judgement.standing !== "proven") {
            expect(withoutPending(judgement.memory!)).toEqual(withoutPending(before));
            continue;
          }
          const after = judgement.memory;
          expect(before.txtSeen && !after.txtSeen).toBe(false);
          if (after.keyHash === before.keyHash) {
            expect(after.serial).toBeGreaterThanOrEqual(before.serial);
            if (after.serial === before.serial) expect(after.bodyHash).toBe(before.bodyHash);
          } else {
            expect(before.pending?.keyHash).toBe(after.keyHash);
            expect(now - (before.pending?.since ?? now)).toBeGreaterThanOrEqual(7 * DAY);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
