/** What does each operation cost in each tier, and in liboqs compiled to WebAssembly? */

import { createMLDSA65, createMLKEM768 } from "@oqs/liboqs-js";
import { randomBytes } from "../src/crypto/bytes.ts";
import { compositeOf } from "../src/crypto/composite.ts";
import type { HashPrimitives, Primitives } from "../src/crypto/primitives.ts";
import { loadTier } from "../src/crypto/select.ts";
import { type Candidate, interleave } from "./interleave.ts";
import { type Bench, formatBytes, type Row } from "./result.ts";

const KIB = 1024;
/** Signatures that are verified together, and how many people signed them. */
const MANY = 2_000;
const SIGNERS = 50;
const DATA_BYTES = 64 * KIB;
const ARGON2ID = { memoryKiB: 64 * KIB, passes: 3, lanes: 1 };

/** An operation, and the candidates that do it. */
interface Operation {
  readonly op: string;
  readonly bytes?: number;
  readonly candidates: readonly Candidate[];
}

/** Every primitive and the composite signature. */
export const bench: Bench = {
  question: "What does each cryptographic operation cost in each tier, and in liboqs?",
  async run(progress) {
    const tiers = present([await loadTier("native"), await loadTier("js")]);
    const hashTiers = present([await loadTier("native"), await loadTier("wasm"), await loadTier("js")]);
    const rows: Row[] = [];
    const ratios: Record<string, number> = {};
    for (const { op, bytes, candidates } of [
      ...tierOperations(tiers),
      ...hashOperations(hashTiers),
      ...(await postQuantumOperations(tiers)),
    ]) {
      progress(bytes === undefined ? op : `${op} of ${formatBytes(bytes)}`);
      const measured = await interleave(candidates, op === "argon2id" ? { rounds: 5, roundMs: 1 } : {});
      const size = bytes === undefined ? {} : { bytes };
      for (const { name, seconds, spread } of measured) {
        rows.push({ op, ...size, implementation: name, value: seconds * 1e6, unit: "µs", spread });
      }
      const [first, ...others] = measured;
      if (first === undefined) continue;
      const at = bytes === undefined ? "" : `@${bytes}`;
      for (const { name, seconds } of others)
        ratios[`${op}: ${first.name}/${name}${at}`] = seconds / first.seconds;
    }
    const [fastest] = tiers;
    if (fastest !== undefined) {
      progress(`${MANY} composite verifications`);
      const [one, many] = await interleave(verifyManyCandidates(fastest), { rounds: 7, roundMs: 1 });
      for (const { name, seconds, spread } of [one, many].filter((each) => each !== undefined)) {
        const value = (seconds / MANY) * 1e6;
        rows.push({ op: "verify-many", implementation: name, value, unit: "µs", spread });
      }
      if (one && many) ratios["verify-many: two-cores/one"] = one.seconds / many.seconds;
    }
    return { rows, ratios };
  },
};

/** The same signatures one after the other, and all at once on as many cores as there are. */
function verifyManyCandidates(tier: Primitives): Candidate[] {
  const composite = compositeOf(tier);
  const context = "keypears/v1/share";
  const signers = Array.from({ length: SIGNERS }, () => randomBytes(64)).map((secretKey) => ({
    secretKey,
    publicKey: composite.publicKey(secretKey),
  }));
  const signed = signers.map(({ secretKey, publicKey }) => {
    const message = randomBytes(32);
    return { publicKey, message, signature: composite.sign(secretKey, message, context), context };
  });
  const items = Array.from({ length: MANY }, (_, index) => signed[index % SIGNERS]).filter(
    (item) => item !== undefined,
  );
  return [
    repeated("one at a time", () =>
      items.every((item) => composite.verify(item.publicKey, item.message, item.signature, context)),
    ),
    repeated("verifyMany", () => composite.verifyMany(items)),
  ];
}

