/** Makes many different calls over one HTTP/2 connection, some at a time. */

import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import { grpcFrame } from "../rpc/question.ts";
import type { Call } from "./operation.ts";

/**
 * Makes every call once, so many at a time.
 *
 * @param port on 127.0.0.1.
 * @returns how long each took, in milliseconds.
 * @throws Error if one failed.
 */
export async function makeCalls(port: number, calls: readonly Call[], atOnce: number): Promise<number[]> {
  const session = connect(`http://127.0.0.1:${port}`);
  const broken = new Promise<never>((_, reject) => session.on("error", reject));
  broken.catch(() => {});
  try {
    const times: number[] = [];
    let next = 0;
    const caller = async () => {
      for (let call = calls[next++]; call !== undefined; call = calls[next++]) {
        const began = performance.now();
        await makeCall(session, call);
        times.push(performance.now() - began);
      }
    };
    await Promise.race([broken, Promise.all(Array.from({ length: atOnce }, caller))]);
    return times;
  } finally {
    session.destroy();
  }
}

/** Makes one call. @throws Error if it failed. */
export function makeCall(session: ClientHttp2Session, { path, message, token }: Call): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    });
    let status: unknown;
    const look = (headers: IncomingHttpHeaders) => {
      status = headers["grpc-status"] ?? status;
    };
    stream.on("response", look);
    stream.on("trailers", look);
    stream.on("error", reject);
    stream.on("end", () =>
      status === "0" ? resolve() : reject(new Error(`${path}: grpc-status ${status}`)),
    );
    stream.resume();
    stream.end(grpcFrame(message));
  });
}
