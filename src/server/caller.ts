/**
 * Who calls: the prefix that a request comes from, its connection, and the session that its bearer token (RFC 6750 §2.1)
 * opens. Known before a byte of the body is read.
 */

import { ProtocolError } from "../protocol/errors.ts";
import { type CidrRange, inRanges, sourcePrefix } from "../protocol/ip-policy.ts";
import type { Caller, ServiceContext } from "../services/context.ts";
import { authenticate } from "../services/session-token.ts";
import type { Connection, Exchange } from "./exchange.ts";

/**
 * The caller of a request. Only a token is worth a question to the database, and a wait for it.
 *
 * @param trustedProxies proxies whose X-Forwarded-For is believed.
 * @throws StorageError.
 */
export function identifyCaller(
  { connection, headers }: Pick<Exchange, "connection" | "headers">,
  context: Pick<ServiceContext, "stores" | "clock" | "log">,
  trustedProxies: readonly CidrRange[],
): Caller | Promise<Caller> {
  const caller = {
    sourcePrefix:
      trustedProxies.length === 0
        ? peerPrefix(connection)
        : prefixOf(clientAddress(connection.remoteAddress, headers["x-forwarded-for"], trustedProxies)),
    connectionId: connection.id,
    session: undefined,
  };
  const { authorization } = headers;
  if (authorization === undefined) return caller;
  return authenticate(context, authorization).then((session) => ({ ...caller, session }));
}

/**
 * The address of the client: the peer of the socket, unless that is a trusted proxy. Then X-Forwarded-For is read from its
 * end, where each proxy adds the peer that it saw, up to the first address that is no trusted proxy; what stands before
 * that is the client's own claim.
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | readonly string[] | undefined,
  trustedProxies: readonly CidrRange[],
): string | undefined {
  const hops = [forwardedFor ?? []].flat().join(",").split(",").reverse();
  let address = peer;
  for (const hop of hops) {
    if (address === undefined || !inRanges(address, trustedProxies)) break;
    const candidate = hop.trim();
    if (prefixOfAddress(candidate) === undefined) break;
    address = candidate;
  }
  return address;
}

function prefixOfAddress(text: string): string | undefined {
  try {
    return sourcePrefix(text);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

const peerPrefixes = new WeakMap<Connection, string>();

/** The prefix of a connection's peer, which does not change. */
function peerPrefix(connection: Connection): string {
  let prefix = peerPrefixes.get(connection);
  if (prefix === undefined) {
    prefix = prefixOf(connection.remoteAddress);
    peerPrefixes.set(connection, prefix);
  }
  return prefix;
}

function prefixOf(address: string | undefined): string {
  return (address === undefined ? undefined : prefixOfAddress(address)) ?? "unknown";
}
