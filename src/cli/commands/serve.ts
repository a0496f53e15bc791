/** `keypears serve` */

import { once } from "node:events";
import { loadConfig, type NodeConfig, readConfigFile } from "../../config.ts";
import { createNode, type Node } from "../../server/node.ts";
import type { WorkersOptions } from "../../server/workers/primary.ts";
import { printResult, type Run } from "../context.ts";

/** Runs a node, of one process or several, until SIGTERM or Ctrl-C. SIGHUP has it read its certificate again. */
export const run: Run = async (context, _args, options) => {
  const file = typeof options.config === "string" ? readConfigFile(options.config) : undefined;
  const sources = { flags: options, file: file?.options ?? {} };
  const loaded = loadConfig({ ...sources, env: process.env });
  const config = { ...loaded, warnings: [...(file?.warnings ?? []), ...loaded.warnings] };
  const { node, failed } = await start(config, sources);
  const stop = new AbortController();
  const reload = () =>
    void node
      .reloadCertificate()
      .catch((error: unknown) => node.log.error({ error }, "the certificate could not be read again"));
  process.once("SIGTERM", () => stop.abort());
  process.on("SIGHUP", reload);
  const ended = once(AbortSignal.any([stop.signal, context.signal]), "abort");

  // Its log tells people the same.
  if (context.json) {
    const { address, apiUrl } = node;
    printResult(context, { host: address.host, port: address.port, apiUrl, domains: config.domains }, "");
  }

  try {
    await Promise.race([ended, failed]);
  } finally {
    await node.close();
    process.off("SIGHUP", reload);
  }
};

/** `failed` rejects when the node cannot go on, which one process alone never does. */
async function start(
  config: NodeConfig,
  sources: WorkersOptions,
): Promise<{ readonly node: Node; readonly failed: Promise<never> }> {
  if (config.workers === 1) return { node: await createNode(config), failed: new Promise(() => {}) };
  const { startWorkers } = await import("../../server/workers/primary.ts");
  const node = await startWorkers(config, sources);
  return { node, failed: node.failed };
}
