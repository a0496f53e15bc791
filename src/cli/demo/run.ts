/**
 * The demo: two nodes as two processes, two domains, one secret. Alice sends Bob an environment file that no server can read;
 * Bob rotates his keys and still opens it; what was tampered with or forged is refused; and the disks of both nodes are
 * searched for what must not be on them.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { parseEnv } from "node:util";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { type Envelope, EnvelopeSchema, StampSchema } from "../../../gen/keypears/v1/envelope_pb.ts";
import {
  DeliveryOutcome,
  type DeliveryResult,
  FederationService,
} from "../../../gen/keypears/v1/federation_service_pb.ts";
import { RejectionReason } from "../../../gen/keypears/v1/share_service_pb.ts";
import {
  type Account,
  createAccount,
  DeliveryState,
  openAccount,
  type SignedIn,
} from "../../client/index.ts";
import { randomBytes, toBase64, toHex, utf8 } from "../../crypto/bytes.ts";
import { mineStamp, stampKey } from "../../crypto/stamp.ts";
import { parseEnvelope } from "../../protocol/envelope.ts";
import { openShare, sealShare } from "../../protocol/seal.ts";
import { type NodeEnvironment, nodeEnvironment } from "../environment.ts";
import { type Finding, type Needle, searchDisk } from "./disk-search.ts";
import type { ForgeryResult, ForgeryTarget } from "./forger.ts";
import type { Narrator } from "./narrator.ts";
import { freePort, type NodeProcess, sibling, startNode } from "./node-process.ts";

/** What the demo found; it succeeded if all is as it should be. */
export interface DemoReport {
  readonly decrypted_matches: boolean;
  readonly opened_after_rotation: boolean;
  readonly tampered_rejected: boolean;
  readonly forged_sender_rejected: boolean;
  /** How many secrets were found on the disks of the nodes: 0. */
  readonly secrets_found_on_disk: number;
  readonly share_id: string;
  /** Size of the file that was sent. */
  readonly bytes: number;
  readonly elapsed_ms: number;
}

/** One of the two people. */
interface Person {
  readonly account: Account;
  readonly signedIn: SignedIn;
  readonly password: string;
  readonly node: NodeProcess;
}

/** Difficulty of stamps in the demo: a real stamp, but one that does not keep an audience waiting. */
const DIFFICULTY = 2 ** 16;
const DELIVERY_TIMEOUT_MS = 30_000;

/** Whether a report is as it should be. */
export function isAsItShouldBe(report: DemoReport): boolean {
  return (
    report.decrypted_matches &&
    report.opened_after_rotation &&
    report.tampered_rejected &&
    report.forged_sender_rejected &&
    report.secrets_found_on_disk === 0
  );
}

/**
 * Runs the demo.
 *
 * @param file an environment file of one's own; one is generated otherwise.
 * @throws Error when a step fails that the report has no field for. Processes and files are gone in any case.
 */
