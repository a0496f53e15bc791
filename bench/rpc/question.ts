/**
 * What the servers are asked: one call in one protocol, as the bytes that go out and the bytes that must come back. A load
 * generator needs no more, and an answer that differs in one byte does not count.
 */

import { request as http1Request } from "node:http";
import { connect, type IncomingHttpHeaders } from "node:http2";
import { concat, u8, u32 } from "../../src/crypto/bytes.ts";

/** How a call is carried: gRPC over HTTP/2 in cleartext with prior knowledge, or Connect's JSON over HTTP/1.1. */
export type Carrier = "grpc" | "json";

/** One call. */
export interface Question {
  readonly carrier: Carrier;
  /** Path of the method, `/package.Service/Method`. */
  readonly path: string;
  /** The body of the request; for gRPC with the prefix of the message. */
  readonly request: Uint8Array;
  /** The body of the right answer; for gRPC with the prefix of the message. */
  readonly answer: Uint8Array;
}

/** Header fields of a request beside the method and the path. */
export const REQUEST_HEADERS: Readonly<Record<Carrier, Readonly<Record<string, string>>>> = {
  grpc: { "content-type": "application/grpc", te: "trailers" },
  json: { "content-type": "application/json", "connect-protocol-version": "1" },
};

/** A message as gRPC sends it: not compressed, its length, its bytes. */
export function grpcFrame(message: Uint8Array): Uint8Array {
  return concat(u8(0), u32(message.length), message);
}

/**
 * Asks once, with a client that looks at everything: the status, the trailers, every byte.
 *
 * @param port on 127.0.0.1.
 * @returns the body of the answer.
 * @throws Error if the answer is no success.
 */
export async function ask(port: number, question: Omit<Question, "answer">): Promise<Uint8Array> {
  return question.carrier === "grpc" ? askGrpc(port, question) : askJson(port, question);
}

/** Asks once and compares. @throws Error if the answer is not the right one to the byte. */
export async function check(server: string, port: number, question: Question): Promise<void> {
  const answer = await ask(port, question);
  if (Buffer.compare(answer, question.answer) !== 0) {
    throw new Error(`${server} gave a wrong answer to ${question.carrier} ${question.path}`);
  }
}

async function askGrpc(port: number, { path, request }: Omit<Question, "answer">): Promise<Uint8Array> {
  const session = connect(`http://127.0.0.1:${port}`);
  try {
    return await new Promise((resolve, reject) => {
      session.on("error", reject);
      const stream = session.request({ ":method": "POST", ":path": path, ...REQUEST_HEADERS.grpc });
      let status: unknown;
      let grpcStatus: unknown;
      const chunks: Buffer[] = [];
      stream.on("response", (headers) => {
        status = headers[":status"];
        grpcStatus = headers["grpc-status"];
      });
      stream.on("trailers", (trailers: IncomingHttpHeaders) => {
        grpcStatus = trailers["grpc-status"];
      });
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", reject);
      stream.on("end", () => {
        if (status === 200 && grpcStatus === "0") resolve(Buffer.concat(chunks));
        else reject(new Error(`${path} failed: HTTP ${status}, grpc-status ${grpcStatus}`));
      });
      stream.end(request);
    });
  } finally {
    session.destroy();
  }
}

function askJson(port: number, { path, request }: Omit<Question, "answer">): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const headers = { ...REQUEST_HEADERS.json, "content-length": request.length };
    const call = http1Request(
      { host: "127.0.0.1", port, path, method: "POST", headers, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          if (response.statusCode === 200) resolve(Buffer.concat(chunks));
          else reject(new Error(`${path} failed: HTTP ${response.statusCode}`));
        });
      },
    );
    call.on("error", reject);
    call.end(request);
  });
}
