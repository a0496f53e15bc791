/**
 * The tool's own error, and how any error is told: on standard error, as text with what to do next, or as one JSON object.
 */

import { EXIT, type ExitCode, endingOf } from "./exit-codes.ts";
import { visible } from "./visible.ts";

/** The tool cannot go on. The message says what was wrong, `next` what to do. */
export class CliError extends Error {
  override readonly name = "CliError";
  /** UPPER_SNAKE. */
  readonly reason: string;
  readonly exitCode: ExitCode;
  readonly next: string | undefined;

  constructor(reason: string, exitCode: ExitCode, message: string, next?: string) {
    super(message);
    this.reason = reason;
    this.exitCode = exitCode;
    this.next = next;
  }
}

/** The command line cannot be used. */
export function usageError(message: string, next?: string): CliError {
  return new CliError("USAGE", EXIT.usage, message, next);
}

/** What is told about an error. */
export interface Failure {
  readonly reason: string;
  readonly message: string;
  readonly exitCode: ExitCode;
  readonly next?: string | undefined;
  readonly field?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** What there is to tell about an error. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CliError) {
    const { reason, message, exitCode, next } = error;
    return { reason, message, exitCode, next };
  }
  if (!(error instanceof Error)) return unexpected(String(error));
  if (error.name === "AbortError") {
    return { reason: "INTERRUPTED", message: "interrupted", exitCode: EXIT.interrupted };
  }
  // The errors of the layers below carry a reason. Looking at it here spares the tool to load them all.
  const { reason, field, metadata } = error as Partial<Failure>;
  if (typeof reason === "string") {
    const { exitCode, next } = endingOf(reason);
    const facts = metadata && Object.keys(metadata).length > 0 ? metadata : undefined;
    return { reason, message: error.message, exitCode, next, field, metadata: facts };
  }
  if (error.name === "ConfigError") {
    const { exitCode, next } = endingOf("CONFIG_INVALID");
    return { reason: "CONFIG_INVALID", message: error.message, exitCode, next };
  }
  return unexpected(error.message);
}

/** Tells about a failure on standard error. */
export function tellFailure(failure: Failure, json: boolean): void {
  if (json) {
    process.stderr.write(`${JSON.stringify({ error: failure })}\n`);
    return;
  }
  const lines = [`keypears: ${visible(failure.message)}`];
  const { pinned_fingerprint: pinned, new_fingerprint: now, fingerprint } = failure.metadata ?? {};
  if (pinned) lines.push(`  known fingerprint:  ${visible(pinned)}`);
  if (now) lines.push(`  new fingerprint:    ${visible(now)}`);
  if (fingerprint) lines.push(`  fingerprint:        ${visible(fingerprint)}`);
  if (failure.next) lines.push(`  ${failure.next}`);
  process.stderr.write(`${lines.join("\n")}\n`);
}

function unexpected(message: string): Failure {
  return { reason: "UNEXPECTED", message, exitCode: EXIT.unexpected };
}
