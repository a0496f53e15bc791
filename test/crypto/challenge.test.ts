import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, lp, randomBytes, u64 } from "../../src/crypto/bytes.ts";
import { buildChallenge, CHALLENGE_LIFETIME_MS, openChallenge } from "../../src/crypto/challenge.ts";
import { CryptoError } from "../../src/crypto/errors.ts";
import { mineStamp, stampKey, verifyStamp } from "../../src/crypto/stamp.ts";
import { js } from "./tiers.ts";

const secret = randomBytes(32);
const now = 1_750_000_000_000;
const address = "alice@acme.test";
const challenge = buildChallenge(secret, { address, difficulty: 1000, now });

test("any bit flipped, any cut, another secret or another address makes it invalid", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 8 * challenge.length - 1 }), (bit) => {
      const altered = challenge.slice();
      altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(openChallenge(secret, altered, { address, now })).toEqual({ status: "invalid" });
      const cut = challenge.subarray(0, bit >> 3);
      expect(openChallenge(secret, cut, { address, now })).toEqual({ status: "invalid" });
    }),
  );
  expect(openChallenge(randomBytes(32), challenge, { address, now })).toEqual({ status: "invalid" });
  expect(openChallenge(secret, challenge, { address: "bob@acme.test", now })).toEqual({ status: "invalid" });
});

test("authenticated bytes that are no challenge are invalid too", () => {
  for (const fields of [new Uint8Array(0), new Uint8Array(31), new Uint8Array(32)]) {
    const forged = concat(fields, js.blake3.keyed(secret, fields));
    expect(openChallenge(secret, forged, { address, now })).toEqual({ status: "invalid" });
  }
});

test("it is valid for fifteen minutes and expired from then on", () => {
  const at = (later: number) => openChallenge(secret, challenge, { address, now: now + later }).status;
  expect(CHALLENGE_LIFETIME_MS).toBe(900_000);
  expect(at(0)).toBe("valid");
  expect(at(899_999)).toBe("valid");
  expect(at(900_000)).toBe("expired");
});

test("a secret of the wrong length is an error, not an invalid challenge", () => {
  expect(() => openChallenge(secret.subarray(1), challenge, { address, now })).toThrow(CryptoError);
});

test("the bytes are those of the protocol", () => {
  const fields = concat(u64(now + 900_000), challenge.subarray(8, 24), u64(1000), lp(address));
  expect(challenge).toEqual(concat(fields, js.blake3.keyed(secret, fields)));
  expect(buildChallenge(secret, { address, difficulty: 1000, now })).not.toEqual(challenge);
});

test("its id and address are what a stamp answers it with", async () => {
  const opened = openChallenge(secret, challenge, { address, now });
  if (opened.status !== "valid") throw new Error(`challenge is ${opened.status}`);
  expect(opened).toEqual({
    status: "valid",
    id: challenge.slice(0, 32),
    difficulty: 1000,
    expiresAt: now + 900_000,
  });
  const key = stampKey(opened.id, address);
  expect(key).toEqual(js.blake3.deriveKey("keypears v1 stamp", challenge.subarray(0, -32)));
  expect(verifyStamp(key, await mineStamp(key, opened.difficulty), opened.difficulty)).toBe(true);
});
