/**
 * How deliveries get to a domain (docs/protocol.md, section 6.3): over a stream where the peer takes one, as calls side by
 * side over HTTP/2 where it does not, as small calls one after another over HTTP/1.1, which is what plain proxies speak. And
 * how much of it at once: what the peer's GetServerInfo says, and never more than this node would take itself.
 */

import { LRUCache } from "lru-cache";
import type { ServerLimits } from "../../gen/keypears/v1/discovery_service_pb.ts";
import type { Envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import type { DeliveryResult } from "../../gen/keypears/v1/federation_service_pb.ts";
import { MAX_DELIVERY_ENVELOPES, MAX_ENVELOPE_BYTES, MAX_REQUEST_BYTES } from "../protocol/limits.ts";
import type { DeliveryStream } from "./delivery-stream.ts";
import { PeerError, type PeerErrorReason } from "./errors.ts";
import type { Peers } from "./peers.ts";

/** A way to deliver to one domain. */
export interface DeliveryRoute {
  /** As they are now: a peer that refuses a stream changes them. */
  limits(): RouteLimits;
  /**
   * Delivers a batch. One result for each envelope, in their order.
   *
   * @throws PeerError when the domain as a whole cannot be reached, or refuses the batch as a whole.
   */
  deliver(envelopes: readonly Envelope[], signal: AbortSignal): Promise<readonly DeliveryResult[]>;
}

/** What a route carries. */
export interface RouteLimits {
  /** Batches under way at once. */
  readonly maxBatches: number;
  /** Envelopes of a batch. */
  readonly maxEnvelopes: number;
  /** Size of a batch's envelopes in bytes. */
  readonly maxBytes: number;
  /** Size of an envelope in bytes; what is larger is refused wherever it comes from. */
  readonly maxEnvelopeBytes: number;
}

/** Opens a route. @throws PeerError */
export type OpenRoute = (domain: string, signal: AbortSignal) => Promise<DeliveryRoute>;

/** A batch is to be decided in well under a second, so that its answer says how fast the peer is. */
const MAX_BATCH_BYTES = 1024 * 1024;
/** Where nothing better is agreed on, small batches: the proxy has them all in memory, and may have a limit of its own. */
const MAX_PLAIN_ENVELOPES = 32;
const MAX_PLAIN_BYTES = 512 * 1024;
/** Room for what a request holds beside its envelopes: a few bytes for each. */
const REQUEST_OVERHEAD_BYTES = 16 * 1024;

const STREAM_BATCHES = 8;
const UNARY_BATCHES = 4;

const LIMITS_TTL_MS = 600_000;
/** How long a peer is taken to know no streams. */
const NO_STREAM_TTL_MS = 300_000;
const MAX_DOMAINS = 1_000;

/** The peer is there and GetServerInfo is not: an older node, or one that has enough of questions. */
const WITHOUT_LIMITS: ReadonlySet<PeerErrorReason> = new Set([
  "PEER_REFUSED",
  "PEER_RESPONSE_INVALID",
  "PEER_RESPONSE_TOO_LARGE",
]);

type Carriage = "stream" | "unary" | "plain";
type PeerLimits = Pick<RouteLimits, "maxEnvelopes" | "maxBytes" | "maxEnvelopeBytes">;

/** Routes over a node's calls to its peers. Streams end with the peers, or by themselves. */
export function createPeerRoutes(
  peers: Pick<Peers, "deliverShares" | "getServerInfo" | "openDeliveryStream">,
): OpenRoute {
  const limitsByDomain = new LRUCache<string, PeerLimits>({ max: MAX_DOMAINS, ttl: LIMITS_TTL_MS });
  const withoutStream = new LRUCache<string, Carriage>({ max: MAX_DOMAINS, ttl: NO_STREAM_TTL_MS });
  const streams = new LRUCache<string, Promise<DeliveryStream | undefined>>({ max: MAX_DOMAINS });

  async function limitsOf(domain: string, signal: AbortSignal): Promise<PeerLimits> {
    const known = limitsByDomain.get(domain);
    if (known !== undefined) return known;
    try {
      const limits = toPeerLimits((await peers.getServerInfo(domain, { signal })).limits);
      limitsByDomain.set(domain, limits);
      return limits;
    } catch (error) {
      if (error instanceof PeerError && WITHOUT_LIMITS.has(error.reason)) return toPeerLimits(undefined);
      throw error;
    }
  }

  /** The stream to a domain, or undefined where there is none to be had. */
  async function streamTo(domain: string, signal: AbortSignal): Promise<DeliveryStream | undefined> {
    if (withoutStream.has(domain)) return undefined;
    const found = streams.get(domain);
    const open = await found?.catch(() => undefined);
    if (open?.isOpen()) return open;
    // Of several that find it closed, the first one opens another and the others join it.
    const current = streams.get(domain);
    if (current !== undefined && current !== found) return current;
    const opening = peers.openDeliveryStream(domain, { signal });
    streams.set(domain, opening);
    const stream = await opening;
    if (stream === undefined) withoutStream.set(domain, "plain");
    return stream;
  }

  return async (domain, signal) => {
    const limits = await limitsOf(domain, signal);
    await streamTo(domain, signal);
    return {
      limits: () => routeLimits(limits, withoutStream.get(domain) ?? "stream"),
      async deliver(envelopes, batchSignal) {
        const stream = await streamTo(domain, batchSignal);
        const results = await stream?.deliver(envelopes, batchSignal);
        if (results !== undefined) return results;
        if (stream !== undefined) withoutStream.set(domain, "unary");
        return peers.deliverShares(domain, envelopes, { signal: batchSignal });
      },
    };
  };
}

/** What a peer says of itself, as far as it makes sense. */
function toPeerLimits(said: ServerLimits | undefined): PeerLimits {
  const maxRequestBytes = Math.min(said?.maxRequestBytes || MAX_REQUEST_BYTES, MAX_REQUEST_BYTES);
  const maxBytes = Math.max(maxRequestBytes - REQUEST_OVERHEAD_BYTES, maxRequestBytes >> 1);
  return {
    maxEnvelopes: Math.min(said?.maxDeliveryEnvelopes || MAX_DELIVERY_ENVELOPES, MAX_DELIVERY_ENVELOPES),
    maxBytes,
    maxEnvelopeBytes: Math.min(said?.maxEnvelopeBytes || MAX_ENVELOPE_BYTES, maxBytes),
  };
}

function routeLimits(limits: PeerLimits, carriage: Carriage): RouteLimits {
  if (carriage === "plain") {
    return {
      ...limits,
      maxBatches: 1,
      maxEnvelopes: Math.min(limits.maxEnvelopes, MAX_PLAIN_ENVELOPES),
      maxBytes: Math.min(limits.maxBytes, MAX_PLAIN_BYTES),
    };
  }
  return {
    ...limits,
    maxBatches: carriage === "stream" ? STREAM_BATCHES : UNARY_BATCHES,
    maxBytes: Math.min(limits.maxBytes, MAX_BATCH_BYTES),
  };
}
