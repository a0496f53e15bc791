/**
 * Builds grpcurl (github.com/fullstorydev/grpcurl), with which the tests call a node that they tell it nothing about, into
 * node_modules/.cache. Does nothing if it is there already. Go builds it.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { installWithGo, isGoInstalled, ROOT } from "./run.ts";

const VERSION = "v1.9.4";
const FOLDER = join(ROOT, "node_modules/.cache/grpcurl", VERSION);

/** Where the program lies once it is built. */
export const GRPCURL = join(FOLDER, "grpcurl");

if (import.meta.main) {
  if (existsSync(GRPCURL)) console.log(`grpcurl: ${VERSION} is there`);
  else if (isGoInstalled()) installWithGo(`github.com/fullstorydev/grpcurl/cmd/grpcurl@${VERSION}`, FOLDER);
  else console.log("grpcurl: SKIPPED, because Go, which builds it, is not installed");
}
