/** Writes what was measured to bench/results/: JSON for programs, a Markdown table and charts for people. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { machine } from "./machine.ts";
import { type BenchResult, formatBytes, formatNumber } from "./result.ts";
import { barChart, lineChart } from "./svg.ts";

const FOLDER = fileURLToPath(new URL("results/", import.meta.url));

/** Keeps what a benchmark measured. */
export function writeResult(result: BenchResult): void {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(fileOf(result.bench), `${JSON.stringify(result, undefined, 2)}\n`);
}

/** What a benchmark measured the last time that it was kept; undefined if it never was. */
export function readResult(bench: string): BenchResult | undefined {
  return existsSync(fileOf(bench)) ? JSON.parse(readFileSync(fileOf(bench), "utf8")) : undefined;
}

/** Draws a benchmark's chart and answers with its section of the report. */
export function writeSection(result: BenchResult, question: string): string {
  const { bench, rows } = result;
  const on = `${result.machine.cpu}, ${result.machine.cores} cores, Node ${result.machine.node}; medians of interleaved rounds`;
  // What was measured at many sizes is a curve; all else are bars.
  const curve = rows.filter(({ op }) => op === rows[0]?.op);
  const chart =
    new Set(curve.map(({ bytes }) => bytes)).size > 2
      ? lineChart(question, `${rows[0]?.unit} by size of the input, more is better. ${on}`, curve)
      : // The table holds what was measured beside, in other units.
        barChart(
          question,
          on,
          rows.filter(({ unit }) => unit === rows[0]?.unit),
        );
  writeFileSync(join(FOLDER, `${bench}.svg`), chart);
  return [
    `## ${bench}`,
    "",
    question,
    "",
    `![${question}](${bench}.svg)`,
    "",
    ...rowTable(result),
    "",
    ...ratioTable(result),
    "",
  ].join("\n");
}

/** Writes the report that holds all sections. */
export function writeReport(sections: readonly string[]): void {
  const { cpu, cores, node } = machine();
  const head = [
    "# Benchmarks",
    "",
    `Written by \`npm run bench -- --report\` on one machine: ${cpu}, ${cores} cores, Node ${node}. Every`,
    "alternative was measured in the same run, in turn, round after round: take the ratios, not the absolute values.",
    "",
  ];
  writeFileSync(join(FOLDER, "README.md"), [...head, ...sections].join("\n"));
}

function fileOf(bench: string): string {
  return join(FOLDER, `${bench}.json`);
}

function rowTable({ rows }: BenchResult): string[] {
  return [
    "| operation | size | implementation | value | spread |",
    "| --- | --- | --- | --- | --- |",
    ...rows.map(
      ({ op, bytes, implementation, value, unit, spread }) =>
        `| ${op} | ${bytes === undefined ? "" : formatBytes(bytes)} | ${implementation} | ${formatNumber(value)} ${unit} | ± ${(spread * 50).toFixed(0)} % |`,
    ),
  ];
}

function ratioTable({ ratios }: BenchResult): string[] {
  const entries = Object.entries(ratios);
  if (entries.length === 0) return [];
  return [
    "| ratio | |",
    "| --- | --- |",
    ...entries.map(([key, value]) => `| ${key} | ${formatNumber(value)} |`),
  ];
}
