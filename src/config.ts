/**
 * The configuration of a node, put together from one table of options (config-options.ts) and checked as a whole. A flag wins
 * over the environment (KEYPEARS_*), that over the file (JSON, keys spelled as the flags), that over the default. Nothing is
 * read here but what is passed in; `readConfigFile` stands apart.
 */

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  type HostAndPort,
  type LogFormat,
  type LogLevel,
  OPTIONS,
  type Option,
  type OptionName,
  OptionProblem,
  type OptionValue,
} from "./config-options.ts";
import { parseApiUrl } from "./protocol/api-url.ts";
import { ProtocolError } from "./protocol/errors.ts";
import { type CidrRange, isLoopback } from "./protocol/ip-policy.ts";
import type { HostingLimits, NodeLimits } from "./services/context.ts";

export type { HostAndPort, LogFormat, LogLevel } from "./config-options.ts";

/** A checked configuration. */
export interface NodeConfig {
  /** Canonical domains that the node hosts; the first one names it. */
  readonly domains: readonly [string, ...string[]];
  /** Where the node's methods live. Undefined under development if not given: it is known once the port is. */
  readonly apiUrl: string | undefined;
  readonly listen: HostAndPort;
  /** Processes that share the port and the database. */
  readonly workers: number;
  /** Paths of PEM files; undefined for cleartext. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** `sqlite:PATH` or `postgres://…`; may hold a password. */
  readonly database: string;
  /** Connections to PostgreSQL at most. */
  readonly databaseConnections: number;
  /** Whether news of other nodes on the same PostgreSQL arrive by LISTEN. */
  readonly listensForHints: boolean;
  readonly registrationOpen: boolean;
  readonly creationDifficulty: number;
  readonly firstContactDifficulty: number;
  readonly limits: NodeLimits;
  readonly hosting: HostingLimits;
  /** Networks beside the public ones that peers may lie in. */
  readonly allowedNetworks: readonly CidrRange[];
  /** Where domains lie under development. */
  readonly resolve: ReadonlyMap<string, URL>;
  readonly development: boolean;
  readonly logLevel: LogLevel;
  /** Undefined: pretty at a terminal, else JSON. */
  readonly logFormat: LogFormat | undefined;
  /** Proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly CidrRange[];
  readonly requirePostQuantum: boolean;
  /** DNS servers in place of the system's, with ports; none for the system's. */
  readonly dnsServers: readonly string[];
  /** Whether domains are refused that cannot prove anything. */
  readonly requireProvenDomains: boolean;
  /** What the operator should know about this configuration. */
  readonly warnings: readonly string[];
}

/** A configuration that cannot be used. The message names the option and says what to write instead. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** An option as help prints it. */
export interface OptionDescription extends Omit<Option<unknown>, "parse" | "default"> {
  /** The flag without its dashes, and the key in the file. */
  readonly name: string;
  /** The environment variable; of a repeatable option, with commas or spaces between its values. */
  readonly env: string;
}

/** Values as they come in: texts, and in a file also numbers, booleans and lists. */
export type RawOptions = Readonly<Record<string, unknown>>;

/** Where a configuration comes from. */
export interface ConfigSources {
  /** By the options' names, or those in camel case. Others are not looked at. */
  readonly flags?: RawOptions;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The object in the configuration file. A key that is no option's name is an error. */
  readonly file?: RawOptions;
}

/** Every option, in the order of help. The path of the file itself, `--config`, is not one of them. */
export function describeOptions(): OptionDescription[] {
  return Object.entries<Option<unknown>>(OPTIONS).map(([name, { parse: _, default: __, ...words }]) => ({
    name,
    env: envName(name),
    ...words,
  }));
}

/**
 * Puts a configuration together and checks it.
 *
 *     loadConfig({ flags: { domain: "acme.test", dev: true, listen: "127.0.0.1:0" }, env: process.env })
 *
 * @throws ConfigError.
 */
