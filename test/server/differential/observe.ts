/** An answer taken apart into named fields, so that two of them can be compared field by field. */

import { gunzipSync } from "node:zlib";
import { createRegistry, fromBinary, toJsonString } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { file_google_rpc_error_details } from "../../../gen/google/rpc/error_details_pb.ts";
import type { Dress } from "./dress.ts";
import type { RawAnswer } from "./exchange.ts";

/** Fields by name; what is not there has none. */
export type Observed = Readonly<Record<string, string>>;

/** An error's detail as it travels. */
interface Detail {
  readonly type: string;
  readonly value: Uint8Array;
}

// They speak of the connection, of the clock or of the answer's length (which readers of answers check), not of the call; and
// those of CORS are a promise to browsers that the library leaves to whoever embeds it.
const NOT_OF_THE_CALL =
  /^(?:connection|keep-alive|transfer-encoding|content-length|date|vary|access-control-.*)$/;
const STATUS_FIELDS: ReadonlySet<string> = new Set([
  "grpc-status",
  "grpc-message",
  "grpc-status-details-bin",
]);
const REGISTRY = createRegistry(file_google_rpc_error_details);
const COMPRESSED_FLAG = 1;
const TRAILERS_FLAG = 0x80;

/**
 * Takes an answer apart. "status in" says where the status of gRPC stood. Messages are compared decompressed, with what says
 * that they were compressed beside them: two encoders need not find the same bytes.
 */
export function observe(dress: Dress, answer: RawAnswer): Observed {
  const fields: Record<string, string> = { end: answer.end, status: String(answer.status) };
  // "Trailers-Only" in gRPC's PROTOCOL-HTTP2.md: what stands there are the trailers.
  const trailersOnly = answer.headers.has("grpc-status");
  for (const [name, value] of answer.headers) {
    if (!NOT_OF_THE_CALL.test(name) && !STATUS_FIELDS.has(name)) {
      fields[`${!trailersOnly || name === "content-type" ? "header" : "trailer"} ${name}`] = value;
    }
  }
  const type = answer.headers.get("content-type") ?? "";
  if (type.startsWith("application/grpc")) observeGrpc(answer, fields);
  else observeConnect(dress, answer, fields);
  return fields;
}

function observeGrpc(answer: RawAnswer, fields: Record<string, string>): void {
  const inBody: Headers[] = [];
  fields.messages = "";
  for (const { flags, data } of split(answer.body)) {
    if (flags === TRAILERS_FLAG) inBody.push(trailerParse(data));
    else if (flags === COMPRESSED_FLAG) fields.messages += `compressed ${gunzipSync(data).toString("hex")};`;
    else fields.messages += `${flags} ${data.toString("hex")};`;
  }
  const places = [
    ["headers", new Headers([...answer.headers])],
    ["trailers", new Headers([...answer.trailers])],
    ...inBody.map((trailers) => ["body", trailers] as const),
  ] as const;
  const statuses = places.filter(([, candidate]) => candidate.has("grpc-status"));
  fields["status in"] = statuses.map(([place]) => place).join();
  const trailers = statuses[0]?.[1];
  for (const [, candidate] of places.slice(1)) {
    for (const [name, value] of candidate) {
      if (!STATUS_FIELDS.has(name)) fields[`trailer ${name}`] = value;
    }
  }
  if (trailers === undefined) return;
  const code = Number(trailers.get("grpc-status"));
  fields.code = code === 0 ? "ok" : name(code);
  const message = trailers.get("grpc-message");
  if (message !== null) fields.message = decodeURIComponent(message);
  if (!trailers.has("grpc-status-details-bin")) return;
  const error = findTrailerError(trailers);
  if (error === undefined) throw new Error("the details say that all is well");
  fields.details = (error.details as Detail[]).map(describe).join();
  if (error.code !== code || error.rawMessage !== fields.message) {
    fields["status beside its details"] = `${error.code} ${error.rawMessage}`;
  }
}

function observeConnect(dress: Dress, answer: RawAnswer, fields: Record<string, string>): void {
  for (const [name, value] of answer.trailers) fields[`trailer ${name}`] = value;
  const body = answer.headers.get("content-encoding") === "gzip" ? gunzipSync(answer.body) : answer.body;
  const error = answer.status === 200 ? undefined : connectError(body);
  if (error === undefined) {
    if (answer.status === 200) fields.code = "ok";
    const json = dress.codec === "json" || answer.status !== 200;
    fields.messages = body.toString(json ? "utf8" : "hex");
    return;
  }
  const { code, message, details, ...rest } = error;
  fields.code = name(codeFromString(code) ?? 0);
  if (message !== undefined) fields.message = message;
  if (details !== undefined) {
    const bare = details.map(({ type, value }) => ({ type, value: Buffer.from(value, "base64") }));
    fields.details = bare.map(describe).join();
  }
  if (Object.keys(rest).length > 0) fields["beside the error"] = JSON.stringify(rest);
}

interface ErrorJson {
  readonly code: string;
  readonly message?: string;
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

/** The error in an answer's body, if there is one of the protocol. */
function connectError(body: Buffer): ErrorJson | undefined {
  try {
    const json: unknown = JSON.parse(body.toString("utf8"));
    return typeof json === "object" && json !== null && "code" in json ? (json as ErrorJson) : undefined;
  } catch {
    return undefined;
  }
}

function name(code: number): string {
  return Code[code] ?? `unknown code ${code}`;
}

/** A detail as JSON with its type in front, which loses nothing where the type is known. */
function describe({ type, value }: Detail): string {
  const schema = REGISTRY.getMessage(type);
  if (schema === undefined) return `${type} ${Buffer.from(value).toString("hex")}`;
  return `${schema.name} ${toJsonString(schema, fromBinary(schema, value), { registry: REGISTRY })}`;
}

function split(body: Buffer): { flags: number; data: Buffer }[] {
  const envelopes: { flags: number; data: Buffer }[] = [];
  for (let at = 0; at < body.length; ) {
    if (body.length < at + 5) throw new Error("the answer ends within an envelope");
    const length = body.readUInt32BE(at + 1);
    if (body.length < at + 5 + length) throw new Error("the answer ends within a message");
    envelopes.push({ flags: body.readUInt8(at), data: body.subarray(at + 5, at + 5 + length) });
    at += 5 + length;
  }
  return envelopes;
}
