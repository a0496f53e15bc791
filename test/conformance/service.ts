/**
 * The service that the reference client of the conformance suite calls
 * (third_party/conformance/connectrpc/conformance/v1/service.proto says what each method has to do): it answers what the request
 * asks for, and says what of the request arrived.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { create, createRegistry, type DescMessage, type Message } from "@bufbuild/protobuf";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  type BidiStreamRequest,
  BidiStreamRequestSchema,
  type ClientStreamRequest,
  ClientStreamRequestSchema,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  type ConformanceService,
  type Error as ErrorDefinition,
  file_connectrpc_conformance_v1_service,
  type Header,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";

/** The types that the suite puts into a google.protobuf.Any. */
export const registry = createRegistry(file_connectrpc_conformance_v1_service);

/** The service, but for the method that has to be missing. */
export const conformanceService: Omit<ServiceImpl<typeof ConformanceService>, "unimplemented"> = {
  async unary(request, context) {
    return answerOnce(request.responseDefinition, infoOf(context, UnaryRequestSchema, [request]), context);
  },

  async idempotentUnary(request, context) {
    const info = infoOf(context, IdempotentUnaryRequestSchema, [request]);
    return answerOnce(request.responseDefinition, info, context);
  },

  async clientStream(requests, context) {
    const received: ClientStreamRequest[] = [];
    for await (const request of requests) received.push(request);
    const info = infoOf(context, ClientStreamRequestSchema, received);
    return answerOnce(received[0]?.responseDefinition, info, context);
  },

  async *serverStream(request, context) {
    const { responseDefinition } = request;
    if (responseDefinition === undefined) return;
    const info = infoOf(context, ServerStreamRequestSchema, [request]);
    yield* answerAll(responseDefinition, info, context);
  },

  async *bidiStream(requests, context) {
    const incoming = requests[Symbol.asyncIterator]();
    const { value: first } = await incoming.next();
    const definition = first?.responseDefinition;
    if (first?.fullDuplex) {
      yield* answerInTurn(first, { [Symbol.asyncIterator]: () => incoming }, context);
      return;
    }
    const received: BidiStreamRequest[] = first ? [first] : [];
    for await (const request of { [Symbol.asyncIterator]: () => incoming }) received.push(request);
    if (definition === undefined) return;
    yield* answerAll(definition, infoOf(context, BidiStreamRequestSchema, received), context);
  },
};

/** What of a request arrived, as the suite wants to hear it. */
function infoOf<Desc extends DescMessage>(
  context: HandlerContext,
  schema: Desc,
  requests: readonly (Message & { $typeName: Desc["typeName"] })[],
): ConformancePayload_RequestInfo {
  const { requestHeader } = context;
  // A node has a deadline for every call; the suite asks for the caller's.
  const asked = requestHeader.has("grpc-timeout") || requestHeader.has("connect-timeout-ms");
  const timeoutMs = asked ? context.timeoutMs() : undefined;
  return create(ConformancePayload_RequestInfoSchema, {
    requestHeaders: Array.from(requestHeader, ([name, value]) => ({ name, value: [value] })),
    ...(timeoutMs !== undefined && { timeoutMs: BigInt(Math.ceil(timeoutMs)) }),
    requests: requests.map((request) => anyPack(schema, request as never)),
    ...(context.requestMethod === "GET" && {
      connectGetInfo: {
        queryParams: Array.from(new URL(context.url).searchParams, ([name, value]) => ({
          name,
          value: [value],
        })),
      },
    }),
  });
}

/** The one answer of a unary or client-streaming method. */
async function answerOnce(
  definition: UnaryResponseDefinition | undefined,
  requestInfo: ConformancePayload_RequestInfo,
  context: HandlerContext,
) {
  if (definition === undefined) return { payload: { requestInfo } };
  setMetadata(context, definition);
  await delay(definition, context);
  const { response } = definition;
  if (response.case === "error") throw errorOf(response.value, requestInfo);
  return { payload: { requestInfo, ...(response.case === "responseData" && { data: response.value }) } };
}

/** All answers of a stream, the first of them with what arrived; then its error, if it has to have one. */
async function* answerAll(
  definition: StreamResponseDefinition,
  info: ConformancePayload_RequestInfo,
  context: HandlerContext,
) {
  setMetadata(context, definition);
  let requestInfo: ConformancePayload_RequestInfo | undefined = info;
  for (const data of definition.responseData) {
    await delay(definition, context);
    yield { payload: { data, ...(requestInfo && { requestInfo }) } };
    requestInfo = undefined;
  }
  if (definition.error) throw errorOf(definition.error, requestInfo);
}

/** One answer to each message of a stream, as long as there are answers; then its error, if it has to have one. */
async function* answerInTurn(
  first: BidiStreamRequest,
  others: AsyncIterable<BidiStreamRequest>,
  context: HandlerContext,
) {
  const definition = first.responseDefinition;
  if (definition === undefined) return;
  setMetadata(context, definition);
  let answered = 0;
  const answer = async (request: BidiStreamRequest) => {
    const data = definition.responseData[answered];
    const info = infoOf(context, BidiStreamRequestSchema, [request]);
    if (data === undefined) throw errorOf(definition.error, answered === 0 ? info : undefined);
    await delay(definition, context);
    const requestInfo = answered === 0 ? info : { requests: info.requests };
    answered += 1;
    return { payload: { data, requestInfo } };
  };
  yield await answer(first);
  for await (const request of others) yield await answer(request);
  // Answers that no request was left for.
  for (const data of definition.responseData.slice(answered)) {
    await delay(definition, context);
    yield { payload: { data } };
  }
  if (definition.error) throw errorOf(definition.error);
}

/** Waits as long as a definition says, or until the call is over: then it throws why. */
async function delay(
  { responseDelayMs }: UnaryResponseDefinition | StreamResponseDefinition,
  { signal }: HandlerContext,
): Promise<void> {
  await sleep(responseDelayMs, undefined, { signal }).catch(() => signal.throwIfAborted());
}

function setMetadata(
  { responseHeader, responseTrailer }: HandlerContext,
  definition: UnaryResponseDefinition | StreamResponseDefinition,
): void {
  append(responseHeader, definition.responseHeaders);
  append(responseTrailer, definition.responseTrailers);
}

function append(headers: Headers, added: readonly Header[]): void {
  for (const { name, value } of added) for (const one of value) headers.append(name, one);
}

/** The error that a definition asks for. What arrived goes with it where no answer says so. */
function errorOf(
  definition: ErrorDefinition | undefined,
  requestInfo?: ConformancePayload_RequestInfo,
): ConnectError {
  const error = new ConnectError(definition?.message ?? "", definition?.code || Code.Unknown);
  for (const any of definition?.details ?? []) {
    const value = anyUnpack(any, registry);
    const desc = value && registry.getMessage(value.$typeName);
    if (!value || !desc) throw new Error(`an error detail of an unknown type: ${any.typeUrl}`);
    error.details.push({ desc, value });
  }
  if (requestInfo) error.details.push({ desc: ConformancePayload_RequestInfoSchema, value: requestInfo });
  return error;
}
