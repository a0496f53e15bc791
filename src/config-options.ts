/**
 * The table of a node's options: their names, how a value is read, what stands in when none is given, and what help says.
 * `config.ts` puts a configuration together from it.
 */

import { availableParallelism } from "node:os";
import { parseResolveOption } from "./federation/development-resolution.ts";
import { parseDnsServer } from "./federation/dns-servers.ts";
import { canonicalDomain } from "./protocol/domain.ts";
import { parseCidr } from "./protocol/ip-policy.ts";
import {
  DEFAULT_STAMP_DIFFICULTY,
  MAX_ANONYMOUS_REQUEST_BYTES,
  MAX_BATCH_LOOKUPS,
  MAX_DELIVERY_ENVELOPES,
  MAX_ENVELOPE_BYTES,
  MAX_FIRST_CONTACTS_PER_DAY,
  MAX_KEY_SET_NUMBER,
  MAX_KEY_SETS_PER_DAY,
  MAX_REQUEST_BYTES,
  MAX_STAMP_DIFFICULTY,
} from "./protocol/limits.ts";

/** How much is logged. */
export type LogLevel = (typeof LOG_LEVELS)[number];
const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;

/** How a line of the log looks. */
export type LogFormat = (typeof LOG_FORMATS)[number];
const LOG_FORMATS = ["json", "pretty"] as const;

/** A host, without brackets, and a TCP port. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** An option of the table. */
export interface Option<T> {
  /** Stands for the value, such as "HOST:PORT"; undefined for a switch, which takes none as a flag. */
  readonly placeholder: string | undefined;
  readonly repeatable: boolean;
  readonly help: string;
  readonly example: string;
  /** The default in words; undefined if there is none. */
  readonly fallback?: string;
  /** The default, where it does not hang on other options. */
  readonly default?: T;
  /** Throws OptionProblem or ProtocolError, whose message says what is wrong with the text. */
  readonly parse: (text: string) => T;
}

/** What is wrong with a value, in words that fit behind the option's name. */
export class OptionProblem extends Error {
  override readonly name = "OptionProblem";
}

interface Words {
  readonly help: string;
  readonly example: string;
  readonly fallback?: string;
}

const MIB = 1024 * 1024;
const MAX_RATE = 1_000_000;
const MAX_PORT = 65_535;
const MAX_WORKERS = 256;
const DEFAULT_LISTEN: HostAndPort = { host: "127.0.0.1", port: 4273 };

