/**
 * Who calls: the prefix that a request comes from, its connection, and the session that its bearer token (RFC 6750 §2.1)
 * opens. Known before a byte of the body is read.
 */

import type { Http2ServerRequest } from "node:http2";
import { ProtocolError } from "../protocol/errors.ts";
import { type CidrRange, inRanges, sourcePrefix } from "../protocol/ip-policy.ts";
import type { Caller, ServiceContext } from "../services/context.ts";
import { authenticate } from "../services/session-token.ts";
import type { Request } from "./listener.ts";

/**
 * The caller of a request.
 *
 * @param trustedProxies proxies whose X-Forwarded-For is believed.
 * @throws StorageError.
 */
export async function identifyCaller(
  request: Request,
  context: Pick<ServiceContext, "stores" | "clock" | "log">,
  trustedProxies: readonly CidrRange[],
): Promise<Caller> {
  const ip = clientAddress(request.socket.remoteAddress, request.headers["x-forwarded-for"], trustedProxies);
  return {
    sourcePrefix: (ip === undefined ? undefined : prefixOfAddress(ip)) ?? "unknown",
    connectionId: connectionIdOf(request),
    session: await authenticate(context, request.headers.authorization ?? null),
  };
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

const connectionIds = new WeakMap<object, string>();
let connections = 0;

/** Tells connections of this process apart. An HTTP/2 session is one; its requests share it. */
function connectionIdOf(request: Request): string {
  const session = "stream" in request ? (request as Http2ServerRequest).stream.session : undefined;
  const connection = session ?? request.socket;
  let id = connectionIds.get(connection);
  if (id === undefined) {
    connections += 1;
    id = `c${connections}`;
    connectionIds.set(connection, id);
  }
  return id;
}
