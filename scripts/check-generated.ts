/** Checks that what is generated from the contract is what is committed: generates it anew and compares every byte. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, runTool } from "./run.ts";

const fresh = mkdtempSync(join(tmpdir(), "keypears-gen-"));
try {
  if (!runTool("buf", "generate", "--output", fresh)) throw new Error("buf generate failed");
  const differences = compare(join(ROOT, "gen"), join(fresh, "gen"));
  for (const difference of differences) console.error(`gen/${difference}`);
  if (differences.length > 0) {
    console.error("generated code is not what the contract gives: run `npm run generate` and commit gen/");
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
