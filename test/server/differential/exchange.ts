/** Requests as a table of their parts, sent as they stand on real sockets, however broken, and what came back. */

import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { createConnection } from "node:net";

/** A request, part by part. */
export interface RawRequest {
  readonly version: "1.1" | "2";
  readonly verb: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
  /** True if each byte of the body is sent on its own. */
  readonly dripping?: boolean;
  /** How the length of the body is told over HTTP/1.1; the number is one that may be wrong, sent over HTTP/2 too. */
  readonly length?: "chunked" | number;
  /** What comes after the body: its end, or no more of the connection (HTTP/1.1) or stream (HTTP/2). */
  readonly after?: "end" | "reset";
  /** True if the reset comes once the service works on the request. */
  readonly resetOnceWaiting?: boolean;
}

/** An answer, part by part. */
export interface RawAnswer {
  /** How it ended: "complete", or what the caller saw instead. */
  readonly end: string;
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  readonly trailers: ReadonlyMap<string, string>;
}

const NOTHING = { status: 0, headers: new Map(), body: Buffer.alloc(0), trailers: new Map() };

/**
 * Sends a request to a port of the loopback.
 *
 * @param waiting resolves when the service works on it.
 */
export function send(port: number, request: RawRequest, waiting: () => Promise<void>): Promise<RawAnswer> {
  return request.version === "2" ? sendHttp2(port, request, waiting) : sendHttp1(port, request, waiting);
}

async function sendHttp1(
  port: number,
  request: RawRequest,
  waiting: () => Promise<void>,
): Promise<RawAnswer> {
  const socket = createConnection(port, "127.0.0.1").setNoDelay(true);
  const received: Buffer[] = [];
  const answer = new Promise<RawAnswer>((resolve) => {
    const look = (closed: boolean) => {
      const parsed = readAnswer(Buffer.concat(received), closed, request.verb);
      if (parsed !== undefined) resolve(parsed);
      else if (closed) resolve({ ...NOTHING, end: "the connection was closed" });
    };
    socket.on("data", (chunk) => {
      received.push(chunk);
      look(false);
    });
    socket.on("error", () => {});
    socket.on("close", () => look(true));
  });
  await once(socket, "connect");
  socket.write(headOf(port, request));
  if (request.length === "chunked") {
    for (const piece of pieces(request)) socket.write(Buffer.concat([chunkSize(piece), piece, CRLF]));
    if (request.after !== "reset") socket.write("0\r\n\r\n");
  } else {
    for (const piece of pieces(request)) socket.write(piece);
  }
  if (request.after === "reset") {
    await written(socket);
    if (request.resetOnceWaiting === true) await waiting();
    socket.resetAndDestroy();
  }
  const result = await answer;
  socket.destroy();
  return result;
}

const CRLF = Buffer.from("\r\n");

