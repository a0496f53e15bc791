/** Charts of what was measured, as SVG that stands by itself: light and dark, no script, no font of its own. */

import { formatBytes, formatNumber, type Row } from "./result.ts";

const WIDTH = 860;
const LEFT = 190;
const RIGHT = 30;
const COLORS = ["#d1495b", "#2e86ab", "#3b8b5a", "#b8860b", "#7a5195", "#6b7280"];
const STYLE = `text{font:13px system-ui,sans-serif;fill:#1f2937}.t{font-size:17px;font-weight:600}.s{font-size:12px;fill:#6b7280}
.g{stroke:#d1d5db;stroke-width:1}@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.s{fill:#9ca3af}.g{stroke:#374151}}`;

/** Value against size, one line for each implementation; sizes on a logarithmic axis. */
export function lineChart(title: string, subtitle: string, rows: readonly Row[]): string {
  const height = 460;
  const top = 70;
  const bottom = height - 60;
  const sizes = [...new Set(rows.map(({ bytes }) => bytes ?? 0))].toSorted((a, b) => a - b);
  const names = [...new Set(rows.map(({ implementation }) => implementation))];
  const most = niceCeiling(Math.max(...rows.map(({ value }) => value)));
  const x = (bytes: number) =>
    60 +
    ((WIDTH - 60 - 150) * Math.log2(bytes / (sizes[0] ?? 1))) /
      Math.log2((sizes.at(-1) ?? 2) / (sizes[0] ?? 1));
  const y = (value: number) => bottom - ((bottom - top) * value) / most;
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const at = y(most * part);
    return `<line class="g" x1="60" x2="${WIDTH - 150}" y1="${at}" y2="${at}"/><text class="s" x="52" y="${at + 4}" text-anchor="end">${formatNumber(most * part)}</text>`;
  });
  const ticks = sizes.map(
    (bytes, index) =>
      `<text class="s" x="${x(bytes)}" y="${bottom + 20 + (index % 2) * 16}" text-anchor="middle">${formatBytes(bytes)}</text>`,
  );
  const ends = spreadOut(
    names.map((name) => y(rows.findLast(({ implementation }) => implementation === name)?.value ?? 0)),
  );
  const lines = names.map((name, index) => {
    const points = rows.filter(({ implementation }) => implementation === name);
    const path = points.map(({ bytes, value }) => `${round(x(bytes ?? 0))},${round(y(value))}`).join(" ");
    const color = COLORS[index % COLORS.length];
    const width = index === 0 ? 3 : 1.8;
    return `<polyline fill="none" stroke="${color}" stroke-width="${width}" points="${path}"/><text x="${WIDTH - 142}" y="${round((ends[index] ?? 0) + 4)}" style="fill:${color}${index === 0 ? ";font-weight:600" : ""}">${escapeXml(name)}</text>`;
  });
  return frame(height, title, subtitle, [...grid, ...ticks, ...lines]);
}

/** Bars in groups, one group for each operation; each group on a scale of its own, because operations differ a hundredfold. */
export function barChart(title: string, subtitle: string, rows: readonly Row[]): string {
  const groups = [...Map.groupBy(rows, ({ op, bytes }) => (bytes ? `${op}, ${formatBytes(bytes)}` : op))];
  const names = [...new Set(rows.map(({ implementation }) => implementation))];
  const body: string[] = [];
  let y = 76;
  for (const [group, ofGroup] of groups) {
    const most = Math.max(...ofGroup.map(({ value }) => value));
    body.push(
      `<text x="${LEFT - 12}" y="${y + 9 * ofGroup.length + 3}" text-anchor="end">${escapeXml(group)}</text>`,
    );
    for (const { implementation, value, unit } of ofGroup) {
      const width = Math.max(2, ((WIDTH - LEFT - RIGHT - 230) * value) / most);
      const color = COLORS[names.indexOf(implementation) % COLORS.length];
      body.push(
        `<rect x="${LEFT}" y="${y}" width="${round(width)}" height="14" rx="2" fill="${color}"/>`,
        `<text x="${round(LEFT + width + 8)}" y="${y + 12}">${formatNumber(value)} ${unit} <tspan class="s">${escapeXml(implementation)}</tspan></text>`,
      );
      y += 18;
    }
    y += 12;
  }
  return frame(y + 10, title, subtitle, body);
}

function frame(height: number, title: string, subtitle: string, body: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escapeXml(title)}">`,
    `<style>${STYLE}</style>`,
    `<text class="t" x="20" y="30">${escapeXml(title)}</text>`,
    `<text class="s" x="20" y="50">${escapeXml(subtitle)}</text>`,
    ...body,
    "</svg>",
    "",
  ].join("\n");
}

/** Labels at least a line apart, as near to where they belong as that allows. */
function spreadOut(positions: readonly number[]): number[] {
  const gap = 17;
  const placed = [...positions];
  const order = [...placed.keys()].toSorted((a, b) => (placed[a] ?? 0) - (placed[b] ?? 0));
  for (let index = order.length - 2; index >= 0; index--) {
    const below = placed[order[index + 1] ?? 0] ?? 0;
    const here = order[index] ?? 0;
    placed[here] = Math.min(placed[here] ?? 0, below - gap);
  }
  return placed;
}

/** The next of 1, 2, 2.5 or 5 times a power of ten. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 2.5, 5].find((step) => step * power >= value) ?? 10) * power;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
