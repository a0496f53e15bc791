/**
 * Checking a login key (docs/protocol.md, section 5): to open a session, and again beside the session wherever a stolen one
 * must not be enough.
 */

import type { HandlerContext } from "@connectrpc/connect";
import {
  equalConstantTime,
  LOGIN_KEY_LENGTH,
  LOGIN_VERIFIER_LENGTH,
  loginVerifier,
} from "../crypto/index.ts";
import type { AccountRecord } from "../storage/stores.ts";
import { callerKey, type ServiceContext } from "./context.ts";
import { serviceError } from "./errors.ts";
import { bytesField } from "./fields.ts";

/** Stands in for the verifier of an account that does not exist, so that the same work is done. Equal to none. */
const NO_VERIFIER = new Uint8Array(LOGIN_VERIFIER_LENGTH);

/** Whether a login key, 32 bytes, is that of the account. False, after as much work, where there is no account. */
export function isLoginKey(
  address: string,
  loginKey: Uint8Array,
  account: AccountRecord | undefined,
): boolean {
  const verifier = account?.password.loginVerifier ?? NO_VERIFIER;
  return equalConstantTime(loginVerifier(address, loginKey), verifier) && account !== undefined;
}

/**
 * Requires the login key of the session's account in the same request.
 *
 * @throws ConnectError LOGIN_KEY_REQUIRED, FIELD_INVALID, RATE_LIMITED or LOGIN_FAILED.
 */
export async function confirmLoginKey(
  context: ServiceContext,
  call: HandlerContext,
  account: AccountRecord,
  loginKey: Uint8Array,
): Promise<void> {
  if (loginKey.length === 0) {
    throw serviceError("LOGIN_KEY_REQUIRED", "login_key: this needs the password again, not only a session");
  }
  bytesField("login_key", loginKey, LOGIN_KEY_LENGTH);
  await context.spend("login", `prefix:${call.values.get(callerKey).sourcePrefix}`);
  // Not the budget of the address: strangers can spend that, and must not keep the owner from changing the password.
  await context.spend("login", `account:${account.id}`);
  if (!isLoginKey(account.address, loginKey, account)) throw loginFailed();
}

/** UNAUTHENTICATED with LOGIN_FAILED, the same for every cause. */
export function loginFailed() {
  return serviceError("LOGIN_FAILED", "the address or the password is wrong");
}
