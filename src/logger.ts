/** The part of a structured logger that the node's layers use; pino's loggers are ones. */

/** Writes one line with fields and a message at a level. Fields never hold secrets. */
export type LogLine = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** A structured logger. */
export interface Logger {
  readonly debug: LogLine;
  readonly info: LogLine;
  readonly warn: LogLine;
  readonly error: LogLine;
}

/** Drops everything. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
