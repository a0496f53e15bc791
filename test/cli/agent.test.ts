import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { askAgent, lockAgent, startAgent } from "../../src/cli/agent/client.ts";
import { makeTool, type Tool } from "./tool.ts";

vi.setConfig({ testTimeout: 60_000 });

const ACCOUNT_KEY = Uint8Array.from({ length: 32 }, (_, index) => 200 + index);
const CREDENTIALS = {
  address: "alice@acme.test",
  apiUrl: "http://127.0.0.1:9/api",
  sessionId: "ab".repeat(16),
  sessionToken: "token",
  stretching: { salt: new Uint8Array(32), memoryKiB: 65_536, passes: 3, lanes: 1 },
};
const HOUR = 3_600_000;

let tool: Tool;
let folder: string;
beforeEach(() => {
  tool = makeTool();
  folder = join(tool.home, "keypears");
  for (const [name, value] of Object.entries(tool.env)) vi.stubEnv(name, value);
});
afterEach(async () => {
  for (const profile of ["default", "other"]) await lockAgent(profile).catch(() => undefined);
  vi.unstubAllEnvs();
  tool.remove();
});

const unlock = (profile = "default", credentials = CREDENTIALS, lockAt = Date.now() + HOUR) =>
  startAgent(profile, credentials, ACCOUNT_KEY, lockAt);
const socketPath = () => join(folder, readdirSync(folder)[0] ?? "none");

/** Ids of this home's agents, by the path of their socket in the process list. */
function agents(): string[] {
  const list = execFileSync("ps", ["-eo", "pid,args"], { encoding: "utf8" });
  return list.split("\n").filter((line) => line.includes(`${folder}/`));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(50);
}

/** Sends a line as it is, and gives the answer. */
function say(line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(socketPath(), () => socket.write(line));
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });
}

describe("the unlock agent", () => {
  it("hands the account key to the profile that was unlocked, again and again and side by side", async () => {
    await unlock();
    const keys = await Promise.all(Array.from({ length: 20 }, () => askAgent("default", CREDENTIALS)));
    for (const key of keys) expect(key?.accountKey).toEqual(ACCOUNT_KEY);
  });

  it("gives nothing for another address, another session or another profile", async () => {
    await unlock();
    expect(await askAgent("default", { ...CREDENTIALS, address: "bob@acme.test" })).toBeUndefined();
    expect(await askAgent("default", { ...CREDENTIALS, sessionId: "cd".repeat(16) })).toBeUndefined();
    expect(await askAgent("other", CREDENTIALS)).toBeUndefined();
  });

  it("keeps agents of profiles apart", async () => {
    await unlock("default");
    await unlock("other", { ...CREDENTIALS, sessionId: "cd".repeat(16) });
    await lockAgent("default");
    expect(await askAgent("default", CREDENTIALS)).toBeUndefined();
    expect(await askAgent("other", { ...CREDENTIALS, sessionId: "cd".repeat(16) })).toBeDefined();
  });

  it("keeps apart profiles of one name in two configuration folders that share a runtime folder", async () => {
    await unlock();
    vi.stubEnv("XDG_CONFIG_HOME", join(tool.home, "elsewhere"));
    expect(await askAgent("default", CREDENTIALS)).toBeUndefined();
    vi.stubEnv("XDG_CONFIG_HOME", join(tool.home, "config"));
    expect(await askAgent("default", CREDENTIALS)).toBeDefined();
  });

  it("listens on a socket of this user's alone", async () => {
    await unlock();
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(socketPath()).mode & 0o777).toBe(0o600);
  });

  it("shows no key in the list of processes, and leaves none on disk", async () => {
    await unlock();
    const [line = ""] = agents();
    const pid = line.trim().split(" ")[0];
    const shown = execFileSync("ps", ["-p", `${pid}`, "eww", "-o", "args"], { encoding: "utf8" });
    for (const spelled of [
      Buffer.from(ACCOUNT_KEY).toString("base64"),
      Buffer.from(ACCOUNT_KEY).toString("hex"),
    ]) {
      expect(shown).not.toContain(spelled);
    }
    expect(
      readdirSync(tool.home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()),
    ).toEqual([]);
  });

  it("is gone with its socket when it is locked", async () => {
    await unlock();
    expect(await lockAgent("default")).toBe(true);
    expect(await askAgent("default", CREDENTIALS)).toBeUndefined();
    await until(() => agents().length === 0);
    expect(readdirSync(folder)).toEqual([]);
    expect(await lockAgent("default")).toBe(false);
  });

  it("locks itself when its time is up", async () => {
    await unlock("default", CREDENTIALS, Date.now() + 1_500);
    expect(await askAgent("default", CREDENTIALS)).toBeDefined();
    await until(() => agents().length === 0);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("gives way to a new one, so that one is left", async () => {
    await unlock();
    await unlock();
    await until(() => agents().length === 1);
    expect(await askAgent("default", CREDENTIALS)).toBeDefined();
  });

  it("ends when several are started at once but for the one whose socket stayed", async () => {
    await Promise.all([unlock(), unlock(), unlock()]);
    await until(() => agents().length === 1);
    expect(await askAgent("default", CREDENTIALS)).toBeDefined();
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it("ends when its socket is removed", async () => {
    await unlock();
    rmSync(socketPath());
    await until(() => agents().length === 0);
  });

  it("leaves a socket behind when it is killed, which the next command cleans up", async () => {
    await unlock();
    process.kill(Number(agents()[0]?.trim().split(" ")[0]), "SIGKILL");
    await until(() => agents().length === 0);
    expect(existsSync(socketPath())).toBe(true);
    expect(await askAgent("default", CREDENTIALS)).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
    await unlock();
    expect(await askAgent("default", CREDENTIALS)).toBeDefined();
  });

  it("answers broken requests with a reason, and goes on", async () => {
    await unlock();
    expect(JSON.parse(await say("no json\n"))).toEqual({ v: 1, ok: false, reason: "MALFORMED" });
    expect(JSON.parse(await say("null\n"))).toEqual({ v: 1, ok: false, reason: "MALFORMED" });
    expect(JSON.parse(await say('{"v":1,"op":"dance"}\n'))).toEqual({ v: 1, ok: false, reason: "MALFORMED" });
    expect(JSON.parse(await say('{"v":2,"op":"key"}\n'))).toEqual({ v: 1, ok: false, reason: "VERSION" });
    expect(JSON.parse(await say("x".repeat(100_000)))).toEqual({ v: 1, ok: false, reason: "MALFORMED" });
    expect(await askAgent("default", CREDENTIALS)).toBeDefined();
  });

  it("closes a connection that says nothing", async () => {
    await unlock();
    expect(await say("")).toBe("");
    expect(await askAgent("default", CREDENTIALS)).toBeDefined();
  });

  it("is not asked in a folder that others can write to", async () => {
    mkdirSync(folder, { mode: 0o777 });
    writeFileSync(join(folder, "bait"), "");
    const { chmodSync } = await import("node:fs");
    chmodSync(folder, 0o777);
    await expect(askAgent("default", CREDENTIALS)).rejects.toMatchObject({ reason: "NOT_PRIVATE" });
    await expect(unlock()).rejects.toMatchObject({ reason: "NOT_PRIVATE" });
    chmodSync(folder, 0o700);
  });
});
