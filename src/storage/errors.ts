/**
 * The one error type of the storage layer, and the translation of what SQLite and PostgreSQL throw into it. A driver's own
 * error is not kept as a cause: PostgreSQL quotes whole rows in its details, and logs print causes.
 */

/**
 * Why the database did not do what it was asked.
 *
 * - `DATABASE_UNAVAILABLE`: no connection, or it was lost; what was asked may or may not have happened if it was a write.
 * - `DATABASE_BUSY`: others held its locks for too long; nothing happened.
 * - `DATABASE_FULL`: no room left; nothing happened.
 * - `DATABASE_READ_ONLY`: it takes no writes; nothing happened.
 * - `DATABASE_CORRUPT`: the file is damaged or no database at all.
 * - `DATABASE_TOO_NEW`: a newer release has migrated it.
 * - `DATABASE_CONFIGURATION`: the URL, the folder, the permissions or the credentials are wrong.
 * - `DATABASE_FAILED`: anything else, which is a bug; `code` says what the driver called it.
 * - `ACCOUNT_GONE`: the account was deleted meanwhile.
 * - `DATABASE_NOT_EMPTY`, `DATABASE_IN_USE`, `COPY_DIFFERS`: a database was not copied; nothing was changed.
 */
export type StorageErrorReason =
  | "DATABASE_UNAVAILABLE"
  | "DATABASE_BUSY"
  | "DATABASE_FULL"
  | "DATABASE_READ_ONLY"
  | "DATABASE_CORRUPT"
  | "DATABASE_TOO_NEW"
  | "DATABASE_CONFIGURATION"
  | "DATABASE_FAILED"
  | "ACCOUNT_GONE"
  | "DATABASE_NOT_EMPTY"
  | "DATABASE_IN_USE"
  | "COPY_DIFFERS";

const RETRYABLE: ReadonlySet<StorageErrorReason> = new Set([
  "DATABASE_UNAVAILABLE",
  "DATABASE_BUSY",
  "DATABASE_FULL",
  "DATABASE_READ_ONLY",
]);

const MESSAGES: Readonly<Record<StorageErrorReason, string>> = {
  DATABASE_UNAVAILABLE: "database cannot be reached, try again later",
  DATABASE_BUSY: "database is busy, try again later",
  DATABASE_FULL: "database has no room left, try again when its operator has made some",
  DATABASE_READ_ONLY: "database takes no writes at present, try again later",
  DATABASE_CORRUPT: "database is damaged or is no database, restore it from a backup",
  DATABASE_TOO_NEW: "database was written by a newer release, start that one",
  DATABASE_CONFIGURATION: "database cannot be opened as configured, check its URL and permissions",
  DATABASE_FAILED: "database refused an operation",
  ACCOUNT_GONE: "account does not exist any more",
  DATABASE_NOT_EMPTY: "target database is not empty, give one that nothing was stored in",
  DATABASE_IN_USE: "database is in use, stop every node on it first",
  COPY_DIFFERS: "copy differs from its source, try again",
};

const TLS_REFUSED =
  "certificate of the database server is not trusted, name its authority with sslrootcert in the URL";
const NO_TLS =
  "database server speaks no TLS, set it up there or add sslmode=disable to the URL to do without";
const POOLER = "a pooler between node and database takes no session settings, add --no-listen";

/** Thrown by everything under `src/storage`. The message holds no SQL, no value and no path. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  /** Machine-readable cause; stable across releases. */
  readonly reason: StorageErrorReason;
  /** Whether the same call can succeed later without anything being changed in it. */
  readonly retryable: boolean;
  /** The driver's own code, such as `SQLITE_FULL` or `53100`, where there is one. */
  readonly code: string | undefined;

  constructor(
    reason: StorageErrorReason,
    details: { readonly message?: string; readonly code?: string | undefined } = {},
  ) {
    super(details.message ?? MESSAGES[reason]);
    this.reason = reason;
    this.retryable = RETRYABLE.has(reason);
    this.code = details.code;
  }
}

