/** The one-algorithm builds of hash-wasm, each a small part of the whole package, which ship without types of their own. */
declare module "hash-wasm/dist/blake3.umd.min.js" {
  import type { createBLAKE3 } from "hash-wasm";

  const hashWasm: { createBLAKE3: typeof createBLAKE3 };
  export default hashWasm;
}

declare module "hash-wasm/dist/sha256.umd.min.js" {
  import type { createSHA256 } from "hash-wasm";

  const hashWasm: { createSHA256: typeof createSHA256 };
  export default hashWasm;
}

declare module "hash-wasm/dist/sha512.umd.min.js" {
  import type { createSHA512 } from "hash-wasm";

  const hashWasm: { createSHA512: typeof createSHA512 };
  export default hashWasm;
}

declare module "hash-wasm/dist/argon2.umd.min.js" {
  import type { argon2id } from "hash-wasm";

  const hashWasm: { argon2id: typeof argon2id };
  export default hashWasm;
}
