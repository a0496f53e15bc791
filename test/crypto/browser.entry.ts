// What a page sees of the crypto layer: the choice of tiers, threads, and that they give what this page's own thread gives.
import * as crypto from "../../src/crypto/index.ts";
import { chosenKernel } from "../../src/crypto/select.ts";
import { borrowKernelThreads, releaseKernelThreads } from "../../src/crypto/wasm/kernel-thread.ts";

const MIB = 1024 * 1024;
const data = Uint8Array.from({ length: 20 * MIB + 5 }, (_, i) => (i * 7 + (i >> 8)) % 251);

export default async function run() {
  const { blake3 } = crypto.primitives();
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(data);
      controller.close();
    },
  });
  const key = data.subarray(0, 32);
  const nonce = await crypto.mineStamp(key, 100_000, { threads: 2 });
  const workers = await borrowKernelThreads(chosenKernel() as WebAssembly.Module, 2);
  releaseKernelThreads(workers);
  const secretKey = crypto.randomBytes(64);
  const publicKey = crypto.composite.publicKey(secretKey);
  const signature = crypto.composite.sign(secretKey, key, "test");
  const item = { publicKey, message: key, signature, context: "test" };
  const items = [...Array(12).keys()].map((i) => (i % 3 === 0 ? { ...item, context: "other" } : item));
  return {
    tiers: Object.fromEntries(crypto.cryptoReport().map(({ primitive, tier }) => [primitive, tier])),
    hash: crypto.toHex(blake3.hash(data)),
    stream: crypto.toHex(await crypto.hashStream(stream, { threads: 2 })),
    sha256: crypto.toHex(crypto.primitives().sha256(key)),
    workers: workers.length,
    stamp: crypto.verifyStamp(key, nonce, 100_000),
    verdicts: await crypto.composite.verifyMany(items),
  };
}
