import { blake3 as noble } from "@noble/hashes/blake3.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, randomBytes, toHex, utf8 } from "../../src/crypto/bytes.ts";
import type { Blake3 } from "../../src/crypto/primitives.ts";
import { kernelBlake3 } from "../../src/crypto/wasm/blake3.ts";
import { hashWasmBlake3 } from "../../src/crypto/wasm/blake3-hash-wasm.ts";
import { compileKernel, instantiateKernel, type Kernel } from "../../src/crypto/wasm/kernel.ts";
import { joinSubtrees } from "../../src/crypto/wasm/subtrees.ts";

const SLOW = 300_000;
const CHUNK = 1024;
const PIECE = 128 * CHUNK;
const module = compileKernel() as WebAssembly.Module;
const blake3 = kernelBlake3(module);

const page = Uint8Array.from({ length: 4 * PIECE }, (_, i) => (i * 31 + (i >> 9)) % 251);
const key = page.subarray(77, 109);
const context = "keypears v1 test";

test(
  "the kernel hashes as noble does in all modes, at every length from 0 to 8,193",
  () => {
    for (let length = 0; length <= 8193; length++) {
      const data = page.subarray(0, length);
      const same =
        toHex(blake3.hash(data)) === toHex(noble(data)) &&
        toHex(blake3.keyed(key, data)) === toHex(noble(data, { key })) &&
        toHex(blake3.deriveKey(context, data)) === toHex(noble(data, { context: utf8(context) }));
      expect(same, `length ${length}`).toBe(true);
    }
  },
  SLOW,
);

test(
  "the kernel hashes as noble does around the borders of what it holds at once, and gives output of any length",
  () => {
    const borders = [16, 64, 127, 128, 129, 192, 256, 383].map((chunks) => chunks * CHUNK);
    for (const border of borders) {
      for (const length of [border - 1, border, border + 1, border + 1000]) {
        const data = page.subarray(0, length);
        expect(toHex(blake3.hash(data)), `${length}`).toBe(toHex(noble(data)));
      }
    }
    for (const dkLen of [1, 31, 32, 33, 63, 64, 65, 128, 1023, 1024]) {
      for (const data of [page.subarray(0, 3), page.subarray(0, 1025)]) {
        expect(toHex(blake3.hash(data, dkLen))).toBe(toHex(noble(data, { dkLen })));
        expect(toHex(blake3.keyed(key, data, dkLen))).toBe(toHex(noble(data, { key, dkLen })));
      }
    }
  },
  SLOW,
);

describe.each<[string, Blake3]>([
  ["the kernel", blake3],
  ["hash-wasm", await hashWasmBlake3()],
])("hashers on %s", (_, own) => {
  test(
    "give the hash of all that they were given, in whatever pieces and turns",
    () => {
      const lengths = fc.oneof(
        fc.integer({ min: 0, max: 200 }),
        fc.constantFrom(CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, PIECE - 1, PIECE, PIECE + 1),
        fc.integer({ min: 0, max: 2 * PIECE }),
      );
      const turns = fc.array(fc.tuple(fc.nat({ max: 2 }), lengths), { maxLength: 12 });
      fc.assert(
        fc.property(turns, (pieces) => {
          const hashers = [0, 1, 2].map(() => ({ hasher: own.hasher(), seen: new Uint8Array(0) }));
          for (const [index, length] of pieces) {
            const one = hashers[index] as (typeof hashers)[number];
            const data = page.subarray(index, index + length);
            one.hasher.update(data);
            one.seen = concat(one.seen, data);
          }
          for (const { hasher, seen } of hashers) expect(hasher.digest(70)).toEqual(blake3.hash(seen, 70));
        }),
        { numRuns: 60 },
      );
    },
    SLOW,
  );

  test("do not mind hashers that nobody ends", () => {
    own.hasher().update(page.subarray(0, 3000));
    const hasher = own.hasher().update(page.subarray(0, 5));
    own.hasher().update(page.subarray(0, PIECE + 7));
    expect(hasher.update(page.subarray(5, 2000)).digest()).toEqual(noble(page.subarray(0, 2000)));
  });
});

