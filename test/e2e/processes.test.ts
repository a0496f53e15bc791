// Nodes as operating-system processes: they start, they stop when asked and lose nothing when killed.

import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { toHex } from "../../src/crypto/bytes.ts";
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
import { type Ended, runCommand, type ServedNode, serveNode } from "../support/served-node.ts";

const TIMEOUT_MS = 300_000;
const SHARES = 200;
const SENDERS_AT_ONCE = 8;

describe("nodes as processes", () => {
  let folder: string;
  let acme: ServedNode;
  let partner: ServedNode;
  let alice: Person;
  let bob: Person;
  /** The end of a node that was asked to stop while a caller keeps it waiting: begun beforehand, because it takes a while. */
  let patientEnd: Promise<Ended>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "keypears-processes-"));
    const ports = { "acme.test": await freePort(), "partner.test": await freePort() };
    const resolve = new Map(
      Object.entries(ports).map(([domain, port]) => [domain, `http://127.0.0.1:${port}`]),
    );
    const make = (domain: keyof typeof ports) =>
      serveNode({ domain, port: ports[domain], folder: join(folder, domain), resolve });
    [acme, partner] = [make("acme.test"), make("partner.test")];
    const patient = serveNode({
      domain: "patient.test",
      port: await freePort(),
      folder: join(folder, "patient.test"),
    });
    await Promise.all([acme.start(), partner.start(), patient.start()]);
    await beginRequest(patient, "content-length", "100");
    patientEnd = patient.end("SIGTERM");
    const env = environment([acme, partner]);
    [alice, bob] = await Promise.all([signUp(env, "alice@acme.test"), signUp(env, "bob@partner.test")]);
  }, TIMEOUT_MS);

  afterAll(async () => {
    await Promise.all([acme?.end("SIGKILL"), partner?.end("SIGKILL")]);
    await rm(folder, { recursive: true, force: true });
  }, TIMEOUT_MS);

  function databaseOf(node: ServedNode): string {
    return join(folder, node.domain, "node.sqlite");
  }

  /** Sends a request's header and the first byte of its body, and sees to it that they have arrived. */
  async function beginRequest(node: ServedNode, header: string, value: string) {
    const { hostname, port } = new URL(node.origin);
    const request = http.request({
      hostname,
      port,
      method: "POST",
      path: "/api/keypears.v1.KeySetService/GetKeySet",
      headers: { "content-type": "application/json", [header]: value },
    });
    const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
      request.on("response", resolve).on("error", reject);
    });
    answered.catch(() => {}); // whoever waits for it has the error
    request.write("{");
    await delay(200);
    expect((await fetch(`${node.origin}/healthz`)).ok).toBe(true);
    return { request, answered };
  }

  it("keep their files from everyone else", { timeout: TIMEOUT_MS }, async () => {
    const own = join(folder, "acme.test");
    const files = await readdir(own);
    expect(files).toContain("node.sqlite");

    expect((await stat(own)).mode & 0o777).toBe(0o700);
    for (const file of files) {
      expect([file, ((await stat(join(own, file))).mode & 0o777).toString(8)]).toEqual([file, "600"]);
    }
  });

  it("finish what is in flight on SIGTERM, take nothing new, and exit with 0", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { request, answered } = await beginRequest(partner, "transfer-encoding", "chunked");

    const ended = partner.end("SIGTERM");
    await vi.waitFor(async () => {
      await expect(fetch(`${partner.origin}/healthz`)).rejects.toThrow();
    }, PATIENCE);
    request.end('"address":"bob@partner.test"}');
    const response = await answered;

    expect(response.statusCode).toBe(200);
    expect(await json(response)).toMatchObject({ published: { activeNumber: 1 } });
    expect(await ended).toMatchObject({ code: 0, signal: null });
    await partner.start();
  });

  it("deliver every share that was acknowledged exactly once, killed in the middle of it", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const sealed = [];
    for (let index = 0; index < SHARES; index++) {
      sealed.push(await seal(alice, bob, { kind: "text", text: `share ${index}` }));
    }
    // From here on each node knows where the other one is, and the sender's keys.
    await delivered(
      alice,
      (await alice.account.shares.send(bob.address, { kind: "text", text: "first" })).shareId,
    );
    const before = await shareIds(bob);
    const acknowledged = new Set<string>();
    const waiting = [...sealed];

    /** Sends what waits, each until it is acknowledged, as a client does whose node comes and goes. */
    async function sendAll(): Promise<void> {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const { envelope, shareId } = next;
        for (;;) {
          const answer = await alice.node.shares.sendShare({ envelope }).catch(() => undefined);
          if (answer !== undefined) break;
          await delay(20);
        }
        acknowledged.add(toHex(shareId));
      }
    }

    /** Kills a node once so many shares are acknowledged. */
    async function killAt(count: number, node: ServedNode): Promise<void> {
      while (acknowledged.size < count) await delay(1);
      expect(await node.end("SIGKILL")).toMatchObject({ signal: "SIGKILL" });
      await node.start();
    }

    const senders = Array.from({ length: SENDERS_AT_ONCE }, sendAll);
    await killAt(40, acme);
    await killAt(90, acme);
    await killAt(140, partner);
    await Promise.all(senders);
    await letAnHourPass(`sqlite:${databaseOf(acme)}`);

    const ids = sealed.map(({ shareId }) => toHex(shareId));
    expect([...acknowledged].sort()).toEqual([...ids].sort());
    for (const { shareId } of sealed) await delivered(alice, shareId);
    const after = await shareIds(bob);
    expect(after.slice(0, after.length - before.length).sort()).toEqual([...ids].sort());
    expect(after.slice(after.length - before.length)).toEqual(before);
    const { content } = await bob.account.shares.open(sealed[0]?.shareId ?? new Uint8Array());
    expect(content).toEqual({ kind: "text", text: "share 0" });
  });

  it("keep a share that its sender's node had under way when it was killed", {
    timeout: TIMEOUT_MS,
  }, async () => {
    await partner.end("SIGTERM");
    const { envelope, shareId } = await seal(alice, bob, { kind: "text", text: "nobody is home" });
    await alice.node.shares.sendShare({ envelope });
    await acme.end("SIGKILL");
    expect(await reasonOf(alice.account.shares.status(shareId))).toBe("NODE_UNREACHABLE");

    await partner.start();
    expect(await shareIds(bob)).not.toContain(toHex(shareId));
    await acme.start();
    await letAnHourPass(`sqlite:${databaseOf(acme)}`);

    await delivered(alice, shareId);
    expect(await shareIds(bob)).toContain(toHex(shareId));
  });

  it.each([
    [
      "a listener that others can reach",
      ["--dev", "--listen", "0.0.0.0:0"],
      /--dev: only on a loopback listener/,
    ],
    ["a listener on all of IPv6", ["--dev", "--listen", "[::]:0"], /--dev: only on a loopback listener/],
    [
      "domains that lie here, without --dev",
      ["--resolve", "b.test=http://127.0.0.1:1"],
      /--resolve: only for dev/,
    ],
  ])("refuse to start with %s", { timeout: TIMEOUT_MS }, async (_, flags, message) => {
    const refused = join(folder, "refused");

    const args = ["serve", "--domain", "a.test", "--data-dir", refused, ...flags];
    const { code, stdout, stderr } = await runCommand(args);

    expect(code).not.toBe(0);
    expect(stdout).toBe("");
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
    await expect(stat(refused)).rejects.toThrow("ENOENT");
  });

  it("exit with 0 on SIGTERM also when a caller never finishes", { timeout: TIMEOUT_MS }, async () => {
    expect(await patientEnd).toMatchObject({ code: 0, signal: null });
  });

  it("warn that development mode is for nobody else, and tell callers", { timeout: TIMEOUT_MS }, async () => {
    expect(acme.words()).toMatch(/development mode: .* never run it for others/);
    const { development } = await alice.node.discovery.getServerInfo({});
    expect(development).toBe(true);
  });
});
