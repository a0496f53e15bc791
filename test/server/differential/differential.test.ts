// The same requests, good and broken, down this node's road and down the library's: what comes back is the same, or stands in
// the list of differences with the sentence that makes this node right.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DIFFERENCES, type Difference, type Expected } from "./differences.ts";
import { send } from "./exchange.ts";
import { type Observed, observe } from "./observe.ts";
import { TABLE, type TableEntry } from "./requests.ts";
import { libraryRoad, type Road, shortRoad } from "./roads.ts";

const TIMEOUT_MS = 120_000;
const POLL_MS = 2;

let ours: Road;
let theirs: Road;
const occurred = new Set<Difference>();

beforeAll(async () => {
  [ours, theirs] = await Promise.all([shortRoad(), libraryRoad()]);
});
afterAll(() => Promise.all([ours.close(), theirs.close()]));

const kinds = [...new Set(TABLE.map(({ kind }) => kind))];

it("has requests enough", () => {
  expect(TABLE.length).toBeGreaterThan(150);
});

describe.each(kinds)("%s", (kind) => {
  const entries = TABLE.filter((entry) => entry.kind === kind);

  it("is answered alike, or better", { timeout: TIMEOUT_MS }, async () => {
    for (const entry of entries) {
      const [our, their] = await Promise.all([travel(ours, entry), travel(theirs, entry)]);
      const name = Object.values(entry.dress).join(", ");
      expect({ name, ...unexplained(entry, our, their) }).toEqual({ name });
    }
  });
});

it.each(DIFFERENCES.map((difference) => ({ difference, name: nameOf(difference) })))(
  "differs for a reason: $name",
  ({ difference }) => {
    expect(occurred.has(difference)).toBe(true);
  },
);

/** Sends a request down a road, and looks at all that comes of it. */
async function travel(road: Road, { dress, request }: TableEntry): Promise<Observed> {
  road.seen.clear();
  const waiting = () => poll(() => road.seen.get("it") === "waiting");
  const fields = observe(dress, await send(road.port(dress.version), request, waiting));
  if (request.after !== "reset") return fields;
  // Nobody but the service can say what became of a call that its caller left.
  if (request.resetOnceWaiting === true) await poll(() => road.seen.get("it") !== "waiting");
  return { ...fields, seen: road.seen.get("it") ?? "nothing" };
}

/** What differs, and is not in the list of differences as it is; and what is in the list, and does not differ so. */
function unexplained(entry: TableEntry, our: Observed, their: Observed): Record<string, unknown> {
  const differing = new Set(
    [...Object.keys(our), ...Object.keys(their)].filter((field) => our[field] !== their[field]),
  );
  const left = new Map([...differing].map((field) => [field, { ours: our[field], theirs: their[field] }]));
  const wrong: Record<string, unknown> = {};
  for (const difference of DIFFERENCES.filter((candidate) => concerns(candidate, entry))) {
    for (const [field, expected] of Object.entries(difference.fields)) {
      const fits =
        differing.has(field) && matches(our[field], expected[0]) && matches(their[field], expected[1]);
      if (fits) left.delete(field);
      if (fits && !occurred.has(difference)) occurred.add(difference);
      if (!fits && difference.kinds !== undefined) {
        wrong[`listed and not so: ${field}`] = { expected, ours: our[field], theirs: their[field] };
      }
    }
  }
  return { ...wrong, ...Object.fromEntries(left) };
}

function concerns({ kinds, protocols, codecs, versions }: Difference, { kind, dress }: TableEntry): boolean {
  return (
    (kinds?.includes(kind) ?? true) &&
    (protocols?.includes(dress.protocol) ?? true) &&
    (codecs?.includes(dress.codec) ?? true) &&
    (versions?.includes(dress.version) ?? true)
  );
}

function matches(value: string | undefined, expected: Expected): boolean {
  if (!(expected instanceof RegExp)) return value === expected;
  return value !== undefined && expected.test(value);
}

function nameOf({ rule, kinds, protocols, codecs, fields }: Difference): string {
  const where = [...(kinds ?? ["anything"]), ...(protocols ?? []), ...(codecs ?? [])];
  return `${Object.keys(fields).join(", ")} of ${where.join(", ")}: ${rule}`;
}

async function poll(is: () => boolean): Promise<void> {
  while (!is()) await sleep(POLL_MS);
}
