/**
 * AccountService (docs/protocol.md, section 5). What makes an account, its sessions and its sealed bytes have files of their
 * own; here is what changes or ends it, for which a session alone is not enough.
 */

import type { ServiceImpl } from "@connectrpc/connect";
import { AccountNoticeKind, AccountService } from "../../gen/keypears/v1/account_service_pb.ts";
import { equalConstantTime, LOGIN_KEY_LENGTH, loginVerifier } from "../crypto/index.ts";
import type { AccountStore } from "../storage/stores.ts";
import { createAccountCreation } from "./account-creation.ts";
import { requireSession, type ServiceContext } from "./context.ts";
import { fieldError, serviceError } from "./errors.ts";
import { bytesField, passwordFields } from "./fields.ts";
import { confirmLoginKey } from "./login-key.ts";
import { requestIdReused, requestKey } from "./request-id.ts";
import { createSealedStorage } from "./sealed-storage.ts";
import { createSessionMethods } from "./sessions.ts";

type PasswordChange = Awaited<ReturnType<AccountStore["changePassword"]>>;

/** Makes the service. */
export function createAccountService(context: ServiceContext): ServiceImpl<typeof AccountService> {
  const { stores, clock, events, keySetAnswers } = context;

  function endStreams(accountId: number, sessionIds: readonly string[]): void {
    for (const sessionId of sessionIds) events.emit(accountId, { kind: "session-ended", sessionId });
  }

  return {
    ...createAccountCreation(context),
    ...createSessionMethods(context),
    ...createSealedStorage(context),

    async changePassword(request, call) {
      const { account, session } = requireSession(call);
      const { method } = AccountService;
      const key = requestKey(method.changePassword, request, ["loginKey", "newLoginKey"]);
      const password = passwordFields(request.passwordParameters, request.wrappedAccountKey);
      const newLoginKey = bytesField("new_login_key", request.newLoginKey, LOGIN_KEY_LENGTH);
      const now = clock();
      const earlier = await stores.accounts.earlierResult(account.id, key, now);
      if (earlier !== undefined) return changeAnswer(earlier as PasswordChange);

      await confirmLoginKey(context, call, account, request.loginKey);
      const { wrapNumber, salt } = account.password;
      if (password.wrapNumber !== wrapNumber + 1) {
        throw fieldError("wrapped_account_key.number", `must be ${wrapNumber + 1}`);
      }
      if (equalConstantTime(password.salt, salt)) {
        throw fieldError("password_parameters.salt", "must be a new one");
      }
      const result = await stores.accounts.changePassword({
        accountId: account.id,
        expectedWrapNumber: wrapNumber,
        password: { ...password, loginVerifier: loginVerifier(account.address, newLoginKey) },
        keepSessionId: session.id,
        now,
        notice: {
          kind: AccountNoticeKind.PASSWORD_CHANGED,
          createdAt: now,
          deviceName: session.deviceName,
          keySetNumber: 0,
        },
        request: key,
      });
      if (result.kind === "changed") {
        endStreams(account.id, result.revokedSessionIds);
        events.emit(account.id, { kind: "notice" });
      }
      return changeAnswer(result);
    },

    async deleteAccount(request, call) {
      const { account } = requireSession(call);
      await confirmLoginKey(context, call, account, request.loginKey);
      const ended = await stores.accounts
        .delete(account.id, clock())
        .finally(() => keySetAnswers.changed(account.address)); // also if it failed: perhaps after the commit
      endStreams(account.id, ended);
      return {};
    },
  };
}

function changeAnswer(result: PasswordChange): { revokedSessions: number } {
  switch (result.kind) {
    case "changed":
      return { revokedSessions: result.revokedSessions };
    case "conflict":
      throw serviceError("PASSWORD_CHANGED", "the password was changed meanwhile: log in again");
    case "request-id-reused":
      throw requestIdReused();
  }
}
