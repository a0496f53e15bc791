/** Public test suites, read from a folder beside the repository. Where it is missing, their tests are skipped aloud. */

import { existsSync, readFileSync } from "node:fs";
import { describe, test } from "vitest";

const FOLDER = new URL("../../../shared/vectors/", import.meta.url);

/** `describe` for tests over one file of vectors; its content is handed to `body`. */
export function describeVectors<T>(file: string, body: (vectors: T) => void): void {
  const url = new URL(file, FOLDER);
  if (existsSync(url)) {
    describe(file, () => body(JSON.parse(readFileSync(url, "utf8")) as T));
    return;
  }
  process.stderr.write(`skipping ${file}: it is not in ../shared/vectors\n`);
  describe(file, () => test.skip("needs the file in ../shared/vectors"));
}

/** The shape that Wycheproof's files share. */
export interface Wycheproof<Group, Test> {
  testGroups: ReadonlyArray<Group & { tests: ReadonlyArray<Test & WycheproofTest> }>;
}

/** Fields of every case. */
export interface WycheproofTest {
  tcId: number;
  comment?: string;
  flags?: string[];
  result: "valid" | "invalid" | "acceptable";
}