export function loadConfig(sources: ConfigSources): NodeConfig {
  const { flags = {}, env = {}, file = {} } = sources;
  for (const key of Object.keys(file)) {
    if (!Object.hasOwn(OPTIONS, key))
      throw new ConfigError(`the configuration file has an unknown key: ${key}`);
  }
  const all = <Name extends OptionName>(name: Name) => valuesOf(name, { flags, env, file });
  const last = <Name extends OptionName>(name: Name) => all(name).at(-1);
  const value = <Name extends OptionWithDefault>(name: Name): OptionValue<Name> =>
    last(name) ?? (OPTIONS[name].default as OptionValue<Name>);

  const [domain, ...moreDomains] = all("domain");
  if (domain === undefined) throw new ConfigError("--domain: name the domain to host, such as acme.example");
  const development = value("dev");
  const config = {
    domains: [domain, ...moreDomains] as const,
    apiUrl: apiUrlOf(last("api-url"), domain, development),
    listen: value("listen"),
    workers: value("workers"),
    tls: tlsFilesOf(last("tls-cert"), last("tls-key")),
    database:
      last("database") ?? `sqlite:${join(last("data-dir") ?? stateFolder(env, domain), "node.sqlite")}`,
    databaseConnections: value("database-connections"),
    listensForHints: !value("no-listen"),
    registrationOpen: (last("registration") ?? (development ? "open" : "closed")) === "open",
    creationDifficulty: value("creation-difficulty"),
    firstContactDifficulty: value("first-contact-difficulty"),
    limits: {
      maxRequestBytes: value("max-request-bytes"),
      maxAnonymousRequestBytes: value("max-anonymous-request-bytes"),
      maxEnvelopeBytes: value("max-envelope-bytes"),
      maxDeliveryEnvelopes: value("max-delivery-envelopes"),
      maxBatchLookups: value("max-batch-lookups"),
      maxKeySets: value("max-key-sets"),
      maxKeySetsPerDay: value("max-key-sets-per-day"),
      defaultDeadlineMs: value("default-deadline-ms"),
      lookupsPerSecond: value("lookups-per-second"),
      lookupBurst: value("lookup-burst"),
      loginAttemptsPerMinute: value("login-attempts-per-minute"),
      failedLoginsPerMinute: value("failed-logins-per-minute"),
      sendsPerSecond: value("sends-per-second"),
      sendBurst: value("send-burst"),
      accountChangesPerSecond: value("account-changes-per-second"),
      accountChangeBurst: value("account-change-burst"),
      maxAccountBytes: value("max-account-bytes"),
      maxContacts: value("max-contacts"),
      maxFirstContactsPerDay: value("max-first-contacts-per-day"),
      deliveriesPerSecond: value("deliveries-per-second"),
      deliveryBurst: value("delivery-burst"),
      recipientDeliveriesPerSecond: value("recipient-deliveries-per-second"),
      recipientDeliveryBurst: value("recipient-delivery-burst"),
    },
    hosting: {
      maxDomains: value("max-hosted-domains"),
      maxPerAdministrator: value("max-domains-per-account"),
      maxAccounts: value("max-domain-accounts"),
      maxStoredBytes: value("max-domain-bytes"),
      maxInvitations: MAX_INVITATIONS,
    },
    allowedNetworks: all("allow-network"),
    resolve: new Map(all("resolve")),
    development,
    logLevel: value("log-level"),
    logFormat: last("log-format"),
    trustedProxies: all("trusted-proxy"),
    requirePostQuantum: value("require-post-quantum"),
    dnsServers: all("dns-server"),
    requireProvenDomains: value("require-proven-domains"),
  };
  checkTogether(config);
  return { ...config, warnings: warningsAbout(config, flags.database !== undefined) };
}

/**
 * The object in a configuration file, and what the operator should know about the file.
 *
 * @throws ConfigError.
 */
export function readConfigFile(path: string): { options: RawOptions; warnings: readonly string[] } {
  let text: string;
  let mode: number;
  try {
    text = readFileSync(path, "utf8");
    mode = statSync(path).mode;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new ConfigError(`--config: the file cannot be read (${code}): ${path}`);
  }
  const options = parseJsonObject(text);
  if (options === undefined) {
    throw new ConfigError(`--config: the file is no JSON object such as {"domain": "acme.example"}: ${path}`);
  }
  const readableByOthers = (mode & 0o077) !== 0 && process.platform !== "win32";
  const secret = hasPassword(options.database);
  const warnings =
    readableByOthers && secret
      ? ["others can read the password in the configuration file: chmod 600 it"]
      : [];
  return { options, warnings };
}

/** Invitations of one domain that may wait to be used. */
const MAX_INVITATIONS = 1_000;

type OptionWithDefault = {
  [Name in OptionName]: (typeof OPTIONS)[Name] extends { readonly default: unknown } ? Name : never;
}[OptionName];