function headOf(port: number, { verb, target, headers, body, length }: RawRequest): string {
  const lines = [`${verb} ${target} HTTP/1.1`, `Host: 127.0.0.1:${port}`];
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  if (length === "chunked") lines.push("Transfer-Encoding: chunked");
  else if (length !== undefined || body.length > 0 || verb === "POST")
    lines.push(`Content-Length: ${length ?? body.length}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function pieces({ body, dripping }: RawRequest): Uint8Array[] {
  if (body.length === 0) return [];
  return dripping === true ? Array.from(body, (byte) => Uint8Array.of(byte)) : [body];
}

function chunkSize(piece: Uint8Array): Buffer {
  return Buffer.from(`${piece.length.toString(16)}\r\n`);
}

function written(stream: { write(chunk: Uint8Array, done: () => void): void }): Promise<void> {
  return new Promise((resolve) => stream.write(new Uint8Array(0), () => resolve()));
}

/** The answer in the bytes of a connection (RFC 9112), undefined while it is not complete. */
function readAnswer(bytes: Buffer, closed: boolean, verb: string): RawAnswer | undefined {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const [statusLine = "", ...lines] = bytes.subarray(0, headEnd).toString("latin1").split("\r\n");
  const status = Number(statusLine.split(" ")[1]);
  const rest = bytes.subarray(headEnd + 4);
  if (status === 100) return readAnswer(rest, closed, verb);
  const headers = fields(lines);
  const head = { end: "complete", status, headers, trailers: new Map<string, string>() };
  if (headers.get("transfer-encoding") === "chunked") {
    const chunked = readChunked(rest);
    return chunked && { ...head, ...chunked };
  }
  const length = headers.get("content-length");
  if (verb === "HEAD") return { ...head, body: Buffer.alloc(0) };
  if (length === undefined) {
    const empty = status === 204 || status === 304;
    return empty || closed ? { ...head, body: empty ? Buffer.alloc(0) : rest } : undefined;
  }
  return rest.length < Number(length) ? undefined : { ...head, body: rest };
}

function readChunked(bytes: Buffer): { body: Buffer; trailers: Map<string, string> } | undefined {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    at = lineEnd + 2;
    if (size === 0) {
      const trailers = bytes.toString("latin1", at);
      if (trailers === "\r\n") return { body: Buffer.concat(chunks), trailers: new Map() };
      if (!trailers.endsWith("\r\n\r\n")) return undefined;
      return { body: Buffer.concat(chunks), trailers: fields(trailers.trimEnd().split("\r\n")) };
    }
    if (bytes.length < at + size + 2) return undefined;
    chunks.push(bytes.subarray(at, at + size));
    at += size + 2;
  }
}

function fields(lines: readonly string[]): Map<string, string> {
  const result = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    add(result, line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return result;
}

async function sendHttp2(
  port: number,
  request: RawRequest,
  waiting: () => Promise<void>,
): Promise<RawAnswer> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  const headers: Record<string, string | string[]> = { ":method": request.verb, ":path": request.target };
  for (const [name, value] of request.headers) {
    const key = name.toLowerCase();
    const before = headers[key];
    headers[key] = before === undefined ? value : [before, value].flat();
  }
  if (typeof request.length === "number") headers["content-length"] = String(request.length);
  const hasBody = request.body.length > 0 || request.verb === "POST";
  const stream = session.request(headers, { endStream: !hasBody });
  const head = { status: 0, headers: new Map<string, string>(), trailers: new Map<string, string>() };
  const chunks: Buffer[] = [];
  stream.on("response", (received) => {
    head.status = received[":status"] ?? 0;
    for (const [name, value] of Object.entries(received)) {
      if (!name.startsWith(":")) add(head.headers, name, value);
    }
  });
  stream.on("trailers", (received) => {
    for (const [name, value] of Object.entries(received)) add(head.trailers, name, value);
  });
  stream.on("data", (chunk) => chunks.push(chunk));
  stream.on("error", () => {});
  const end = new Promise<string>((resolve) => {
    // An answer can be complete before its request is, and then the stream stays open.
    stream.on("end", () => setImmediate(() => stream.state.remoteClose === 1 && resolve("complete")));
    stream.on("close", () => resolve(stream.rstCode === 0 ? "complete" : `reset with ${stream.rstCode}`));
  });
  for (const piece of pieces(request)) stream.write(piece);
  if (hasBody && request.after === "reset" && request.resetOnceWaiting !== true) await written(stream);
  else if (hasBody) stream.end();
  if (request.resetOnceWaiting === true) await waiting();
  if (request.after === "reset") stream.close(constants.NGHTTP2_CANCEL);
  const ended = await end;
  session.destroy();
  return { ...head, end: ended, body: Buffer.concat(chunks) };
}

function add(to: Map<string, string>, name: string, value: unknown): void {
  const before = to.get(name);
  to.set(name, before === undefined ? String(value) : `${before}, ${value}`);
}
