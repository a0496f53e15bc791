/**
 * A worker: a whole node in a process of its own, but for the port, whose connections the primary hands over. It ends when
 * the primary says so, or is gone.
 */

import type { Socket } from "node:net";
import { loadConfig } from "../../config.ts";
import { createNodeLogger } from "../logging.ts";
import { createNode, type Node, type NodeOverrides } from "../node.ts";
import { createWorkerHints } from "./hints.ts";
import { type FromWorker, failureOf, type ToWorker } from "./messages.ts";

/** Runs until the process ends, which it does by itself. Only for processes that the primary forked. */
export function runWorker(overrides: NodeOverrides = {}): void {
  const hints = createWorkerHints({
    get connected() {
      return process.connected;
    },
    send,
  });
  let starting: Promise<Node> | undefined;
  let ending: Promise<void> | undefined;
  let receive = (socket: Socket): void => void socket.destroy();
  let closedConnections = 0;

  process.on("message", (message: ToWorker, socket?: Socket) => {
    switch (message.kind) {
      case "start":
        void start(message);
        break;
      case "connection":
        take(socket);
        break;
      case "reload-certificate":
        void reloadCertificate();
        break;
      case "stop":
        ending ??= end();
        break;
      default:
        hints.receive(message);
    }
  });
  process.once("disconnect", () => {
    hints.disconnected();
    // Whoever ends the primary while it waits for its workers has lost patience with them.
    if (ending !== undefined) process.exit(1);
    ending = end();
  });
  // A terminal and some supervisors send their signals to the whole group; the primary says what is to be done.
  process.on("SIGTERM", () => send({ kind: "leaving" }));
  process.on("SIGINT", () => {});
  process.on("SIGHUP", () => {});

  async function start(message: Extract<ToWorker, { kind: "start" }>): Promise<void> {
    starting = createWorkerNode(message);
    try {
      const { apiUrl } = await starting;
      send({ kind: "ready", apiUrl });
    } catch (error) {
      send({ kind: "failed", failure: failureOf(error) }, () => process.exit(1));
    }
  }

  async function createWorkerNode({
    worker,
    address,
    flags,
    file,
  }: Extract<ToWorker, { kind: "start" }>): Promise<Node> {
    const config = loadConfig({ flags, file, env: process.env });
    const source = {
      address,
      open(receiver: typeof receive) {
        receive = receiver;
      },
    };
    // The primary has logged the warnings.
    return createNode(
      { ...config, warnings: [] },
      {
        logger: await createNodeLogger(config, { worker }),
        hints,
        source,
        maintains: worker === 1,
        ...overrides,
      },
    );
  }

  function take(socket: Socket | undefined): void {
    if (socket === undefined) {
      countClosed(); // its caller left on the way
      return;
    }
    socket.once("close", countClosed);
    receive(socket);
  }

  function countClosed(): void {
    closedConnections += 1;
    if (closedConnections > 1) return;
    setImmediate(() => {
      send({ kind: "closed", connections: closedConnections });
      closedConnections = 0;
    });
  }

  async function reloadCertificate(): Promise<void> {
    const node = await starting;
    try {
      await node?.reloadCertificate();
    } catch (error) {
      node?.log.error({ error }, "the certificate could not be read again");
    }
  }

  async function end(): Promise<void> {
    const node = await starting?.catch(() => undefined); // why it could not start is told elsewhere
    await node?.close();
    process.exit(0);
  }
}

/** Nothing is lost with a message to a primary that is gone: `disconnect` tells. */
function send(message: FromWorker, sent: () => void = () => {}): void {
  if (process.connected) process.send?.(message, undefined, undefined, sent);
  else sent();
}
