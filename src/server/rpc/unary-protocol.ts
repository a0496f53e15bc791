/**
 * What the short road needs of a protocol: how a body holds its one message, and how answers and errors are dressed. Each
 * protocol has a folder with the same files: request, answer, refusal, trailers.
 */

import type { ConnectError } from "@connectrpc/connect";
import type { Answer } from "../exchange.ts";
import { connect } from "./connect/index.ts";
import { grpc } from "./grpc/index.ts";
import { grpcWeb } from "./grpc-web/index.ts";
import type { WireFormat } from "./wire-format.ts";

/** A message's bytes as they came. */
export interface PackedMessage {
  readonly data: Uint8Array;
  /** True if they are compressed with gzip. */
  readonly compressed: boolean;
}

/** A message as it goes out: bytes, or the text of its JSON. */
export interface AnswerMessage {
  readonly data: Uint8Array | string;
  /** True if the bytes are compressed with gzip. */
  readonly compressed: boolean;
  /** True if the same bytes go out again and again. */
  readonly kept: boolean;
}

/** What a method set beside its answer. */
export interface AnswerMetadata {
  readonly header?: Headers | undefined;
  readonly trailer?: Headers | undefined;
}

/** A protocol for unary calls. */
export interface UnaryProtocol {
  /**
   * The one message in a body.
   *
   * @param encoding how the caller says that messages are compressed.
   * @throws ConnectError
   */
  readonly openBody: (body: Buffer, encoding: string | undefined, maxBytes: number) => PackedMessage;
  /** The answer with a message. */
  readonly answer: (format: WireFormat, message: AnswerMessage, metadata: AnswerMetadata) => Answer;
  /** The answer without one. */
  readonly refusal: (format: WireFormat, error: ConnectError, metadata: AnswerMetadata) => Answer;
}

/** The protocol of a format that carries unary calls. */
export function unaryProtocol(format: WireFormat): UnaryProtocol {
  switch (format.protocol) {
    case "grpc":
      return grpc;
    case "grpc-web":
      return grpcWeb;
    default:
      return connect;
  }
}