describe("subtrees", () => {
  const subtree = 4 * CHUNK;

  test.each([2, 3, 4, 5, 7, 8, 9, 31, 64, 100])("%d of them join to the hash of the whole", (count) => {
    for (const last of [1, 64, CHUNK, CHUNK + 1, subtree - 1, subtree]) {
      const data = page.subarray(0, (count - 1) * subtree + last);
      const join = joinSubtrees(module, subtree);
      for (let offset = 0; offset < data.length; offset += subtree) {
        join.add(join.subtree(data.subarray(offset, offset + subtree), offset / CHUNK));
      }
      expect(join.digest(40)).toEqual(blake3.hash(data, 40));
    }
  });

  test("longer than what the kernel holds at once join too", () => {
    const join = joinSubtrees(module, 2 * PIECE);
    const data = page.subarray(0, 3 * PIECE + 5);
    join.add(join.subtree(data.subarray(0, 2 * PIECE), 0));
    join.add(join.subtree(data.subarray(2 * PIECE), (2 * PIECE) / CHUNK));
    expect(join.digest()).toEqual(blake3.hash(data));
  });

  test("far into an input count their chunks beyond 32 bits", () => {
    const kernel = instantiateKernel(module);
    const chainingValueAt = (base: number) => {
      kernel.input.set(page.subarray(0, subtree));
      kernel.finish(subtree, 0, 0, base, 0, 0);
      return toHex(kernel.out.slice(0, 32));
    };
    const bases = [0, 2 ** 31, 2 ** 32, 2 ** 33, 2 ** 52];
    expect(new Set(bases.map(chainingValueAt)).size).toBe(bases.length);
  });
});

describe("the kernel's memory", () => {
  const secret = randomBytes(32);
  const data = (length: number) => Uint8Array.from({ length }, (_, i) => secret[i % 32] as number);

  /** BLAKE3 whose instances can be looked into. */
  function observed(): { own: Blake3; instances: Kernel[] } {
    const instances: Kernel[] = [];
    const { Instance } = WebAssembly;
    WebAssembly.Instance = class extends Instance {
      constructor(...args: ConstructorParameters<typeof Instance>) {
        super(...args);
        const memory = new Uint8Array((this.exports.memory as WebAssembly.Memory).buffer);
        instances.push({ memory } as Kernel);
      }
    };
    try {
      const own = kernelBlake3(module);
      own.hasher(); // has an instance of its own
      return { own, instances };
    } finally {
      WebAssembly.Instance = Instance;
    }
  }

  /** Where anything but the constants stands. */
  const leftovers = ({ memory }: Kernel) => {
    const fresh = instantiateKernel(module).memory;
    return memory.findIndex((byte, i) => byte !== fresh[i]);
  };

  test.each([0, 1, 32, 64, 65, 1024, 1025, 3 * 1024, 5000, 70_000, PIECE, PIECE + 1, 3 * PIECE - 7])(
    "holds nothing of an input of %d bytes, of a key or of an output once a hash is given",
    (length) => {
      const { own, instances } = observed();
      expect(instances).toHaveLength(2);
      const nothingLeft = () => instances.every((instance) => leftovers(instance) === -1);
      own.hash(data(length));
      expect(nothingLeft()).toBe(true);
      own.hash(data(length), 1000);
      expect(nothingLeft()).toBe(true);
      own.keyed(secret, data(length), 100);
      expect(nothingLeft()).toBe(true);
      own.deriveKey(context, data(length));
      expect(nothingLeft()).toBe(true);
      own.hasher().update(data(length)).update(data(length)).digest(100);
      expect(nothingLeft()).toBe(true);
    },
  );

  test("holds nothing of a hasher that another took the turn of", () => {
    const { own, instances } = observed();
    const first = own.hasher().update(data(PIECE + 5000));
    own.hasher().update(page.subarray(0, 1)).digest();
    expect(instances.every((instance) => leftovers(instance) === -1)).toBe(true);
    expect(first.digest()).toEqual(noble(data(PIECE + 5000)));
  });
});