/** All options, in the order of help. */
export const OPTIONS = {
  domain: many("DOMAIN", canonicalDomain, {
    help: "domain that this node hosts; the first one names the node",
    example: "acme.example",
  }),
  "api-url": one("URL", nonEmpty, {
    help: "where other nodes and clients reach this one",
    example: "https://keys.acme.example/api",
    fallback: "https://DOMAIN/api; under --dev the listener's own address",
  }),
  listen: {
    ...one("HOST:PORT", parseHostAndPort, {
      help: "address to listen on; port 0 takes a free one",
      example: "0.0.0.0:443",
      fallback: "127.0.0.1:4273",
    }),
    default: DEFAULT_LISTEN,
  },
  workers: {
    ...one("N", parseWorkers, {
      help: "processes that share the port and the database; auto is one for each core",
      example: "4",
      fallback: "1",
    }),
    default: 1,
  },
  "tls-cert": one("FILE", nonEmpty, {
    help: "certificate chain in PEM; without it the node speaks cleartext, for a proxy in front of it",
    example: "/etc/keypears/fullchain.pem",
  }),
  "tls-key": one("FILE", nonEmpty, {
    help: "private key of the certificate in PEM",
    example: "/etc/keypears/privkey.pem",
  }),
  "data-dir": one("FOLDER", nonEmpty, {
    help: "folder of the database",
    example: "/var/lib/keypears",
    fallback: "keypears/DOMAIN in $XDG_STATE_HOME or ~/.local/state",
  }),
  database: one("URL", parseDatabaseUrl, {
    help: "sqlite:PATH or postgres://…; one with a password belongs into KEYPEARS_DATABASE or the file",
    example: "sqlite:/var/lib/keypears/node.sqlite",
    fallback: "node.sqlite in the data folder",
  }),
  "database-connections": count("connections to PostgreSQL that one process may hold", 10, 1_000),
  "no-listen": toggle(
    "do without LISTEN, for poolers that give sessions away and databases that have no such thing",
  ),
  registration: one("open|closed", oneOf(["open", "closed"]), {
    help: "who may make an account: anyone who solves a stamp, or nobody",
    example: "open",
    fallback: "closed; open under --dev",
  }),
  "creation-difficulty": difficulty("tries that making an account costs on average"),
  "first-contact-difficulty": difficulty("tries that a first message to a stranger costs on average"),
  "max-request-bytes": count(
    "size of a request with a session, or of a delivery",
    MAX_REQUEST_BYTES,
    64 * MIB,
  ),
  "max-anonymous-request-bytes": count("size of any other request", MAX_ANONYMOUS_REQUEST_BYTES, 64 * MIB),
  "max-envelope-bytes": count("size of an envelope", MAX_ENVELOPE_BYTES, 4 * MIB),
  "max-delivery-envelopes": count(
    "envelopes in one delivery",
    MAX_DELIVERY_ENVELOPES,
    MAX_DELIVERY_ENVELOPES,
  ),
  "max-batch-lookups": count("look-ups in one batch", MAX_BATCH_LOOKUPS, MAX_BATCH_LOOKUPS),
  "max-key-sets": count("key sets of one account", MAX_KEY_SET_NUMBER, MAX_KEY_SET_NUMBER),
  "max-key-sets-per-day": count(
    "key sets that an account may publish in 24 hours",
    MAX_KEY_SETS_PER_DAY,
    100,
  ),
  "default-deadline-ms": count("deadline of a call whose caller sets none", 15_000, 60_000),
  "lookups-per-second": count("look-ups per second and source prefix without a session", 50, MAX_RATE),
  "lookup-burst": count("look-ups that may come at once", 200, MAX_RATE),
  "login-attempts-per-minute": count(
    "attempts to log in per source prefix, a third of them at one address",
    30,
    MAX_RATE,
  ),
  "failed-logins-per-minute": count("attempts to log in to one address that may fail", 100, MAX_RATE),
  "sends-per-second": count("shares that an account may send per second", 1, MAX_RATE),
  "send-burst": count("shares that an account may send at once", 300, MAX_RATE),
  "account-changes-per-second": count("other changes that an account may make per second", 10, MAX_RATE),
  "account-change-burst": count("other changes that an account may make at once", 600, MAX_RATE),
  "max-account-bytes": count("stored bytes of one account", 256 * MIB, Number.MAX_SAFE_INTEGER),
  "max-contacts": count("addresses that an account may have sent to, accepted or blocked", 10_000, MAX_RATE),
  "max-first-contacts-per-day": count(
    "first contacts per recipient and sender domain in 24 hours",
    MAX_FIRST_CONTACTS_PER_DAY,
    MAX_RATE,
  ),
  "deliveries-per-second": count(
    "shares taken per second from one source prefix, and from one sender's domain",
    1_000,
    MAX_RATE,
  ),
  // A burst of 16 full batches.
  "delivery-burst": count("shares taken at once from one of these", 4_096, MAX_RATE),
  "recipient-deliveries-per-second": count("shares taken per second for one recipient", 200, MAX_RATE),
  "recipient-delivery-burst": count("shares taken at once for one recipient", 2_048, MAX_RATE),
  "max-hosted-domains": number(0, "domains that are hosted for their owners; 0 for none", 100, 10_000),
  "max-domains-per-account": count("hosted domains that one account administers", 10, 10_000),
  "max-domain-accounts": count("accounts of one hosted domain", 1_000, MAX_RATE),
  "max-domain-bytes": count(
    "stored bytes of all accounts of one hosted domain",
    10 * 1024 * MIB,
    Number.MAX_SAFE_INTEGER,
  ),
  "allow-network": many("CIDR", parseCidr, {
    help: "network beside the public ones in which other nodes may lie",
    example: "10.1.0.0/16",
  }),
  "trusted-proxy": many("CIDR", parseCidr, {
    help: "proxy in front of this node whose X-Forwarded-For is believed",
    example: "10.0.0.7",
  }),
  "dns-server": many("ADDRESS[:PORT]", parseDnsServerOption, {
    help: "server to ask in DNS about other domains, in place of the system's",
    example: "192.0.2.53",
  }),
  "require-proven-domains": toggle("talk only to domains that prove their owner's consent to their host"),
  "require-post-quantum": toggle("talk only to nodes whose TLS agrees on a hybrid post-quantum key"),
  "log-level": {
    ...one("LEVEL", oneOf(LOG_LEVELS), {
      help: `how much is logged: ${LOG_LEVELS.join(", ")}`,
      example: "warn",
      fallback: "info",
    }),
    default: "info",
  },
  "log-format": one("json|pretty", oneOf(LOG_FORMATS), {
    help: "how a line of the log looks",
    example: "json",
    fallback: "pretty at a terminal, else json",
  }),
  dev: toggle("development: cleartext, and domains that lie on this machine; only on a loopback listener"),
  resolve: many("NAME=ORIGIN", parseResolveOption, {
    help: "where a domain lies on this machine; needs --dev",
    example: "partner.test=http://127.0.0.1:4274",
  }),
} as const satisfies Readonly<Record<string, Option<unknown>>>;

