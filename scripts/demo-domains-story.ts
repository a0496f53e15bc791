/**
 * The demo of domains. acme.test has a web server and a DNS record of its own, and lets host.test host it; partner.test hosts
 * itself. Shares travel both ways. Then somebody takes over acme.test's web server, and DNS with it, and each time partner.test
 * sees through it, by what it remembers alone: it starts anew before each attempt, with nothing in its cache. The owner's own
 * change of keys it takes. All of them are processes or servers of their own that speak TLS and ask a real DNS server.
 */

import type { Narrator } from "../src/cli/demo/narrator.ts";
import { nodeClients } from "../src/client/index.ts";
import { randomBytes, toBase64 } from "../src/crypto/bytes.ts";
import { buildDiscoveryDocument } from "../src/protocol/discovery-document.ts";
import { createWorld, type World } from "../test/support/world.ts";
import {
  assemble,
  authorizeHost,
  claim,
  DOMAIN,
  exchange,
  impostor,
  invite,
  isProven,
  keyHashOf,
  makePerson,
  opens,
  type Publication,
  publish,
  queue,
  startAnew,
  verdict,
} from "./demo-domains-cast.ts";

/** What the demo found; it succeeded if all is as it should be. */
export interface DomainsReport {
  /** host.test took the claim, and partner.test finds the domain proven. */
  readonly claim_verified: boolean;
  /** A host with a copied proof got neither belief nor a share. */
  readonly rogue_host_refused: boolean;
  /** A return to a document that proves nothing was refused. */
  readonly downgrade_refused: boolean;
  /** A share waited, while the document named a key that nothing vouched for. */
  readonly swapped_key_held: boolean;
  /** The owner's new key was taken, and the share that waited delivered. */
  readonly rotation_accepted: boolean;
  /** Shares that their recipients opened. */
  readonly shares_delivered: number;
  readonly elapsed_ms: number;
}

/** Shares that are to be delivered: one each way, one that waits until all is well, and one after the change of keys. */
export const SHARES = 4;

/** Whether a report is as it should be. */
export function isAsItShouldBe(report: DomainsReport): boolean {
  return (
    report.claim_verified &&
    report.rogue_host_refused &&
    report.downgrade_refused &&
    report.swapped_key_held &&
    report.rotation_accepted &&
    report.shares_delivered === SHARES
  );
}

/**
 * Runs the demo.
 *
 * @throws Error when a step fails that the report has no field for. Processes and files are gone in any case.
 */
export async function runDomainsDemo(narrator: Narrator, signal: AbortSignal): Promise<DomainsReport> {
  const started = performance.now();
  const world = await createWorld({ production: false });
  try {
    const interruptible: Narrator = {
      begin(step) {
        signal.throwIfAborted();
        narrator.begin(step);
      },
      end: narrator.end,
    };
    const found = await tell(interruptible, world, signal);
    return { ...found, elapsed_ms: Math.round(performance.now() - started) };
  } finally {
    await world.close();
  }
}

