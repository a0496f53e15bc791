/** Where a profile's unlock agent listens. */

import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { EXIT } from "../exit-codes.ts";
import { CliError } from "../failure.ts";
import { profilePath } from "../profile.ts";

// sun_path holds 104 bytes on macOS and 108 on Linux, with a zero at the end; the agent adds a few while it starts.
const MAX_PATH_BYTES = 90;

/** Folder and path of the socket. The name tells apart profiles of the same name in different configuration folders. */
export function agentSocket(profile: string): { readonly folder: string; readonly path: string } {
  const { XDG_RUNTIME_DIR: runtime } = process.env;
  const folder =
    runtime !== undefined && isAbsolute(runtime)
      ? join(runtime, "keypears")
      : join(tmpdir(), `keypears-${process.getuid?.() ?? "agent"}`);
  const path = join(folder, `${shortHash(profilePath(profile))}.sock`);
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new CliError(
      "RUNTIME_FOLDER_TOO_LONG",
      EXIT.local,
      "the path of the agent's socket is longer than the system allows",
      "set XDG_RUNTIME_DIR to a folder with a shorter name",
    );
  }
  return { folder, path };
}

function shortHash(text: string): string {
  return process.getBuiltinModule("node:crypto").hash("sha256", text, "hex").slice(0, 16);
}
