// What the tests of this folder share: how a parser of the protocol layer is expected to refuse.

import { ProtocolError } from "../../src/protocol/errors.ts";

/** The ProtocolError that `parse` throws; anything else that it throws, or its returning at all, fails the test. */
export function refusal(parse: () => unknown): ProtocolError {
  let value: unknown;
  try {
    value = parse();
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
  throw new Error(`was not refused, but gave ${JSON.stringify(value)}`);
}

/** What `parse` returns, or undefined where it refuses with a ProtocolError; anything else that it throws is thrown on. */
export function unlessRefused<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}
