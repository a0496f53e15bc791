import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { describe, expect, test } from "vitest";
import { concat, fromHex, toHex, utf8 } from "../../src/crypto/bytes.ts";
import { js, native, tiers } from "./tiers.ts";

// Signatures that implementations disagree on, made by hand. The rule: A and R canonical, S < L, neither of small order,
// and the encoding of [S]B − [k]A equal to the bytes of R.

const { Point } = ed25519;
type Point = InstanceType<typeof Point>;
const L = Point.Fn.ORDER;
const B = Point.BASE;
const P = 2n ** 255n - 19n;

const bigOf = (bytes: Uint8Array) => BigInt(`0x${toHex(bytes.slice().reverse())}`);
const bytesOf = (n: bigint) => fromHex(n.toString(16).padStart(64, "0")).reverse();
const mod = (n: bigint, m: bigint) => ((n % m) + m) % m;
const challenge = (R: Uint8Array, A: Uint8Array, message: Uint8Array) =>
  mod(bigOf(sha512(concat(R, A, message))), L);
const times = (p: Point, n: bigint) => {
  let sum = Point.ZERO;
  for (let i = 0n; i < n; i++) sum = sum.add(p);
  return sum;
};

const T8 = Point.fromBytes(
  fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
  false,
);
const torsion = Array.from({ length: 8 }, (_, i) => times(T8, BigInt(i)));
const secret = 0x1234567890abcdefn; // a scalar: keys with torsion have no seed
const nonce = 0xfedcba0987654321n;
const messages = Array.from({ length: 24 }, (_, i) => utf8(`message ${i}`));

/** Signs as the owner of `secret` would, with A and R as given, whatever they are. */
function sign(A: Uint8Array, R: Uint8Array, message: Uint8Array): Uint8Array {
  return concat(R, bytesOf(mod(nonce + challenge(R, A, message) * secret, L)));
}

function verdict(A: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const [a, b] = [native, js].map((tier) => tier.ed25519.verify(A, message, signature));
  expect(a).toBe(b);
  return a as boolean;
}

test("the eight points of small order are what they are taken for", () => {
  expect(new Set(torsion.map((p) => toHex(p.toBytes()))).size).toBe(8);
  expect(torsion.every((p) => p.isSmallOrder())).toBe(true);
});

test("a hand-made signature without tricks verifies", () => {
  const A = B.multiply(secret).toBytes();
  const R = B.multiply(nonce).toBytes();
  for (const message of messages) expect(verdict(A, message, sign(A, R, message))).toBe(true);
});

test("torsion in A is accepted exactly when the challenge cancels it", () => {
  let accepted = 0;
  let refused = 0;
  for (let i = 1; i < 8; i++) {
    const A = B.multiply(secret)
      .add(torsion[i] as Point)
      .toBytes();
    const R = B.multiply(nonce).toBytes();
    for (const message of messages) {
      const cancels = (challenge(R, A, message) * BigInt(i)) % 8n === 0n;
      expect(verdict(A, message, sign(A, R, message))).toBe(cancels);
      if (cancels) accepted++;
      else refused++;
    }
  }
  expect(accepted).toBeGreaterThan(0);
  expect(refused).toBeGreaterThan(0);
});

test("torsion in R alone is refused", () => {
  const A = B.multiply(secret).toBytes();
  for (const T of torsion.slice(1)) {
    const R = B.multiply(nonce).add(T).toBytes();
    for (const message of messages.slice(0, 4)) expect(verdict(A, message, sign(A, R, message))).toBe(false);
  }
});

test("torsion in both is accepted exactly when R's is the negated multiple of A's", () => {
  let accepted = 0;
  for (let i = 1; i < 8; i += 2) {
    const A = B.multiply(secret)
      .add(torsion[i] as Point)
      .toBytes();
    for (let j = 0; j < 8; j++) {
      const R = B.multiply(nonce)
        .add(torsion[j] as Point)
        .toBytes();
      for (const message of messages.slice(0, 6)) {
        const matches = mod(-challenge(R, A, message) * BigInt(i), 8n) === BigInt(j);
        expect(verdict(A, message, sign(A, R, message))).toBe(matches);
        if (matches) accepted++;
      }
    }
  }
  expect(accepted).toBeGreaterThan(0);
});

test("A of small order is refused, though the equation holds", () => {
  let cases = 0;
  for (const [i, T] of torsion.entries()) {
    const A = T.toBytes();
    for (const message of messages.slice(0, 8)) {
      for (const [j, U] of torsion.entries()) {
        const R = B.multiply(nonce).add(U).toBytes();
        const holds = mod(-challenge(R, A, message) * BigInt(i), 8n) === BigInt(j);
        if (!holds) continue;
        expect(verdict(A, message, concat(R, bytesOf(nonce)))).toBe(false);
        cases++;
      }
    }
  }
  expect(cases).toBeGreaterThan(30);
});

test("A in another than its one spelling is refused", () => {
  const withSign = (bytes: Uint8Array) => {
    const copy = bytes.slice();
    copy[31] = (copy[31] as number) | 0x80;
    return copy;
  };
  const spellings = [bytesOf(P), bytesOf(P + 1n), withSign(bytesOf(1n)), withSign(bytesOf(P - 1n))];
  for (let y = 0n; y < 19n; y++) spellings.push(bytesOf(P + y), withSign(bytesOf(P + y)));
  const R = B.multiply(nonce).toBytes();
  for (const A of spellings) {
    for (const message of messages) expect(verdict(A, message, concat(R, bytesOf(nonce)))).toBe(false);
  }
});

test("R of small order is refused in every spelling, though the equation holds", () => {
  let cases = 0;
  const negativeZero = bytesOf(1n);
  negativeZero[31] = 0x80;
  for (const [i, T] of torsion.entries()) {
    const A = B.multiply(secret).add(T).toBytes();
    for (const [j, U] of torsion.entries()) {
      const spellings = j === 0 ? [U.toBytes(), bytesOf(P + 1n), negativeZero] : [U.toBytes()];
      for (const R of spellings) {
        for (const message of messages.slice(0, 8)) {
          const k = challenge(R, A, message);
          const holds = mod(-k * BigInt(i), 8n) === BigInt(j); // the nonce is zero: R is U, if A's torsion is cancelled
          if (!holds) continue;
          expect(verdict(A, message, concat(R, bytesOf(mod(k * secret, L))))).toBe(false);
          cases++;
        }
      }
    }
  }
  expect(cases).toBeGreaterThan(60);
});

test("S of L or more is refused", () => {
  const A = B.multiply(secret).toBytes();
  const R = B.multiply(nonce).toBytes();
  for (const message of messages.slice(0, 4)) {
    const S = bigOf(sign(A, R, message).subarray(32));
    for (let s = S + L; s < 2n ** 256n; s += L * 5n) {
      expect(verdict(A, message, concat(R, bytesOf(s)))).toBe(false);
    }
  }
});

describe.each(tiers)("the %s tier", (_, tier) => {
  test("refuses A and R that are no points at all", () => {
    const good = tier.ed25519.sign(new Uint8Array(32), utf8("m"));
    const A = tier.ed25519.publicKey(new Uint8Array(32));
    const noPoint = bytesOf(2n); // y = 2 is on no point of the curve
    expect(() => Point.fromBytes(noPoint, true)).toThrow();
    expect(tier.ed25519.verify(noPoint, utf8("m"), good)).toBe(false);
    expect(tier.ed25519.verify(A, utf8("m"), concat(noPoint, good.subarray(32)))).toBe(false);
    expect(tier.ed25519.verify(A, utf8("m"), good)).toBe(true);
  });
});
