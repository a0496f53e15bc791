// Servers that tests write in a few lines and that run on real loopback sockets: HTTP/1.1 and HTTP/2, cleartext and TLS,
// and raw TCP for those that do not even speak HTTP.

import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import tls from "node:tls";
import { onTestFinished } from "vitest";
import type { Credentials } from "./certificates.ts";

/** A server that listens on 127.0.0.1 until its test is over. */
export interface RunningServer {
  readonly port: number;
  /** How many TCP connections it has seen. */
  connections(): number;
  /** Those of them that are open, below TLS. */
  open(): readonly net.Socket[];
  /** Stops listening and cuts every connection, so that it can come back on the same port. */
  stop(): Promise<void>;
}

/** An HTTP/1.1 server over TLS 1.3. */
export function startHttps(
  credentials: Credentials,
  listener: http.RequestListener,
  options: tls.TlsOptions = {},
): Promise<RunningServer> {
  return start(https.createServer({ ...credentials, ...options }, listener));
}

/** An HTTP/1.1 server in cleartext. */
export function startHttp(listener: http.RequestListener): Promise<RunningServer> {
  return start(http.createServer(listener));
}

/** A server for HTTP/2 over TLS, and for HTTP/1.1 too where `options.allowHTTP1` says so. */
export function startHttp2(
  credentials: Credentials,
  listener: (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void,
  options: http2.SecureServerOptions = {},
  port = 0,
): Promise<RunningServer> {
  return start(http2.createSecureServer({ ...credentials, ...options }, listener), port);
}

/** A server that gets the bare connection. */
export function startTcp(onConnection: (socket: net.Socket) => void): Promise<RunningServer> {
  return start(net.createServer(onConnection));
}

/** A server that gets the bare TLS connection. */
export function startTls(
  credentials: Credentials,
  onConnection: (socket: tls.TLSSocket) => void,
  options: tls.TlsOptions = {},
): Promise<RunningServer> {
  return start(tls.createServer({ ...credentials, ...options }, onConnection));
}

async function start(server: net.Server, port = 0): Promise<RunningServer> {
  const sockets = new Set<net.Socket>();
  let connections = 0;
  server.on("connection", (socket: net.Socket) => {
    connections++;
    sockets.add(socket);
    // What a hostile server's connection dies of is the client's business.
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("tlsClientError", () => {});
  server.on("secureConnection", (socket: tls.TLSSocket) => socket.on("error", () => {}));
  server.on("sessionError", () => {});
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const address = server.address() as AddressInfo;
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  onTestFinished(async () => {
    if (server.listening) await stop();
  });
  return { port: address.port, connections: () => connections, open: () => [...sockets], stop };
}
