/**
 * The tool's connections to nodes: HTTP/1.1, kept alive for as long as a command runs, each opened under a connection policy.
 * In front of it stand the environment of the client library and the short road for calls that need no key.
 */

import type http from "node:http";
import type https from "node:https";
import { type ConnectionPolicy, createConnectionPolicy } from "../federation/connection-policy.ts";
import type { DevelopmentResolution } from "../federation/development-resolution.ts";
import { connectionError, createDialer, type Dialer, type DialTarget } from "../federation/dialer.ts";
import { createAddressLookup } from "../federation/dns-addresses.ts";
import { parseCidr } from "../protocol/ip-policy.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";

// Imported as modules, these would set up every name that they export, among them some that load all of fetch: that alone
// takes longer than a Node process does to start.
const { http: plain, https: secure } = {
  http: process.getBuiltinModule("node:http"),
  https: process.getBuiltinModule("node:https"),
};

/** What a node answered. */
export interface Answer {
  readonly status: number;
  /** Media type without parameters; empty if none was given. */
  readonly contentType: string;
  readonly retryAfter: string | undefined;
  readonly body: Uint8Array;
}

/** One request. */
export interface Post {
  /** Absolute URL below a node's apiUrl. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
}

/** Connections to any number of nodes. */
export interface Connections {
  readonly dialer: Dialer;
  /** Sends a request. @throws CliError `NODE_UNREACHABLE`, PeerError, or the signal's AbortError. */
  post(request: Post): Promise<Answer>;
  /** The agent of a URL's scheme, whose connections go where they may. */
  agentFor(url: URL): http.Agent;
  close(): void;
}

/** An answer carries no more than this many bytes: a node must not exhaust the device. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

// A company's node may lie in its own network. Unlike a node, which strangers could send there, this tool goes where its
// user names a domain. Loopback stays for development.
const PRIVATE_NETWORKS = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];

/** Opens nothing yet. Names are looked up at `dnsServers`, if there are any. */
export function createConnections(
  development: DevelopmentResolution | undefined,
  dnsServers: readonly string[] = [],
): Connections {
  const policy = createConnectionPolicy({
    allowedNetworks: PRIVATE_NETWORKS.map(parseCidr),
    development,
    ...(dnsServers.length > 0 && { lookup: createAddressLookup(dnsServers) }),
  });
  const dialer = createDialer({ policy });
  const agents = new Map<string, http.Agent>();

  const agentFor = (url: URL): http.Agent => {
    const known = agents.get(url.origin);
    if (known !== undefined) return known;
    const agent = new (url.protocol === "http:" ? plain : secure).Agent({ keepAlive: true });
    const target = targetOf(url, policy);
    agent.createConnection = () => dialer.open(target, ["http/1.1"]);
    agents.set(url.origin, agent);
    return agent;
  };

  return {
    dialer,
    agentFor,
    post: (request) => post(agentFor(new URL(request.url)), request),
    close() {
      for (const agent of agents.values()) agent.destroy();
      dialer.close();
    },
  };
}

/** Where a URL's requests go: to its own host and port, or where development resolution puts that host. */
function targetOf(url: URL, { development }: ConnectionPolicy): DialTarget {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const { protocol, port } = development?.get(host) ?? url;
  const scheme = protocol === "http:" ? "http" : "https";
  return { scheme, host, port: Number(port) || (scheme === "http" ? 80 : 443) };
}

function post(agent: http.Agent, { url, headers, body, signal, timeoutMs }: Post): Promise<Answer> {
  const { host, hostname, protocol } = new URL(url);
  const options: https.RequestOptions = {
    method: "POST",
    agent,
    headers: { ...headers, host, "content-length": body.length, "accept-encoding": "identity" },
    ...(signal && { signal }),
  };
  return new Promise((resolve, reject) => {
    const request = (protocol === "http:" ? plain : secure).request(url, options);
    const timer = setTimeout(() => {
      request.destroy(unreachable(`${hostname} did not answer in time`));
    }, timeoutMs);
    const fail = (error: Error) => {
      clearTimeout(timer);
      reject(signal?.aborted || error instanceof CliError ? error : asConnectionError(hostname, error));
    };
    request.on("error", fail);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > MAX_ANSWER_BYTES) request.destroy(unreachable(`${hostname} answered with too much`));
        else chunks.push(chunk);
      });
      response.on("error", fail);
      response.on("end", () => {
        clearTimeout(timer);
        resolve({
          status: response.statusCode ?? 0,
          contentType: (response.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "",
          retryAfter: response.headers["retry-after"],
          body: Buffer.concat(chunks, length),
        });
      });
    });
    request.end(body);
  });
}

function asConnectionError(host: string, error: Error): Error {
  try {
    return connectionError(host, error);
  } catch {
    return error;
  }
}

function unreachable(message: string): CliError {
  return new CliError(
    "NODE_UNREACHABLE",
    EXIT.unreachable,
    message,
    "check the network, and that the node runs",
  );
}
