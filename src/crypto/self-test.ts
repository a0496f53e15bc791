/**
 * Known-answer tests that are cheap enough to run at every start: each primitive on fixed inputs, its last bytes compared.
 * They tell whether an implementation is there and computes right; the standards' own vectors are the test suite's
 * business. Argon2id has none: it is dear by design, and answers its caller itself where it is missing.
 */

import { concat, equalConstantTime, fromHex, utf8 } from "./bytes.ts";
import { ML_KEM_768_CIPHERTEXT_LENGTH, type PrimitiveName, type Primitives } from "./primitives.ts";

const TEXT = utf8("keypears self-test");
const KEY = Uint8Array.from({ length: 32 }, (_, i) => i);
const NONCE = new Uint8Array(12);
// Five chunks and a byte: in the kernel that is four chunks side by side, one on its own, a short one, and all parents.
const CHUNKS = Uint8Array.from({ length: 5 * 1024 + 1 }, (_, i) => i % 251);

const COMPARED_LENGTH = 32;

type Test<Name extends PrimitiveName> = readonly [run: (own: Primitives[Name]) => Uint8Array, answer: string];

/** What each primitive is asked, and the last 32 bytes of its answer. All tiers agree on them. */
const TESTS: { readonly [Name in PrimitiveName]: Test<Name> | null } = {
  ed25519: [(own) => own.sign(KEY, TEXT), "171514550487038411976a6b0bd7e08bde8ea05770f70d1c476c90ef9cdbab03"],
  x25519: [(own) => own.publicKey(KEY), "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f"],
  mlDsa65: [(own) => own.publicKey(KEY), "ad18bd13fca55059dd9b185f79f9c47196a4e81b2104bc460a051e02f2e8444f"],
  mlKem768: [
    (own) => own.decapsulate(concat(KEY, KEY), new Uint8Array(ML_KEM_768_CIPHERTEXT_LENGTH)),
    "6b246eb18b553ab4cc4a57044d8d1534a885d1d34214c987789619cb73e6129a",
  ],
  aes256Gcm: [
    (own) => own.seal(KEY, NONCE, TEXT, TEXT),
    "ccaed04df1ce28dbcc597e01e5fca137edcce6edcd15364f3675c1db85132fca",
  ],
  blake3: [
    (own) => {
      const hasher = own
        .hasher()
        .update(own.hash(CHUNKS))
        .update(own.keyed(KEY, TEXT, 64));
      return hasher.update(own.deriveKey("keypears self-test", KEY)).digest();
    },
    "0f11248d4de7d4af4282a3110696af241207e7d5a386d2d8f139396a87a7bf63",
  ],
  sha256: [(own) => own(TEXT), "a0b1f6e3f45e78a74d1377a72f2a613022fafdd8f8ac3414d5207061e4be059b"],
  sha512: [(own) => own(TEXT), "345c33ec8e81026551c2b8c7fbaf257368b97971eab568b296804e89ff6ddf31"],
  hkdfSha256: [
    (own) => own(KEY, TEXT, TEXT, 64),
    "bcb752ea5c99294d5cebe173541a204439b4994e2099f3c569da396929b6a009",
  ],
  argon2id: null,
};

/**
 * Whether an implementation gives the known answer. An engine that lacks an algorithm makes it throw, which counts as no.
 */
export function passesSelfTest<Name extends PrimitiveName>(name: Name, own: Primitives[Name]): boolean {
  const test = TESTS[name];
  if (test === null) return true;
  const [run, answer] = test;
  try {
    return equalConstantTime(run(own).subarray(-COMPARED_LENGTH), fromHex(answer));
  } catch {
    return false;
  }
}

/** Whether all that a tier has gives the known answers. */
export function passesSelfTests(tier: Partial<Primitives>): boolean {
  const names = Object.keys(tier).filter((name) => name in TESTS) as PrimitiveName[];
  return names.every((name) => passesSelfTest(name, tier[name] as Primitives[typeof name]));
}
