import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isAsItShouldBe, SHARES } from "../../scripts/demo-domains-story.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/demo-domains.ts", import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "keypears-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const start = (...args: string[]) =>
  spawn(process.execPath, [SCRIPT, ...args], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ["ignore", "pipe", "pipe"],
  });

describe("the demo of domains", { timeout: 240_000 }, () => {
  it("refuses an option that it does not know", async () => {
    const child = start("--jason");
    const [stderr] = await Promise.all([text(child.stderr), once(child, "exit")]);

    expect(child.exitCode).toBe(1);
    expect(stderr).toContain("--jason");
    expect(await readdir(folder)).toEqual([]);
  });

  it("leaves nothing behind when it is interrupted", async () => {
    const child = start();
    await once(child.stdout, "data");
    child.kill("SIGINT");
    const [stderr] = await Promise.all([text(child.stderr), once(child, "exit")]);

    expect({ code: child.exitCode, stderr }).toEqual({ code: 130, stderr: "interrupted\n" });
    expect(await readdir(folder)).toEqual([]);
  });

  it("prints one object in which all is as it should be, and leaves nothing behind", async () => {
    const child = start("--json");
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);

    expect({ stderr, code: child.exitCode }).toEqual({ stderr: "", code: 0 });
    expect(JSON.parse(stdout)).toEqual({
      claim_verified: true,
      rogue_host_refused: true,
      downgrade_refused: true,
      swapped_key_held: true,
      rotation_accepted: true,
      shares_delivered: SHARES,
      elapsed_ms: expect.any(Number),
    });
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("the report of the demo of domains", () => {
  const good = {
    claim_verified: true,
    rogue_host_refused: true,
    downgrade_refused: true,
    swapped_key_held: true,
    rotation_accepted: true,
    shares_delivered: SHARES,
    elapsed_ms: 1,
  };

  it.each([
    { claim_verified: false },
    { rogue_host_refused: false },
    { downgrade_refused: false },
    { swapped_key_held: false },
    { rotation_accepted: false },
    { shares_delivered: SHARES - 1 },
  ])("is not as it should be with %o", (flaw) => {
    expect(isAsItShouldBe(good)).toBe(true);
    expect(isAsItShouldBe({ ...good, ...flaw })).toBe(false);
  });
});
