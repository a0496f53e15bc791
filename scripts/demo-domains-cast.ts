/** Everybody and everything in the demo of domains, and what each of them does there. */

import { setTimeout as delay } from "node:timers/promises";
import type { NodeEnvironment } from "../src/cli/environment.ts";
import { toClientError } from "../src/client/errors.ts";
import {
  type Account,
  ClientError,
  createAccount,
  DeliveryState,
  type DeliveryStatus,
  type NodeClients,
  nodeClients,
  openAccount,
  type SignedIn,
} from "../src/client/index.ts";
import { randomBytes, toBase64, toHex } from "../src/crypto/bytes.ts";
import { buildDiscoveryDocument, parseDiscoveryDocument } from "../src/protocol/discovery-document.ts";
import { buildAuthorization } from "../src/protocol/domain-authorization.ts";
import { domainKeyHash, generateCompositeKeyPair } from "../src/protocol/domain-key.ts";
import { buildDomainProof } from "../src/protocol/domain-proof.ts";
import { domainTxtName, formatDomainTxt } from "../src/protocol/domain-txt.ts";
import { sealShare } from "../src/protocol/seal.ts";
import { type RogueHost, startRogueHost } from "../test/support/rogue-host.ts";
import type { Site, World, WorldNode, WorldTool } from "../test/support/world.ts";

/** What an owner publishes, as the tool's commands print it with `--json`. */
export interface Publication {
  readonly document: string;
  readonly txt: string;
}

/** Somebody with an account. */
export interface Person {
  readonly signedIn: SignedIn;
  readonly account: Account;
  readonly node: NodeClients;
}

/** Everything in the story. */
export interface Cast {
  readonly world: World;
  readonly host: WorldNode;
  readonly partner: WorldNode;
  /** The web server of the domain. */
  readonly site: Site;
  readonly rogue: RogueHost;
  readonly rogueUrl: string;
  readonly owner: WorldTool;
  readonly signal: AbortSignal;
}

/** What partner.test thinks of the domain, and what becomes of a share to it. */
export interface Verdict {
  /** Why the domain is refused; empty if it is not. */
  readonly reason: string;
  /** The same in words. */
  readonly message: string;
  /** Whether the share waits, and the rogue host got nothing but questions for its proof. */
  readonly held: boolean;
}

/** What `keypears domain host --json` prints. */
interface HostKeys {
  readonly apiUrl: string;
  readonly nodeKeys: readonly string[];
}

/** What `keypears domain claim --json` prints, as far as it matters here. */
interface HostedState {
  readonly state: string;
  readonly checks: readonly { readonly outcome: string }[];
}

/** The domain of the story. */
export const DOMAIN = "acme.test";

const OWNER = "owner@host.test";
const DAY_MS = 86_400_000;
const PATIENCE_MS = 30_000;
const POLL_MS = 50;

/** Starts everything. */
export async function assemble(world: World, signal: AbortSignal): Promise<Cast> {
  const [hostPlace, partnerPlace, sitePlace, roguePlace] = [
    await world.place("host.test"),
    await world.place("partner.test"),
    await world.place(DOMAIN),
    await world.place("rogue.test"),
  ];
  const [host, partner] = [await world.node(hostPlace), await world.node(partnerPlace)];
  const [site, rogue] = await Promise.all([
    world.site(sitePlace),
    startRogueHost({
      credentials: world.certify(roguePlace.name),
      address: roguePlace.address,
      port: roguePlace.port,
      prove: () => {
        throw new Error("nothing is copied yet");
      },
    }),
    host.start(),
    partner.start(),
  ]);
  world.atEnd(() => rogue.close());
  const owner = await world.tool("owner");
  return { world, host, partner, site, rogue, rogueUrl: world.url(roguePlace, "/api"), owner, signal };
}

/** Makes an account at host.test and the domain key, authorizes host.test with that, and gives what to publish. */
export async function authorizeHost({ owner }: Cast, password: string): Promise<Publication> {
  await owner.json(["account", "create", OWNER], toBase64(randomBytes(18)));
  await owner.json(["domain", "keygen", DOMAIN], password);
  const { apiUrl, nodeKeys } = await owner.json<HostKeys>(["domain", "host"]);
  const consent = ["--api-url", apiUrl, "--node-key", ...nodeKeys];
  await owner.json(["domain", "authorize", DOMAIN, ...consent], password);
  return owner.json<Publication>(["domain", "document", DOMAIN]);
}

/** Puts a document on the domain's web server, and a record into DNS. */
export function publish({ world, site }: Cast, { document, txt }: Publication): void {
  site.documents.set(DOMAIN, document);
  world.dns.zone.set(domainTxtName(DOMAIN), { txt: [txt] });
}

/** The owner claims the domain at host.test, which says how it stands then. */
export async function claim({ owner }: Cast, keyPassword: string): Promise<boolean> {
  const { state, checks } = await owner.json<HostedState>(["domain", "claim", DOMAIN], keyPassword);
  return state === "active" && checks.every(({ outcome }) => outcome === "passed" || outcome === "skipped");
}

/** Makes an account. */
export async function makePerson(
  env: NodeEnvironment,
  address: string,
  signal: AbortSignal,
  invitationCode?: string,
): Promise<Person> {
  const input = { address, password: toBase64(randomBytes(18)), deviceName: "demo" };
  const invited = invitationCode === undefined ? input : { ...input, invitationCode };
  return present(env, await createAccount(env, invited, { signal }));
}

