/**
 * The straight-line parts of the WebAssembly kernel's source, which AssemblyScript has no way to write as loops over
 * local variables: BLAKE3's rounds with the message schedule resolved (specification section 2.2), and transpositions.
 */

const IV = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a];
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const ROUNDS = 7;

type Quarter = readonly [a: number, b: number, c: number, d: number];
const COLUMNS: readonly Quarter[] = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
];
const DIAGONALS: readonly Quarter[] = [
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];

/** A message word's name by its index, or null for one that is known to be zero. */
type MessageWord = (index: number) => string | null;

const anyMessage: MessageWord = (index) => `m${index}`;
/** A stamp's message is eight bytes. */
const stampMessage: MessageWord = (index) => (index < 2 ? `m${index}` : null);

/** What stands for each line `//@ name` of the kernel's source. */
export const EXPANSIONS: Readonly<Record<string, () => string[]>> = {
  "load message words": loadMessageWords,
  "let v8 to v11": () => IV.map((word, i) => `let v${8 + i} = i32x4.splat(${word});`),
  "seven rounds": () => range(ROUNDS).flatMap((round) => roundOf(round, anyMessage)),
  "store chaining values": storeChainingValues,
  "columns then diagonals": rowRound,
  "load state of a stamp": loadStampState,
  "first columns of a stamp": () => stampColumns(0),
  "copy state of a stamp": () => range(16).map((i) => `let v${i} = c${i};`),
  "seven rounds of a stamp": () => [
    ...stampColumns(1),
    ...diagonals(range(16), stampMessage),
    ...range(ROUNDS)
      .slice(1)
      .flatMap((round) => roundOf(round, stampMessage)),
  ],
};

function roundOf(round: number, message: MessageWord): string[] {
  let schedule = range(16);
  for (let i = 0; i < round; i++) schedule = PERMUTATION.map((from) => schedule[from] as number);
  return [...quarters(COLUMNS, schedule.slice(0, 8), message), ...diagonals(schedule, message)];
}

function diagonals(schedule: readonly number[], message: MessageWord): string[] {
  return quarters(DIAGONALS, schedule.slice(8), message);
}

/** Four applications of the function G in lockstep, so that the engine sees four independent chains. */
function quarters(places: readonly Quarter[], schedule: readonly number[], message: MessageWord): string[] {
  return range(2).flatMap((half) => {
    const steps = places.map((place, i) =>
      halfOfG(place, half, message(schedule[2 * i + half] as number), "v"),
    );
    return range(6).flatMap((step) => steps.map((lines) => lines[step] as string));
  });
}

/** One half of G (section 2.2): six statements on the vectors `name0` to `name15`. */
function halfOfG([a, b, c, d]: Quarter, half: number, word: string | null, name: string): string[] {
  const [va, vb, vc, vd] = [a, b, c, d].map((i) => name + i) as [string, string, string, string];
  const added = word === null ? va : `i32x4.add(${va}, ${word})`;
  return [
    `${va} = i32x4.add(${added}, ${vb});`,
    `${vd} = v128.xor(${vd}, ${va});`,
    `${vd} = ${half === 0 ? rotate16(vd) : rotateRight(vd, 8)};`,
    `${vc} = i32x4.add(${vc}, ${vd});`,
    `${vb} = v128.xor(${vb}, ${vc});`,
    `${vb} = ${rotateRight(vb, half === 0 ? 12 : 7)};`,
  ];
}

/** V8 makes two instructions of this one, but four or more of any other shuffle of bytes, whose control it loads anew. */
function rotate16(vector: string): string {
  return `v128.shuffle<i16>(${vector}, ${vector}, 1, 0, 3, 2, 5, 4, 7, 6)`;
}

function rotateRight(vector: string, bits: number): string {
  return `v128.or(i32x4.shr_u(${vector}, ${bits}), i32x4.shl(${vector}, ${32 - bits}))`;
}

/** m0 to m15 of the four blocks at `input`, `input + stride` and so on. */
function loadMessageWords(): string[] {
  return range(4).flatMap((quad) => [
    ...range(4).map((lane) => `a${lane} = v128.load(input + ${lane} * stride, ${16 * quad});`),
    ...transpose("a", "b"),
    ...range(4).map((i) => `const m${4 * quad + i} = ${transposed("b", i)};`),
  ]);
}

function storeChainingValues(): string[] {
  return [0, 4].flatMap((word) => [
    ...range(4).map((i) => `a${i} = h${word + i};`),
    ...transpose("a", "b"),
    ...range(4).map((lane) => `v128.store(out, ${transposed("b", lane)}, ${32 * lane + 4 * word});`),
  ]);
}

/** Pairs the words of four vectors; `transposed` puts the pairs together. */
function transpose(from: string, to: string): string[] {
  const pair = (i: number, j: number, lanes: string) =>
    `v128.shuffle<i32>(${from}${i}, ${from}${j}, ${lanes})`;
  return [
    `${to}0 = ${pair(0, 1, "0, 4, 1, 5")};`,
    `${to}1 = ${pair(2, 3, "0, 4, 1, 5")};`,
    `${to}2 = ${pair(0, 1, "2, 6, 3, 7")};`,
    `${to}3 = ${pair(2, 3, "2, 6, 3, 7")};`,
  ];
}

function transposed(pairs: string, row: number): string {
  const first = row & 2;
  const lanes = row & 1 ? "1, 3" : "0, 2";
  return `v128.shuffle<i64>(${pairs}${first}, ${pairs}${first + 1}, ${lanes})`;
}

/** One round on the rows r0 to r3: the columns, the rows turned against each other, the diagonals, and back. */
function rowRound(): string[] {
  const turn = (row: string, by: number) =>
    `${row} = v128.shuffle<i32>(${row}, ${row}, ${range(4).map((i) => (i + by) & 3)});`;
  const rows: Quarter = [0, 1, 2, 3];
  return [
    ...halfOfG(rows, 0, "x", "r"),
    ...halfOfG(rows, 1, "y", "r"),
    turn("r0", 3),
    turn("r3", 2),
    turn("r2", 1),
    ...halfOfG(rows, 0, "z", "r"),
    ...halfOfG(rows, 1, "w", "r"),
    turn("r0", 1),
    turn("r3", 2),
    turn("r2", 3),
  ];
}

/** The state that all tries of a stamp begin with: c0 to c15. */
function loadStampState(): string[] {
  return [
    ...range(8).map((i) => `let c${i} = v128.load32_splat(KEY, ${4 * i});`),
    ...IV.map((word, i) => `let c${8 + i} = i32x4.splat(${word});`),
    "let c12 = i32x4.splat(0), c13 = i32x4.splat(0), c14 = i32x4.splat(8);",
    "let c15 = i32x4.splat(CHUNK_START | CHUNK_END | ROOT | KEYED_HASH);",
  ];
}

/** The first round's columns: what no nonce of a search changes (0), and the half of the first that each does (1). */
function stampColumns(part: 0 | 1): string[] {
  const [first, ...others] = COLUMNS as [Quarter, ...Quarter[]];
  if (part === 1) return halfOfG(first, 1, "m1", "v");
  return [
    ...halfOfG(first, 0, "m0", "c"),
    ...others.flatMap((place) => [...halfOfG(place, 0, null, "c"), ...halfOfG(place, 1, null, "c")]),
  ];
}

function range(length: number): number[] {
  return [...Array(length).keys()];
}
