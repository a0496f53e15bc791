/** One service for both roads, which does what its caller tells it to in the address that is looked up. */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../../../gen/google/rpc/error_details_pb.ts";
import { HashService } from "../../../gen/keypears/v1/hash_service_pb.ts";
import {
  type GetKeySetRequest,
  type GetKeySetResponseSchema,
  KeySetService,
} from "../../../gen/keypears/v1/key_set_service_pb.ts";
import { ShareService } from "../../../gen/keypears/v1/share_service_pb.ts";

/** What became of calls that their callers could not see the end of, by the name that they have in their address. */
export type Seen = Map<string, string>;

export const PATHS = {
  getKeySet: "/keypears.v1.KeySetService/GetKeySet",
  /** Has side effects, so that no GET reaches it. */
  publishKeySet: "/keypears.v1.KeySetService/PublishKeySet",
  blake3: "/keypears.v1.HashService/Blake3",
} as const;

/** An umlaut, a character beyond the Basic Multilingual Plane, and what percent-encoding has to take care of. */
export const UNICODE = "grün 🍐 100% “so”\nnext line";
export const BINARY = Uint8Array.of(0, 1, 2, 250, 251, 252, 253, 254, 255);

/** Adds the service to a router. */
export function register(router: ConnectRouter, seen: Seen): void {
  router.service(KeySetService, {
    getKeySet: (request, call) => getKeySet(request, call, seen),
    publishKeySet: ({ loginKey }) => ({ activeNumber: loginKey.length }),
  });
  // No hash: it gives back what it was given.
  router.service(HashService, { blake3: ({ data }) => ({ hash: data }) });
  router.service(ShareService, {});
}

async function getKeySet(
  request: GetKeySetRequest,
  call: HandlerContext,
  seen: Seen,
): Promise<MessageInitShape<typeof GetKeySetResponseSchema>> {
  const [order = "", argument = ""] = split(request.address);
  switch (order) {
    case "empty":
      return {};
    case "large":
      return { published: { keySet: { body: new Uint8Array(Number(argument)).fill(0x61) } } };
    case "context":
      return answering(JSON.stringify(contextOf(call)));
    case "headers":
      setHeaders(call);
      return answering("headers");
    case "headers-and-error":
      setHeaders(call);
      throw problem(Code.Aborted, "headers were set", "CONTACTS_CHANGED");
    case "code":
      throw problem(Number(argument), "as it was asked to", "ADDRESS_UNKNOWN");
    case "unicode":
      throw problem(Code.NotFound, UNICODE, "ADDRESS_UNKNOWN");
    case "no-words":
      throw problem(Code.NotFound, "", "ADDRESS_UNKNOWN");
    case "details":
      throw detailed();
    case "metadata":
      throw problem(Code.FailedPrecondition, "with metadata", "KEY_RETIRED", {
        "x-error": "why",
        "x-error-bin": Buffer.from(BINARY).toString("base64"),
      });
    case "forged-metadata":
      throw problem(Code.FailedPrecondition, "with metadata of the protocol", "KEY_RETIRED", {
        "grpc-status": "0",
        "content-type": "text/html",
        "x-error": "why",
      });
    case "bare":
      throw new ConnectError("a detail for developers", Code.Unavailable);
    case "bug":
      throw new TypeError("hunter2 is not a function");
    case "wait":
      return wait(call, (end) => seen.set(argument, end));
    default:
      return answering(request.address);
  }
}

function split(address: string): string[] {
  const at = address.indexOf(":");
  return at < 0 ? [address] : [address.slice(0, at), address.slice(at + 1)];
}

function answering(text: string): MessageInitShape<typeof GetKeySetResponseSchema> {
  return { published: { keySet: { body: new TextEncoder().encode(text) }, activeNumber: 7 } };
}

/** What a method can learn of its call, as far as it does not differ from one exchange to the next. */
function contextOf(call: HandlerContext): Record<string, unknown> {
  const left = call.timeoutMs();
  return {
    method: call.method.name,
    protocol: call.protocolName,
    verb: call.requestMethod,
    path: new URL(call.url).pathname,
    // Whether there is a default for those who ask for none is a matter of configuration.
    deadline: left !== undefined && left < 30_000 ? "near" : "far",
    text: call.requestHeader.get("x-text"),
    binary: call.requestHeader.get("x-octets-bin"),
    contentType: call.requestHeader.get("content-type"),
  };
}

function setHeaders(call: HandlerContext): void {
  call.responseHeader.set("x-text", "a header");
  call.responseHeader.append("x-twice", "one");
  call.responseHeader.append("x-twice", "two");
  call.responseHeader.set("x-octets-bin", Buffer.from(BINARY).toString("base64"));
  call.responseTrailer.set("x-trailer", "a trailer");
  call.responseTrailer.set("x-trailer-bin", Buffer.from(BINARY).toString("base64"));
}

function problem(code: Code, message: string, reason: string, metadata?: HeadersInit): ConnectError {
  const error = new ConnectError(message, code, metadata);
  const value = create(ErrorInfoSchema, { reason, domain: "keypears.v1" });
  error.details.push({ desc: ErrorInfoSchema, value });
  return error;
}

function detailed(): ConnectError {
  const error = problem(Code.InvalidArgument, "with details", "FIELD_INVALID");
  error.details.push({
    desc: BadRequestSchema,
    value: { fieldViolations: [{ field: "address", description: UNICODE, reason: "FIELD_INVALID" }] },
  });
  error.details.push({ desc: RetryInfoSchema, value: { retryDelay: { seconds: 3n, nanos: 500_000_000 } } });
  return error;
}

/** Waits until the call is given up, and says why it was. */
function wait(call: HandlerContext, ended: (end: string) => void): Promise<never> {
  ended("waiting");
  return new Promise((_, reject) => {
    call.signal.addEventListener("abort", () => {
      ended(`given up: ${Code[ConnectError.from(call.signal.reason).code]}`);
      reject(call.signal.reason);
    });
  });
}
