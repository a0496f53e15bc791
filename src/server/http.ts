/**
 * What the node answers over HTTP beside calls: the discovery document (docs/protocol.md, section 2), its health, what other
 * paths are given to it, and a clear refusal for all else.
 */

import { primitives, toHex, utf8 } from "../crypto/index.ts";
import { SERVED_BY_HEADER } from "../federation/document-fetcher.ts";
import type { Logger } from "../logger.ts";
import { DISCOVERY_PATH } from "../protocol/discovery-document.ts";
import { isLoopback } from "../protocol/ip-policy.ts";
import type { Exchange, HeaderList, Request, Response } from "./exchange.ts";
import { respondError, respondJson, respondMethodNotAllowed, respondText } from "./respond.ts";
import { isUnchanged } from "./rpc/caching.ts";
import type { RpcDispatcher } from "./rpc/dispatcher.ts";

/** Where a balancer asks whether this node may be given requests. */
export const HEALTH_PATH = "/healthz";

/** Answers requests to a path. `exchange` tells who sent the request. */
export type Route = (request: Request, response: Response, exchange: Exchange) => Promise<void>;

/** What the handler needs. */
export interface HttpHandlerOptions {
  readonly rpc: RpcDispatcher;
  /** What else answers requests, by path. */
  readonly routes: ReadonlyMap<string, Route>;
  /** The discovery document of a canonical domain; undefined for one that is not served here. */
  readonly discoveryDocument: (domain: string) => string | undefined;
  /** Tells documents of this node, and of those that share its database, from documents of other servers. */
  readonly documentMark: string;
  /** Under development, the domain as a request to which one to the listener itself is taken. */
  readonly developmentDomain: string | undefined;
  /** Resolves if the database answers. */
  readonly checkDatabase: () => Promise<void>;
  readonly stopping: AbortSignal;
  /** Whether the listener speaks TLS itself. */
  readonly secure: boolean;
  readonly log: Logger;
}

const DISCOVERY_MAX_AGE_SECONDS = 300;
const HSTS = "max-age=31536000";
const READ_METHODS = ["GET", "HEAD"];

/** Makes the handler of all requests. */
export function createHttpHandler(options: HttpHandlerOptions): (exchange: Exchange) => void {
  const { log } = options;
  const standing: HeaderList = [
    "x-content-type-options",
    "nosniff",
    ...(options.secure ? ["strict-transport-security", HSTS] : []),
  ];

  return (exchange) => {
    exchange.standing = standing;
    if (options.rpc(exchange)) return;
    const { request, response } = exchange.messages();
    answer(request, response, exchange).catch((error: unknown) => {
      log.error({ err: error }, "a request failed in a way that is a bug");
      if (response.headersSent) response.destroy();
      else respondError(response, 500, "INTERNAL", "internal error");
    });
  };

  async function answer(request: Request, response: Response, exchange: Exchange): Promise<void> {
    const [path = ""] = (request.url ?? "").split("?", 1);
    const route = options.routes.get(path);
    if (route !== undefined) await route(request, response, exchange);
    else if (path === DISCOVERY_PATH) answerDiscovery(request, response);
    else if (path === HEALTH_PATH) await answerHealth(request, response);
    else respondError(response, 404, "NOT_FOUND", "nothing here: see /.well-known/keypears.json");
  }

  function answerDiscovery(request: Request, response: Response): void {
    response.setHeader("Access-Control-Allow-Origin", "*");
    if (request.method === "OPTIONS") {
      response.setHeader("Access-Control-Allow-Methods", READ_METHODS.join(", "));
      response.statusCode = 204;
      response.end();
      return;
    }
    if (!READ_METHODS.includes(request.method ?? "")) {
      respondMethodNotAllowed(response, [...READ_METHODS, "OPTIONS"]);
      return;
    }
    const document = options.discoveryDocument(hostOf(request));
    if (document === undefined) {
      const message = "this node does not host the domain in the Host header";
      respondError(response, 404, "DOMAIN_NOT_HOSTED", message);
      return;
    }
    const etag = `"${toHex(primitives().blake3.hash(utf8(document), 16))}"`;
    const headers = {
      "Content-Type": "application/json",
      "Cache-Control": `max-age=${DISCOVERY_MAX_AGE_SECONDS}`,
      ETag: etag,
      [SERVED_BY_HEADER]: options.documentMark,
    };
    if (isUnchanged(request.headers["if-none-match"], [etag])) respondText(response, 304, "", headers);
    else respondText(response, 200, document, headers);
  }

  /** The domain that a request is to. */
  function hostOf(request: Request): string {
    const { host, port } = authorityOf(request);
    const { developmentDomain } = options;
    const isListener = port === request.socket.localPort && (host === "localhost" || isLoopback(host));
    return developmentDomain !== undefined && isListener ? developmentDomain : host;
  }

  async function answerHealth(request: Request, response: Response): Promise<void> {
    if (!READ_METHODS.includes(request.method ?? "")) {
      respondMethodNotAllowed(response, READ_METHODS);
      return;
    }
    const status = await health();
    const headers = { "Cache-Control": "no-store" };
    respondJson(response, status === "ok" ? 200 : 503, { status }, headers);
  }

  async function health(): Promise<"ok" | "stopping" | "database unavailable"> {
    if (options.stopping.aborted) return "stopping";
    try {
      await options.checkDatabase();
      return "ok";
    } catch (error) {
      log.warn({ err: error }, "the database does not answer");
      return "database unavailable";
    }
  }
}

/** The host, without brackets and a final dot, and the port that a request names (RFC 9110 §7.2); port 0 if it names none. */
function authorityOf(request: Request): { host: string; port: number } {
  const authority = ("authority" in request ? request.authority : undefined) ?? request.headers.host ?? "";
  const [, bracketed, name = "", port = "0"] =
    /^(?:\[([^\]]*)\]|([^:]*))(?::([0-9]{1,5}))?$/.exec(authority) ?? [];
  return { host: (bracketed ?? name).toLowerCase().replace(/\.$/, ""), port: Number(port) };
}