/**
 * What a driver threw, as a StorageError. Errors that come from no driver (a StorageError already, or a bug of ours such as
 * a TypeError) are given back as they are, so that their stack is not lost.
 */
export function toStorageError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof StorageError) return error;
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  const misconfiguration = reasonToConfigure(error.message, code);
  if (misconfiguration !== undefined) {
    return new StorageError("DATABASE_CONFIGURATION", { message: misconfiguration, code });
  }
  const reason = code === undefined ? reasonOfMessage(error) : reasonOfCode(code);
  return reason === undefined ? error : new StorageError(reason, { code });
}

/** Whether a connection could not be had, or was lost: by itself that says nothing about what was asked on it. */
export function isConnectionLost(error: unknown): boolean {
  const translated = toStorageError(error);
  return translated instanceof StorageError && translated.reason === "DATABASE_UNAVAILABLE";
}

/** Whether PostgreSQL rolled a transaction back only because of others: it may simply run again. */
export function isSerializationFailure(error: unknown): boolean {
  // serialization_failure and deadlock_detected, PostgreSQL documentation, appendix A.
  return hasCode(error, "40001") || hasCode(error, "40P01");
}

/** Whether SQLite could not get a lock. */
export function isSqliteBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && String(error.code).startsWith("SQLITE_BUSY");
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function reasonOfCode(code: string): StorageErrorReason | undefined {
  if (code.startsWith("SQLITE_")) return reasonOfSqliteCode(code);
  if (/^[0-9A-Z]{5}$/.test(code) && !code.startsWith("E")) return reasonOfSqlState(code);
  if (/^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|EAI_|ENOTFOUND|ENOENT|EADDR)/.test(code))
    return "DATABASE_UNAVAILABLE";
  return undefined;
}

function reasonOfSqliteCode(code: string): StorageErrorReason {
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) return "DATABASE_BUSY";
  if (code === "SQLITE_FULL") return "DATABASE_FULL";
  if (code.startsWith("SQLITE_READONLY")) return "DATABASE_READ_ONLY";
  if (code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB") return "DATABASE_CORRUPT";
  if (code.startsWith("SQLITE_IOERR")) return "DATABASE_UNAVAILABLE";
  if (code.startsWith("SQLITE_CANTOPEN") || code === "SQLITE_PERM" || code === "SQLITE_AUTH") {
    return "DATABASE_CONFIGURATION";
  }
  return "DATABASE_FAILED";
}

// Classes and codes: PostgreSQL documentation, appendix A.
function reasonOfSqlState(state: string): StorageErrorReason {
  if (state === "53100") return "DATABASE_FULL";
  if (state === "25006") return "DATABASE_READ_ONLY";
  if (state === "55P03" || state === "40001" || state === "40P01" || state === "57014")
    return "DATABASE_BUSY";
  // Connections, resources, an operator's intervention, the system (input and output), and a transaction that idled.
  if (/^(08|53|57|58|25P03)/.test(state)) return "DATABASE_UNAVAILABLE";
  if (state.startsWith("28") || state === "3D000" || state === "42501") return "DATABASE_CONFIGURATION";
  if (state === "XX001" || state === "XX002") return "DATABASE_CORRUPT";
  return "DATABASE_FAILED";
}

/** What the operator has to change where TLS or a pooler stands between node and database. */
function reasonToConfigure(message: string, code: string | undefined): string | undefined {
  if (code === undefined) return /does not support SSL/i.test(message) ? NO_TLS : undefined;
  if (code === "08P01" && /unsupported startup parameter/i.test(message)) return POOLER;
  // OpenSSL's and Node's own names for what is wrong with a certificate.
  return /^ERR_(TLS|SSL|OSSL)|CERT|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA/.test(code)
    ? TLS_REFUSED
    : undefined;
}

/** What `pg` and `pg-pool` throw without any code. */
function reasonOfMessage(error: Error): StorageErrorReason | undefined {
  const lost =
    /connection terminated|connection error|not queryable|timeout exceeded|timeout expired|after calling end|connection is closed|been destroyed|connection is not open/i;
  return lost.test(error.message) ? "DATABASE_UNAVAILABLE" : undefined;
}
