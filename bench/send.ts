/** How long from handing over a secret to reading it, between two nodes in two processes; and what a node costs at rest. */

import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort, type NodeProcess, startNode } from "../src/cli/demo/node-process.ts";
import { nodeEnvironment } from "../src/cli/environment.ts";
import { type Account, createAccount, openAccount } from "../src/client/index.ts";
import { type Bench, type Row, summarize } from "./result.ts";

const STARTS = 5;
const SHARES = 40;
/** After this a node has done what it does after its start, in milliseconds. */
const SETTLED_MS = 2_000;

/** Alice at one node, Bob at another; Bob has accepted Alice, so that no stamp is worked on. */
export const bench: Bench = {
  question: "How long does a secret take from one domain to another, and how soon is a node there?",
  async run(progress) {
    const folder = await mkdtemp(join(tmpdir(), "keypears-bench-"));
    const domains = ["acme.test", "partner.test"];
    const ports = [await freePort(), await freePort()];
    const resolve = new Map(
      domains.map((domain, index) => [domain, new URL(`http://127.0.0.1:${ports[index]}`)]),
    );
    const start = async (index: number, name: string): Promise<NodeProcess> => {
      const own = join(folder, name);
      await mkdir(own, { mode: 0o700 });
      const domain = domains[index] ?? "";
      return startNode({ domain, port: ports[index] ?? 0, folder: own, resolve, difficulty: 2 ** 10 });
    };
    const nodes: NodeProcess[] = [];
    const env = nodeEnvironment({ resolve });
    try {
      progress("the start of a node");
      const starts: number[] = [];
      for (let round = 0; round < STARTS; round++) {
        const began = performance.now();
        const node = await start(0, `start-${round}`);
        starts.push(performance.now() - began);
        await node.stop();
      }
      nodes.push(await start(0, "acme"), await start(1, "partner"));
      await delay(SETTLED_MS);
      const memory = nodes.map(({ pid }) => residentMegabytes(pid));

      progress("shares from acme.test to partner.test");
      const people = await Promise.all(
        ["alice@acme.test", "bob@partner.test"].map(async (address) =>
          openAccount(
            env,
            await createAccount(env, { address, password: "only for this run", deviceName: "bench" }),
          ),
        ),
      );
      const [alice, bob] = people as [Account, Account];
      await bob.contacts.accept(alice.address);
      const times: number[] = [];
      for (let share = 0; share < SHARES; share++) times.push(await sendAndOpen(alice, bob));
      return {
        rows: [
          row("start to first answer", starts, "ms"),
          row("idle memory", memory, "MB"),
          row("send to open", times, "ms"),
        ],
        ratios: {},
      };
    } finally {
      env.close();
      await Promise.all(nodes.map((node) => node.stop()));
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** Milliseconds from `send` until the content is read, by a recipient who keeps looking. */
async function sendAndOpen(alice: Account, bob: Account): Promise<number> {
  const began = performance.now();
  const { shareId } = await alice.shares.send(bob.address, { kind: "text", text: "the door code is 4711" });
  for (;;) {
    const { shares } = await bob.shares.list("received", { pageSize: 1 });
    if (shares[0] && Buffer.compare(shares[0].shareId, shareId) === 0) break;
  }
  await bob.shares.open(shareId);
  return performance.now() - began;
}

function row(op: string, figures: readonly number[], unit: string): Row {
  const { median, spread } = summarize(figures);
  return { op, implementation: "keypears", value: median, unit, spread };
}

/** Resident memory of a process (proc(5)). */
function residentMegabytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) / 1_000;
}
