/** Connections of clients to a node of this bench, over TLS. */

import { readFile } from "node:fs/promises";
import { type ClientHttp2Session, connect } from "node:http2";
import { join } from "node:path";
import type { Ground } from "./roads.ts";

/** Calls over some connections, which end with `parts`. */
export interface Connections {
  readonly sessions: readonly ClientHttp2Session[];
  /** Rejects when one breaks, and never resolves. */
  readonly broken: Promise<never>;
}

/** Opens connections to a port on 127.0.0.1. */
export async function openConnections(
  { folder }: Pick<Ground, "folder">,
  port: number,
  count: number,
  parts: DisposableStack,
): Promise<Connections> {
  const ca = await readFile(join(folder, "authority.crt"), "utf8");
  const sessions = Array.from({ length: count }, () => connect(`https://localhost:${port}`, { ca }));
  parts.defer(() => {
    for (const session of sessions) session.destroy();
  });
  const broken = new Promise<never>((_, reject) => {
    for (const session of sessions) session.on("error", reject);
  });
  broken.catch(() => {});
  return { sessions, broken };
}
