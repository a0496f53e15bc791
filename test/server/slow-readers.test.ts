// Callers who ask for a lot and take nothing of it: what an answer holds in memory is given up in time.

import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { createConnection } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { silentLogger } from "../../src/logger.ts";
import type { Response } from "../../src/server/exchange.ts";
import { type Listener, listen } from "../../src/server/listener.ts";

const TIMEOUT_MS = 60_000;
const TAKE_MS = 200;
/** More than sockets and flow control windows take. */
const ANSWER = Buffer.alloc(16 * 1024 * 1024);

let listener: Listener | undefined;
let ended: Promise<unknown> | undefined;

/** A listener that gives every request the same answer. */
async function answering(answer: (response: Response) => void): Promise<number> {
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    log: silentLogger,
    timeouts: { takeAnswerMs: TAKE_MS, closeMs: 0 },
    handler(exchange) {
      const { response } = exchange.messages();
      ended = once(response, "close");
      answer(response);
    },
  });
  return listener.address.port;
}

afterEach(async () => {
  await listener?.close();
  ended = undefined;
});

describe("a reader that takes nothing of its answer", () => {
  it("loses it over HTTP/1.1", { timeout: TIMEOUT_MS }, async () => {
    const port = await answering((response) => (response as NodeJS.WritableStream).end(ANSWER));
    const socket = createConnection(port, "127.0.0.1").pause();
    socket.on("error", () => {});
    socket.write("GET / HTTP/1.1\r\nHost: acme.test\r\n\r\n");
    await once(socket, "connect");
    while (ended === undefined) await sleep(5);

    await ended;
    socket.destroy();
  });

  it("loses it over HTTP/2, however lively its connection is", { timeout: TIMEOUT_MS }, async () => {
    const port = await answering((response) => (response as NodeJS.WritableStream).end(ANSWER));
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    session.on("error", () => {});
    const stream = session.request({ ":path": "/" }).pause();
    stream.on("error", () => {});
    const pinging = setInterval(() => session.destroyed || session.ping(() => {}), TAKE_MS / 10);
    while (ended === undefined) await sleep(5);

    await ended;
    expect(session.destroyed).toBe(false);
    clearInterval(pinging);
    session.destroy();
  });
});

describe("a reader that takes what there is", () => {
  it.each(["1.1", "2"])(
    "keeps a stream that says something now and then, over HTTP/%s",
    {
      timeout: TIMEOUT_MS,
    },
    async (version) => {
      const words = Array.from({ length: 12 }, (_, index) => `${index};`);
      const port = await answering(async (response) => {
        for (const word of words) {
          (response as NodeJS.WritableStream).write(word);
          await sleep(TAKE_MS / 4);
        }
        (response as NodeJS.WritableStream).end();
      });

      expect(await read(version, port)).toBe(words.join(""));
    },
  );
});

async function read(version: string, port: number): Promise<string> {
  const origin = `http://127.0.0.1:${port}`;
  if (version === "1.1") return (await fetch(origin)).text();
  const session = connectHttp2(origin);
  const stream = session.request({ ":path": "/" }).setEncoding("utf8");
  let text = "";
  for await (const chunk of stream) text += chunk;
  session.destroy();
  return text;
}
