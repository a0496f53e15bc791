/**
 * Answers of methods as bytes: what is asked for again and again is encoded once and written as it stands. The server writes
 * the bytes of such a method; to everybody else it is a method like any other, which answers with a message.
 */

import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";

/** How a message is encoded: as protobuf, or as JSON (ProtoJSON). */
export type MessageEncoding = "proto" | "json";

/** An answer in bytes. Whatever it gives is computed at most once. */
export interface EncodedAnswer {
  /** The message in an encoding; not to be changed. */
  bytes(encoding: MessageEncoding): Uint8Array;
  /** The same by gzip (RFC 1952), or undefined where that is hardly shorter. */
  gzip(encoding: MessageEncoding): Promise<Uint8Array | undefined>;
  /** A strong entity tag of the bytes with its quotes (RFC 9110 §8.8.3). */
  entityTag(encoding: MessageEncoding): string;
  /** How long caches may keep it (RFC 9111 §5.2.2), for answers to GET. */
  readonly cacheControl: string;
}

/** A method that answers in bytes: at once where nothing has to be waited for. */
export type EncodedMethod<Request> = (
  request: Request,
  call: HandlerContext,
) => EncodedAnswer | Promise<EncodedAnswer>;

/** An implementation of a method in which the server finds the bytes. */
export interface AnsweredInBytes<Request, Response> {
  (request: Request, call: HandlerContext): Promise<Response>;
  readonly encoded: EncodedMethod<Request>;
}

/** Makes an implementation of a unary method out of one that answers in bytes. */
export function answeredInBytes<Request, Output extends DescMessage>(
  output: Output,
  encoded: EncodedMethod<Request>,
): AnsweredInBytes<Request, MessageShape<Output>> {
  const method = async (request: Request, call: HandlerContext) =>
    fromBinary(output, (await encoded(request, call)).bytes("proto"));
  return Object.assign(method, { encoded });
}

/** The bytes behind an implementation, if it has any. */
export function encodedMethodOf(implementation: unknown): EncodedMethod<unknown> | undefined {
  if (typeof implementation !== "function" || !("encoded" in implementation)) return undefined;
  return implementation.encoded as EncodedMethod<unknown>;
}
