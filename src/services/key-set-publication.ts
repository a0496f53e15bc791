/**
 * PublishKeySet (docs/protocol.md, section 3.1): the next set of the caller's account. With a continuity signature it is a
 * rotation, for which a session is enough; without one it is a reset, which no stolen session may do.
 */

import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import { AccountNoticeKind } from "../../gen/keypears/v1/account_service_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { continues, follows, parseKeySetBody } from "../protocol/key-set.ts";
import type { AccountRecord, KeySetRecord, KeySetStore } from "../storage/stores.ts";
import { requireChangingSession, type ServiceContext, sessionInvalid } from "./context.ts";
import { fieldError, serviceError } from "./errors.ts";
import { sealedKeysField } from "./fields.ts";
import { keySetInvalid, newKeySetField, type VerifiedKeySet } from "./key-set-checks.ts";
import { confirmLoginKey } from "./login-key.ts";
import { requestIdReused, requestKey } from "./request-id.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

type Publication = Awaited<ReturnType<KeySetStore["publish"]>>;

/** Makes the method. */
export function createKeySetPublication(
  context: ServiceContext,
): MethodImpl<typeof KeySetService.method.publishKeySet> {
  const { stores, clock, limits, keySetAnswers } = context;

  async function requireRoom(account: AccountRecord, now: number): Promise<void> {
    if (account.activeKeyNumber >= limits.maxKeySets) {
      throw serviceError("KEY_SET_LIMIT", `an account has at most ${limits.maxKeySets} key sets`);
    }
    const published = await stores.keySets.publishedSince(account.id, now - DAY_MS);
    if (published >= limits.maxKeySetsPerDay) {
      const message = `at most ${limits.maxKeySetsPerDay} key sets are published in 24 hours, come back tomorrow`;
      throw serviceError("KEY_SET_LIMIT", message);
    }
  }

  /** That the new set is the next one, and that its predecessor vouches for it or the login key stands in. */
  async function requireSuccession(
    { parsed: next, record }: VerifiedKeySet,
    loginKey: Uint8Array,
    account: AccountRecord,
    call: HandlerContext,
  ): Promise<void> {
    const active = await stores.keySets.get(account.address, account.activeKeyNumber);
    if (active.kind !== "found") throw sessionInvalid(); // the account was deleted meanwhile
    const previous = parseKeySetBody(active.keySet.body);
    if (!follows(previous, next)) {
      throw keySetInvalid("it does not name the active set as previous, or is not dated after it");
    }
    if (isReset(record)) return confirmLoginKey(context, call, account, loginKey);
    if (loginKey.length > 0) {
      throw fieldError("login_key", "must be empty for a set with a continuity signature");
    }
    if (!continues(previous, next, record.continuitySignature)) {
      throw keySetInvalid("continuity signature does not verify");
    }
  }

  return async (request, call) => {
    const { account, session } = await requireChangingSession(context, call);
    const key = requestKey(KeySetService.method.publishKeySet, request, ["loginKey"]);
    const now = clock();
    const earlier = await stores.accounts.earlierResult(account.id, key, now);
    if (earlier !== undefined) {
      // The first run may have been cut off before it could tell anyone.
      await keySetAnswers.changed(account.address);
      return answer(earlier as Publication);
    }

    const { activeKeyNumber: activeNumber } = account;
    if (request.expectedActiveNumber !== activeNumber) throw activeNumberChanged(activeNumber);
    const sealedKeys = sealedKeysField(request.sealedKeys, activeNumber + 1);
    await requireRoom(account, now);
    const keySet = newKeySetField(request.keySet, account.address, activeNumber + 1, now);
    await requireSuccession(keySet, request.loginKey, account, call);

    const result = await stores.keySets
      .publish({
        accountId: account.id,
        expectedActiveNumber: activeNumber,
        keySet: keySet.record,
        sealedKeys,
        now,
        notice: {
          kind: isReset(keySet.record) ? AccountNoticeKind.KEYS_RESET : AccountNoticeKind.KEYS_ROTATED,
          createdAt: now,
          deviceName: session.deviceName,
          keySetNumber: keySet.record.number,
        },
        request: key,
      })
      .finally(() => keySetAnswers.changed(account.address)); // also if it failed: perhaps after the commit
    if (result.kind === "published") context.events.emit(account.id, { kind: "notice" });
    return answer(result);
  };
}

function isReset(keySet: KeySetRecord): boolean {
  return keySet.continuitySignature.length === 0;
}

function answer(result: Publication): { activeNumber: number } {
  switch (result.kind) {
    case "published":
      return { activeNumber: result.activeNumber };
    case "conflict":
      throw activeNumberChanged(result.activeNumber);
    case "request-id-reused":
      throw requestIdReused();
  }
}

function activeNumberChanged(activeNumber: number) {
  const metadata = { active_number: String(activeNumber) };
  const message =
    "the active key set is another one than expected: look at what was published, then try again";
  return serviceError("ACTIVE_KEY_SET_CHANGED", message, { metadata });
}
