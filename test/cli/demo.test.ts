import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { searchDisk } from "../../src/cli/demo/disk-search.ts";
import { isAsItShouldBe } from "../../src/cli/demo/run.ts";
import { randomBytes } from "../../src/crypto/bytes.ts";

const BIN = fileURLToPath(new URL("../../bin/keypears.js", import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "keypears-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const demo = (...args: string[]) =>
  promisify(execFile)(process.execPath, [BIN, "demo", ...args], { env: { ...process.env, TMPDIR: folder } });

describe("the demo", { timeout: 120_000 }, () => {
  it("refuses a file that is not there, and leaves nothing behind", async () => {
    const failure = await demo("--file", join(folder, "missing.env"), "--json").catch((error) => error);
    expect(failure).toMatchObject({ code: expect.any(Number), stdout: "" });
    expect(failure.code).not.toBe(0);
    expect(await readdir(folder)).toEqual([]);
  });

  it("prints one object in which all is as it should be, and leaves nothing behind", async () => {
    const { stdout, stderr } = await demo("--json");
    const report = JSON.parse(stdout);
    expect(report).toEqual({
      decrypted_matches: true,
      opened_after_rotation: true,
      tampered_rejected: true,
      forged_sender_rejected: true,
      secrets_found_on_disk: 0,
      share_id: expect.stringMatching(/^[0-9a-f]{64}$/),
      bytes: expect.any(Number),
      elapsed_ms: expect.any(Number),
    });
    expect(stderr).toBe("");
    expect(await readdir(folder)).toEqual([]);
  });

  it("sends the file that is named, byte for byte, whatever is in it", async () => {
    const path = join(folder, "own.env");
    const content = Buffer.concat([Buffer.from("KEY='a value'\r\n"), randomBytes(3_000)]);
    await writeFile(path, content);
    const report = JSON.parse((await demo("--json", "--file", path)).stdout);
    expect(report).toMatchObject({ decrypted_matches: true, bytes: content.length });
    await rm(path);
  });

  it("tells the story without --json", async () => {
    const { stdout } = await demo();
    expect(stdout).toContain("Bob opens it");
    expect(stdout).toContain("All as it should be");
    expect(stdout).not.toContain("✗");
  });
});

describe("the demo's report", () => {
  const good = {
    decrypted_matches: true,
    opened_after_rotation: true,
    tampered_rejected: true,
    forged_sender_rejected: true,
    secrets_found_on_disk: 0,
    share_id: "",
    bytes: 1,
    elapsed_ms: 1,
  };

  it.each([
    { decrypted_matches: false },
    { opened_after_rotation: false },
    { tampered_rejected: false },
    { forged_sender_rejected: false },
    { secrets_found_on_disk: 1 },
  ])("is not as it should be with %o", (flaw) => {
    expect(isAsItShouldBe(good)).toBe(true);
    expect(isAsItShouldBe({ ...good, ...flaw })).toBe(false);
  });
});

describe("searching a disk for secrets", () => {
  const secret = Buffer.from("correct horse battery staple");

  it.each([
    ["as it is", secret],
    ["in hex", Buffer.from(secret.toString("hex"))],
    ["in upper-case hex", Buffer.from(secret.toString("hex").toUpperCase())],
    ["in base64", Buffer.from(secret.toString("base64"))],
    ["in base64 behind one byte", Buffer.from(Buffer.concat([Buffer.from("x"), secret]).toString("base64"))],
    [
      "in base64url behind two bytes",
      Buffer.from(Buffer.concat([Buffer.from("xy"), secret]).toString("base64url")),
    ],
  ])("finds a secret that stands there %s", async (_how, bytes) => {
    const place = await mkdtemp(join(folder, "disk-"));
    await writeFile(
      join(place, "node.db-wal"),
      Buffer.concat([randomBytes(5_000), bytes, randomBytes(5_000)]),
    );
    expect(await searchDisk(place, [{ name: "it", bytes: secret }])).not.toEqual([]);
    await rm(place, { recursive: true });
  });

  it("finds nothing where nothing is", async () => {
    const place = await mkdtemp(join(folder, "disk-"));
    await writeFile(join(place, "node.db"), randomBytes(10_000));
    expect(await searchDisk(place, [{ name: "it", bytes: secret }])).toEqual([]);
    await rm(place, { recursive: true });
  });
});
