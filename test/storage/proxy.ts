// A line to a PostgreSQL server that a test can cut, stall and look into.

import { once } from "node:events";
import { type AddressInfo, createServer, connect as openSocket, type Socket } from "node:net";

/** A proxy in front of a server. */
export interface PostgresProxy {
  /** The URL of the server's database, through the proxy. */
  readonly url: string;
  /** Called with what a client sends, before it is passed on; what it answers is passed on in its place. */
  onSent: (chunk: Buffer, line: Line) => Buffer;
  /** Whether bytes of the server are held back, without anybody being told. */
  stalled: boolean;
  /** Cuts all lines. */
  cut(): void;
  close(): Promise<void>;
}

/** One connection. */
export interface Line {
  /** Ends it at both ends. */
  cut(): void;
  /** Passes bytes on to the server, for a test that held them back. */
  pass(chunk: Buffer): void;
  /** Passes bytes on to the server and then ends the client's side once the server has acted on them. */
  cutAfter(chunk: Buffer): void;
}

/** Starts a proxy in front of the server that a URL names. */
export async function startProxy(target: string): Promise<PostgresProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = openSocket(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
    }
    let cutOnAnswer = false;
    const cut = () => {
      client.destroy();
      upstream.destroy();
    };
    client.on("data", (chunk) => {
      const line: Line = {
        cut,
        pass: (bytes) => void upstream.write(bytes),
        cutAfter(bytes) {
          cutOnAnswer = true;
          upstream.write(bytes);
        },
      };
      const passed = proxy.onSent(chunk, line);
      if (passed.length > 0) upstream.write(passed);
    });
    upstream.on("data", (chunk) => {
      if (cutOnAnswer) cut();
      else if (!proxy.stalled) client.write(chunk);
    });
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(target);
  url.port = String((server.address() as AddressInfo).port);
  const proxy: PostgresProxy = {
    url: url.href,
    onSent: (chunk) => chunk,
    stalled: false,
    cut() {
      for (const socket of sockets) socket.destroy();
      sockets.clear();
    },
    async close() {
      proxy.cut();
      server.close();
      await once(server, "close");
    },
  };
  return proxy;
}
