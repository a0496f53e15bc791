/**
 * Compiles the sources to dist/ for publishing, since Node strips no types inside node_modules: JavaScript and declarations,
 * the generated code among them. What stands in src/ comes to stand in dist/ itself, one folder nearer to the generated code.
 */

import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, runTool } from "./run.ts";

const DIST = join(ROOT, "dist");
rmSync(DIST, { recursive: true, force: true });
if (!runTool("tsc", "--project", "scripts/tsconfig.build.json")) process.exit(1);

const compiled = join(DIST, "src");
for (const entry of readdirSync(compiled, { recursive: true, withFileTypes: true })) {
  if (entry.isFile()) pointToGenerated(join(entry.parentPath, entry.name));
}
for (const name of readdirSync(compiled)) renameSync(join(compiled, name), join(DIST, name));
rmSync(compiled, { recursive: true });
console.log("compiled to dist/");

/** Takes one folder off every way from a compiled source to the generated code. */
function pointToGenerated(file: string): void {
  const text = readFileSync(file, "utf8");
  const pointed = text.replaceAll(/(["'])\.\.\/((?:\.\.\/)*)gen\//g, (_, quote: string, up: string) => {
    return `${quote}${up || "./"}gen/`;
  });
  writeFileSync(file, pointed);
}
