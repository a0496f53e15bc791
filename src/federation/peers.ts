// Calls to other nodes: resolves the domain, takes a warm connection to its host, calls, and turns whatever goes wrong
// into one PeerError. Peers are strangers: answers are bounded in size and time, redirects are never followed, and
// nothing that a peer wrote goes into a message.

import { type CallOptions, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { DiscoveryService, type GetServerInfoResponse } from "../../gen/keypears/v1/discovery_service_pb.ts";
import type { Envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import { type DeliveryResult, FederationService } from "../../gen/keypears/v1/federation_service_pb.ts";
import type { KeySetView, PublishedKeySet } from "../../gen/keypears/v1/key_set_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { ERROR_DOMAIN } from "../protocol/reasons.ts";
import { connectionError, type Dialer } from "./dialer.ts";
import { PeerError } from "./errors.ts";
import {
  createPeerConnections,
  DEFAULT_PEER_CONNECTION_LIMITS,
  type PeerConnectionLimits,
} from "./peer-connections.ts";
import type { DomainResolver } from "./resolver.ts";

/** Options of one call. */
export interface PeerCallOptions {
  /** Ends the call early; the call then fails with `PEER_CALL_CANCELLED`. */
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
  readonly limits?: Partial<PeerLimits>;
}

const CALL_TIMEOUT_MS = 15_000;
const MAX_RETRY_AFTER_MS = 3_600_000;
// Reasons are upper snake case, as AIP-193 has them; anything else from a stranger is not repeated.
const PEER_REASON = /^[A-Z][A-Z0-9_]{0,61}[A-Z0-9]$/;
const MOVED: ReadonlySet<string> = new Set(["DOMAIN_MOVED", "DOMAIN_NOT_HOSTED"]);

const RETRYABLE_CODES: ReadonlySet<Code> = new Set([
  Code.Canceled,
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
  Code.Aborted,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** Makes the client side of a node's federation. */
export function createPeers(options: PeersOptions): Peers {
  const { resolver, dialer } = options;
  const limits = { ...DEFAULT_PEER_CONNECTION_LIMITS, callTimeoutMs: CALL_TIMEOUT_MS, ...options.limits };
  const connections = createPeerConnections(dialer, limits);
  const closing = new AbortController();

  async function call<T>(
    domain: string,
    { signal, source }: PeerCallOptions,
    rpc: (transport: Transport, options: CallOptions) => Promise<T>,
  ): Promise<T> {
    const timeout = AbortSignal.timeout(limits.callTimeoutMs);
    const cancelled = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
    const ended = AbortSignal.any([cancelled, timeout]);
    try {
      const { apiUrl } = await untilAborted(resolver.resolve(domain, { source }), ended);
      const transport = await untilAborted(connections.transport(apiUrl), ended);
      return await rpc(transport, { signal: ended, timeoutMs: limits.callTimeoutMs });
    } catch (error) {
      if (cancelled.aborted) {
        throw new PeerError("PEER_CALL_CANCELLED", domain, `the call to ${domain} was cancelled`, {
          cause: error,
        });
      }
      if (timeout.aborted) {
        throw new PeerError("PEER_TIMEOUT", domain, `${domain} did not answer in time`, { cause: error });
      }
      const failure = toPeerError(domain, error);
      if (MOVED.has(failure.peerReason ?? "")) resolver.invalidate(domain);
      throw failure;
    }
  }

  return {
    getKeySet: (domain, request, callOptions = {}) =>
      call(domain, callOptions, async (transport, rpcOptions) => {
        const { published } = await createClient(KeySetService, transport).getKeySet(request, rpcOptions);
        if (published?.keySet === undefined) throw invalidResponse(domain, "without a key set");
        return published;
      }),

    deliverShares: (domain, envelopes, callOptions = {}) =>
      call(domain, callOptions, async (transport, rpcOptions) => {
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

    getServerInfo: (domain, callOptions = {}) =>
      call(domain, callOptions, (transport, rpcOptions) =>
        createClient(DiscoveryService, transport).getServerInfo({}, rpcOptions),
      ),

    close() {
      closing.abort();
      connections.close();
    },
  };
}

/** What `promise` comes to, or the signal's reason as soon as it is aborted; `promise` itself goes on. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

function toPeerError(domain: string, error: unknown): PeerError {
  if (!(error instanceof ConnectError)) return connectionError(domain, error);
  const answered = peerAnswer(domain, error);
  if (answered !== undefined) return answered;
  // A redirect has to be told from the status, which connect-es gives in this form only.
  if (/^HTTP 3[0-9]{2}$/.test(error.rawMessage)) {
    return new PeerError("PEER_REDIRECT_REFUSED", domain, `${domain} answered a call with a redirect`, {
      cause: error,
    });
  }
  if (hasErrorCode(error)) return connectionError(domain, error);
  // A stream that was reset, in connect-es's words: "http/2 stream closed with error code CANCEL (0x8)".
  if (error.rawMessage.startsWith("http/2 stream closed")) {
    return new PeerError("PEER_UNREACHABLE", domain, `the connection with ${domain} broke`, { cause: error });
  }
  switch (error.code) {
    case Code.Unavailable:
      return new PeerError("PEER_UNREACHABLE", domain, `${domain} is not available`, { cause: error });
    case Code.DeadlineExceeded:
      return new PeerError("PEER_TIMEOUT", domain, `${domain} did not answer in time`, { cause: error });
    case Code.ResourceExhausted:
      // Raised on this side it has no headers of an answer with it.
      if ([...error.metadata.keys()].length === 0) {
        return new PeerError(
          "PEER_RESPONSE_TOO_LARGE",
          domain,
          `${domain} answered with more than a message may have`,
          { cause: error },
        );
      }
      return new PeerError("PEER_REFUSED", domain, `${domain} takes no more calls for now`, {
        retryable: true,
        cause: error,
      });
    default:
      return invalidResponse(domain, "that is none of this protocol", error);
  }
}

/** The error that a node gave for an answer, if it is one of this protocol (docs/protocol.md section 9). */
function peerAnswer(domain: string, error: ConnectError): PeerError | undefined {
  const info = error.findDetails(ErrorInfoSchema).find((detail) => detail.domain === ERROR_DOMAIN);
  if (info === undefined || !PEER_REASON.test(info.reason)) return undefined;
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const delayMs = delay === undefined ? undefined : Number(delay.seconds) * 1_000 + delay.nanos / 1e6;
  return new PeerError("PEER_REFUSED", domain, `${domain} refused: ${info.reason}`, {
    peerReason: info.reason,
    retryable: RETRYABLE_CODES.has(error.code) || MOVED.has(info.reason),
    retryAfterMs: delayMs === undefined ? undefined : Math.min(Math.max(delayMs, 0), MAX_RETRY_AFTER_MS),
    cause: error,
  });
}

function hasErrorCode(error: ConnectError): boolean {
  const { cause } = error;
  if (cause instanceof PeerError) return true;
  return cause instanceof Error && "code" in cause && typeof cause.code === "string";
}

function invalidResponse(domain: string, what: string, cause?: unknown): PeerError {
  return new PeerError("PEER_RESPONSE_INVALID", domain, `${domain} gave an answer ${what}`, { cause });
}
