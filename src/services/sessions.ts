/** Opening, listing and ending sessions (docs/protocol.md, section 5). */

import type { ServiceImpl } from "@connectrpc/connect";
import type { AccountService } from "../../gen/keypears/v1/account_service_pb.ts";
import { LOGIN_KEY_LENGTH } from "../crypto/index.ts";
import type { AccountRecord } from "../storage/stores.ts";
import { callerKey, requireSession, type ServiceContext } from "./context.ts";
import { fieldError, serviceError } from "./errors.ts";
import { bytesField, deviceNameField, hostedAddressField } from "./fields.ts";
import { isLoginKey, loginFailed } from "./login-key.ts";
import { noticeMessage } from "./notices.ts";
import { cutPage, pagePosition, pageSizeOf, pageToken } from "./page.ts";
import { wrappedAccountKeyMessage } from "./sealed-storage.ts";
import { newSession, sessionMessage } from "./session-token.ts";

type Methods = Pick<
  ServiceImpl<typeof AccountService>,
  "getLoginParameters" | "logIn" | "logOut" | "listSessions" | "revokeSession"
>;

const MAX_PAGE_SIZE = 100;
const DEFAULT_PAGE_SIZE = 50;
const MAX_NOTICES = 100;
const NOTICE_PERIOD_MS = 30 * 24 * 60 * 60 * 1_000;
const SESSION_ID = /^[0-9a-f]{32}$/;
/** created_at and id of the last session of a page. */
const POSITION = /^([0-9]{1,15})\.([0-9a-f]{32})$/;

/** Makes the methods that open and end sessions. */
export function createSessionMethods(context: ServiceContext): Methods {
  const { stores, clock, events, familiarPrefixes } = context;

  /**
   * Checks a login key. What a stranger can spend must not lock the owner out: the address as a whole pays for failures
   * only, and when that is spent, prefixes from which the account was logged in to before still pass. Whoever does not,
   * is told so whatever the login key and whether or not there is an account.
   */
  async function requireLogin(
    address: string,
    loginKey: Uint8Array,
    sourcePrefix: string,
  ): Promise<AccountRecord> {
    await context.spend("login-address", `address:${address} prefix:${sourcePrefix}`);
    await context.spend("login", `prefix:${sourcePrefix}`);
    const account = await stores.accounts.byAddress(address);
    const correct = isLoginKey(address, loginKey, account);
    const familiar = account !== undefined && familiarPrefixes.has(account.id, sourcePrefix);
    if (!familiar) {
      if (correct) await context.requireBudget("login-failures", `address:${address}`);
      else await context.spend("login-failures", `address:${address}`);
    }
    if (!correct || account === undefined) throw loginFailed();
    // Told to those only who know the password.
    if (account.suspended) throw accountSuspended(address);
    return account;
  }

  async function end(accountId: number, sessionId: string): Promise<void> {
    const ended = await stores.sessions.revoke(accountId, sessionId);
    if (ended) events.emit(accountId, { kind: "session-ended", sessionId });
  }

  return {
    async getLoginParameters(request, call) {
      const { canonical } = hostedAddressField("address", request.address, context);
      await context.spend("login", `prefix:${call.values.get(callerKey).sourcePrefix}`);
      const account = await stores.accounts.byAddress(canonical);
      if (!account) throw serviceError("ADDRESS_UNKNOWN", `${canonical} has no account here`);
      const { salt, memoryKiB, passes, lanes } = account.password;
      return { passwordParameters: { salt, memoryKib: memoryKiB, passes, lanes } };
    },

    async logIn(request, call) {
      const { canonical } = hostedAddressField("address", request.address, context);
      const loginKey = bytesField("login_key", request.loginKey, LOGIN_KEY_LENGTH);
      const deviceName = deviceNameField(request.deviceName);
      const { sourcePrefix } = call.values.get(callerKey);
      const account = await requireLogin(canonical, loginKey, sourcePrefix);

      const now = clock();
      const { token, session } = newSession(deviceName, now);
      await stores.sessions.create(account.id, session);
      // A password change ends the sessions that are there. One that slipped in behind it was opened with the old password.
      const current = await stores.accounts.byId(account.id);
      if (current?.password.wrapNumber !== account.password.wrapNumber) {
        await end(account.id, session.id);
        throw loginFailed();
      }
      // Nor may one outlive a suspension that came in between.
      if (current.suspended) {
        await end(account.id, session.id);
        throw accountSuspended(canonical);
      }
      familiarPrefixes.add(account.id, sourcePrefix);
      return {
        sessionToken: token,
        session: sessionMessage({ ...session, lastUsedAt: now }, session.id),
        wrappedAccountKey: wrappedAccountKeyMessage(account),
      };
    },

    async logOut(_request, call) {
      const { account, session } = requireSession(call);
      await end(account.id, session.id);
      return {};
    },

    async listSessions(request, call) {
      const { account, session } = requireSession(call);
      const size = pageSizeOf(request.pageSize, MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE);
      const list = `ListSessions ${account.address}`;
      const [, createdAt, id] = pagePosition(list, request.pageToken, POSITION) ?? [];
      const after =
        createdAt === undefined || id === undefined ? undefined : { createdAt: Number(createdAt), id };
      const now = clock();
      const rows = await stores.sessions.list(account.id, { limit: size + 1, now, ...(after && { after }) });
      const { rows: sessions, nextPageToken } = cutPage(rows, size, (last) =>
        pageToken(list, `${last.createdAt}.${last.id}`),
      );
      const notices = after
        ? []
        : await stores.notices.list(account.id, { since: now - NOTICE_PERIOD_MS, limit: MAX_NOTICES });
      return {
        sessions: sessions.map((listed) => sessionMessage(listed, session.id)),
        nextPageToken,
        notices: notices.map(noticeMessage),
      };
    },

    async revokeSession({ sessionId }, call) {
      const { account, session } = requireSession(call);
      // Each session pays for itself: a stolen one must not keep the owner from ending it.
      await context.spend("account", `session:${session.id}`);
      if (!SESSION_ID.test(sessionId)) throw fieldError("session_id", "must be 32 lower-case hex digits");
      await end(account.id, sessionId);
      return {};
    },
  };
}

function accountSuspended(address: string) {
  return serviceError("ACCOUNT_SUSPENDED", `${address} is suspended: ask the administrator of its domain`);
}
