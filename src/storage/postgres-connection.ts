/**
 * How a connection to PostgreSQL is made, from a `postgres://` URL: TLS by the URL's `sslmode` with the meanings of libpq
 * (PostgreSQL documentation, section 34.19), except that nothing falls back to cleartext by itself; a limit on connecting;
 * probes on a silent line.
 */

import pg from "pg";
import { isLoopback } from "../protocol/ip-policy.ts";
import { plainBytes } from "./database.ts";
import { StorageError } from "./errors.ts";

/** Where PostgreSQL documents the modes, and what each asks for: nothing, encryption, a known authority, also the name. */
const SSL_MODES = ["disable", "require", "verify-ca", "verify-full"] as const;

const CONNECT_TIMEOUT_MS = 5_000;
/** Silence after which the system asks whether the other side still lives; it gives up after ten questions, a second each. */
const KEEP_ALIVE_AFTER_MS = 10_000;

// Object ids of types, PostgreSQL's pg_type.dat.
const INT8 = 20;
const BYTEA = 17;

/**
 * What `pg` needs to connect, shown to the server under a name. A host beyond this machine is spoken to in TLS with its
 * certificate checked, unless the URL says otherwise.
 *
 * @throws StorageError `DATABASE_CONFIGURATION`. Its message repeats nothing of the URL.
 */
export function connectionConfig(url: string, applicationName: string): pg.ClientConfig {
  if (!URL.canParse(url)) throw misconfigured("database URL is not a valid URL");
  const config: pg.ClientConfig = {
    connectionString: withExplicitTls(new URL(url)).href,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
    types: { getTypeParser },
  };
  try {
    new pg.Client(config); // reads the files that the URL names, and connects to nothing
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    throw misconfigured(
      code === undefined
        ? "database URL cannot be used, check its parameters"
        : "a certificate file that the database URL names cannot be read",
      code,
    );
  }
  return config;
}

function withExplicitTls(url: URL): URL {
  const given = url.searchParams.get("sslmode");
  if (given !== null && !SSL_MODES.some((mode) => mode === given)) {
    throw misconfigured(`sslmode in the database URL must be one of ${SSL_MODES.join(", ")}`);
  }
  if (given === "verify-ca" && !url.searchParams.has("sslrootcert")) {
    throw misconfigured(
      "sslmode=verify-ca in the database URL needs sslrootcert, the authority's certificate",
    );
  }
  if (given === null) url.searchParams.set("sslmode", isOnThisMachine(url) ? "disable" : "verify-full");
  // Without it `pg` gives some modes meanings of its own.
  url.searchParams.set("uselibpqcompat", "true");
  return url;
}

/** Whether a URL leads to a socket in the file system or over the loopback interface. */
function isOnThisMachine(url: URL): boolean {
  const host = url.searchParams.get("host") ?? decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, "$1");
  return host === "" || host.startsWith("/") || host === "localhost" || isLoopback(host);
}

function getTypeParser(oid: number, format?: "text" | "binary"): (value: string) => unknown {
  const parse = pg.types.getTypeParser(oid, format as "text");
  if (oid === INT8) return parseInt8;
  if (oid === BYTEA) return (value) => plainBytes(parse(value));
  return parse;
}

/** PostgreSQL's int8 as a number: times, sizes, counts and ids all fit 53 bits. */
function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new StorageError("DATABASE_FAILED", { message: "number is too large" });
  return value;
}

function misconfigured(message: string, code?: string): StorageError {
  return new StorageError("DATABASE_CONFIGURATION", { message, code });
}
