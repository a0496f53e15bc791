/** The roads from one node to another, each with two processes and two databases of its own. */

import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "../../src/cli/demo/node-process.ts";
import { createCertificateAuthority } from "../../test/support/certificates.ts";
import { type ServerProcess, startServer } from "../rpc/process.ts";
import { type Inbox, type Outbox, openInbox, openOutbox } from "./databases.ts";
import type { NodeOptions } from "./options.ts";
import { RECEIVING_DOMAIN, SENDING_DOMAIN } from "./people.ts";

/** How shares travel. */
export type RoadName = "stream" | "batch" | "plain";

/** Where everything lies that roads are made from. */
export interface Ground {
  readonly folder: string;
  /** Databases that every road has a copy of. */
  readonly sendingFile: string;
  readonly receivingFile: string;
}

/** One road. */
export interface Road {
  readonly name: RoadName;
  readonly sender: ServerProcess;
  readonly receiver: ServerProcess;
  readonly outbox: Outbox;
  readonly inbox: Inbox;
  /** Database of the sending node. */
  readonly sendingFile: string;
  /** Of the sending node, on 127.0.0.1. */
  readonly port: number;
}

/** What it took to deliver so many shares. */
export interface Passage {
  /** From the first that left to the last that was durable. */
  readonly seconds: number;
  /** Processor time of both processes, in seconds. */
  readonly cpu: number;
}

/** One end of a road that is not started yet. */
export interface RoadPlan {
  readonly port: number;
  startSender(): Promise<ServerProcess>;
  startReceiver(): Promise<ServerProcess>;
  readonly sendingFile: string;
  readonly receivingFile: string;
}

const WATCH_MS = 4;
const PATIENCE_MS = 120_000;

/** Writes the certificates of both domains. Every process is told where they lie. */
export async function writeCertificates({ folder }: Pick<Ground, "folder">): Promise<void> {
  const authority = createCertificateAuthority();
  await writeFile(join(folder, "authority.crt"), authority.certificate);
  for (const domain of [SENDING_DOMAIN, RECEIVING_DOMAIN]) {
    const { cert, key } = authority.issue({ names: [domain, "localhost"] });
    await writeFile(join(folder, `${domain}.crt`), cert);
    await writeFile(join(folder, `${domain}.key`), key, { mode: 0o600 });
  }
}

/** Copies the databases for a road, and says how its processes are started. */
export async function planRoad(
  ground: Ground,
  name: RoadName | "backlog",
  keysAt?: number,
): Promise<RoadPlan> {
  const { folder } = ground;
  const sendingFile = join(folder, `${name}-sending.sqlite`);
  const receivingFile = join(folder, `${name}-receiving.sqlite`);
  await copyFile(ground.sendingFile, sendingFile);
  await copyFile(ground.receivingFile, receivingFile);
  const ports: Readonly<Record<string, number>> = {
    [SENDING_DOMAIN]: await freePort(),
    [RECEIVING_DOMAIN]: await freePort(),
  };
  const start = (program: string, domain: string, peerDomain: string, file: string, peerPort?: number) => {
    const options: NodeOptions = {
      file,
      domain,
      port: ports[domain] ?? 0,
      certificate: join(folder, `${domain}.crt`),
      key: join(folder, `${domain}.key`),
      authority: join(folder, "authority.crt"),
      peer: { domain: peerDomain, port: peerPort ?? ports[peerDomain] ?? 0 },
      takesStreams: name !== "batch",
    };
    return startServer([fileURLToPath(new URL(program, import.meta.url)), JSON.stringify(options)]);
  };
  const [sender, receiver] =
    name === "plain" ? ["plain-sender.ts", "plain-receiver.ts"] : ["node.ts", "node.ts"];
  return {
    port: ports[SENDING_DOMAIN] ?? 0,
    sendingFile,
    receivingFile,
    startSender: () => start(sender, SENDING_DOMAIN, RECEIVING_DOMAIN, sendingFile),
    startReceiver: () => start(receiver, RECEIVING_DOMAIN, SENDING_DOMAIN, receivingFile, keysAt),
  };
}

/** Starts both ends. The road is up until `parts` are disposed of. */
export async function openRoad(plan: RoadPlan, name: RoadName, parts: AsyncDisposableStack): Promise<Road> {
  const [receiver, sender] = await Promise.all([plan.startReceiver(), plan.startSender()]);
  parts.defer(() => receiver.stop());
  parts.defer(() => sender.stop());
  const outbox = openOutbox(plan.sendingFile);
  const inbox = openInbox(plan.receivingFile);
  parts.defer(() => outbox.close());
  parts.defer(() => inbox.close());
  return { name, sender, receiver, outbox, inbox, sendingFile: plan.sendingFile, port: plan.port };
}

/**
 * Lets shares of a road leave, by their numbers, and waits until all are durable at the other end.
 *
 * @throws Error if they are not in two minutes.
 */
export async function deliver(road: Road, after: number, last: number): Promise<Passage> {
  const { outbox, inbox } = road;
  const cpu = () => road.sender.cpuSeconds() + road.receiver.cpuSeconds();
  const before = cpu();
  const target = inbox.count() + last - after;
  outbox.release(after, last);
  let leftAt: number | undefined;
  await until(road, () => {
    leftAt = outbox.leftAt();
    return leftAt !== undefined;
  });
  await until(road, () => inbox.count() >= target);
  const durableAt = Date.now();
  await until(road, () => !outbox.isWaiting());
  return { seconds: (durableAt - (leftAt ?? durableAt)) / 1_000, cpu: cpu() - before };
}

async function until({ name, sender, receiver }: Road, met: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!met()) {
    sender.requireAlive();
    receiver.requireAlive();
    if (performance.now() > deadline) throw new Error(`${name}: the shares did not arrive`);
    await delay(WATCH_MS);
  }
}
