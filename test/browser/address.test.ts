// The address vectors of test/protocol/address.test.ts once more, in headless Chromium: one implementation serves both.

import { join } from "node:path";
import { describe, expect, it } from "vitest";
import vectors from "../protocol/address-vectors.json" with { type: "json" };
import { loneSurrogates } from "../protocol/lone-surrogates.ts";
import type { AddressOutcome } from "./address.entry.ts";
import { chromiumNote, findChromium, runInBrowser } from "./harness.ts";

describe.skipIf(findChromium() === undefined)(`addresses in Chromium${chromiumNote()}`, () => {
  it("are refused and brought to canonical form exactly as in Node", { timeout: 180_000 }, async () => {
    const outcomes = await runInBrowser(join(import.meta.dirname, "address.entry.ts"), {
      timeoutMs: 120_000,
    });

    const expected: AddressOutcome[] = [
      ...[...vectors.refused, ...loneSurrogates].map(({ name, error, message }) => ({
        name,
        error,
        message,
      })),
      ...vectors.accepted.map(({ name, canonical }) => ({ name, canonical })),
    ];
    expect(expected.length).toBeGreaterThanOrEqual(60);
    expect(outcomes).toEqual(expected);
  });
});
