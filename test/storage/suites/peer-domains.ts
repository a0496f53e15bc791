// What other domains have proven, and how two that judge the same domain do not undo each other's work.

import { expect, test } from "vitest";
import type { DomainMemory } from "../../../src/protocol/domain-memory.ts";
import { DOMAIN_MEMORY_MS } from "../../../src/protocol/limits.ts";
import { NOW } from "../fixtures.ts";
import type { OpenStorages } from "../suite.ts";

const MEMORY: DomainMemory = {
  keyHash: "0a".repeat(32),
  serial: Number.MAX_SAFE_INTEGER,
  bodyHash: "0b".repeat(32),
  txtSeen: true,
  provenAt: NOW,
};
const PENDING = { keyHash: "0c".repeat(32), since: NOW - 5, lastSeen: NOW };

export function peerDomainTests(open: OpenStorages): void {
  test("what was remembered is read as it was written, with a key that waits and without", async () => {
    const { peerDomains } = await open().fresh();
    expect(await peerDomains.read("acme.test")).toBeUndefined();
    expect(await peerDomains.replace("acme.test", 0, MEMORY)).toBe(true);
    expect(await peerDomains.read("acme.test")).toEqual({ domain: "acme.test", memory: MEMORY, revision: 1 });
    const changed = { ...MEMORY, txtSeen: false, serial: 0, bodyHash: "", pending: PENDING };
    expect(await peerDomains.replace("acme.test", 1, changed)).toBe(true);
    expect(await peerDomains.read("acme.test")).toEqual({
      domain: "acme.test",
      memory: changed,
      revision: 2,
    });
    expect(await peerDomains.replace("acme.test", 2, MEMORY)).toBe(true);
    expect((await peerDomains.read("acme.test"))?.memory).toEqual(MEMORY);
  });

  test("of two who read the same, one writes and the other has to read again", async () => {
    const { peerDomains } = await open().fresh();
    const firsts = await Promise.all([1, 2, 3].map(() => peerDomains.replace("acme.test", 0, MEMORY)));
    expect(firsts.filter(Boolean)).toHaveLength(1);
    const seconds = await Promise.all(
      [1, 2, 3].map((serial) => peerDomains.replace("acme.test", 1, { ...MEMORY, serial })),
    );
    expect(seconds.filter(Boolean)).toHaveLength(1);
    expect(await peerDomains.replace("acme.test", 1, MEMORY)).toBe(false);
    expect(await peerDomains.replace("unknown.test", 1, MEMORY)).toBe(false);
    expect((await peerDomains.read("acme.test"))?.revision).toBe(2);
  });

  test("domains are listed by name, page by page, and those with a key that waits alone", async () => {
    const { peerDomains } = await open().fresh();
    for (const name of ["c.test", "a.test", "d.test", "b.test"]) {
      const waits = name === "a.test" || name === "d.test";
      await peerDomains.replace(name, 0, waits ? { ...MEMORY, pending: PENDING } : MEMORY);
    }
    const names = async (page: Parameters<typeof peerDomains.list>[0]) =>
      (await peerDomains.list(page)).map(({ domain }) => domain);
    expect(await names({ limit: 3 })).toEqual(["a.test", "b.test", "c.test"]);
    expect(await names({ limit: 3, after: "c.test" })).toEqual(["d.test"]);
    expect(await names({ limit: 3, waiting: true })).toEqual(["a.test", "d.test"]);
  });

  test("of keys that wait, those unseen since a time are found, the longest unseen first", async () => {
    const { peerDomains } = await open().fresh();
    for (const [name, lastSeen] of [
      ["new.test", NOW],
      ["old.test", NOW - 2],
      ["older.test", NOW - 3],
    ] as const) {
      await peerDomains.replace(name, 0, { ...MEMORY, pending: { ...PENDING, lastSeen } });
    }
    await peerDomains.replace("settled.test", 0, MEMORY);
    expect(await peerDomains.waiting(NOW, 10)).toEqual(["older.test", "old.test"]);
    expect(await peerDomains.waiting(NOW, 1)).toEqual(["older.test"]);
  });

  test("a domain is forgotten 30 days after it last proved itself", async () => {
    const { peerDomains, received } = await open().fresh();
    await peerDomains.replace("acme.test", 0, MEMORY);
    await received.deleteExpired(NOW + DOMAIN_MEMORY_MS - 1, 100);
    expect(await peerDomains.read("acme.test")).toBeDefined();
    expect(await received.deleteExpired(NOW + DOMAIN_MEMORY_MS, 100)).toBe(1);
    expect(await peerDomains.read("acme.test")).toBeUndefined();
  });
}
