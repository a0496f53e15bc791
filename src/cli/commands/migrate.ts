/** `keypears migrate` */

import { existsSync } from "node:fs";
import { hasPassword } from "../../config.ts";
import { OPTIONS, OptionProblem } from "../../config-options.ts";
import { type CopyProgress, copyDatabase } from "../../storage/copy.ts";
import { openForMaintenance } from "../../storage/open.ts";
import { note, printResult, type Run } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError, usageError } from "../failure.ts";
import { bar, showStatus } from "../progress.ts";

/** Copies a node's database to another, compares both, and says what to do next. */
export const run: Run = async (context, _args, options) => {
  const from = databaseUrl("from", options.from);
  const to = databaseUrl("to", options.to);
  if (from === to) throw usageError("--from and --to are the same database");
  const file = /^sqlite:(.+)$/.exec(from)?.[1];
  if (file !== undefined && !existsSync(file)) {
    throw new CliError(
      "FILE_MISSING",
      EXIT.local,
      "the file that --from names is not there",
      "check its path",
    );
  }
  for (const name of ["from", "to"] as const) {
    if (hasPassword(options[name])) {
      note(context, `everyone on this machine can see the password in --${name}: use ${envName(name)}`);
    }
  }

  let progress: CopyProgress | undefined;
  const hideStatus = showStatus(context, () => describe(progress));
  const source = await openForMaintenance(from);
  try {
    const target = await openForMaintenance(to);
    try {
      const tables = await copyDatabase(source, target, {
        signal: context.signal,
        onProgress: (now) => {
          progress = now;
        },
      });
      hideStatus();
      const rows = tables.reduce((sum, table) => sum + table.rows, 0);
      const kind = { from: kindOf(from), to: kindOf(to) };
      printResult(context, { ...kind, rows, verified: true, tables }, report(tables, rows));
    } finally {
      await target.close();
    }
  } finally {
    hideStatus();
    await source.close();
  }
};

function databaseUrl(name: "from" | "to", flag: unknown): string {
  const given = typeof flag === "string" ? flag : process.env[envName(name)];
  if (!given) throw usageError(`--${name} is missing: name a database, in the flag or in ${envName(name)}`);
  try {
    return OPTIONS.database.parse(given);
  } catch (error) {
    if (error instanceof OptionProblem) throw usageError(`--${name}: ${error.message}`);
    throw error;
  }
}

function envName(name: "from" | "to"): string {
  return `KEYPEARS_MIGRATE_${name.toUpperCase()}`;
}

function kindOf(url: string): "sqlite" | "postgres" {
  return url.startsWith("sqlite:") ? "sqlite" : "postgres";
}

function describe(progress: CopyProgress | undefined): string {
  if (progress === undefined) return "opening the databases";
  const { step, table, done } = progress;
  return `${step} ${bar(done)} ${Math.floor(100 * done)} % ${table.replaceAll("_", " ")}`;
}

function report(tables: readonly { table: string; rows: number; checksum: string }[], rows: number): string {
  const width = Math.max(...tables.map(({ table }) => table.length));
  const digits = Math.max(...tables.map((table) => String(table.rows).length));
  const lines = tables.map(
    ({ table, rows, checksum }) => `  ${table.padEnd(width)}  ${String(rows).padStart(digits)}  ${checksum}`,
  );
  return [
    ...lines,
    "",
    `${rows} rows copied, and found the same in both databases.`,
    "Start the node with --database leading to the new one, and never again on the old one.",
  ].join("\n");
}
