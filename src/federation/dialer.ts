// The one place that opens sockets to peers: discovery documents and RPC calls, first connections and later ones. Every
// socket is held to the connection policy, to TLS 1.3 with a certificate for the peer's name (RFC 8446, RFC 9525), and to
// a time in which it must be ready. Node 24 offers the hybrid group X25519MLKEM768 first by itself; what was agreed on
// is counted.

import net from "node:net";
import type { ConnectionOptions, SecureContext, TLSSocket } from "node:tls";
import type { ConnectionPolicy } from "./connection-policy.ts";
import { PeerError } from "./errors.ts";

/** The post-quantum hybrid group of draft-ietf-tls-ecdhe-mlkem. */
export const POST_QUANTUM_GROUP = "X25519MLKEM768";

/** Where to connect; an `ApiUrl` is one. */
export interface DialTarget {
  readonly scheme: "https" | "http";
  /** DNS name, or a loopback address in development. */
  readonly host: string;
  readonly port: number;
}

/** Opens sockets to peers. */
export interface Dialer {
  readonly policy: ConnectionPolicy;
  /**
   * Starts to connect, and returns the socket at once. It emits "secureConnect" ("connect" in cleartext) when it may be
   * used, or "error" with what {@link connectionError} understands.
   *
   * @param protocols ALPN names to offer (RFC 7301), best first.
   * @throws PeerError `PEER_ADDRESS_FORBIDDEN`.
   */
  open(target: DialTarget, protocols: readonly string[]): net.Socket;
  /** How many connections agreed on each TLS group since the start. */
  groupCounts(): ReadonlyMap<string, number>;
  /** Destroys every socket that is still open. */
  close(): void;
}