/** Makes an invitation to the domain for a name, and the account with it. */
export async function invite({ world, owner, signal }: Cast, name: string): Promise<Person> {
  const { code } = await owner.json<{ code: string }>(["domain", "invite", DOMAIN, "--name", name]);
  return makePerson(world.environment(), `${name}@${DOMAIN}`, signal, code);
}

/** Whether the person's node finds the domain proven. */
export async function isProven({ node }: Person): Promise<boolean> {
  return (await node.discovery.resolveDomain({ domain: DOMAIN })).proven;
}

/** Sends a text and opens it at the other end: how many shares arrived, 1 or 0. */
export async function exchange(from: Person, to: Person, text: string, signal: AbortSignal): Promise<number> {
  const { shareId } = await from.account.shares.send(to.account.address, { kind: "text", text }, { signal });
  return opens(from, to, shareId, text, signal);
}

/** Waits until a share is delivered, and opens it: 1 if it says what was sent. */
export async function opens(
  from: Person,
  to: Person,
  shareId: Uint8Array,
  text: string,
  signal: AbortSignal,
): Promise<number> {
  const { state } = await settle(from, shareId, ({ state }) => !isUnderWay(state), signal);
  if (state !== DeliveryState.DELIVERED) return 0;
  const { content } = await to.account.shares.open(shareId);
  return content.kind === "text" && content.text === text ? 1 : 0;
}

/** Seals a share to keys that were known before anything was broken into, and leaves it with the sender's node. */
export async function queue(from: Person, to: Person, text: string): Promise<Uint8Array> {
  const [sender, recipient] = [(await from.account.keyRing()).at(-1), (await to.account.keyRing()).at(-1)];
  if (!sender || !recipient) throw new Error("there are no keys");
  const { envelope, shareId } = sealShare({
    content: { kind: "text", text },
    sender,
    recipient: recipient.keySet,
    createdAt: Date.now(),
    expiresAt: 0,
  });
  await from.node.shares.sendShare({ envelope });
  return shareId;
}

/** Ends partner.test and starts it again: nothing is cached, and what it remembers is in its database. */
export async function startAnew({ world, partner }: Cast, person: Person): Promise<Person> {
  await partner.stop();
  await partner.start();
  return present(world.environment(), person.signedIn);
}

/** Asks partner.test for the domain, and has it try to deliver a share. */
export async function verdict(
  { rogue, signal }: Cast,
  person: Person,
  waiting: Uint8Array,
): Promise<Verdict> {
  const refusal = await refusalOf(person.node.discovery.resolveDomain({ domain: DOMAIN }));
  await person.account.shares.retry(waiting);
  const status = await settle(person, waiting, ({ message }) => message !== "", signal);
  const onlyAsked = rogue.calls.every((path) => path.endsWith("/ProveDomain"));
  return {
    reason: refusal?.reason ?? "",
    message: refusal?.message ?? "",
    held: status.state === DeliveryState.QUEUED && onlyAsked,
  };
}

/** What somebody publishes who has taken over web server and DNS: a key of their own, which the rogue host proves well. */
export function impostor({ rogue, rogueUrl }: Cast): Publication {
  const [domainKey, nodeKey] = [generateCompositeKeyPair(), generateCompositeKeyPair()];
  const terms = {
    domain: DOMAIN,
    apiUrl: rogueUrl,
    nodePublicKeys: [nodeKey.publicKey],
    serial: 1_000,
    notBefore: Date.now() - DAY_MS,
    notAfter: Date.now() + DAY_MS,
  };
  const consent = {
    domainPublicKey: domainKey.publicKey,
    authorization: buildAuthorization(terms, domainKey.secretKey),
  };
  rogue.prove = (_domain, nonce) => buildDomainProof(consent, nodeKey, nonce, Date.now());
  const keyHash = toHex(domainKeyHash(domainKey.publicKey));
  return {
    document: buildDiscoveryDocument(rogueUrl, {}, { domainPubKeyHash: keyHash }),
    txt: formatDomainTxt({ keyHash }),
  };
}

/** The hash of the domain key in a document. */
export function keyHashOf({ document }: Publication): string {
  const parsed = parseDiscoveryDocument(Buffer.from(document));
  if (parsed.version !== 2) throw new Error("the document is not of version 2");
  return parsed.domainPubKeyHash;
}

/** Why a call was refused; undefined if it was not. */
async function refusalOf(call: Promise<unknown>): Promise<ClientError | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    const refusal = toClientError(error);
    if (refusal instanceof ClientError) return refusal;
    throw error;
  }
}

function present(env: NodeEnvironment, signedIn: SignedIn): Person {
  const { apiUrl, sessionToken } = signedIn.credentials;
  return {
    signedIn,
    account: openAccount(env, signedIn),
    node: nodeClients(env, apiUrl, () => sessionToken),
  };
}

function isUnderWay(state: DeliveryState): boolean {
  return state === DeliveryState.QUEUED || state === DeliveryState.DELIVERING;
}

/** Waits until a share's delivery is as asked for. @throws Error if that takes too long. */
async function settle(
  { account }: Person,
  shareId: Uint8Array,
  isThere: (status: DeliveryStatus) => boolean,
  signal: AbortSignal,
): Promise<DeliveryStatus> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const status = await account.shares.status(shareId);
    if (isThere(status)) return status;
    if (Date.now() >= until) throw new Error(`the share is still on its way: ${status.message}`);
    await delay(POLL_MS, undefined, { signal });
  }
}
