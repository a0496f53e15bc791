// A node of two processes: both answer, either knows at once what the other did, and no signal or death of one of them loses
// what a caller was told.

import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import http2, { type ClientHttp2Session } from "node:http2";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import tls from "node:tls";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { bearer, type Environment, type NodeClients, nodeClients } from "../../src/client/index.ts";
import { loadConfig } from "../../src/config.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import { type SupervisedNode, startWorkers } from "../../src/server/workers/primary.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import {
  delivered,
  environment,
  PATIENCE,
  type Person,
  reasonOf,
  seal,
  shareIds,
  signUp,
} from "../support/clients.ts";
import { letAnHourPass } from "../support/database.ts";
import { freePort } from "../support/nodes.ts";
import { runCommand, type ServedNode, serveNode } from "../support/served-node.ts";

const TIMEOUT_MS = 180_000;
const WORKER_ENTRY = join(import.meta.dirname, "../server/worker.entry.ts");

describe("two workers", () => {
  let folder: string;
  let node: SupervisedNode;
  /** What a caller sees whose every call goes through one connection, and so to one worker. */
  let callers: readonly { readonly env: Environment; readonly connection: Http2SessionManager }[];
  let alice: Person;
  let bob: Person;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "keypears-workers-"));
    const port = await freePort();
    const origin = `http://127.0.0.1:${port}`;
    const flags = {
      dev: true,
      domain: "acme.test",
      listen: `127.0.0.1:${port}`,
      "data-dir": folder,
      workers: 2,
      resolve: [`acme.test=${origin}`],
      "creation-difficulty": 1,
      "first-contact-difficulty": 1,
      "log-level": "silent",
    };
    node = await startWorkers(loadConfig({ flags }), { flags, file: {}, entry: WORKER_ENTRY });
    // Before anyone else has a connection, so that each worker has one.
    const connections = [new Http2SessionManager(origin), new Http2SessionManager(origin)];
    for (const connection of connections) expect(await connection.connect()).toBe("idle");
    callers = connections.map((connection) => ({
      connection,
      env: {
        ...environment([{ domain: "acme.test", origin }]),
        transport: (baseUrl: string, token?: () => string | undefined) =>
          createConnectTransport({
            baseUrl,
            httpVersion: "2",
            sessionManager: connection,
            interceptors: token === undefined ? [] : [bearer(token)],
          }),
      },
    }));
    alice = await signUp(callerOf(0).env, "alice@acme.test");
    bob = await signUp(callerOf(1).env, "bob@acme.test");
  }, TIMEOUT_MS);

  afterAll(async () => {
    for (const { connection } of callers) connection.abort();
    await node.close();
    await rm(folder, { recursive: true, force: true });
  }, TIMEOUT_MS);

  function callerOf(index: 0 | 1) {
    const caller = callers[index];
    if (caller === undefined) throw new Error("the workers did not start");
    return caller;
  }

  /** A person's methods through either worker. */
  function through(index: 0 | 1, { signedIn }: Person): NodeClients {
    const { apiUrl, sessionToken } = signedIn.credentials;
    return nodeClients(callerOf(index).env, apiUrl, () => sessionToken);
  }

  /** A stream that is heard already when this resolves, and tells what comes from then on. */
  async function watch(index: 0 | 1, person: Person) {
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    const stream = through(index, person).shares.watchShares({ afterSequence: 0n }, { signal: stop.signal });
    const messages = stream[Symbol.asyncIterator]();
    await messages.next();
    return {
      async event() {
        for (;;) {
          const { value, done } = await messages.next();
          if (done) return undefined;
          if (value.event.case !== undefined) return value.event;
        }
      },
    };
  }

  it("publish a key set through one, and both have it", { timeout: TIMEOUT_MS }, async () => {
    const ask = (index: 0 | 1) => through(index, bob).keySets.getKeySet({ address: alice.address });
    for (const index of [0, 1] as const) expect((await ask(index)).published?.activeNumber).toBe(1);

    await alice.account.rotateKeys();

    for (const index of [1, 0] as const) expect((await ask(index)).published?.activeNumber).toBe(2);
  });

  it("tell streams of both of a share, whoever took it", { timeout: TIMEOUT_MS }, async () => {
    const streams = [await watch(0, bob), await watch(1, bob)];
    const { shareId } = await alice.account.shares.send(bob.address, { kind: "text", text: "hello" });
    for (const stream of streams) {
      expect(await stream.event()).toMatchObject({ case: "share", value: { shareId } });
    }
  });

  it("tell streams of both of a notice", { timeout: TIMEOUT_MS }, async () => {
    const streams = [await watch(0, alice), await watch(1, alice)];
    await alice.account.rotateKeys();
    for (const stream of streams) expect(await stream.event()).toMatchObject({ case: "notice" });
  });

  it("end a session through one, and with it its stream at the other", { timeout: TIMEOUT_MS }, async () => {
    const carol = await signUp(callerOf(0).env, "carol@acme.test");
    const stream = await watch(1, carol);
    await through(0, carol).accounts.logOut({});
    await expect(stream.event()).rejects.toThrow(/session/);
  });
});