export async function runDemo(
  narrator: Narrator,
  options: { readonly file?: string | undefined; readonly signal: AbortSignal },
): Promise<DemoReport> {
  const started = performance.now();
  const { signal } = options;
  const folder = await mkdtemp(join(tmpdir(), "keypears-demo-"));
  const nodes: NodeProcess[] = [];
  let env: NodeEnvironment | undefined;
  try {
    const content = options.file === undefined ? generateEnvFile() : await readFile(options.file);
    const name = options.file === undefined ? ".env" : basename(options.file);

    narrator.begin(
      "starting a node for acme.test and one for partner.test, as two processes with a database each",
    );
    nodes.push(...(await startNodes(folder)));
    const [acme, partner] = nodes;
    if (!acme || !partner) throw new Error("there are not two nodes");
    narrator.end(`acme.test at ${acme.origin}, partner.test at ${partner.origin}`, true);

    env = nodeEnvironment({ resolve: resolution(nodes) });
    narrator.begin(
      "making alice@acme.test and bob@partner.test: four key pairs each, sealed under their passwords",
    );
    const alice = await makePerson(env, "alice@acme.test", acme, signal);
    const bob = await makePerson(env, "bob@partner.test", partner, signal);
    narrator.end("two accounts; the nodes have public keys and ciphertext, nothing else", true);

    narrator.begin(
      `Alice seals ${name} (${content.length} bytes) to the keys that partner.test publishes, and sends it`,
    );
    const sent = await alice.account.shares.send(
      "bob@partner.test",
      { kind: "file", name, mediaType: "application/x-dotenv", content },
      { signal },
    );
    await delivered(alice.account, sent.shareId, signal);
    narrator.end(`delivered: share ${toHex(sent.shareId).slice(0, 16)}…`, true);

    narrator.begin("Bob opens it");
    const matches = await opensTo(bob.account, sent.shareId, content);
    narrator.end(matches ? "byte for byte what Alice sent" : "not what Alice sent", matches);

    narrator.begin("Bob rotates his keys and opens it again");
    await bob.account.rotateKeys();
    const again = await opensTo(bob.account, sent.shareId, content);
    narrator.end(
      again ? "his former keys still open what was sealed to them" : "it does not open any more",
      again,
    );

    narrator.begin("somebody on the way flips one bit of an envelope");
    const tampered = await refusesTampering(env, alice, bob);
    narrator.end(tampered ? "refused by partner.test, and by Bob's own client" : "it was taken", tampered);

    narrator.begin("a third process signs an envelope in Alice's name, with keys of its own");
    const forged = await refusesForgery(bob, signal);
    narrator.end(forged ? "refused by partner.test: acme.test knows no such keys" : "it was taken", forged);

    narrator.begin(
      "searching both nodes' disks for the file, the passwords, the account keys and the private seeds",
    );
    const needles = await secretsOf(content, alice, bob);
    const running = await searchDisk(folder, needles);
    await Promise.all(nodes.map((node) => node.stop()));
    const found = [...running, ...(await searchDisk(folder, needles))];
    narrator.end(
      found.length === 0 ? `none of ${needles.length} is there` : describe(found),
      found.length === 0,
    );

    return {
      decrypted_matches: matches,
      opened_after_rotation: again,
      tampered_rejected: tampered,
      forged_sender_rejected: forged,
      secrets_found_on_disk: found.length,
      share_id: toHex(sent.shareId),
      bytes: content.length,
      elapsed_ms: Math.round(performance.now() - started),
    };
  } finally {
    env?.close();
    await Promise.all(nodes.map((node) => node.stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

async function startNodes(folder: string): Promise<NodeProcess[]> {
  const domains = ["acme.test", "partner.test"];
  const ports = [await freePort(), await freePort()];
  const resolve = new Map(
    domains.map((domain, index) => [domain, new URL(`http://127.0.0.1:${ports[index]}`)]),
  );
  const starting = domains.map(async (domain, index) => {
    const own = join(folder, domain);
    await mkdir(own, { mode: 0o700 });
    return startNode({ domain, port: ports[index] ?? 0, folder: own, resolve, difficulty: DIFFICULTY });
  });
  const settled = await Promise.allSettled(starting);
  const failure = settled.find((one) => one.status === "rejected");
  const running = settled.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
  if (!failure) return running;
  await Promise.all(running.map((node) => node.stop()));
  throw failure.reason;
}

function resolution(nodes: readonly NodeProcess[]): ReadonlyMap<string, URL> {
  return new Map(nodes.map(({ domain, origin }) => [domain, new URL(origin)]));
}

async function makePerson(
  env: NodeEnvironment,
  address: string,
  node: NodeProcess,
  signal: AbortSignal,
): Promise<Person> {
  const password = toBase64(randomBytes(18));
  const signedIn = await createAccount(env, { address, password, deviceName: "demo" }, { signal });
  return { account: openAccount(env, signedIn), signedIn, password, node };
}

async function delivered(account: Account, shareId: Uint8Array, signal: AbortSignal): Promise<void> {
  const until = Date.now() + DELIVERY_TIMEOUT_MS;
  while (Date.now() < until) {
    const status = await account.shares.status(shareId);
    if (status.state === DeliveryState.DELIVERED) return;
    if (status.state === DeliveryState.REJECTED || status.state === DeliveryState.FAILED) {
      throw new Error(`the share was not delivered: ${status.message}`);
    }
    await delay(20, undefined, { signal });
  }
  throw new Error("the share was not delivered in time");
}

async function opensTo(account: Account, shareId: Uint8Array, expected: Uint8Array): Promise<boolean> {
  const { content } = await account.shares.open(shareId);
  return content.kind === "file" && Buffer.compare(content.content, expected) === 0;
}

/** Bob's node has to refuse the changed envelope, and Bob's client too if the node were the one that changed it. */
async function refusesTampering(env: NodeEnvironment, alice: Person, bob: Person): Promise<boolean> {
  const sender = (await alice.account.keyRing()).at(-1);
  const recipient = (await bob.account.keyRing()).at(-1);
  if (!sender || !recipient) throw new Error("there are no keys");
  const { envelope } = sealShare({
    content: { kind: "text", text: "the meeting is at nine" },
    sender,
    recipient: recipient.keySet,
    createdAt: Date.now(),
    expiresAt: 0,
  });
  const changed = create(EnvelopeSchema, { ...envelope, ciphertext: Uint8Array.from(envelope.ciphertext) });
  changed.ciphertext[0] = (changed.ciphertext[0] ?? 0) ^ 1;

  const result = await deliverDirectly(env, bob, changed);
  const byNode =
    result?.outcome === DeliveryOutcome.REJECTED && result.rejectionReason === RejectionReason.BAD_SIGNATURE;
  try {
    openShare(
      parseEnvelope(changed),
      sender.keySet.publicKeys,
      { role: "recipient", seeds: recipient.seeds },
      Date.now(),
    );
    return false;
  } catch {
    return byNode;
  }
}

/** Takes an envelope to Bob's node with a good stamp, as any carrier may. */
async function deliverDirectly(
  env: NodeEnvironment,
  bob: Person,
  envelope: Envelope,
): Promise<DeliveryResult | undefined> {
  const { apiUrl, address } = bob.signedIn.credentials;
  const nonce = await mineStamp(stampKey(parseEnvelope(envelope).shareId, address), DIFFICULTY);
  envelope.stamp = create(StampSchema, { nonce });
  const federation = createClient(FederationService, env.transport(apiUrl));
  return (await federation.deliverShares({ envelopes: [envelope] })).results[0];
}

async function refusesForgery(bob: Person, signal: AbortSignal): Promise<boolean> {
  const { apiUrl, address } = bob.signedIn.credentials;
  const before = await bob.account.shares.list("received");
  const result = await forgeInAnotherProcess(
    { apiUrl, sender: "alice@acme.test", recipient: address },
    signal,
  );
  const after = await bob.account.shares.list("received");
  return (
    result.outcome === "REJECTED" &&
    result.reason === "BAD_SIGNATURE" &&
    after.shares.length === before.shares.length
  );
}

async function forgeInAnotherProcess(target: ForgeryTarget, signal: AbortSignal): Promise<ForgeryResult> {
  const child = spawn(process.execPath, [sibling(import.meta.url, "./forger")], {
    stdio: ["pipe", "pipe", "inherit"],
    signal,
  });
  child.stdin.end(JSON.stringify(target));
  const [answer] = await Promise.all([text(child.stdout), once(child, "close")]);
  return JSON.parse(answer) as ForgeryResult;
}

/** Everything that must be on no server. */
async function secretsOf(content: Buffer, ...people: readonly Person[]): Promise<Needle[]> {
  const values = Object.entries(parseEnv(content.toString("utf8")));
  const needles: Needle[] = [
    { name: "the file", bytes: content },
    ...values.map(([name, value]) => ({ name: `the value of ${name}`, bytes: utf8(value ?? "") })),
  ];
  for (const { account, signedIn, password } of people) {
    const owner = account.address;
    needles.push({ name: `the password of ${owner}`, bytes: utf8(password) });
    needles.push({ name: `the account key of ${owner}`, bytes: signedIn.accountKey });
    for (const { keySet, seeds } of await account.keyRing()) {
      for (const [algorithm, seed] of Object.entries(seeds)) {
        needles.push({ name: `the ${algorithm} seed ${keySet.number} of ${owner}`, bytes: seed });
      }
    }
  }
  return needles;
}

function describe(findings: readonly Finding[]): string {
  return findings.map(({ needle, file }) => `${needle} in ${file}`).join("; ");
}

/** An environment file with fresh secrets in it. */
function generateEnvFile(): Buffer {
  const secret = (bytes: number) => toHex(randomBytes(bytes));
  const lines = [
    "# production environment of acme.test",
    `DATABASE_URL="postgres://app:${secret(18)}@db.acme.test:5432/app"`,
    `STRIPE_SECRET_KEY=sk_live_${secret(24)}`,
    `JWT_SIGNING_KEY='${secret(32)}'`,
    `SMTP_PASSWORD=${secret(15)}`,
    "FEATURE_FLAGS=fast-checkout,new-search",
  ];
  return Buffer.from(`${lines.join("\n")}\n`, "utf8");
}
