/** Requests as bytes on real sockets, in every protocol over both versions of HTTP, and what came back. */

import { request as http1Request } from "node:http";
import { connect } from "node:http2";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { fromBinary, fromJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { endStreamFromJson, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";

export type HttpVersion = "1.1" | "2";
export const HTTP_VERSIONS: readonly HttpVersion[] = ["1.1", "2"];

export interface WireRequest {
  readonly origin: string;
  readonly path: string;
  readonly version: HttpVersion;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly ca?: string;
}

export interface WireResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
  readonly trailers: Headers;
}

export function exchange(request: WireRequest): Promise<WireResponse> {
  return request.version === "2" ? exchangeHttp2(request) : exchangeHttp1(request);
}

function exchangeHttp1(request: WireRequest): Promise<WireResponse> {
  return new Promise((resolve, reject) => {
    const outgoing = http1Request(
      new URL(request.path, request.origin),
      { method: request.method ?? "POST", headers: request.headers, agent: false },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: toHeaders(incoming.headers),
            body: Buffer.concat(chunks),
            trailers: toHeaders(incoming.trailers),
          }),
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.end(request.body);
  });
}

function exchangeHttp2(request: WireRequest): Promise<WireResponse> {
  return new Promise((resolve, reject) => {
    const session = connect(request.origin, request.ca === undefined ? {} : { ca: request.ca });
    session.on("error", reject);
    const { host, ...headers } = request.headers ?? {};
    const stream = session.request({
      ":method": request.method ?? "POST",
      ":path": request.path,
      ...(host !== undefined && { ":authority": host }),
      ...headers,
    });
    let head = new Headers();
    let status = 0;
    let trailers = new Headers();
    const chunks: Buffer[] = [];
    stream.on("response", (received) => {
      status = received[":status"] ?? 0;
      head = toHeaders(received);
    });
    stream.on("trailers", (received) => {
      trailers = toHeaders(received);
    });
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("end", () => {
      session.close();
      resolve({ status, headers: head, body: Buffer.concat(chunks), trailers });
    });
    stream.end(request.body);
  });
}

/** A way of dressing a call. */
export interface Dress {
  readonly name: string;
  readonly contentType: string;
  readonly enveloped: boolean;
  readonly json: boolean;
  readonly timeoutHeader: string;
  readonly encodingHeader: string;
}

const GRPC = { enveloped: true, timeoutHeader: "grpc-timeout", encodingHeader: "grpc-encoding" };
const CONNECT = { timeoutHeader: "connect-timeout-ms", enveloped: false, encodingHeader: "content-encoding" };
/** All that carry unary calls. */
export const DRESSES: readonly Dress[] = [
  { name: "gRPC", contentType: "application/grpc+proto", json: false, ...GRPC },
  { name: "gRPC with JSON", contentType: "application/grpc+json", json: true, ...GRPC },
  { name: "gRPC-Web", contentType: "application/grpc-web+proto", json: false, ...GRPC },
  { name: "gRPC-Web with JSON", contentType: "application/grpc-web+json", json: true, ...GRPC },
  { name: "Connect", contentType: "application/proto", json: false, ...CONNECT },
  { name: "Connect with JSON", contentType: "application/json", json: true, ...CONNECT },
];
/** Those that carry streams, but for gRPC's. */
export const CONNECT_STREAM: Dress = {
  name: "Connect stream",
  contentType: "application/connect+proto",
  enveloped: true,
  json: false,
  timeoutHeader: "connect-timeout-ms",
  encodingHeader: "connect-content-encoding",
};

/** Puts a message in its five bytes. */
export function envelope(message: Uint8Array, flags = 0): Uint8Array {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt8(flags, 0);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

/** The end of a call, whatever protocol it came in. */
export interface Outcome {
  readonly httpStatus: number;
  /** Undefined where it went well. */
  readonly error: ConnectError | undefined;
  /** Code by gRPC's name in camel case, or "Ok". */
  readonly code: string;
  /** Reasons of all ErrorInfos: there has to be one. */
  readonly reasons: readonly string[];
  /** Messages without their envelopes. */
  readonly messages: readonly Uint8Array[];
}

export async function call(
  dress: Dress,
  request: Omit<WireRequest, "method">,
): Promise<Outcome & { readonly response: WireResponse }> {
  const headers = { "content-type": dress.contentType, te: "trailers", ...request.headers };
  const response = await exchange({ ...request, method: "POST", headers });
  return { ...outcome(dress, response), response };
}

export function outcome(dress: Dress, response: WireResponse): Outcome {
  const { messages, error } = read(dress, response);
  const infos = error?.findDetails(ErrorInfoSchema) ?? [];
  return {
    httpStatus: response.status,
    error,
    code: error === undefined ? "Ok" : (Code[error.code] ?? "?"),
    reasons: infos.map((info) => info.reason),
    messages,
  };
}

export function decode<T extends DescMessage>(schema: T, dress: Dress, bytes: Uint8Array): MessageShape<T> {
  return dress.json ? fromJsonString(schema, new TextDecoder().decode(bytes)) : fromBinary(schema, bytes);
}

function read(
  dress: Dress,
  response: WireResponse,
): { messages: Uint8Array[]; error?: ConnectError | undefined } {
  if (!dress.enveloped) {
    if (response.status === 200) return { messages: [response.body] };
    return { messages: [], error: connectJsonError(response) };
  }
  const frames = split(response.body);
  const messages = frames.filter(({ flags }) => flags === 0).map(({ data }) => data);
  if (dress.contentType.startsWith("application/connect")) {
    const end = frames.find(({ flags }) => flags === 2);
    if (end === undefined) throw new Error("the stream has no end");
    return { messages, error: endStreamFromJson(end.data).error };
  }
  const web = frames.find(({ flags }) => flags === 0x80);
  const candidates = [web && trailerParse(web.data), response.trailers, response.headers];
  const trailers = candidates.find((candidate) => candidate?.has("grpc-status"));
  if (trailers === undefined) throw new Error(`no status in the answer (HTTP ${response.status})`);
  return { messages, error: findTrailerError(trailers) };
}

function connectJsonError(response: WireResponse): ConnectError {
  const fallback = new ConnectError(`no error of the protocol: HTTP ${response.status}`);
  return errorFromJsonBytes(response.body, undefined, fallback);
}

function split(body: Buffer): { flags: number; data: Buffer }[] {
  const frames: { flags: number; data: Buffer }[] = [];
  for (let at = 0; at < body.length; ) {
    const length = body.readUInt32BE(at + 1);
    frames.push({ flags: body.readUInt8(at), data: body.subarray(at + 5, at + 5 + length) });
    at += 5 + length;
  }
  return frames;
}

function toHeaders(headers: Readonly<Record<string, unknown>>): Headers {
  const result = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(":") && value !== undefined) result.set(name, String(value));
  }
  return result;
}