describe("a node with two workers, as processes", () => {
  let folder: string;
  let port: number;
  let node: ServedNode;
  let alice: Person;
  let bob: Person;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "keypears-workers-"));
    port = await freePort();
    const resolve = new Map([["acme.test", `http://127.0.0.1:${port}`]]);
    node = serveNode({ domain: "acme.test", port, folder, resolve, flags: ["--workers", "2"] });
    await start();
    const env = environment([node]);
    [alice, bob] = await Promise.all([signUp(env, "alice@acme.test"), signUp(env, "bob@acme.test")]);
  }, TIMEOUT_MS);

  afterAll(async () => {
    if (node.pid !== undefined) await node.end("SIGTERM");
    await rm(folder, { recursive: true, force: true });
  }, TIMEOUT_MS);

  /** Starts it, and waits until it says that all its workers answer. */
  async function start(): Promise<void> {
    const before = linesOf(node.words()).filter(isListening).length;
    await node.start();
    await vi.waitFor(
      () => expect(linesOf(node.words()).filter(isListening)).toHaveLength(before + 1),
      PATIENCE,
    );
  }

  const workers = () => workersOf(node);

  async function openConnections(count: number): Promise<ClientHttp2Session[]> {
    const sessions = Array.from({ length: count }, () => http2.connect(node.origin));
    onTestFinished(() => {
      for (const session of sessions) session.destroy();
    });
    for (const session of sessions) session.on("error", () => {});
    await Promise.all(sessions.map((session) => once(session, "remoteSettings")));
    return sessions;
  }

  it("logs which worker says what, and once that it listens", { timeout: TIMEOUT_MS }, () => {
    const lines = linesOf(node.words());
    const listening = lines.filter(({ msg }) => msg === "listening");
    expect(listening.map(({ worker, workers }) => [worker, workers]).sort()).toEqual(
      [
        [1, undefined],
        [2, undefined],
        [undefined, 2],
      ].sort(),
    );
    expect(lines.filter(({ msg }) => String(msg).startsWith("development mode"))).toHaveLength(1);
  });

  it("serves callers from both, and replaces the one that is killed", { timeout: TIMEOUT_MS }, async () => {
    const sessions = await openConnections(4);
    const [killed = 0, other] = workers();
    process.kill(killed, "SIGKILL");
    const closed = () => sessions.filter((session) => session.closed || session.destroyed);
    await vi.waitFor(() => expect(closed().length).toBeGreaterThan(0), PATIENCE);

    await vi.waitFor(() => expect(workers()).not.toContain(killed), PATIENCE);
    expect(workers()).toContain(other);
    expect(closed().length).toBeLessThan(4);
    expect(isAlive(killed)).toBe(false);
    await vi.waitFor(() => {
      expect(linesOf(node.words()).filter(({ msg }) => msg === "listening").length).toBe(4);
    }, PATIENCE);
  });

  it("loses nothing that was acknowledged when workers are killed", { timeout: TIMEOUT_MS }, async () => {
    const sealed = [];
    for (let i = 0; i < 60; i++) sealed.push(await seal(alice, bob, { kind: "text", text: `share ${i}` }));
    const waiting = [...sealed];
    let acknowledged = 0;

    /** Sends what waits, each until it is acknowledged, as a client does whose connection breaks. */
    async function sendAll(): Promise<void> {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const { envelope } = next;
        while ((await alice.node.shares.sendShare({ envelope }).catch(() => undefined)) === undefined) {
          await delay(20);
        }
        acknowledged += 1;
      }
    }

    async function killOneAt(count: number, index: number): Promise<void> {
      while (acknowledged < count) await delay(1);
      process.kill(workers()[index] ?? 0, "SIGKILL");
    }

    await Promise.all([sendAll(), sendAll(), sendAll(), killOneAt(15, 0), killOneAt(35, 1)]);
    // As if the leases of those that were killed had run out.
    await letAnHourPass(`sqlite:${join(folder, "node.sqlite")}`);
    for (const { shareId } of sealed) {
      await vi.waitFor(() => delivered(alice, shareId), PATIENCE);
    }
    expect((await shareIds(bob)).sort()).toEqual(sealed.map(({ shareId }) => toHex(shareId)).sort());
  });

  it("refuses a port that is taken, once and as one process does", { timeout: TIMEOUT_MS }, async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as import("node:net").AddressInfo;
    const serve = (workers: string) =>
      runCommand(
        [
          ["serve", "--dev", "--domain", "b.test", "--listen", `127.0.0.1:${port}`, "--workers", workers],
          ["--data-dir", join(folder, "taken"), "--log-level", "silent"],
        ].flat(),
      );

    const alone = await serve("1");
    expect(alone.stderr).toMatch(/EADDRINUSE/);
    expect(await serve("2")).toEqual(alone);
  });

  it("tells once why its workers cannot start", { timeout: TIMEOUT_MS }, async () => {
    const { code, stdout, stderr } = await runCommand(
      [
        ["serve", "--dev", "--domain", "b.test", "--listen", "127.0.0.1:0", "--workers", "2", "--json"],
        ["--data-dir", join(folder, "no-certificate"), "--log-level", "silent"],
        ["--tls-cert", "/nowhere/cert.pem", "--tls-key", "/nowhere/key.pem"],
      ].flat(),
    );
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(JSON.parse(stderr)).toMatchObject({
      error: { reason: "CONFIG_INVALID", message: expect.stringMatching(/^--tls-cert: .*ENOENT/) },
    });
  });

  it("finishes what is in flight on SIGTERM, takes nothing new, and exits with 0", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const pids = workers();
    const requests = await Promise.all([beginRequest(port), beginRequest(port)]);
    const ended = node.end("SIGTERM");
    await vi.waitFor(() => expect(fetch(`${node.origin}/healthz`)).rejects.toThrow(), PATIENCE);

    for (const { request, answered } of requests) {
      request.end('"address":"bob@acme.test"}');
      expect(await json(await answered)).toMatchObject({ published: { activeNumber: 1 } });
    }
    expect(await ended).toMatchObject({ code: 0, signal: null });
    expect(pids.filter(isAlive)).toEqual([]);
    await start();
  });

  it("ends at once at a second signal, though a caller never finishes", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const pids = workers();
    await beginRequest(port);
    const ended = node.end("SIGTERM");
    await vi.waitFor(() => expect(node.words()).toMatch(/"msg":"stopping"/), PATIENCE);
    await vi.waitFor(() => expect(fetch(`${node.origin}/healthz`)).rejects.toThrow(), PATIENCE);
    process.kill(node.pid ?? 0, "SIGTERM");
    expect(await ended).toMatchObject({ code: 143 });
    await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), PATIENCE);
    await start();
  });

  it("frees the port and leaves no worker behind when it is killed", { timeout: TIMEOUT_MS }, async () => {
    const pids = workers();
    expect(pids.every(isAlive)).toBe(true);
    await node.end("SIGKILL");
    await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), PATIENCE);
    await start();
    expect(await reasonOf(alice.account.shares.status(new Uint8Array(32)))).toBe("SHARE_UNKNOWN");
  });

  it("speaks TLS, and on SIGHUP all workers use the certificate of now", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { node: secure, replaceCertificate, authority } = await serveTls();
    const open: tls.TLSSocket[] = [];
    onTestFinished(() => {
      for (const socket of open) socket.destroy();
    });
    /** Serial numbers of the certificates that connections one after the other meet. */
    const serials = async () => {
      const met: string[] = [];
      for (let i = 0; i < 4; i++) {
        const { port } = new URL(secure.origin);
        const options = { port: Number(port), host: "127.0.0.1", servername: "tls.test" };
        const socket = tls.connect({ ...options, ca: authority.certificate });
        await once(socket, "secureConnect");
        met.push(socket.getPeerCertificate().serialNumber);
        open.push(socket);
      }
      return met;
    };

    const [before] = await serials();
    await replaceCertificate();
    process.kill(secure.pid ?? 0, "SIGHUP");
    await vi.waitFor(async () => {
      const met = new Set(await serials());
      expect(met.size).toBe(1);
      expect(met).not.toContain(before);
    }, PATIENCE);
    for (const socket of open) socket.destroy();
    expect(await secure.end("SIGTERM")).toMatchObject({ code: 0 });
  });

  it("gives up when no worker is left and none can be started", { timeout: TIMEOUT_MS }, async () => {
    const { node: secure, files } = await serveTls();
    await rm(files.cert);
    for (const pid of workersOf(secure)) process.kill(pid, "SIGKILL");
    // A signal that does nothing: the end is its own.
    const { code, stderr } = await secure.end("SIGHUP");
    expect(code).toBe(2);
    expect(stderr).toMatch(/\nkeypears: --tls-cert: the file cannot be read \(ENOENT\)/);
    expect(linesOf(stderr).filter(({ msg }) => msg === "worker died and is replaced").length).toBeGreaterThan(
      5,
    );
  });

  /** A node that speaks TLS, with two workers; stopped with the test. */
  async function serveTls() {
    const authority = createCertificateAuthority();
    const own = await mkdtemp(join(folder, "tls-"));
    const files = { cert: join(own, "node.crt"), key: join(own, "node.key") };
    const replaceCertificate = async () => {
      const { cert, key } = authority.issue({ names: ["tls.test"] });
      await writeFile(files.key, key, { mode: 0o600 });
      await writeFile(files.cert, cert);
    };
    await replaceCertificate();
    const node = serveNode({
      domain: "tls.test",
      port: await freePort(),
      folder: own,
      flags: ["--workers", "2", "--tls-cert", files.cert, "--tls-key", files.key],
    });
    onTestFinished(async () => {
      if (node.pid !== undefined) await node.end("SIGKILL");
    });
    // `start` asks in cleartext and is never answered; it is the log that tells.
    node.start().catch(() => {});
    await vi.waitFor(() => expect(linesOf(node.words()).some(isListening)).toBe(true), PATIENCE);
    return { node, files, replaceCertificate, authority };
  }
});

function linesOf(words: string): Record<string, unknown>[] {
  return words
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line));
}

/** Processes of the workers that were started last. */
function workersOf(node: ServedNode): number[] {
  const pids = new Map<unknown, number>();
  for (const { msg, worker, pid } of linesOf(node.words())) {
    if (msg === "worker started") pids.set(worker, Number(pid));
  }
  return [...pids.values()];
}

/** What the primary says when all workers answer. */
function isListening({ msg, workers }: Record<string, unknown>): boolean {
  return msg === "listening" && workers !== undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Sends the header of a request and the first byte of its body, and sees to it that they have arrived. */
async function beginRequest(port: number) {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  const request = http.request({
    createConnection: () => socket,
    method: "POST",
    path: "/api/keypears.v1.KeySetService/GetKeySet",
    headers: { "content-type": "application/json", "transfer-encoding": "chunked", expect: "100-continue" },
  });
  const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on("response", resolve).on("error", reject);
  });
  answered.catch(() => {}); // whoever waits for it has the error
  request.flushHeaders();
  await once(request, "continue"); // the node has it
  request.write("{");
  return { request, answered };
}
