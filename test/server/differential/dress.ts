/** The ways in which a unary call can be dressed: protocol, codec and version of HTTP. */

import { gzipSync } from "node:zlib";
import type { RawRequest } from "./exchange.ts";

export type Protocol = "gRPC" | "gRPC-Web" | "Connect" | "Connect GET";
export type Codec = "proto" | "json";

/** One way. */
export interface Dress {
  readonly protocol: Protocol;
  readonly codec: Codec;
  readonly version: "1.1" | "2";
}

export const PROTOCOLS: readonly Protocol[] = ["gRPC", "gRPC-Web", "Connect", "Connect GET"];

/** All ways. */
export const DRESSES: readonly Dress[] = PROTOCOLS.flatMap((protocol) =>
  (["proto", "json"] as const).flatMap((codec) =>
    (["1.1", "2"] as const).map((version) => ({ protocol, codec, version })),
  ),
);

/** What makes a request differ from a plain good one. */
export interface Parts {
  /** Path, instead of that of the method. */
  readonly path?: string;
  readonly verb?: string;
  /** The encoded message. */
  readonly message: Uint8Array;
  /** True if the message is compressed with gzip, as its header says. */
  readonly gzip?: boolean;
  /** Flags in front of the message, instead of the right ones. */
  readonly flags?: number;
  /** The whole body, instead of the dressed message. */
  readonly body?: Uint8Array;
  /** Headers more, other, or (undefined) fewer. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Parameters of a GET more, other, or (undefined) fewer. */
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly raw?: Pick<RawRequest, "dripping" | "length" | "after" | "resetOnceWaiting">;
}

/** True where a message has five bytes in front: flags and length. */
export function isEnveloped({ protocol }: Dress): boolean {
  return protocol === "gRPC" || protocol === "gRPC-Web";
}

/** A message behind its five bytes. */
export function envelope(message: Uint8Array, flags = 0, length = message.length): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt8(flags, 0);
  bytes.writeUInt32BE(length, 1);
  bytes.set(message, 5);
  return bytes;
}

/** The content type of a dress's requests and good answers. */
export function contentTypeOf({ protocol, codec }: Dress): string {
  if (protocol === "gRPC") return `application/grpc+${codec}`;
  if (protocol === "gRPC-Web") return `application/grpc-web+${codec}`;
  return `application/${codec}`;
}

/** Names of the headers that say how a request is compressed, how answers may be, and how long the caller waits. */
export function headerNames(dress: Dress): { encoding: string; accept: string; timeout: string } {
  if (isEnveloped(dress)) {
    return { encoding: "grpc-encoding", accept: "grpc-accept-encoding", timeout: "grpc-timeout" };
  }
  return { encoding: "content-encoding", accept: "accept-encoding", timeout: "connect-timeout-ms" };
}

/** Puts a request together. */
export function dressed(dress: Dress, path: string, parts: Parts): RawRequest {
  const { version } = dress;
  const message = parts.gzip === true ? gzipSync(parts.message) : parts.message;
  if (dress.protocol === "Connect GET") {
    const query = {
      connect: "v1",
      encoding: dress.codec,
      ...(parts.gzip === true && { compression: "gzip" }),
      base64: "1",
      message: Buffer.from(message).toString("base64url"),
      ...parts.query,
    };
    return {
      version,
      verb: parts.verb ?? "GET",
      target: `${parts.path ?? path}?${new URLSearchParams(present(query))}`,
      headers: present(parts.headers ?? {}),
      body: parts.body ?? new Uint8Array(0),
      ...parts.raw,
    };
  }
  const flags = parts.flags ?? (parts.gzip === true ? 1 : 0);
  const headers = {
    "content-type": contentTypeOf(dress),
    ...(dress.protocol === "gRPC" && { te: "trailers" }),
    ...(dress.protocol === "gRPC-Web" && { "x-grpc-web": "1" }),
    ...(dress.protocol === "Connect" && { "connect-protocol-version": "1" }),
    ...(parts.gzip === true && { [headerNames(dress).encoding]: "gzip" }),
    ...parts.headers,
  };
  return {
    version,
    verb: parts.verb ?? "POST",
    target: parts.path ?? path,
    headers: present(headers),
    body: parts.body ?? (isEnveloped(dress) ? envelope(message, flags) : message),
    ...parts.raw,
  };
}

function present(values: Readonly<Record<string, string | undefined>>): [string, string][] {
  return Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined);
}
