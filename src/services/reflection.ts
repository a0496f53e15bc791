/**
 * Server reflection (grpc.reflection.v1, and v1alpha for older clients; gRPC's doc/server-reflection.md): tells a client what this
 * node serves, so that it can call the node without its contract. Nothing in it is secret, and it has nothing to look up.
 */

import { Code, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import type { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import type { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { callerKey } from "./context.ts";
import { serviceError } from "./errors.ts";
import type { Schema } from "./schema.ts";
import { createStreamPlaces } from "./stream-places.ts";

/** Open reflection streams of one source prefix in one process. */
export const MAX_REFLECTION_STREAMS_PER_SOURCE = 32;

/** How long a stream stays open without a question, in milliseconds: below what the server allows, so that it ends cleanly. */
export const REFLECTION_IDLE_MS = 30_000;

/** What reflection is given. */
export interface ReflectionOptions {
  readonly schema: Schema;
  /** Fires when the node stops. */
  readonly shutdown: AbortSignal;
  readonly idleMs?: number;
}

/** The service in both versions, which differ by name alone. */
export interface Reflection {
  readonly v1: ServiceImpl<typeof ServerReflection>;
  readonly v1alpha: ServiceImpl<typeof ServerReflectionAlpha>;
}

/** A question of either version. */
interface Question {
  readonly host: string;
  readonly messageRequest:
    | {
        readonly case:
          | "fileByFilename"
          | "fileContainingSymbol"
          | "allExtensionNumbersOfType"
          | "listServices";
        readonly value: string;
      }
    | {
        readonly case: "fileContainingExtension";
        readonly value: { readonly containingType: string; readonly extensionNumber: number };
      }
    | { readonly case: undefined };
}

/** What answers it, in either version. */
type Answer =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };

const SHUTDOWN_RETRY_MS = 1_000;

/** Makes the service in both versions, with places that they share. */
export function createReflection(options: ReflectionOptions): Reflection {
  const { schema, shutdown, idleMs = REFLECTION_IDLE_MS } = options;
  const places = createStreamPlaces<string>(MAX_REFLECTION_STREAMS_PER_SOURCE, "a source");

  async function* answers<Q extends Question>(questions: AsyncIterable<Q>, call: HandlerContext) {
    const release = places.take(call.values.get(callerKey).sourcePrefix);
    // A generator that waits to be read on does not notice that its reader has gone.
    call.signal.addEventListener("abort", release);
    const sent = new Set<string>();
    try {
      for await (const question of untilIdle(questions, idleMs, shutdown)) {
        const messageResponse = answerTo(schema, question.messageRequest, sent);
        yield { validHost: question.host, originalRequest: question, messageResponse };
      }
    } finally {
      call.signal.removeEventListener("abort", release);
      release();
    }
  }

  return { v1: { serverReflectionInfo: answers }, v1alpha: { serverReflectionInfo: answers } };
}

/** @param sent names of the files that the stream was given, which is added to. */
function answerTo(schema: Schema, question: Question["messageRequest"], sent: Set<string>): Answer {
  const { files, declaring, messages, extensions, services } = schema;
  switch (question.case) {
    case "fileByFilename":
      return filesFrom(schema, files.get(question.value)?.proto.name, sent);
    case "fileContainingSymbol":
      return filesFrom(schema, declaring.get(question.value)?.proto.name, sent);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = question.value;
      return filesFrom(schema, extensions.get(containingType)?.get(extensionNumber)?.proto.name, sent);
    }
    case "allExtensionNumbersOfType": {
      const baseTypeName = question.value;
      if (!messages.has(baseTypeName)) return refusal(Code.NotFound, "no such message type");
      const extensionNumber = [...(extensions.get(baseTypeName)?.keys() ?? [])];
      return { case: "allExtensionNumbersResponse", value: { baseTypeName, extensionNumber } };
    }
    case "listServices":
      return { case: "listServicesResponse", value: { service: services.map((name) => ({ name })) } };
    case undefined:
      return refusal(Code.InvalidArgument, "the request asks nothing that this node knows of");
  }
}

/** A file, and of all that it imports, however indirectly, what was not sent yet. */
function filesFrom(schema: Schema, name: string | undefined, sent: Set<string>): Answer {
  const wanted = name === undefined ? undefined : schema.files.get(name);
  if (wanted === undefined)
    return refusal(Code.NotFound, "nothing here has that name: list the services first");
  const found = new Set([wanted]);
  // A set yields what is added while it is gone through.
  for (const { dependencies } of found) {
    for (const file of dependencies) if (!sent.has(file.proto.name)) found.add(file);
  }
  const fileDescriptorProto: Uint8Array[] = [];
  for (const { proto } of found) {
    sent.add(proto.name);
    const bytes = schema.encoded.get(proto.name);
    if (bytes !== undefined) fileDescriptorProto.push(bytes);
  }
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

/** What the protocol has in place of an error of the call. Codes are those of gRPC, which Connect's are too. */
function refusal(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

/**
 * The messages of a stream, until none has come for `idleMs`.
 *
 * @throws ConnectError SHUTTING_DOWN, or what the stream fails with.
 */
async function* untilIdle<T>(
  messages: AsyncIterable<T>,
  idleMs: number,
  shutdown: AbortSignal,
): AsyncGenerator<T> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = Promise.withResolvers<IteratorResult<T> | undefined>();
      const stop = () => next.reject(stopping());
      const timer = setTimeout(next.resolve, idleMs, undefined);
      shutdown.addEventListener("abort", stop);
      if (shutdown.aborted) stop();
      iterator.next().then(next.resolve, next.reject);
      try {
        const result = await next.promise;
        if (result === undefined || result.done === true) return;
        yield result.value;
      } finally {
        clearTimeout(timer);
        shutdown.removeEventListener("abort", stop);
      }
    }
  } finally {
    // Not awaited: it comes only after the message that is waited for, or when the call has ended.
    void iterator.return?.();
  }
}

function stopping() {
  const message = "this node is stopping: ask again";
  return serviceError("SHUTTING_DOWN", message, { retryAfterMs: SHUTDOWN_RETRY_MS });
}
