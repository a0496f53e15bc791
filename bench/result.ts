/** What a benchmark gives: rows that were measured, and ratios between them in the same run. */

/** One figure. */
export interface Row {
  /** What was done. */
  readonly op: string;
  /** Size of the input, where it matters. */
  readonly bytes?: number;
  readonly implementation: string;
  /** Median over the rounds. */
  readonly value: number;
  readonly unit: string;
  /** (third quartile − first quartile) / median: how far the rounds lie apart. */
  readonly spread: number;
}

/** Everything that a run of a benchmark measured; the shape of `--json`. */
export interface BenchResult {
  readonly bench: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string };
  readonly rows: readonly Row[];
  /**
   * `op: ours/other@bytes`, greater is better; keys that begin with `growth:` or `memory:` are those where smaller is better.
   */
  readonly ratios: Readonly<Record<string, number>>;
}

/** A benchmark that can be run by name. */
export interface Bench {
  /** One line for the list of benchmarks. */
  readonly question: string;
  /** Runs it; `progress` tells what is being measured. */
  run(progress: (what: string) => void): Promise<Pick<BenchResult, "rows" | "ratios">>;
}

/** Median of figures, and their spread. */
export function summarize(figures: readonly number[]): { readonly median: number; readonly spread: number } {
  const sorted = figures.toSorted((a, b) => a - b);
  const median = quantile(sorted, 0.5);
  return { median, spread: median === 0 ? 0 : (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / median };
}

/** A table for people. */
export function toTable({ bench, machine: on, rows, ratios }: BenchResult): string {
  const cells = rows.map(({ op, bytes, implementation, value, unit, spread }) => [
    op,
    bytes === undefined ? "" : formatBytes(bytes),
    implementation,
    `${formatNumber(value)} ${unit}`,
    `± ${(spread * 50).toFixed(0)} %`,
  ]);
  const widths = [0, 1, 2, 3, 4].map((column) =>
    Math.max(0, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const lines = cells.map((row) =>
    row
      .map((cell, column) =>
        column < 3 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
  const shown = Object.entries(ratios).map(([key, value]) => `  ${key} = ${formatNumber(value)}`);
  return [
    `${bench} — ${on.cpu}, ${on.cores} cores, Node ${on.node}`,
    "",
    ...lines,
    "",
    "ratios",
    ...shown,
    "",
  ].join("\n");
}

/** A number with three significant digits, and its thousands apart. */
export function formatNumber(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A size in binary units. */
export function formatBytes(bytes: number): string {
  if (bytes >= 2 ** 20 && bytes % 2 ** 20 === 0) return `${bytes / 2 ** 20} MiB`;
  if (bytes >= 2 ** 10 && bytes % 2 ** 10 === 0) return `${bytes / 2 ** 10} KiB`;
  return `${bytes} B`;
}

/** What a part of the figures does not exceed; `q` is from 0 to 1, the figures are in ascending order. */
export function quantile(sorted: readonly number[], q: number): number {
  const position = (sorted.length - 1) * q;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}
