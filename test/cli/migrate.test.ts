import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStorage } from "../../src/storage/open.ts";
import { fillNode } from "../storage/full-node.ts";
import { type PostgresServer, psql, startPostgres } from "../storage/postgres.ts";
import { makeTool } from "./tool.ts";

const tool = makeTool();
let server: PostgresServer;
let source: string;

beforeAll(async () => {
  server = await startPostgres();
  source = `sqlite:${join(tool.home, "node.sqlite")}`;
  const storage = await openStorage({ url: source });
  await fillNode(storage, 50);
  await storage.close();
}, 120_000);
afterAll(async () => {
  await server?.stop();
  tool.remove();
});

interface Report {
  readonly from: string;
  readonly to: string;
  readonly rows: number;
  readonly verified: boolean;
  readonly tables: readonly { table: string; rows: number; checksum: string }[];
}

describe("keypears migrate", () => {
  it("moves a node to PostgreSQL and back, with the same rows and checksums, its password in the environment", async () => {
    const url = await server.createDatabase();
    const there = await tool.json<Report>(["migrate", "--from", source], {
      env: { KEYPEARS_MIGRATE_TO: url },
    });
    expect(there).toMatchObject({ from: "sqlite", to: "postgres", verified: true });
    expect(there.rows).toBe(there.tables.reduce((sum, { rows }) => sum + rows, 0));
    expect(there.rows).toBeGreaterThan(100);
    const target = `sqlite:${join(tool.home, "back.sqlite")}`;
    const back = await tool.json<Report>(["migrate", "--to", target], {
      env: { KEYPEARS_MIGRATE_FROM: url },
    });
    expect(back).toEqual({ ...there, from: "postgres", to: "sqlite" });
  });

  it("says in words what it did and what to do next, and warns of a password that others can see", async () => {
    const url = await server.createDatabase();
    const { code, stdout, stderr } = await tool.run(["migrate", "--from", source, "--to", url]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}received_envelopes +\d+ {2}[0-9a-f]{32}$/m);
    expect(stdout).toMatch(/^\d+ rows copied, and found the same in both databases\.$/m);
    expect(stderr).toBe("everyone on this machine can see the password in --to: use KEYPEARS_MIGRATE_TO\n");
    expect(stdout + stderr).not.toContain(new URL(url).password);

    const again = await tool.run(["migrate", "--from", source, "--json"], {
      env: { KEYPEARS_MIGRATE_TO: url },
    });
    expect(again.code).toBe(5);
    expect(JSON.parse(again.stderr).error).toMatchObject({
      reason: "DATABASE_NOT_EMPTY",
      next: "create a new database for it",
    });
  });

  it.each([
    [[], /--from is missing/],
    [["--from", "sqlite:x"], /--to is missing/],
    [["--from", "mysql://u:hunter2@h/x", "--to", "sqlite:y"], /--from: must be sqlite:/],
    [["--from", "sqlite:x", "--to", "postgres://u:hunter2@["], /--to: must be sqlite:/],
    [["--from", "sqlite:x", "--to", "sqlite:x"], /are the same database/],
  ])("refuses %j as a command line that cannot be used", async (args, message) => {
    const { code, stderr } = await tool.run(["migrate", ...args]);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain("hunter2");
  });

  it("makes no file where there is none to read", async () => {
    const missing = join(tool.home, "missing.sqlite");
    const target = join(tool.home, "target.sqlite");
    const { code } = await tool.run(["migrate", "--from", `sqlite:${missing}`, "--to", `sqlite:${target}`]);
    expect(code).toBe(9);
    expect(existsSync(missing) || existsSync(target)).toBe(false);
  });

  it("asks to stop a node that runs on the old database", async () => {
    const running = await openStorage({ url: source });
    try {
      const { code, stderr } = await tool.run([
        ...["migrate", "--from", source, "--to", `sqlite:${join(tool.home, "other.sqlite")}`],
      ]);
      expect(code).toBe(5);
      expect(stderr).toContain("database is in use, stop every node on it first");
    } finally {
      await running.close();
    }
    expect(readdirSync(tool.home)).not.toContain("other.sqlite");
  });

  it("ends at Ctrl-C with nothing left behind", async () => {
    const url = await server.createDatabase();
    await (await openStorage({ url })).close();
    const holder = new pg.Client(url);
    await holder.connect();
    try {
      // What stands in its way makes sure that it is under way.
      await holder.query("begin; lock table secrets in exclusive mode");
      const child = tool.start(["migrate", "--from", source], { env: { KEYPEARS_MIGRATE_TO: url } });
      const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
      const waiting =
        "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like 'lock table%'";
      await expect.poll(() => psql(url, waiting), { timeout: 60_000 }).toHaveLength(1);
      child.kill("SIGINT");
      await holder.query("rollback");
      expect(await ended).toBe(130);
      const left = await psql(url, "select 1 from accounts union all select 1 from secrets");
      expect(left).toEqual([]);
    } finally {
      await holder.end();
    }
  });
});