/** What a dialer is made of. */
export interface DialerOptions {
  readonly policy: ConnectionPolicy;
  /** Authorities to trust in place of Node's own, in PEM. */
  readonly trustedCertificates?: readonly string[];
  /** Refuse peers without {@link POST_QUANTUM_GROUP}; off by default. */
  readonly requirePostQuantum?: boolean;
  /** Time for look-up, connection and TLS together, in milliseconds; 5 s by default. */
  readonly connectTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 5_000;

/** Makes the dialer that all of a node's outgoing connections share. */
export function createDialer(options: DialerOptions): Dialer {
  const { policy, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
  // Shared, because reading the authorities takes milliseconds; and made when it is needed, which a command in development
  // never does.
  let sharedContext: SecureContext | undefined;
  const secureContext = (): SecureContext => {
    sharedContext ??= process.getBuiltinModule("node:tls").createSecureContext({
      minVersion: "TLSv1.3",
      ...(options.trustedCertificates === undefined ? {} : { ca: [...options.trustedCertificates] }),
      ...(options.requirePostQuantum === true ? { ecdhCurve: POST_QUANTUM_GROUP } : {}),
    });
    return sharedContext;
  };
  const connectSecurely = (settings: ConnectionOptions): TLSSocket =>
    process.getBuiltinModule("node:tls").connect({ ...settings, secureContext: secureContext() });
  const counts = new Map<string, number>();
  const sockets = new Set<net.Socket>();

  const open = (target: DialTarget, protocols: readonly string[]): net.Socket => {
    const { scheme, host, port } = target;
    policy.checkTarget(scheme, host);
    const socket =
      scheme === "http"
        ? net.connect({ host, port, lookup: policy.lookup })
        : connectSecurely({
            host,
            port,
            lookup: policy.lookup,
            ALPNProtocols: [...protocols],
            // Said here so that NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment cannot take it away.
            rejectUnauthorized: true,
            ...(net.isIP(host) === 0 ? { servername: host } : {}),
          });
    sockets.add(socket);
    // Whoever uses the socket listens for itself; between two users an error must not end the process.
    socket.on("error", () => {});
    const timer = setTimeout(() => {
      socket.destroy(new PeerError("PEER_TIMEOUT", host, `connecting to ${host} took too long`));
    }, connectTimeoutMs);
    socket.once("close", () => {
      clearTimeout(timer);
      sockets.delete(socket);
    });
    // Before TLS sends its first byte: the look-up has been checked already, and this holds should anything ever connect
    // in another way.
    socket.prependOnceListener("connect", () => {
      if (policy.allowsAddress(host, socket.remoteAddress ?? "")) return;
      socket.destroy(
        new PeerError("PEER_ADDRESS_FORBIDDEN", host, `this node does not connect to ${host}: wrong address`),
      );
    });
    socket.once(scheme === "http" ? "connect" : "secureConnect", () => {
      clearTimeout(timer);
      const group = tlsGroup(socket);
      if (group !== "") counts.set(group, (counts.get(group) ?? 0) + 1);
    });
    return socket;
  };

  const close = (): void => {
    for (const socket of sockets) socket.destroy();
  };

  return { policy, open, groupCounts: () => new Map(counts), close };
}

/** The TLS group that a connected socket agreed on, such as "X25519MLKEM768"; empty in cleartext. */
export function tlsGroup(socket: net.Socket): string {
  if (!isSecure(socket)) return "";
  const info = socket.getEphemeralKeyInfo();
  return info !== null && "name" in info && typeof info.name === "string" ? info.name : "";
}

function isSecure(socket: net.Socket): socket is TLSSocket {
  return "encrypted" in socket && socket.encrypted === true;
}

/**
 * Says what an error of a socket, or of an HTTP exchange over one, means for `host`.
 *
 * @throws the error itself if it is none of these: a bug must not pass for a peer's fault.
 */
export function connectionError(host: string, error: unknown): PeerError {
  const codes: string[] = [];
  for (const link of causes(error)) {
    if (link instanceof PeerError) return link;
    if (typeof link.code === "string") codes.push(link.code);
  }
  if (codes.length === 0) throw error;
  for (const code of codes) {
    const certificateProblem = CERTIFICATE_PROBLEMS.get(code);
    if (certificateProblem !== undefined) {
      return new PeerError("PEER_TLS_FAILED", host, `the certificate of ${host} ${certificateProblem}`, {
        cause: error,
      });
    }
    if (/^(?:ERR_SSL_|ERR_TLS_|EPROTO$|CERT_|UNABLE_TO_|CRL_|INVALID_CA$|INVALID_PURPOSE$)/.test(code)) {
      return new PeerError("PEER_TLS_FAILED", host, `no TLS 1.3 connection with ${host}`, { cause: error });
    }
    // What llhttp and nghttp2 call bytes that are not HTTP.
    if (/^(?:HPE_|ERR_HTTP2_ERROR$|ERR_HTTP2_TOO_MANY_)/.test(code)) {
      return new PeerError("PEER_RESPONSE_INVALID", host, `${host} does not speak HTTP`, { cause: error });
    }
  }
  return new PeerError("PEER_UNREACHABLE", host, `no connection with ${host}, or it broke`, { cause: error });
}

// OpenSSL's X509_V_ERR_* as Node spells them; the rest of them get the general message.
const CERTIFICATE_PROBLEMS: ReadonlyMap<string, string> = new Map([
  ["ERR_TLS_CERT_ALTNAME_INVALID", "is for another name"],
  ["CERT_HAS_EXPIRED", "has expired"],
  ["CERT_NOT_YET_VALID", "is not valid yet"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "is from an unknown authority"],
  ["UNABLE_TO_GET_ISSUER_CERT", "is from an unknown authority"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "is from an unknown authority"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "is self-signed"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "is from an unknown authority"],
]);

/** An error and what caused it, outermost first; a handful of steps at most. */
function* causes(error: unknown): Generator<Error & { readonly code?: unknown }> {
  let link = error;
  for (let depth = 0; depth < 8 && link instanceof Error; depth++) {
    yield link;
    link = link.cause;
  }
}
