// Calls to other nodes: resolves the domain, takes a warm connection to its host, calls, and turns whatever goes wrong
// into one PeerError. Peers are strangers: answers are bounded in size and time, redirects are never followed, and
// nothing that a peer wrote goes into a message.

import { type CallOptions, createClient } from "@connectrpc/connect";
import { DiscoveryService, type GetServerInfoResponse } from "../../gen/keypears/v1/discovery_service_pb.ts";
import type { Envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import { type DeliveryResult, FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import type { KeySetView, PublishedKeySet } from "../../gen/keypears/v1/key_set_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { invalidResponse, isTimeout, saysMoved, toPeerError } from "./call-errors.ts";
import { createDeliveryStream, type DeliveryStream, type DeliveryStreamTimes } from "./delivery-stream.ts";
import type { Dialer } from "./dialer.ts";
import { PeerError } from "./errors.ts";
import {
  createPeerConnections,
  DEFAULT_PEER_CONNECTION_LIMITS,
  type PeerConnection,
  type PeerConnectionLimits,
  type PeerConnections,
} from "./peer-connections.ts";
import type { DomainResolver } from "./resolver.ts";
import { untilAborted } from "./until-aborted.ts";

/** Options of one call. */
export interface PeerCallOptions {
  /** Ends the call early; it then fails with `PEER_CALL_CANCELLED`, or `PEER_TIMEOUT` if the signal is a time-out's. */
  readonly signal?: AbortSignal | undefined;
  /** Whoever causes the call, by connection: see `DomainResolver.resolve`. */
  readonly source?: string | undefined;
}

/** Calls other nodes. Domains are canonical. Every method throws {@link PeerError} and nothing else. */
export interface Peers {
  /**
   * Asks `domain` for a key set; number 0 asks for the active one. What comes back is not verified. A domain that has none
   * answers `PEER_REFUSED` with the `peerReason` ADDRESS_UNKNOWN or KEY_SET_UNKNOWN.
   */
  getKeySet(
    domain: string,
    request: { readonly address: string; readonly number: number; readonly view: KeySetView },
    options?: PeerCallOptions,
  ): Promise<PublishedKeySet>;
  /** Delivers a batch to `domain`; one result for each envelope, in the same order. */
  deliverShares(
    domain: string,
    envelopes: readonly Envelope[],
    options?: PeerCallOptions,
  ): Promise<readonly DeliveryResult[]>;
  /**
   * Opens a stream for deliveries to `domain`; undefined where the peer speaks HTTP/1.1 only, which has no streams both ways.
   * Whether the peer knows the method shows with the first batch.
   */
  openDeliveryStream(domain: string, options?: PeerCallOptions): Promise<DeliveryStream | undefined>;
  /** Asks the host of `domain` what it is and what its limits are. */
  getServerInfo(domain: string, options?: PeerCallOptions): Promise<GetServerInfoResponse>;
  /** Ends every connection, and with them every call. */
  close(): void;
}

/** Bounds of calls and connections. */
export interface PeerLimits extends PeerConnectionLimits {
  /** Time for a whole call, look-up and connection included, in milliseconds. */
  readonly callTimeoutMs: number;
}

/** What peers are made of. */
export interface PeersOptions {
  readonly resolver: DomainResolver;
  readonly dialer: Dialer;
  /** Connections that others use too, which end with the peers; some of its own unless given. */
  readonly connections?: PeerConnections;
  readonly limits?: Partial<PeerLimits>;
  readonly streamTimes?: Partial<DeliveryStreamTimes>;
}

const CALL_TIMEOUT_MS = 15_000;
/** Makes the client side of a node's federation. */
export function createPeers(options: PeersOptions): Peers {
  const { resolver, dialer } = options;
  const limits = { ...DEFAULT_PEER_CONNECTION_LIMITS, callTimeoutMs: CALL_TIMEOUT_MS, ...options.limits };
  const connections = options.connections ?? createPeerConnections(dialer, limits);
  const closing = new AbortController();

  async function call<T>(
    domain: string,
    { signal, source }: PeerCallOptions,
    rpc: (peer: PeerConnection, options: CallOptions) => Promise<T>,
  ): Promise<T> {
    const timeout = AbortSignal.timeout(limits.callTimeoutMs);
    const cancelled = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
    const ended = AbortSignal.any([cancelled, timeout]);
    try {
      const { apiUrl } = await untilAborted(resolver.resolve(domain, { source }), ended);
      const peer = await untilAborted(connections.connect(apiUrl), ended);
      return await rpc(peer, { signal: ended, timeoutMs: limits.callTimeoutMs });
    } catch (error) {
      const late = timeout.aborted || isTimeout(signal?.reason);
      if (cancelled.aborted && !late) {
        throw new PeerError("PEER_CALL_CANCELLED", domain, `the call to ${domain} was cancelled`, {
          cause: error,
        });
      }
      if (late) {
        throw new PeerError("PEER_TIMEOUT", domain, `${domain} did not answer in time`, { cause: error });
      }
      const failure = toPeerError(domain, error);
      if (saysMoved(failure)) resolver.invalidate(domain);
      throw failure;
    }
  }

  return {
    getKeySet: (domain, request, callOptions = {}) =>
      call(domain, callOptions, async ({ transport }, rpcOptions) => {
        const { published } = await createClient(KeySetService, transport).getKeySet(request, rpcOptions);
        if (published?.keySet === undefined) throw invalidResponse(domain, "without a key set");
        return published;
      }),

    deliverShares: (domain, envelopes, callOptions = {}) =>
      call(domain, callOptions, async ({ transport }, rpcOptions) => {
        const request = { envelopes: [...envelopes] };
        const { results } = await createClient(FederationService, transport).deliverShares(
          request,
          rpcOptions,
        );
        if (results.length !== envelopes.length) {
          throw invalidResponse(domain, "with another number of results than envelopes");
        }
        return results;
      }),

    openDeliveryStream: (domain, callOptions = {}) =>
      call(domain, callOptions, async ({ transport, httpVersion }) => {
        if (httpVersion === "1.1") return undefined;
        const { deliverShareStream } = createClient(FederationService, transport);
        return createDeliveryStream({
          domain,
          call: deliverShareStream,
          closing: closing.signal,
          onMoved: () => resolver.invalidate(domain),
          ...(options.streamTimes && { times: options.streamTimes }),
        });
      }),

    getServerInfo: (domain, callOptions = {}) =>
      call(domain, callOptions, ({ transport }, rpcOptions) =>
        createClient(DiscoveryService, transport).getServerInfo({}, rpcOptions),
      ),

    close() {
      closing.abort();
      connections.close();
    },
  };
}
