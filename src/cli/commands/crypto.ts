/** `keypears crypto`: which code computes what on this machine. */

import { styleText } from "node:util";
import { cryptoReport } from "../../crypto/index.ts";
import { printResult, type Run } from "../context.ts";

/** Prints the tier of each primitive, and what was found of the others. */
export const run: Run = async (context) => {
  const report = cryptoReport();
  const widest = Math.max(...report.map(({ primitive }) => primitive.length));
  const lines = report.map(({ primitive, tier, considered }) => {
    const others = considered.filter((one) => one.tier !== tier).map((one) => `${one.tier}: ${one.status}`);
    return `${primitive.padEnd(widest)}  ${styleText("bold", tier.padEnd("native".length))}  ${others.join(", ")}`.trimEnd();
  });
  const head = styleText("dim", `${"primitive".padEnd(widest)}  ${"tier".padEnd("native".length)}  others`);
  printResult(
    context,
    { node: process.version, openssl: process.versions.openssl, primitives: report },
    [head, ...lines].join("\n"),
  );
};
