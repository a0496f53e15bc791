/** The one-algorithm build of hash-wasm, a fifteenth of the whole package, which ships without types of its own. */
declare module "hash-wasm/dist/blake3.umd.min.js" {
  import type { createBLAKE3 } from "hash-wasm";

  const hashWasm: { createBLAKE3: typeof createBLAKE3 };
  export default hashWasm;
}