async function tell(
  narrator: Narrator,
  world: World,
  signal: AbortSignal,
): Promise<Omit<DomainsReport, "elapsed_ms">> {
  narrator.begin("starting host.test, which hosts others' domains, and partner.test, which hosts itself");
  const cast = await assemble(world, signal);
  const { host, rogue, rogueUrl, owner } = cast;
  narrator.end(`two nodes; the web server of ${DOMAIN} has nothing yet`, true);

  narrator.begin(`the owner of ${DOMAIN} makes a domain key, at home, and signs that host.test may host it`);
  const keyPassword = toBase64(randomBytes(18));
  const published = await authorizeHost(cast, keyPassword);
  publish(cast, published);
  narrator.end("keypears.json and the TXT record are published; the key's secret half is on no server", true);

  narrator.begin(`the owner claims ${DOMAIN} at host.test, which looks for itself`);
  const claimed = await claim(cast, keyPassword);
  let alice = await makePerson(world.environment(), "alice@partner.test", signal);
  const proven = claimed && (await isProven(alice));
  narrator.end(
    proven ? `hosted, and partner.test finds the proof in order` : "partner.test finds no proof",
    proven,
  );

  narrator.begin(`Bob is invited to ${DOMAIN}; he and Alice at partner.test send each other a share`);
  const bob = await invite(cast, "bob");
  let opened = 0;
  opened += await exchange(alice, bob, "from a self-hosted domain to a hosted one", signal);
  opened += await exchange(bob, alice, "and back", signal);
  narrator.end(`${opened} shares opened`, opened === 2);

  narrator.begin(
    `somebody breaks into the web server and sends ${DOMAIN} to rogue.test, with host.test's own proof`,
  );
  const genuine = nodeClients(world.environment(), host.apiUrl);
  rogue.prove = async (domain, nonce) => {
    const { proof } = await genuine.discovery.proveDomain({ domain, nonce });
    if (proof === undefined) throw new Error("host.test gave no proof");
    return proof;
  };
  const hash = keyHashOf(published);
  publish(cast, { ...published, document: buildDiscoveryDocument(rogueUrl, {}, { domainPubKeyHash: hash }) });
  alice = await startAnew(cast, alice);
  const waiting = await queue(alice, bob, "this waits until all is well");
  const asRogue = await verdict(cast, alice, waiting);
  const rogueRefused = asRogue.reason === "DOMAIN_UNPROVEN" && asRogue.held && rogue.asked > 0;
  narrator.end(
    rogueRefused ? `refused: ${asRogue.message}` : `it was believed (${asRogue.reason})`,
    rogueRefused,
  );

  narrator.begin("they put a document of version 1 there, which needs no proof");
  publish(cast, { ...published, document: buildDiscoveryDocument(rogueUrl, {}) });
  alice = await startAnew(cast, alice);
  const asDowngrade = await verdict(cast, alice, waiting);
  const downgradeRefused = asDowngrade.reason === "DOMAIN_DOWNGRADED" && asDowngrade.held;
  narrator.end(
    downgradeRefused ? `refused: ${asDowngrade.message}` : `it was believed (${asDowngrade.reason})`,
    downgradeRefused,
  );

  narrator.begin(
    "they take over DNS too, and swap the key: document, record and proof are now all of one piece",
  );
  publish(cast, impostor(cast));
  alice = await startAnew(cast, alice);
  const asSwap = await verdict(cast, alice, waiting);
  const swapHeld = asSwap.reason === "DOMAIN_CHANGED" && asSwap.held;
  narrator.end(
    swapHeld ? `held back, Alice's share waits: ${asSwap.message}` : `it was believed (${asSwap.reason})`,
    swapHeld,
  );

  narrator.begin("the owner wins both back, and changes the domain key in the proper way");
  const rotated = await owner.json<Publication>(["domain", "rotate-key", DOMAIN], keyPassword);
  publish(cast, rotated);
  await owner.json(["domain", "renew", DOMAIN]);
  alice = await startAnew(cast, alice);
  const changed = keyHashOf(rotated) !== hash && (await isProven(alice));
  await alice.account.shares.retry(waiting);
  opened += await opens(alice, bob, waiting, "this waits until all is well", signal);
  opened += await exchange(alice, bob, "under the new key", signal);
  const rotationAccepted = changed && opened === SHARES;
  narrator.end(
    rotationAccepted
      ? "accepted, for the old key vouches for the new one; what waited has arrived"
      : "the new key was not taken",
    rotationAccepted,
  );

  return {
    claim_verified: proven,
    rogue_host_refused: rogueRefused,
    downgrade_refused: downgradeRefused,
    swapped_key_held: swapHeld,
    rotation_accepted: rotationAccepted,
    shares_delivered: opened,
  };
}
