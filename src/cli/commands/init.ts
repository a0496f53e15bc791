/** `keypears init` */

import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describeOptions, loadConfig } from "../../config.ts";
import { printResult, type Run } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { makePrivateFolder, writePrivateFile } from "../private-files.ts";
import { configFolder, xdgFolder } from "../profile.ts";
import { visible } from "../visible.ts";

/** Writes a configuration that a node can start from: what was given, and what a person will want to see or change. */
export const run: Run = async (context, _args, options) => {
  // Checks everything together, so that what is written works.
  const config = loadConfig({ flags: options, env: process.env, file: {} });
  const [domain] = config.domains;
  const given = Object.fromEntries(
    describeOptions()
      .map(({ name }) => [name, options[camelCase(name)]] as const)
      .filter(([, value]) => value !== undefined),
  );
  const dataDir = resolve(
    typeof given["data-dir"] === "string"
      ? given["data-dir"]
      : join(xdgFolder("XDG_STATE_HOME", ".local/state"), "keypears", domain),
  );
  const file = {
    listen: `${config.listen.host}:${config.listen.port}`,
    "data-dir": dataDir,
    registration: config.registrationOpen ? "open" : "closed",
    ...given,
    domain: config.domains,
    ...(config.apiUrl !== undefined && { "api-url": config.apiUrl }),
  };

  const path = resolve(
    typeof options.config === "string" ? options.config : join(configFolder(), "node.json"),
  );
  if (existsSync(path) && options.force !== true) {
    throw new CliError(
      "FILE_EXISTS",
      EXIT.local,
      `${visible(path)} is there already`,
      "replace it with --force, or name another with --config",
    );
  }
  makePrivateFolder(dataDir);
  if (options.config === undefined) makePrivateFolder(dirname(path));
  writePrivateFile(path, `${JSON.stringify(file, null, 2)}\n`);
  const origin = config.apiUrl ?? "your node";
  printResult(
    context,
    { config: path, dataDir, domains: config.domains, apiUrl: config.apiUrl ?? null },
    [
      `wrote ${visible(path)}`,
      `made  ${visible(dataDir)}`,
      "",
      "Next:",
      `  1. Start the node:  keypears serve --config ${visible(path)}`,
      `  2. Let https://${domain} lead to it, or serve https://${domain}/.well-known/keypears.json yourself,`,
      `     with {"version":1,"apiUrl":"${origin}"}`,
      `  3. Check it:        keypears discover ${domain}`,
      "",
      "What else can be set: keypears help serve",
    ].join("\n"),
  );
};

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
