/**
 * Checks the contract: buf's lint, buf's format, and that nothing breaks for those who speak what is on the main branch. What is
 * vendored beside it stays as its authors wrote it.
 */

import { git, runTool } from "./run.ts";

let ok = runTool("buf", "lint") && runTool("buf", "format", "proto", "--diff", "--exit-code");

const base = baseline();
if (base === undefined) {
  console.log("buf breaking: skipped, there is no earlier commit with a proto folder to compare with");
} else {
  ok = runTool("buf", "breaking", "proto", "--against", `.git#ref=${base.commit},subdir=proto`) && ok;
  console.log(`buf breaking: compared with ${base.name} (${base.commit.slice(0, 12)})`);
}
process.exitCode = ok ? 0 : 1;

/**
 * The commit whose contract has to be kept: where main stands, or, if that is here, the commit before. A clone without any
 * of them has nothing to compare with.
 */
function baseline(): { name: string; commit: string } | undefined {
  const head = git("rev-parse", "--verify", "HEAD^{commit}");
  const dirty = git("status", "--porcelain", "--", "proto", "buf.yaml") !== "";
  for (const name of ["origin/main", "main", "HEAD", "HEAD~1"]) {
    const commit = git("rev-parse", "--verify", "--quiet", `${name}^{commit}`);
    if (commit === undefined || git("ls-tree", "-d", commit, "proto") === "") continue;
    if (commit !== head || dirty) return { name, commit };
  }
  return undefined;
}
