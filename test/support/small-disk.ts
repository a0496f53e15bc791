// A disk that is soon full: a small tmpfs, where the system lets a test mount one.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A mounted disk. */
export interface SmallDisk {
  readonly folder: string;
  /** Makes it larger, or smaller if there is room. */
  resize(bytes: number): Promise<void>;
  remove(): Promise<void>;
}

/** Mounts a disk that belongs to a user; undefined where that is not allowed. */
export async function mountSmallDisk(
  bytes: number,
  owner: { readonly uid: number; readonly gid: number } = { uid: 0, gid: 0 },
): Promise<SmallDisk | undefined> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return undefined;
  const folder = await mkdtemp(join(tmpdir(), "keypears-disk-"));
  const options = `size=${bytes},mode=700,uid=${owner.uid},gid=${owner.gid}`;
  try {
    await run("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder]);
  } catch {
    await rm(folder, { recursive: true });
    return undefined;
  }
  return {
    folder,
    async resize(size) {
      await run("mount", ["-o", `remount,size=${size}`, folder]);
    },
    async remove() {
      await run("umount", ["-l", folder]);
      await rm(folder, { recursive: true });
    },
  };
}
