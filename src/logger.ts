/** The part of a structured logger that the node's layers use; pino's loggers are ones. */

/** Writes one line with fields and a message at a level. Fields never hold secrets. */
export type LogLine = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** Levels, from the least to the most important. */
export type LogLevelName = "debug" | "info" | "warn" | "error";

/** A structured logger. */
export interface Logger {
  readonly debug: LogLine;
  readonly info: LogLine;
  readonly warn: LogLine;
  readonly error: LogLine;
  /** Whether lines of a level are written; a logger without it writes all. */
  readonly isLevelEnabled?: (level: LogLevelName) => boolean;
}

/** Drops everything. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  isLevelEnabled: () => false,
};