/** The name of an option: its flag without dashes, and its key in the file. */
export type OptionName = keyof typeof OPTIONS;

/** The type of an option's value; of a repeatable one, of each. */
export type OptionValue<Name extends OptionName> = ReturnType<(typeof OPTIONS)[Name]["parse"]>;

function one<T>(placeholder: string, parse: (text: string) => T, words: Words) {
  return { placeholder, repeatable: false, parse, ...words };
}

function many<T>(placeholder: string, parse: (text: string) => T, words: Words) {
  return { placeholder, repeatable: true, parse, ...words };
}

function toggle(help: string) {
  const fallback = "off";
  return {
    placeholder: undefined,
    repeatable: false,
    parse: parseSwitch,
    help,
    example: "true",
    fallback,
    default: false,
  };
}

function count(help: string, fallback: number, highest: number) {
  return number(1, help, fallback, highest);
}

function number(lowest: number, help: string, fallback: number, highest: number) {
  const words = { help, example: String(fallback), fallback: String(fallback) };
  return { ...one("N", wholeNumber(lowest, highest), words), default: fallback };
}

function difficulty(help: string) {
  return count(help, DEFAULT_STAMP_DIFFICULTY, MAX_STAMP_DIFFICULTY);
}

function wholeNumber(lowest: number, highest: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= lowest && value <= highest)) {
      throw new OptionProblem(`must be a whole number from ${lowest} to ${highest}`);
    }
    return value;
  };
}

function oneOf<const T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    const choice = choices.find((each) => each === text);
    if (choice === undefined) throw new OptionProblem(`must be one of ${choices.join(", ")}`);
    return choice;
  };
}

function parseSwitch(text: string): boolean {
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw new OptionProblem("must be true or false");
}

function nonEmpty(text: string): string {
  if (text === "") throw new OptionProblem("is empty");
  return text;
}

function parseWorkers(text: string): number {
  if (text === "auto") return availableParallelism();
  return wholeNumber(1, MAX_WORKERS)(text);
}

function parseHostAndPort(text: string): HostAndPort {
  const [, bracketed, name, digits] =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/\s]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? name;
  const port = Number(digits ?? Number.NaN);
  if (host === undefined || !(port <= MAX_PORT)) {
    throw new OptionProblem("must be a host and a port, an IPv6 address in brackets");
  }
  return { host, port };
}

function parseDnsServerOption(text: string): string {
  const server = parseDnsServer(text);
  if (server === undefined) throw new OptionProblem("must be an IP address, with or without a port");
  return server;
}

/** Never says what it was given: there can be a password in it. */
function parseDatabaseUrl(text: string): string {
  if (/^sqlite:./.test(text)) return text;
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) {
    throw new OptionProblem("must be sqlite: and a path, or a postgres:// URL");
  }
  return text;
}
