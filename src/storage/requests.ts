/**
 * Idempotent requests (AIP-155): the result of a request that changed something is kept for a day under the id that its
 * caller chose, in the transaction that made the change. The same request again is answered with it.
 */

import type { Database, Queries } from "./database.ts";
import type { RequestIdReused, RequestKey } from "./stores.ts";

const KEPT_MS = 24 * 60 * 60 * 1_000;
const REUSED: RequestIdReused = { kind: "request-id-reused" };

/**
 * What a request of this account led to when it came before, or undefined if it did not. `T` is what {@link remember} was
 * given by the same method.
 */
export async function earlierResult<T>(
  queries: Queries,
  accountId: number,
  request: RequestKey,
  now: number,
): Promise<T | RequestIdReused | undefined> {
  const earlier = await queries
    .selectFrom("requests")
    .select(["method", "fingerprint", "result"])
    .where("account_id", "=", accountId)
    .where("request_id", "=", request.id)
    .where("expires_at", ">", now)
    .executeTakeFirst();
  if (earlier === undefined) return undefined;
  const same = earlier.method === request.method && equal(earlier.fingerprint, request.fingerprint);
  return same ? (JSON.parse(earlier.result) as T) : REUSED;
}

/** Keeps a result, which must be JSON, for the request. The account's row must be locked. */
export async function remember<T>(
  trx: Queries,
  accountId: number,
  request: RequestKey,
  result: T,
  now: number,
): Promise<T> {
  const kept = {
    method: request.method,
    fingerprint: request.fingerprint,
    result: JSON.stringify(result),
    expires_at: now + KEPT_MS,
  };
  await trx
    .insertInto("requests")
    .values({ account_id: accountId, request_id: request.id, ...kept })
    // Only an expired one can be in the way.
    .onConflict((conflict) => conflict.columns(["account_id", "request_id"]).doUpdateSet(kept))
    .execute();
  return result;
}

/** {@link earlierResult} by itself, asked before work that costs. */
export function readEarlierResult(
  database: Database,
  accountId: number,
  request: RequestKey,
  now: number,
): Promise<unknown> {
  return database.read((queries) => earlierResult(queries, accountId, request, now));
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
