/**
 * How a request's message is dressed: one of four protocols, told apart by content type. gRPC
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), gRPC-Web (doc/PROTOCOL-WEB.md there), and Connect for
 * unary and for streaming methods (https://connectrpc.com/docs/protocol), each as protobuf or as JSON.
 */

import type { HeaderList } from "../exchange.ts";

/** How messages are dressed, and where their properties stand. */
export interface WireFormat {
  readonly protocol: "grpc" | "grpc-web" | "connect" | "connect-stream";
  readonly json: boolean;
  /** True if a message has five bytes in front: flags and length. */
  readonly enveloped: boolean;
  /** The content type of answers, without parameters. */
  readonly contentType: string;
  /** The same as a header. */
  readonly headers: HeaderList;
  /** Names of the headers that say how a message is compressed, what the other side understands, how long it waits. */
  readonly encodingHeader: string;
  readonly acceptEncodingHeader: string;
  readonly timeoutHeader: string;
}

const GRPC = {
  enveloped: true,
  encodingHeader: "grpc-encoding",
  acceptEncodingHeader: "grpc-accept-encoding",
  timeoutHeader: "grpc-timeout",
};
const PROTOCOLS = {
  grpc: GRPC,
  "grpc-web": GRPC,
  connect: {
    enveloped: false,
    encodingHeader: "content-encoding",
    acceptEncodingHeader: "accept-encoding",
    timeoutHeader: "connect-timeout-ms",
  },
  "connect-stream": {
    enveloped: true,
    encodingHeader: "connect-content-encoding",
    acceptEncodingHeader: "connect-accept-encoding",
    timeoutHeader: "connect-timeout-ms",
  },
} as const;

const FORMATS: ReadonlyMap<string, WireFormat> = new Map(
  (
    [
      ["application/proto", "connect", false],
      ["application/json", "connect", true],
      ["application/connect+proto", "connect-stream", false],
      ["application/connect+json", "connect-stream", true],
      ["application/grpc", "grpc", false, "application/grpc+proto"],
      ["application/grpc+proto", "grpc", false],
      ["application/grpc+json", "grpc", true],
      ["application/grpc-web", "grpc-web", false, "application/grpc-web+proto"],
      ["application/grpc-web+proto", "grpc-web", false],
      ["application/grpc-web+json", "grpc-web", true],
    ] as const
  ).map(([contentType, protocol, json, answerType = contentType]) => [
    contentType,
    {
      protocol,
      json,
      contentType: answerType,
      headers: ["content-type", answerType],
      ...PROTOCOLS[protocol],
    },
  ]),
);

/** All content types that carry a call. */
export const CONTENT_TYPES: readonly string[] = [...FORMATS.keys()];

/** The format of a content type, whose parameters do not matter; undefined if it carries no call. */
export function wireFormat(contentType: string | undefined): WireFormat | undefined {
  if (contentType === undefined) return undefined;
  const known = FORMATS.get(contentType);
  if (known !== undefined) return known;
  const [mediaType = ""] = contentType.split(";", 1);
  return FORMATS.get(mediaType.trim().toLowerCase());
}

/** Which side of a method sends a stream. */
export type MethodKind = "unary" | "server_streaming" | "client_streaming" | "bidi_streaming";

/** Whether a method of this kind can be called in the format: Connect dresses unary and streaming methods differently. */
export function carries(format: WireFormat, kind: MethodKind): boolean {
  if (format.protocol === "connect") return kind === "unary";
  if (format.protocol === "connect-stream") return kind !== "unary";
  return true;
}
