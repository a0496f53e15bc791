/** How many stamps are tried in a second: our miner on one thread and on all, beside a library called once per try. */

import { blake3 as noble } from "@noble/hashes/blake3.js";
import { createBLAKE3 } from "hash-wasm";
import { randomBytes, u64 } from "../src/crypto/bytes.ts";
import { MAX_STAMP_DIFFICULTY, mineStamp } from "../src/crypto/stamp.ts";
import { type Bench, type Row, summarize } from "./result.ts";

const ROUNDS = 5;
const ROUND_MS = 2_000;
/** Between two looks at the clock. */
const SLICE_TRIES = 2_000;

/** Tries a second. */
export const bench: Bench = {
  question: "How many tries for a stamp does a second give, beside a library called once per try?",
  async run(progress) {
    const key = randomBytes(32);
    const hashWasm = await createBLAKE3(256, key);
    const searches: Readonly<Record<string, () => Promise<number>>> = {
      "keypears, one thread": () => mined(key, 1),
      "keypears, two threads": () => mined(key, 2),
      "hash-wasm": () => tried((nonce) => hashWasm.init().update(u64(nonce)).digest("binary")),
      noble: () => tried((nonce) => noble(u64(nonce), { key })),
    };
    const figures = new Map<string, number[]>();
    for (let round = 0; round < ROUNDS; round++) {
      progress(`round ${round + 1} of ${ROUNDS}`);
      for (const [name, search] of Object.entries(searches)) {
        figures.set(name, [...(figures.get(name) ?? []), await search()]);
      }
    }
    const rows = Array.from(figures, ([implementation, rates]): Row => {
      const { median, spread } = summarize(rates);
      return { op: "stamp", implementation, value: median / 1e6, unit: "million tries/s", spread };
    });
    const rate = (name: string) =>
      rows.find(({ implementation }) => implementation === name)?.value ?? Number.NaN;
    return {
      rows,
      ratios: {
        "stamp: keypears/hash-wasm": rate("keypears, one thread") / rate("hash-wasm"),
        "stamp: keypears/noble": rate("keypears, one thread") / rate("noble"),
        "stamp: two-threads/one": rate("keypears, two threads") / rate("keypears, one thread"),
      },
    };
  },
};

/** Tries a second of our miner, at a difficulty that no luck meets within a round. */
async function mined(key: Uint8Array, threads: number): Promise<number> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), ROUND_MS);
  // From the first report on, so that the start of threads is not counted.
  let first: { tries: number; at: number } | undefined;
  let last = { tries: 0, at: 0 };
  try {
    await mineStamp(key, MAX_STAMP_DIFFICULTY, {
      threads,
      signal: stop.signal,
      onProgress({ tries }) {
        last = { tries, at: performance.now() };
        first ??= last;
      },
    });
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  return first === undefined ? 0 : ((last.tries - first.tries) * 1_000) / (last.at - first.at);
}

/** Tries a second, one call each. */
async function tried(attempt: (nonce: number) => unknown): Promise<number> {
  const started = performance.now();
  let tries = 0;
  while (performance.now() - started < ROUND_MS) {
    for (let i = 0; i < SLICE_TRIES; i++) attempt(tries + i);
    tries += SLICE_TRIES;
  }
  return (tries * 1_000) / (performance.now() - started);
}
