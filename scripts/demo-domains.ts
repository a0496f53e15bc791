/**
 * `npm run demo:domains [-- --json]`: a domain at a third party's host, and what becomes of those who would like to have it.
 * The exit code is 0 only if all is as it should be.
 */

import { parseArgs, styleText } from "node:util";
import { narrator } from "../src/cli/demo/narrator.ts";
import { type DomainsReport, isAsItShouldBe, runDomainsDemo } from "./demo-domains-story.ts";

const INTERRUPTED = 130;

const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });
const stopping = new AbortController();
process.once("SIGINT", () => stopping.abort());
process.once("SIGTERM", () => stopping.abort());

try {
  const report = await runDomainsDemo(narrator(values.json), stopping.signal);
  tell(report);
  if (!isAsItShouldBe(report)) process.exitCode = 1;
} catch (error) {
  if (!stopping.signal.aborted) throw error;
  process.stderr.write("interrupted\n");
  process.exitCode = INTERRUPTED;
}

function tell(report: DomainsReport): void {
  if (values.json) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  const seconds = (report.elapsed_ms / 1_000).toFixed(1);
  const words = isAsItShouldBe(report)
    ? `${styleText("bold", "All as it should be")}, in ${seconds} s: the domain's owner says who hosts it, and nobody else can.`
    : `${styleText("bold", "Something is not as it should be")}: look at the steps marked ✗.`;
  process.stdout.write(`\n${words}\n`);
}
