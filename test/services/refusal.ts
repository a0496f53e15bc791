// How a call is expected to be refused: an error with exactly one reason, read from what came over the transport.

import { Code, ConnectError } from "@connectrpc/connect";
import { expect } from "vitest";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";

/** What a caller learns from a refusal. */
export interface Refusal {
  readonly code: string;
  readonly reason: string | undefined;
  readonly field: string | undefined;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds; undefined where no delay is given. */
  readonly retryAfterMs: number | undefined;
}

/** The refusal of a call; its success fails the test. */
export async function refusal(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    (answer) => {
      throw new Error(`was not refused, but gave ${JSON.stringify(answer, jsonable)}`);
    },
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConnectError)) throw error;
  return refusalOf(error);
}

/** A ConnectError as its caller reads it. */
export function refusalOf(error: ConnectError): Refusal {
  const infos = error.findDetails(ErrorInfoSchema);
  expect(infos.map(({ domain }) => domain)).toEqual(["keypears.v1"]);
  const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    code: Code[error.code],
    reason: infos[0]?.reason,
    field: violations[0]?.field,
    message: error.rawMessage,
    metadata: infos[0]?.metadata ?? {},
    retryAfterMs: delay && Number(delay.seconds) * 1_000 + delay.nanos / 1e6,
  };
}

function jsonable(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
