// People at nodes of a test, with the client library as an application has it: over real sockets, with discovery documents
// fetched from the nodes themselves.

import http from "node:http";
import https from "node:https";
import { text } from "node:stream/consumers";
import { createConnectTransport } from "@connectrpc/connect-node";
import { expect, vi } from "vitest";
import type { Envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import {
  type Account,
  bearer,
  ClientError,
  createAccount,
  DeliveryState,
  type DeliveryStatus,
  type Environment,
  fetchEnvironment,
  type NodeClients,
  nodeClients,
  openAccount,
  type SignedIn,
} from "../../src/client/index.ts";
import { DISCOVERY_PATH, parseDiscoveryDocument } from "../../src/protocol/discovery-document.ts";
import type { ShareContent } from "../../src/protocol/payload.ts";
import { sealShare } from "../../src/protocol/seal.ts";
import type { TestNode } from "./nodes.ts";

/** Somebody with an account. */
export interface Person {
  readonly account: Account;
  readonly address: string;
  readonly password: string;
  readonly signedIn: SignedIn;
  /** The methods of the person's own node, with the person's session: below the client library. */
  readonly node: NodeClients;
}

/** How long anything may take that happens in its own time: deliveries, expiry, reconnections. */
export const PATIENCE = { timeout: 60_000, interval: 25 } as const;

/**
 * An environment in which domains lie where their nodes are. In cleartext the library's own fetch makes the calls; with
 * `ca`, a certificate in PEM, connections are TLS to the domain's name.
 */
export function environment(
  nodes: readonly Pick<TestNode, "domain" | "origin">[],
  options: { readonly ca?: string; readonly httpVersion?: "1.1" | "2" } = {},
): Environment {
  const origins = new Map(nodes.map(({ domain, origin }) => [domain, new URL(origin)]));
  const inCleartext = fetchEnvironment();
  return {
    now: inCleartext.now,
    async resolveDomain(domain) {
      const origin = origins.get(domain);
      if (origin === undefined) throw new ClientError("DISCOVERY_FAILED", `the test knows no ${domain}`);
      const body = await getText(new URL(DISCOVERY_PATH, origin), domain, options.ca);
      const document = parseDiscoveryDocument(Buffer.from(body), { allowInsecure: true });
      return { apiUrl: document.apiUrl.href };
    },
    transport(apiUrl, token) {
      if (options.ca === undefined) return inCleartext.transport(apiUrl, token);
      const nodeOptions = {
        ca: options.ca,
        lookup: loopbackLookup,
      };
      return createConnectTransport({
        baseUrl: apiUrl,
        httpVersion: options.httpVersion ?? "1.1",
        nodeOptions,
        interceptors: token === undefined ? [] : [bearer(token)],
      });
    },
  };
}

/** Makes an account. */
export async function signUp(env: Environment, address: string): Promise<Person> {
  const password = `correct horse ${crypto.randomUUID()}`;
  const signedIn = await createAccount(env, { address, password, deviceName: "test" });
  const { apiUrl, sessionToken } = signedIn.credentials;
  return {
    account: openAccount(env, signedIn),
    address: signedIn.credentials.address,
    password,
    signedIn,
    node: nodeClients(env, apiUrl, () => sessionToken),
  };
}

/** Seals content from one person to another without asking anybody, as a client does that has looked both up before. */
export async function seal(
  from: Person,
  to: Person,
  content: ShareContent,
  options: { readonly createdAt?: number; readonly expiresAt?: number } = {},
): Promise<{ envelope: Envelope; shareId: Uint8Array }> {
  const sender = (await from.account.keyRing()).at(-1);
  const recipient = (await to.account.keyRing()).at(-1);
  if (!sender || !recipient) throw new Error("somebody has no keys");
  return sealShare({
    content,
    sender,
    recipient: recipient.keySet,
    createdAt: options.createdAt ?? Date.now(),
    expiresAt: options.expiresAt ?? 0,
  });
}

/** Waits until the delivery of a share has come to its end. */
export async function settled(from: Person, shareId: Uint8Array): Promise<DeliveryStatus> {
  return vi.waitFor(async () => {
    const status = await from.account.shares.status(shareId);
    expect([DeliveryState.QUEUED, DeliveryState.DELIVERING], status.message).not.toContain(status.state);
    return status;
  }, PATIENCE);
}

/** Waits until a share has arrived. */
export async function delivered(from: Person, shareId: Uint8Array): Promise<void> {
  const { state, message } = await settled(from, shareId);
  expect({ state, message }).toEqual({ state: DeliveryState.DELIVERED, message: "" });
}

/** The reason for which something is refused; its success fails the test. */
export async function reasonOf(refused: Promise<unknown>): Promise<string> {
  const error: unknown = await refused.then(
    () => new Error("it was not refused"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof ClientError) return error.reason;
  throw error;
}

/** All share ids in a box, in hex, newest first. */
export async function shareIds(of: Person, box: "received" | "sent" = "received"): Promise<string[]> {
  const ids: string[] = [];
  let pageToken = "";
  do {
    const page = await of.account.shares.list(box, { pageToken, pageSize: 100 });
    ids.push(...page.shares.map(({ shareId }) => Buffer.from(shareId).toString("hex")));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return ids;
}

/** `options.lookup` of a socket: every name lies on this machine. */
export const loopbackLookup = ((_host, options, callback) => {
  const address = { address: "127.0.0.1", family: 4 };
  if (options.all === true) callback(null, [address]);
  else callback(null, address.address, address.family);
}) as import("node:net").LookupFunction;

function getText(url: URL, host: string, ca: string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { headers: { host }, agent: false as const };
    const request =
      url.protocol === "http:"
        ? http.get(url, options)
        : https.get(url, { ...options, servername: host, ...(ca !== undefined && { ca }) });
    request.on("error", () => reject(new ClientError("DISCOVERY_FAILED", `${host} cannot be reached`)));
    request.on("response", (response) => resolve(text(response)));
  });
}
