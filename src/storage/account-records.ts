/** How an account's row becomes an AccountRecord, for every query that answers with one. */

import type { AccountTable } from "./schema.ts";
import type { AccountRecord, PasswordRecord } from "./stores.ts";

/** The columns that {@link toAccountRecord} takes. */
export const ACCOUNT_COLUMNS = [
  "accounts.id",
  "accounts.address",
  "accounts.created_at",
  "accounts.active_key_number",
  "accounts.password_salt",
  "accounts.password_memory_kib",
  "accounts.password_passes",
  "accounts.password_lanes",
  "accounts.login_verifier",
  "accounts.wrapped_account_key",
  "accounts.wrap_number",
  "accounts.stored_bytes",
  "accounts.suspended_at",
] as const;

type PasswordColumns = Pick<
  AccountTable,
  | "password_salt"
  | "password_memory_kib"
  | "password_passes"
  | "password_lanes"
  | "login_verifier"
  | "wrapped_account_key"
  | "wrap_number"
>;

type AccountRow = Pick<AccountTable, "address" | "created_at" | "active_key_number" | "stored_bytes"> &
  PasswordColumns & { readonly id: number; readonly suspended_at: number };

/** The record of a row. */
export function toAccountRecord(row: AccountRow): AccountRecord {
  return {
    id: row.id,
    address: row.address,
    createdAt: row.created_at,
    activeKeyNumber: row.active_key_number,
    password: {
      salt: row.password_salt,
      memoryKiB: row.password_memory_kib,
      passes: row.password_passes,
      lanes: row.password_lanes,
      loginVerifier: row.login_verifier,
      wrappedAccountKey: row.wrapped_account_key,
      wrapNumber: row.wrap_number,
    },
    storedBytes: row.stored_bytes,
    suspended: row.suspended_at !== 0,
  };
}

/** The columns of a password. */
export function toPasswordColumns(password: PasswordRecord): PasswordColumns {
  return {
    password_salt: password.salt,
    password_memory_kib: password.memoryKiB,
    password_passes: password.passes,
    password_lanes: password.lanes,
    login_verifier: password.loginVerifier,
    wrapped_account_key: password.wrappedAccountKey,
    wrap_number: password.wrapNumber,
  };
}
