import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countsForNewEnvelopes } from "../../src/protocol/key-window.ts";
import { START } from "./people.ts";

const MINUTES_5 = 5 * 60 * 1_000;
const DAYS_4 = 4 * 24 * 60 * 60 * 1_000;
const superseded = { supersededAt: START, revoked: false };
const revoked = { supersededAt: START, revoked: true };
const active = { supersededAt: 0, revoked: false };

describe("a superseded key set", () => {
  it.each([
    ["never counts once its successor revokes it", revoked, START, START, false],
    [
      "does not count for what was dated before its successor either, once revoked",
      revoked,
      START - 1,
      START,
      false,
    ],
    ["counts until the last millisecond of four days", superseded, START, START + DAYS_4 - 1, true],
    ["does not count when four days are over", superseded, START, START + DAYS_4, false],
    ["does not count later", superseded, START - DAYS_4, START + DAYS_4 + 1, false],
    [
      "counts for an envelope dated five minutes after its successor",
      superseded,
      START + MINUTES_5,
      START,
      true,
    ],
    ["does not count for one dated a millisecond later", superseded, START + MINUTES_5 + 1, START, false],
    ["counts for an envelope dated long before", superseded, START - DAYS_4, START + 1, true],
    ["counts while its successor is dated ahead of this clock", superseded, START, START - MINUTES_5, true],
  ] as const)("%s", (_, set, envelopeCreatedAt, now, counts) => {
    expect(countsForNewEnvelopes(set, envelopeCreatedAt, now)).toBe(counts);
  });

  it("never counts again once time has passed over it", () => {
    const around = fc.integer({ min: START - 2 * DAYS_4, max: START + 2 * DAYS_4 });
    fc.assert(
      fc.property(around, around, fc.nat({ max: DAYS_4 }), (dated, now, later) => {
        if (countsForNewEnvelopes(superseded, dated, now + later)) {
          expect(countsForNewEnvelopes(superseded, dated, now)).toBe(true);
        }
      }),
    );
  });
});

describe("the active key set", () => {
  it("counts at any time", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (dated, now) => {
        expect(countsForNewEnvelopes(active, dated, now)).toBe(true);
      }),
    );
  });
});
