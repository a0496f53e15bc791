/** The database of a node, as its configuration names it. The node may run meanwhile. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadConfig, type NodeConfig, readConfigFile } from "../../../config.ts";
import { openDatabase } from "../../../server/node.ts";
import type { Storage } from "../../../storage/open.ts";
import { configFolder } from "../../profile.ts";

/** Opens the database, uses it and closes it. @throws ConfigError, StorageError. */
export async function withNodeStorage<T>(
  options: Readonly<Record<string, unknown>>,
  use: (storage: Storage, config: NodeConfig) => Promise<T>,
): Promise<T> {
  const byDefault = join(configFolder(), "node.json");
  const path =
    typeof options.config === "string" ? options.config : existsSync(byDefault) ? byDefault : undefined;
  const file = path === undefined ? {} : readConfigFile(path).options;
  const config = loadConfig({ env: process.env, file });
  const storage = await openDatabase(config);
  try {
    return await use(storage, config);
  } finally {
    await storage.close();
  }
}
