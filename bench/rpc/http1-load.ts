/** Load over HTTP/1.1 (RFC 9112): kept-alive connections with one call at a time each, every answer compared. */

import { once } from "node:events";
import { connect } from "node:net";
import { concat, utf8 } from "../../src/crypto/bytes.ts";
import type { LoadJob } from "./load.ts";
import type { LoadConnection, LoadEvents } from "./load-process.ts";
import { REQUEST_HEADERS } from "./question.ts";

const STATUS_200 = "HTTP/1.1 200 ";
const EMPTY = Buffer.alloc(0);

/** Opens a connection. */
export async function startHttp1(job: LoadJob, events: LoadEvents): Promise<LoadConnection> {
  const { question } = job;
  const call = callBytes(job);
  let calls = 0;
  let began = 0;
  let rest: Buffer = EMPTY;

  const socket = connect(job.port, "127.0.0.1");
  await once(socket, "connect");
  socket.setNoDelay(true);
  socket.on("error", (error) => events.failed(error.message));
  socket.on("close", () => events.failed("the server closed a connection"));
  socket.on("data", (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const answer = completeAnswer(rest);
    if (answer === undefined) return;
    rest = EMPTY;
    if (!answer.ok || Buffer.compare(answer.body, question.answer) !== 0) {
      events.failed("a wrong answer");
      return;
    }
    calls += 1;
    events.answered(performance.now() - began);
    if (events.goOn()) ask();
    else events.idle();
  });

  function ask(): void {
    began = performance.now();
    socket.write(call);
  }

  return {
    localPort: socket.localPort ?? 0,
    get calls() {
      return calls;
    },
    start: ask,
    close() {
      socket.removeAllListeners("close");
      socket.destroy();
    },
  };
}

/** An answer, once all of it is there. With one call at a time nothing stands behind it. */
function completeAnswer(bytes: Buffer): { readonly ok: boolean; readonly body: Buffer } | undefined {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const head = bytes.toString("latin1", 0, headEnd + 2);
  const ok = head.startsWith(STATUS_200);
  const tail = bytes.subarray(headEnd + 4);
  const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1];
  if (length === undefined) {
    const body = unchunked(tail);
    return body && { ok: ok && /\r\ntransfer-encoding: *chunked\r\n/i.test(head), body };
  }
  return tail.length < Number(length) ? undefined : { ok: ok && tail.length === Number(length), body: tail };
}

/** A chunked body (RFC 9112 §7.1) without trailers, once all of it is there. */
function unchunked(bytes: Buffer): Buffer | undefined {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    const next = lineEnd + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return Buffer.concat(chunks);
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = next;
  }
}

function callBytes({ port, question }: LoadJob): Uint8Array {
  const head = [
    `POST ${question.path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    ...Object.entries(REQUEST_HEADERS.json).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${question.request.length}`,
    "",
    "",
  ];
  return concat(utf8(head.join("\r\n")), question.request);
}
