/**
 * Builds the WebAssembly kernel from its AssemblyScript in src/crypto/wasm/kernel/ and writes it as base64 to
 * src/crypto/wasm/kernel.generated.ts. With `--check` it writes nothing, and fails unless that is what the source gives.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";
import { EXPANSIONS } from "./kernel-rounds.ts";
import { ROOT } from "./run.ts";

const SOURCE = join(ROOT, "src/crypto/wasm/kernel");
const GENERATED = join(ROOT, "src/crypto/wasm/kernel.generated.ts");
const BASE64_LINE = 104;

const wasm = await compile();
const generated = moduleText(wasm);
if (!process.argv.includes("--check")) {
  writeFileSync(GENERATED, generated);
  console.log(`built the kernel: ${wasm.length} bytes`);
} else if (readFileSync(GENERATED, "utf8") === generated) {
  console.log("the kernel is what its source gives");
} else {
  console.error("the kernel is not what its source gives: run `node scripts/build-kernel.ts`");
  process.exitCode = 1;
}

async function compile(): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const options = [
    ...["index.ts", "--outFile", "kernel.wasm"],
    ...["-O3", "--noAssert", "--converge", "--enable", "simd", "--runtime", "stub"],
    ...["--initialMemory", "3", "--maximumMemory", "3"],
  ];
  const { error, stderr } = await asc.main(options, {
    readFile: (name: string) => sourceOf(name),
    writeFile: (_name: string, contents: string | Uint8Array) => {
      binary = contents as Uint8Array;
    },
    listFiles: () => [],
  });
  if (error !== null || binary === undefined) throw new Error(`the kernel does not compile:\n${stderr}`);
  return binary;
}

/**
 * A file of the kernel's source with its `//@` lines expanded, or null if there is none of that name. The compiler asks for
 * `.ts`; the files are called `.as`, for they are no TypeScript.
 */
function sourceOf(name: string): string | null {
  let text: string;
  try {
    text = readFileSync(join(SOURCE, name.replace(/\.ts$/, ".as")), "utf8");
  } catch {
    return null; // the compiler asks for every name that an import could mean
  }
  return text.replaceAll(/^ *\/\/@ (.*)$/gm, (_, what: string) => {
    const lines = EXPANSIONS[what];
    if (lines === undefined) throw new Error(`${name}: nothing is known to stand for "${what}"`);
    return lines().join("\n");
  });
}

function moduleText(bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes).toString("base64");
  const lines = base64.match(new RegExp(`.{1,${BASE64_LINE}}`, "g")) as string[];
  const literal = lines.map((line) => `  "${line}"`).join(" +\n");
  return `// Built by scripts/build-kernel.ts from src/crypto/wasm/kernel/: ${bytes.length} bytes of WebAssembly. Never edited.

export const KERNEL_BASE64 =
${literal};
`;
}