/** What every tier has. */
function tierOperations(tiers: readonly Primitives[]): Operation[] {
  const message = randomBytes(KIB);
  const seed = randomBytes(32);
  const peer = randomBytes(32);
  const kemSeed = randomBytes(64);
  const compositeKey = randomBytes(64);
  const key = randomBytes(32);
  const nonce = randomBytes(12);
  const data = randomBytes(DATA_BYTES).slice();
  const context = "keypears/v1/share";
  const each = (op: string, work: (tier: Primitives) => () => unknown, bytes?: number): Operation => ({
    op,
    ...(bytes === undefined ? {} : { bytes }),
    candidates: tiers.map((tier) => repeated(tier.tier, work(tier))),
  });
  return [
    each("composite-verify", (tier) => {
      const composite = compositeOf(tier);
      const publicKey = composite.publicKey(compositeKey);
      const signature = composite.sign(compositeKey, message, context);
      return () => composite.verify(publicKey, message, signature, context);
    }),
    each("composite-sign", (tier) => () => compositeOf(tier).sign(compositeKey, message, context)),
    each("ed25519-verify", ({ ed25519 }) => {
      const publicKey = ed25519.publicKey(seed);
      const signature = ed25519.sign(seed, message);
      return () => ed25519.verify(publicKey, message, signature);
    }),
    each(
      "ed25519-sign",
      ({ ed25519 }) =>
        () =>
          ed25519.sign(seed, message),
    ),
    each("x25519", ({ x25519 }) => {
      const publicKey = x25519.publicKey(peer);
      return () => x25519.sharedSecret(seed, publicKey);
    }),
    each(
      "aes-256-gcm-seal",
      ({ aes256Gcm }) =>
        () =>
          aes256Gcm.seal(key, nonce, data),
      DATA_BYTES,
    ),
    each(
      "ml-kem-768-keygen",
      ({ mlKem768 }) =>
        () =>
          mlKem768.publicKey(kemSeed),
    ),
  ];
}

/** What hashes, which the WebAssembly tier has too. */
function hashOperations(tiers: readonly (Primitives | HashPrimitives)[]): Operation[] {
  const message = randomBytes(KIB);
  const key = randomBytes(32);
  const data = randomBytes(DATA_BYTES).slice();
  const password = randomBytes(16);
  const salt = randomBytes(16);
  const each = (work: (tier: Primitives | HashPrimitives) => () => unknown) =>
    tiers.map((tier) => repeated(tier.tier, work(tier)));
  return [
    {
      op: "sha-256",
      bytes: DATA_BYTES,
      candidates: each(
        ({ sha256 }) =>
          () =>
            sha256(data),
      ),
    },
    {
      op: "sha-512",
      bytes: DATA_BYTES,
      candidates: each(
        ({ sha512 }) =>
          () =>
            sha512(data),
      ),
    },
    {
      op: "hkdf-sha-256",
      candidates: each(
        ({ hkdfSha256 }) =>
          () =>
            hkdfSha256(key, salt, message, 32),
      ),
    },
    { op: "argon2id", candidates: each((tier) => () => tier.argon2id(password, salt, ARGON2ID, 32)) },
  ];
}

/** What liboqs does too. */
async function postQuantumOperations(tiers: readonly Primitives[]): Promise<Operation[]> {
  const message = randomBytes(KIB);
  const seed = randomBytes(32);
  const kemSeed = randomBytes(64);
  const [dsa, kem] = [await createMLDSA65(), await createMLKEM768()];
  const dsaKeys = dsa.generateKeyPair();
  const dsaSignature = dsa.sign(message, dsaKeys.secretKey);
  const kemKeys = kem.generateKeyPair();
  const kemCiphertext = kem.encapsulate(kemKeys.publicKey).ciphertext;
  const beside = (
    op: string,
    work: (tier: Primitives) => () => unknown,
    liboqs: () => unknown,
  ): Operation => ({
    op,
    candidates: [...tiers.map((tier) => repeated(tier.tier, work(tier))), repeated("liboqs", liboqs)],
  });
  return [
    beside(
      "ml-dsa-65-verify",
      ({ mlDsa65 }) => {
        const publicKey = mlDsa65.publicKey(seed);
        const signature = mlDsa65.sign(seed, message);
        return () => mlDsa65.verify(publicKey, message, signature);
      },
      () => dsa.verify(message, dsaSignature, dsaKeys.publicKey),
    ),
    beside(
      "ml-dsa-65-sign",
      ({ mlDsa65 }) =>
        () =>
          mlDsa65.sign(seed, message),
      () => dsa.sign(message, dsaKeys.secretKey),
    ),
    beside(
      "ml-kem-768-encapsulate",
      ({ mlKem768 }) => {
        const publicKey = mlKem768.publicKey(kemSeed);
        return () => mlKem768.encapsulate(publicKey);
      },
      () => kem.encapsulate(kemKeys.publicKey),
    ),
    beside(
      "ml-kem-768-decapsulate",
      ({ mlKem768 }) => {
        const { ciphertext } = mlKem768.encapsulate(mlKem768.publicKey(kemSeed));
        return () => mlKem768.decapsulate(kemSeed, ciphertext);
      },
      () => kem.decapsulate(kemCiphertext, kemKeys.secretKey),
    ),
  ];
}

function present<Tier>(tiers: readonly (Tier | null)[]): Tier[] {
  return tiers.filter((tier) => tier !== null);
}

/** Work done one after the other; awaited only where it is asynchronous. */
function repeated(name: string, work: () => unknown): Candidate {
  return {
    name,
    async run(times) {
      for (let i = 0; i < times; i++) {
        const result = work();
        if (result instanceof Promise) await result;
      }
    },
  };
}
