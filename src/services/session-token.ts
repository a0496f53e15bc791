/**
 * Session tokens (docs/protocol.md, section 5): 32 random bytes that only the client keeps. The node stores their BLAKE3,
 * so that what is in the database opens no session.
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SessionSchema } from "../../gen/keypears/v1/account_service_pb.ts";
import { primitives, randomBytes, toHex } from "../crypto/index.ts";
import { SESSION_IDLE_MS, SESSION_MAX_MS } from "../protocol/limits.ts";
import { StorageError } from "../storage/errors.ts";
import type { NewSession, SessionRecord } from "../storage/stores.ts";
import type { AuthenticatedSession, Caller, ServiceContext } from "./context.ts";

/** Length of a session token in bytes. */
export const SESSION_TOKEN_LENGTH = 32;
/** Length of a session's public id in bytes; it is written as hex. */
export const SESSION_ID_LENGTH = 16;

/** How exactly the time of a session's last use is known, in milliseconds. */
const TOUCH_INTERVAL_MS = 60_000;
/** 32 bytes in base64url without padding. RFC 9110 §11.1: the scheme's name is case-insensitive. */
const BEARER = /^Bearer +([A-Za-z0-9_-]{43})$/i;

/** A new session and its token, 32 bytes in base64url without padding (RFC 4648 §5). */
export function newSession(deviceName: string, now: number): { token: string; session: NewSession } {
  const token = randomBytes(SESSION_TOKEN_LENGTH);
  return {
    token: Buffer.from(token).toString("base64url"),
    session: {
      id: toHex(randomBytes(SESSION_ID_LENGTH)),
      tokenHash: primitives().blake3.hash(token),
      deviceName,
      createdAt: now,
    },
  };
}

/**
 * The session that an `Authorization` header opens, and a note that it was used. The server asks once per request.
 *
 * @returns undefined without a header; "invalid" for one that opens no session.
 * @throws StorageError
 */
export async function authenticate(
  context: Pick<ServiceContext, "stores" | "clock" | "log">,
  authorization: string | null,
): Promise<Caller["session"]> {
  if (authorization === null) return undefined;
  const encoded = BEARER.exec(authorization)?.[1];
  if (encoded === undefined) return "invalid";
  const token = Buffer.from(encoded, "base64url");
  // The last character has two bits to spare: only one spelling of a token is one.
  if (token.toString("base64url") !== encoded) return "invalid";
  const tokenHash = primitives().blake3.hash(token);
  const found = await context.stores.sessions.byTokenHash(tokenHash, context.clock());
  if (found === undefined) return "invalid";
  const authenticated = { ...found, tokenHash };
  await noteUse(context, authenticated, TOUCH_INTERVAL_MS);
  return authenticated;
}

/**
 * Notes that a session is used now, unless that was noted less than `intervalMs` ago. A database that takes no writes at
 * present must not keep people from reading, so that the note is then left out.
 */
export async function noteUse(
  { stores, clock, log }: Pick<ServiceContext, "stores" | "clock" | "log">,
  { session }: Pick<AuthenticatedSession, "session">,
  intervalMs: number,
): Promise<void> {
  const now = clock();
  if (now < session.lastUsedAt + intervalMs) return;
  try {
    await stores.sessions.touch(session.id, now);
  } catch (error) {
    if (!(error instanceof StorageError && error.retryable)) throw error;
    log.warn({ reason: error.reason }, "the use of a session could not be noted");
  }
}

/** A session as its account sees it. */
export function sessionMessage(
  session: Omit<SessionRecord, "accountId">,
  currentId: string,
): MessageInitShape<typeof SessionSchema> {
  const { id, deviceName, createdAt, lastUsedAt } = session;
  return {
    id,
    deviceName,
    createdAt: BigInt(createdAt),
    lastUsedAt: BigInt(lastUsedAt),
    expiresAt: BigInt(Math.min(lastUsedAt + SESSION_IDLE_MS, createdAt + SESSION_MAX_MS)),
    current: id === currentId,
  };
}
