import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { toHex } from "../../src/crypto/bytes.ts";
import { chromiumNote, findChromium, runInBrowser } from "../browser/harness.ts";
import { native } from "./tiers.ts";

const ENTRY = fileURLToPath(new URL("./browser.entry.ts", import.meta.url));
const data = Uint8Array.from({ length: 20 * 1024 * 1024 + 5 }, (_, i) => (i * 7 + (i >> 8)) % 251);

describe.skipIf(findChromium() === undefined)(`the crypto layer in Chromium${chromiumNote()}`, () => {
  test("hashes in WebAssembly, on the page and in workers, and signs in JavaScript, as Node does", async () => {
    const hash = toHex(native.blake3.hash(data));
    expect(await runInBrowser(ENTRY)).toEqual({
      tiers: {
        ...{ blake3: "wasm", sha256: "wasm", sha512: "wasm", hkdfSha256: "wasm", argon2id: "wasm" },
        ...{ ed25519: "js", x25519: "js", mlDsa65: "js", mlKem768: "js", aes256Gcm: "js" },
      },
      hash,
      stream: hash,
      sha256: toHex(native.sha256(data.subarray(0, 32))),
      workers: 2,
      stamp: true,
      verdicts: Array.from({ length: 12 }, (_, i) => i % 3 !== 0),
    });
  }, 120_000);
});
