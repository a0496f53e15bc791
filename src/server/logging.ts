/**
 * The node's log: one JSON object a line, or a prettier line for people at a terminal. It goes to standard error, so that
 * standard output stays a command's own.
 */

import { pino } from "pino";
import type { LogFormat, LogLevel, NodeConfig } from "../config.ts";
import { type Logger, silentLogger } from "../logger.ts";

/** Takes finished lines; standard error unless given. */
export interface LogDestination {
  write(line: string): void;
}

const STANDARD_ERROR = 2;
// Nothing of this is ever logged on purpose. Should it slip in, it stops here.
const SECRET_FIELDS = [
  "authorization",
  "password",
  "token",
  "secret",
  "loginKey",
  "accountKey",
  "seed",
  "privateKey",
];

/** Makes the logger that a configuration asks for, on standard error. `fields` stand in every line. */
export function createNodeLogger(
  { logLevel, logFormat }: Pick<NodeConfig, "logLevel" | "logFormat">,
  fields?: Readonly<Record<string, unknown>>,
): Promise<Logger> {
  const format = logFormat ?? (process.stderr.isTTY ? "pretty" : "json");
  return createLogger({ level: logLevel, format, fields });
}

/** Makes a logger. */
export async function createLogger(
  options: {
    readonly level: LogLevel;
    readonly format: LogFormat;
    readonly fields?: Readonly<Record<string, unknown>> | undefined;
  },
  destination: LogDestination = pino.destination({ fd: STANDARD_ERROR, sync: true }),
): Promise<Logger> {
  if (options.level === "silent") return silentLogger;
  const paths = SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  const logger: Logger = pino(
    {
      level: options.level,
      base: options.fields ?? null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths, censor: "[redacted]" },
    },
    options.format === "pretty" ? await prettyDestination(destination) : destination,
  );
  return logger;
}

async function prettyDestination(destination: LogDestination): Promise<LogDestination> {
  const { prettyFactory } = await import("pino-pretty");
  const colorize = process.stderr.hasColors?.() === true && !process.env.NO_COLOR;
  const prettify = prettyFactory({ colorize, translateTime: "SYS:HH:MM:ss", singleLine: true });
  return { write: (line) => destination.write(prettify(line)) };
}
