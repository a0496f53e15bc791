/** `keypears serve` */

import { once } from "node:events";
import { loadConfig, readConfigFile } from "../../config.ts";
import { createNode } from "../../server/node.ts";
import { printResult, type Run } from "../context.ts";

/** Runs a node until SIGTERM or Ctrl-C. SIGHUP has it read its certificate again. */
export const run: Run = async (context, _args, options) => {
  const file = typeof options.config === "string" ? readConfigFile(options.config) : undefined;
  const config = loadConfig({ flags: options, env: process.env, file: file?.options ?? {} });
  const node = await createNode({ ...config, warnings: [...(file?.warnings ?? []), ...config.warnings] });
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

  await ended;
  await node.close();
  process.off("SIGHUP", reload);
};
