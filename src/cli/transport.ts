/**
 * How the client library calls a node from the command line: the Connect protocol in its binary form, unary calls on a short
 * road of their own (connectrpc.com/docs/protocol, "Unary-RPCs"), streams through Connect's own transport, which takes
 * several times as long to load.
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { ClientError } from "../client/errors.ts";
import type { Answer, Connections } from "./connections.ts";

/** Deadline of a unary call where the caller sets none, in milliseconds. */
export const CALL_TIMEOUT_MS = 20_000;
/** How much longer than the deadline the tool waits for a node to say that it has passed, in milliseconds. */
const GRACE_MS = 2_000;

/** A transport for the node at `apiUrl`. A bearer token, if any, goes to that node only. */
export function createTransport(
  connections: Connections,
  apiUrl: string,
  token?: () => string | undefined,
): Transport {
  return {
    async unary(method, signal, timeoutMs = CALL_TIMEOUT_MS, _header, input) {
      const answer = await connections
        .post({
          url: `${apiUrl}/${method.parent.typeName}/${method.name}`,
          headers: {
            "content-type": "application/proto",
            "connect-protocol-version": "1",
            "connect-timeout-ms": String(timeoutMs),
            ...authorization(token),
          },
          body: toBinary(method.input, create(method.input, input)),
          signal,
          timeoutMs: timeoutMs + GRACE_MS,
        })
        .catch((error: unknown) => {
          throw connectionFailure(error);
        });
      if (answer.status !== 200) throw await connectError(answer);
      if (answer.contentType !== "application/proto") throw notThisProtocol();
      return {
        stream: false,
        service: method.parent,
        method,
        message: fromBinary(method.output, answer.body),
        // Nobody here reads them, and making them would load all of fetch.
        get header() {
          return new Headers();
        },
        get trailer() {
          return new Headers();
        },
      };
    },
    async stream(...call) {
      const { createConnectTransport } = await import("@connectrpc/connect-node");
      const { bearer } = await import("../client/environment.ts");
      return createConnectTransport({
        baseUrl: apiUrl,
        httpVersion: "1.1",
        useBinaryFormat: true,
        acceptCompression: [],
        nodeOptions: { agent: connections.agentFor(new URL(apiUrl)) },
        interceptors: token ? [bearer(token)] : [],
      }).stream(...call);
    },
  };
}

/** The header that carries a session. */
export function authorization(token: (() => string | undefined) | undefined): Record<string, string> {
  const current = token?.();
  return current === undefined ? {} : { authorization: `Bearer ${current}` };
}

/** The error that a node answered with, with its details. */
export async function connectError({ status, contentType, body }: Answer): Promise<Error> {
  const [{ ConnectError }, { codeFromHttpStatus, errorFromJsonBytes }] = await Promise.all([
    import("@connectrpc/connect"),
    import("@connectrpc/connect/protocol-connect"),
  ]);
  const fallback = new ConnectError(`the node answered HTTP ${status}`, codeFromHttpStatus(status));
  if (contentType !== "application/json") return fallback;
  return errorFromJsonBytes(body, undefined, fallback);
}

/** What no connection means for a call. Errors of other kinds stay as they are. */
export function connectionFailure(error: unknown): unknown {
  if (!(error instanceof Error) || error.name === "AbortError") return error;
  const { reason } = error as { reason?: unknown };
  if (typeof reason !== "string") return error;
  const passing = reason === "PEER_UNREACHABLE" || reason === "PEER_TIMEOUT";
  return new ClientError(passing ? "NODE_UNREACHABLE" : reason, error.message, { cause: error });
}

function notThisProtocol(): ClientError {
  return new ClientError("NODE_ANSWER_INVALID", "the answer is none of this protocol");
}
