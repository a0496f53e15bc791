/**
 * Work that is done in groups, of which a few are under way at once: what comes meanwhile waits and makes the next group, so
 * that an idle machine starts at once and a busy one pays its costs per group. One key's items never hold up another's by
 * more than a turn.
 */

/** Items that wait to be worked on. */
export interface FairGroups<T> {
  /** Adds items behind those that wait under the same key. */
  add(key: string, items: readonly T[]): void;
  /** Takes away all that wait under a key, and gives them back. */
  drop(key: string): readonly T[];
}

/** How groups are made. */
export interface FairGroupsOptions<T> {
  /** Most items of a group. */
  readonly maxItems: number;
  /** Most groups that are under way at once. */
  readonly maxGroups: number;
  /** Works on a group. Never rejects. */
  readonly run: (group: readonly T[]) => Promise<void>;
}

/** Makes a queue with nothing in it. */
export function createFairGroups<T extends object>({
  maxItems,
  maxGroups,
  run,
}: FairGroupsOptions<T>): FairGroups<T> {
  // In the order of their turns; none of the lists is empty.
  const waiting = new Map<string, T[]>();
  let underWay = 0;

  /** The next group: an item of each key in turn. */
  function next(): T[] {
    const group: T[] = [];
    while (group.length < maxItems) {
      const [turn] = waiting;
      if (turn === undefined) break;
      const [key, items] = turn;
      const item = items.shift();
      if (item !== undefined) group.push(item);
      waiting.delete(key);
      if (items.length > 0) waiting.set(key, items);
    }
    return group;
  }

  function start(): void {
    while (underWay < maxGroups && waiting.size > 0) {
      underWay += 1;
      void run(next()).finally(() => {
        underWay -= 1;
        start();
      });
    }
  }

  return {
    add(key, items) {
      if (items.length === 0) return;
      const before = waiting.get(key);
      if (before === undefined) waiting.set(key, [...items]);
      else before.push(...items);
      start();
    },
    drop(key) {
      const dropped = waiting.get(key) ?? [];
      waiting.delete(key);
      return dropped;
    },
  };
}
