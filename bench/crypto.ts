/** What does each operation cost in each tier, and in liboqs compiled to WebAssembly? */

import { createMLDSA65, createMLKEM768 } from "@oqs/liboqs-js";
import { createSHA256, createSHA512, argon2id as hashWasmArgon2id } from "hash-wasm";
import { randomBytes } from "../src/crypto/bytes.ts";
import { compositeOf } from "../src/crypto/composite.ts";
import type { Primitives } from "../src/crypto/primitives.ts";
import { loadTier } from "../src/crypto/select.ts";
import { type Candidate, interleave } from "./interleave.ts";
import { type Bench, formatBytes, type Row } from "./result.ts";

const KIB = 1024;
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
    const tiers = [await loadTier("native"), await loadTier("js")].filter((tier) => tier !== null);
    const rows: Row[] = [];
    const ratios: Record<string, number> = {};
    for (const { op, bytes, candidates } of [...tierOperations(tiers), ...(await otherOperations(tiers))]) {
      progress(bytes === undefined ? op : `${op} of ${formatBytes(bytes)}`);
      const measured = await interleave(
        candidates,
        op === "argon2id" ? { rounds: 3, roundMs: 1 } : { rounds: 7 },
      );
      const size = bytes === undefined ? {} : { bytes };
      for (const { name, seconds, spread } of measured) {
        rows.push({ op, ...size, implementation: name, value: seconds * 1e6, unit: "µs", spread });
      }
      const native = measured.find(({ name }) => name === "native")?.seconds;
      if (native === undefined) continue;
      const at = bytes === undefined ? "" : `@${bytes}`;
      for (const { name, seconds } of measured) {
        if (name !== "native") ratios[`${op}: native/${name}${at}`] = seconds / native;
      }
    }
    return { rows, ratios };
  },
};

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
      "hkdf-sha-256",
      ({ hkdfSha256 }) =>
        () =>
          hkdfSha256(key, seed, message, 32),
    ),
    each(
      "ml-kem-768-keygen",
      ({ mlKem768 }) =>
        () =>
          mlKem768.publicKey(kemSeed),
    ),
  ];
}

/** What somebody else's code does too. */
async function otherOperations(tiers: readonly Primitives[]): Promise<Operation[]> {
  const message = randomBytes(KIB);
  const seed = randomBytes(32);
  const kemSeed = randomBytes(64);
  const data = randomBytes(DATA_BYTES).slice();
  const password = randomBytes(16);
  const salt = randomBytes(16);
  const [dsa, kem] = [await createMLDSA65(), await createMLKEM768()];
  const dsaKeys = dsa.generateKeyPair();
  const dsaSignature = dsa.sign(message, dsaKeys.secretKey);
  const kemKeys = kem.generateKeyPair();
  const kemCiphertext = kem.encapsulate(kemKeys.publicKey).ciphertext;
  const [sha256, sha512] = [await createSHA256(), await createSHA512()];
  const each = (work: (tier: Primitives) => () => unknown) =>
    tiers.map((tier) => repeated(tier.tier, work(tier)));
  return [
    {
      op: "ml-dsa-65-verify",
      candidates: [
        ...each(({ mlDsa65 }) => {
          const publicKey = mlDsa65.publicKey(seed);
          const signature = mlDsa65.sign(seed, message);
          return () => mlDsa65.verify(publicKey, message, signature);
        }),
        repeated("liboqs", () => dsa.verify(message, dsaSignature, dsaKeys.publicKey)),
      ],
    },
    {
      op: "ml-dsa-65-sign",
      candidates: [
        ...each(
          ({ mlDsa65 }) =>
            () =>
              mlDsa65.sign(seed, message),
        ),
        repeated("liboqs", () => dsa.sign(message, dsaKeys.secretKey)),
      ],
    },
    {
      op: "ml-kem-768-encapsulate",
      candidates: [
        ...each(({ mlKem768 }) => {
          const publicKey = mlKem768.publicKey(kemSeed);
          return () => mlKem768.encapsulate(publicKey);
        }),
        repeated("liboqs", () => kem.encapsulate(kemKeys.publicKey)),
      ],
    },
    {
      op: "ml-kem-768-decapsulate",
      candidates: [
        ...each(({ mlKem768 }) => {
          const { ciphertext } = mlKem768.encapsulate(mlKem768.publicKey(kemSeed));
          return () => mlKem768.decapsulate(kemSeed, ciphertext);
        }),
        repeated("liboqs", () => kem.decapsulate(kemCiphertext, kemKeys.secretKey)),
      ],
    },
    {
      op: "sha-256",
      bytes: DATA_BYTES,
      candidates: [
        ...each(
          ({ sha256: hash }) =>
            () =>
              hash(data),
        ),
        repeated("hash-wasm", () => sha256.init().update(data).digest("binary")),
      ],
    },
    {
      op: "sha-512",
      bytes: DATA_BYTES,
      candidates: [
        ...each(
          ({ sha512: hash }) =>
            () =>
              hash(data),
        ),
        repeated("hash-wasm", () => sha512.init().update(data).digest("binary")),
      ],
    },
    {
      op: "argon2id",
      candidates: [
        ...tiers.map((tier) => repeated(tier.tier, () => tier.argon2id(password, salt, ARGON2ID, 32))),
        repeated("hash-wasm", () =>
          hashWasmArgon2id({
            password,
            salt,
            memorySize: ARGON2ID.memoryKiB,
            iterations: ARGON2ID.passes,
            parallelism: ARGON2ID.lanes,
            hashLength: 32,
            outputType: "binary",
          }),
        ),
      ],
    },
  ];
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
