/**
 * Checks that what is generated from the contract, and from the messages of the conformance suite, is what is committed: generates
 * it anew and compares every byte.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, runTool } from "./run.ts";

/** What is generated, by the folder that it is generated into. */
const TEMPLATES = { gen: "buf.gen.yaml", "test/conformance/gen": "test/conformance/buf.gen.yaml" };

const fresh = mkdtempSync(join(tmpdir(), "keypears-gen-"));
try {
  const differences = Object.entries(TEMPLATES).flatMap(([folder, template]) => {
    if (!runTool("buf", "generate", "--template", template, "--output", fresh)) {
      throw new Error("buf generate failed");
    }
    return compare(join(ROOT, folder), join(fresh, folder)).map((difference) => `${folder}/${difference}`);
  });
  for (const difference of differences) console.error(difference);
  if (differences.length > 0) {
    console.error(
      "generated code is not what its schema gives: run `npm run generate` and commit the result",
    );
    process.exitCode = 1;
  } else {
    console.log("generated code is current");
  }
} finally {
  rmSync(fresh, { recursive: true });
}

function compare(committed: string, generated: string): string[] {
  const [before, after] = [filesIn(committed), filesIn(generated)];
  return [...new Set([...before, ...after])].sort().flatMap((file) => {
    if (!before.has(file)) return [`${file}: missing`];
    if (!after.has(file)) return [`${file}: generated from nothing`];
    const same = readFileSync(join(committed, file)).equals(readFileSync(join(generated, file)));
    return same ? [] : [`${file}: differs`];
  });
}

function filesIn(folder: string): Set<string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return new Set(
    entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name).slice(folder.length + 1)),
  );
}
