import { describe, expect, it } from "vitest";
import { createFairGroups } from "../../src/federation/fair-groups.ts";

interface Item {
  readonly name: string;
}

/** Groups whose work a test ends, and what is in each as it begins. */
function groups(maxItems: number, maxGroups = 1) {
  const begun: string[][] = [];
  const ends: (() => void)[] = [];
  const queue = createFairGroups<Item>({
    maxItems,
    maxGroups,
    run: (group) => {
      begun.push(group.map(({ name }) => name));
      return new Promise((resolve) => ends.push(resolve));
    },
  });
  return {
    begun,
    add: (key: string, count: number, from = 1) =>
      queue.add(
        key,
        Array.from({ length: count }, (_, index) => ({ name: `${key}${from + index}` })),
      ),
    drop: (key: string) => queue.drop(key).map(({ name }) => name),
    async end() {
      ends.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe("work in groups", () => {
  it("begins at once when there is nothing to wait for", () => {
    const { begun, add } = groups(10);
    add("a", 1);
    expect(begun).toEqual([["a1"]]);
  });

  it("gathers what comes while a group is under way", async () => {
    const { begun, add, end } = groups(10);
    add("a", 1);
    add("a", 1, 2);
    add("b", 1);
    add("a", 1, 3);
    expect(begun).toHaveLength(1);
    await end();
    expect(begun[1]).toEqual(["a2", "b1", "a3"]);
  });

  it("has no more groups under way than it may, and none that is too large", async () => {
    const { begun, add, end } = groups(3, 2);
    add("a", 10);
    expect(begun).toEqual([
      ["a1", "a2", "a3"],
      ["a4", "a5", "a6"],
    ]);
    await end();
    await end();
    expect(begun.slice(2)).toEqual([["a7", "a8", "a9"], ["a10"]]);
  });

  it("lets nobody wait for more than a turn of each other, however much one brings", async () => {
    const { begun, add, end } = groups(4);
    add("flood", 1_000);
    add("b", 2);
    add("c", 1);
    await end();
    expect(begun[1]).toEqual(["flood5", "b1", "c1", "flood6"]);
    await end();
    expect(begun[2]).toEqual(["b2", "flood7", "flood8", "flood9"]);
  });

  it("gives back what waits under a key and keeps the rest", async () => {
    const { begun, add, drop, end } = groups(2);
    add("a", 5);
    add("b", 1);
    expect(drop("a")).toEqual(["a3", "a4", "a5"]);
    expect(drop("a")).toEqual([]);
    await end();
    expect(begun).toEqual([["a1", "a2"], ["b1"]]);
  });
});