/** The values of an option from the strongest source that has any. */
function valuesOf<Name extends OptionName>(
  name: Name,
  sources: Required<ConfigSources>,
): OptionValue<Name>[] {
  const option: Option<unknown> = OPTIONS[name];
  const fromEnv = sources.env[envName(name)] || undefined;
  const candidates: readonly (readonly [where: string, value: unknown])[] = [
    [`--${name}`, sources.flags[name] ?? sources.flags[camelCase(name)]],
    [envName(name), option.repeatable ? fromEnv?.trim().split(/[\s,]+/) : fromEnv],
    [`"${name}" in the configuration file`, sources.file[name]],
  ];
  const [where, value] = candidates.find((candidate) => candidate[1] !== undefined) ?? ["", []];
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (!option.repeatable && values.length > 1) throw new ConfigError(`${where}: takes one value, not a list`);
  return values.map((each) => parseValue(where, option, each) as OptionValue<Name>);
}

function parseValue(where: string, option: Option<unknown>, value: unknown): unknown {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") {
    throw new ConfigError(`${where}: must be a text, a number, true or false, such as ${option.example}`);
  }
  try {
    return option.parse(String(value).trim());
  } catch (error) {
    if (!(error instanceof OptionProblem || error instanceof ProtocolError)) throw error;
    throw new ConfigError(`${where}: ${error.message}; write it like ${option.example}`);
  }
}

function apiUrlOf(given: string | undefined, domain: string, development: boolean): string | undefined {
  if (given === undefined) return development ? undefined : `https://${domain}/api`;
  try {
    return parseApiUrl(given, { allowInsecure: development }).href;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new ConfigError(`--api-url: ${error.message}; write it like ${OPTIONS["api-url"].example}`);
  }
}

function tlsFilesOf(certFile: string | undefined, keyFile: string | undefined): NodeConfig["tls"] {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined)
    throw new ConfigError("--tls-cert: missing beside --tls-key, name the certificate's file");
  if (keyFile === undefined)
    throw new ConfigError("--tls-key: missing beside --tls-cert, name the key's file");
  return { certFile, keyFile };
}

/** Where state belongs by the XDG base directory specification, a folder for each node. */
function stateFolder(env: Readonly<Record<string, string | undefined>>, domain: string): string {
  const home = env.HOME || env.USERPROFILE;
  const state = env.XDG_STATE_HOME || (home && join(home, ".local", "state"));
  if (!state) throw new ConfigError("--data-dir: there is no home folder, name the folder of the database");
  return join(state, "keypears", domain);
}

function checkTogether(config: Omit<NodeConfig, "warnings">): void {
  const { development, listen, resolve, limits, workers, database } = config;
  if (resolve.size > 0 && !development) {
    throw new ConfigError("--resolve: only for development, add --dev or leave it out");
  }
  if (development && !isLoopbackHost(listen.host)) {
    throw new ConfigError("--dev: only on a loopback listener, leave it out or --listen on 127.0.0.1:4273");
  }
  if (workers > 1 && database === "sqlite::memory:") {
    throw new ConfigError(
      "--workers: a database in memory is one process's own, name a file or leave it out",
    );
  }
  if (limits.maxAnonymousRequestBytes > limits.maxRequestBytes) {
    throw new ConfigError("--max-anonymous-request-bytes: must not be above --max-request-bytes");
  }
  if (limits.maxEnvelopeBytes * 2 > limits.maxRequestBytes) {
    throw new ConfigError("--max-envelope-bytes: must not be above half of --max-request-bytes");
  }
  if (limits.lookupBurst < limits.maxBatchLookups) {
    throw new ConfigError(
      "--lookup-burst: must not be below --max-batch-lookups, or no full batch would ever pass",
    );
  }
}

function warningsAbout(config: Omit<NodeConfig, "warnings">, databaseIsFlag: boolean): string[] {
  const warnings: string[] = [];
  if (config.development) {
    warnings.push("development mode: cleartext and local domains are trusted, never run it for others");
  }
  if (databaseIsFlag && hasPassword(config.database)) {
    warnings.push(
      "everyone on this machine can see the password in --database: use KEYPEARS_DATABASE or the file",
    );
  }
  if (config.tls === undefined && !isLoopbackHost(config.listen.host)) {
    warnings.push("listening in cleartext beyond this machine: have a proxy in front that speaks TLS");
  }
  return warnings;
}

/** Whether a database's URL holds a password. */
export function hasPassword(database: unknown): boolean {
  return typeof database === "string" && URL.canParse(database) && new URL(database).password !== "";
}

function isLoopbackHost(host: string): boolean {
  return host === "localhost" || isLoopback(host);
}

/** A JSON object, or undefined. The parser's own words quote the text, which may hold a password. */
function parseJsonObject(text: string): RawOptions | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as RawOptions)
      : undefined;
  } catch {
    return undefined;
  }
}

function envName(name: string): string {
  return `KEYPEARS_${name.replaceAll("-", "_").toUpperCase()}`;
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
