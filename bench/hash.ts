/** How fast is BLAKE3 at each size, ours beside every implementation that a user could install? */

import { blake3 as noble } from "@noble/hashes/blake3.js";
import { blake3Hash } from "@webbuf/blake3";
import { WebBuf } from "@webbuf/webbuf";
import { hash as jit } from "blake3-jit";
import { createBLAKE3 } from "hash-wasm";
import { primitives } from "../src/crypto/select.ts";
import { type Candidate, interleave } from "./interleave.ts";
import { largeInput } from "./large-input.ts";
import { type Bench, formatBytes, type Row } from "./result.ts";

/** Size of what is hashed on several threads. */
const LARGE_BYTES = 2 ** 28;
const SIZES = [32, 64, 128, 256, 512, 1024, 4096, 16_384, 65_536, 262_144, 2 ** 20, 2 ** 22, 2 ** 24];

/** Plain BLAKE3 from 32 B to 16 MiB. */
export const bench: Bench = {
  question: "How fast is BLAKE3 at each size, beside what else could be installed?",
  async run(progress) {
    const hashWasm = await createBLAKE3();
    const implementations: Readonly<Record<string, (data: Uint8Array) => unknown>> = {
      keypears: primitives().blake3.hash,
      "hash-wasm": (data) => hashWasm.init().update(data).digest("binary"),
      "blake3-jit": jit,
      "@webbuf/blake3": (data) => blake3Hash(WebBuf.fromUint8Array(data)),
      noble: (data) => noble(data),
    };
    const rows: Row[] = [];
    const ratios: Record<string, number> = {};
    for (const bytes of SIZES) {
      progress(`BLAKE3 of ${formatBytes(bytes)}`);
      const data = filled(bytes);
      const measured = await interleave(
        Object.entries(implementations).map(
          ([name, hash]): Candidate => ({
            name,
            run(times) {
              for (let i = 0; i < times; i++) hash(data);
            },
          }),
        ),
      );
      const ours = measured[0]?.seconds ?? Number.NaN;
      for (const { name, seconds, spread } of measured) {
        rows.push({
          op: "blake3",
          bytes,
          implementation: name,
          value: bytes / seconds / 1e6,
          unit: "MB/s",
          spread,
        });
        if (name !== "keypears") ratios[`blake3: keypears/${name}@${bytes}`] = seconds / ours;
      }
    }
    progress(`BLAKE3 of ${formatBytes(LARGE_BYTES)} on one thread and on two`);
    await using large = await largeInput(filled(2 ** 20), LARGE_BYTES / 2 ** 20);
    const threads = await interleave(
      [1, 2].map(
        (count): Candidate => ({
          name: count === 1 ? "keypears, one thread" : "keypears, two threads",
          async run(times) {
            for (let i = 0; i < times; i++) await large.hash(count);
          },
        }),
      ),
      { rounds: 9, roundMs: 1 },
    );
    for (const { name, seconds, spread } of threads) {
      const value = LARGE_BYTES / seconds / 1e6;
      rows.push({
        op: large.op,
        bytes: LARGE_BYTES,
        implementation: name,
        value,
        unit: "MB/s",
        spread,
      });
    }
    const [one, two] = threads;
    if (one && two) ratios[`blake3: two-threads/one@${LARGE_BYTES}`] = one.seconds / two.seconds;
    return { rows, ratios };
  },
};

/** Bytes that no implementation can take a short cut on. */
function filled(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (index * 251 + (index >>> 8)) & 0xff);
}
