// Disks that are full, for real: what is acknowledged is stored, what is not stored is refused in words that say why, and it
// goes on by itself once there is room.

import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { openStorage, type Storage } from "../../src/storage/open.ts";
import { mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import { acceptance, bytes, createAccount, enqueue, envelope, NOW, range } from "./fixtures.ts";
import { psql, startOwnPostgres } from "./postgres.ts";

const MIB = 1024 * 1024;
const FULL = {
  reason: "DATABASE_FULL",
  retryable: true,
  message: "database has no room left, try again when its operator has made some",
};

const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function diskOf(...size: Parameters<typeof mountSmallDisk>): Promise<SmallDisk | undefined> {
  const disk = await mountSmallDisk(...size);
  if (disk !== undefined) ends.push(() => disk.remove());
  return disk;
}

async function openAt(url: string): Promise<Storage> {
  const storage = await openStorage({ url });
  ends.push(() => storage.close());
  return storage;
}

/** Fills a storage, several writes at a time, and makes room when it has refused some. */
async function fillAndRecover(storage: Storage, makeRoom: () => Promise<void>): Promise<void> {
  const bob = await createAccount(storage, "bob@partner.test");
  const alice = await createAccount(storage, "alice@acme.test");
  const acknowledged: Uint8Array[] = [];
  const failures: unknown[] = [];
  const large = () => envelope({ ciphertext: bytes(100_000) });
  const accept = async () => {
    const one = acceptance(bob, { envelope: large() });
    await storage.received.accept([one]);
    acknowledged.push(one.envelope.shareId);
  };
  while (failures.length < 12) {
    const results = await Promise.allSettled(range(1, 4).map(accept));
    for (const result of results) if (result.status === "rejected") failures.push(result.reason);
  }
  for (const failure of failures) expect(failure).toMatchObject(FULL);
  expect(acknowledged.length).toBeGreaterThan(10);
  // Sending too, even where a little room is left, and reading goes on.
  const sent = envelope({ ciphertext: bytes(3 * MIB) });
  await expect(enqueue(storage, alice, { envelope: sent })).rejects.toMatchObject(FULL);
  expect(await storage.outbox.status(alice, sent.shareId)).toBeUndefined();
  const before = acknowledged.length;
  expect(await storage.received.list(bob, { limit: 1_000, now: NOW })).toHaveLength(before);
  for (const shareId of acknowledged) expect(await storage.received.get(bob, shareId, NOW)).toBeDefined();

  await makeRoom();
  await Promise.all(range(1, 4).map(accept));
  await enqueue(storage, alice, { envelope: sent });
  const shares = await storage.received.after(bob, { after: 0, limit: 1_000, now: NOW });
  expect(shares.map(({ sequence }) => sequence)).toEqual(range(1, before + 4));
}

test("SQLite on a full disk", async (context) => {
  const disk = await diskOf(8 * MIB);
  if (disk === undefined) return context.skip("no disk can be mounted here");
  const url = `sqlite:${join(disk.folder, "node.db")}`;
  await fillAndRecover(await openAt(url), () => disk.resize(64 * MIB));
});

test("a SQLite file that cannot be made for want of room is refused as full, and made once there is some", async (context) => {
  const disk = await diskOf(8 * 1024);
  if (disk === undefined) return context.skip("no disk can be mounted here");
  const url = `sqlite:${join(disk.folder, "node.db")}`;
  await expect(openStorage({ url })).rejects.toMatchObject({ name: "StorageError", retryable: true });
  await disk.resize(8 * MIB);
  await createAccount(await openAt(url), "bob@partner.test");
});

test("PostgreSQL on a full disk", async (context) => {
  const server = await startOwnPostgres();
  ends.push(() => server.stop());
  const disk = await diskOf(16 * MIB, server.owner);
  if (disk === undefined) return context.skip("no disk can be mounted here");
  const url = await server.createDatabase();
  const name = new URL(url).pathname.slice(1);
  await psql(
    server.url,
    `create tablespace small location '${disk.folder}'`,
    `alter database ${name} set default_tablespace = small`,
  );
  await fillAndRecover(await openAt(url), () => disk.resize(128 * MIB));
});
