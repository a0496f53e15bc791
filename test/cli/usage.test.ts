import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { makeTool, type Tool } from "./tool.ts";

vi.setConfig({ testTimeout: 60_000 });

let tool: Tool;
beforeEach(() => {
  tool = makeTool();
});
afterEach(() => tool.remove());

/** A profile as the tool writes it, signed in at a node that nobody runs. */
const PROFILE = JSON.stringify({
  version: 1,
  address: "alice@acme.test",
  apiUrl: "http://127.0.0.1:9/api",
  session: { id: "00".repeat(16), token: "secret-token" },
  resolve: ["acme.test=http://127.0.0.1:9"],
  stretching: { salt: "00".repeat(32), memoryKiB: 65_536, passes: 3, lanes: 1 },
});

function writeProfile(text: string, mode = 0o600): string {
  const folder = join(tool.home, "config", "keypears", "profiles");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, "default.json");
  writeFileSync(path, text, { mode });
  return path;
}

describe("the command line", () => {
  it("prints the version alone", async () => {
    expect(await tool.run(["--version"])).toEqual({
      code: 0,
      stdout: `keypears ${manifest.version}\n`,
      stderr: "",
    });
  });

  it.each([
    [["shar"], "Did you mean share?"],
    [["share", "snd"], "Did you mean send?"],
    [["share", "list", "--jsn"], "Did you mean --json?"],
    [["share"], "keypears help share"],
    [[], "keypears help"],
    [["share", "open"], "keypears help share open"],
    [["share", "list", "superfluous"], "keypears help share list"],
    [["lock", "--profile", "../escape"], "small letters"],
    [["lock", "--profile", ""], "small letters"],
    [["share", "list", "--limit", "0"], "--limit"],
    [["share", "send", "no address", "A=1"], "alice@acme.example"],
    [["share", "send", "bob@partner.test"], "see: keypears help share send"],
    [["share", "send", "bob@partner.test", "A=1", "--text", "x"], "see: keypears help share send"],
    [["share", "send", "bob@partner.test", "A=1", "--expires", "soon"], "--expires must be"],
    [["share", "send", "bob@partner.test", "A=1", "--expires", "2000d"], "at most 365d"],
    [["share", "send", "bob@partner.test", "A=1", "A=2"], "two fields A"],
    [["share", "send", "bob@partner.test", "=1"], "needs a name"],
    [["share", "send", "bob@partner.test", "A=-", "B=-"], "standard input has one value"],
    [["unlock", "--for", "8 days"], "--for must be"],
    [["discover", "localhost"], "acme.example"],
    [["account", "create", "alice"], "alice@acme.example"],
    [["account", "create", "alice@acme.test", "--resolve", "acme.test"], "--resolve must look like"],
    [["account", "login"], "keypears account login ADDRESS"],
    [["serve"], "--domain"],
    [["serve", "--domain", "acme.test", "--resolve", "acme.test=http://127.0.0.1:1"], "--dev"],
  ])("refuses %j with exit code 2 and a way on", async (args, hint) => {
    const { code, stdout, stderr } = await tool.run(args, { input: "x\n" });
    expect(stderr).toContain(hint);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  it("tells about a wrong command line as JSON where JSON was asked for", async () => {
    const { code, stdout, stderr } = await tool.run(["share", "open", "--json"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(JSON.parse(stderr).error).toMatchObject({ reason: "USAGE", exitCode: 2 });
  });

  it("says how to sign in with exit code 3 when nobody is", async () => {
    for (const args of [
      ["share", "list"],
      ["share", "open", "abcdef"],
      ["keys", "show"],
      ["account", "logout"],
      ["unlock"],
    ]) {
      const { code, stdout, stderr } = await tool.run([...args, "--json"]);
      expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
      expect(JSON.parse(stderr).error).toMatchObject({ reason: "NOT_SIGNED_IN", exitCode: 3 });
    }
  });

  it("asks for a password in a way that works, with exit code 3, where there is no terminal", async () => {
    const { code, stderr } = await tool.run(["account", "create", "alice@acme.test"]);
    expect(code).toBe(3);
    expect(stderr).toContain("--password-stdin");
  });

  it("says that a node cannot be reached with exit code 6", async () => {
    writeProfile(PROFILE);
    const { code, stdout, stderr } = await tool.run(["share", "list", "--json"]);
    expect({ code, stdout }).toEqual({ code: 6, stdout: "" });
    expect(JSON.parse(stderr).error.exitCode).toBe(6);
  });

  it("does not call a node in cleartext that was not resolved for development", async () => {
    writeProfile(PROFILE.replace('["acme.test=http://127.0.0.1:9"]', "[]"));
    const { code, stderr } = await tool.run(["share", "list", "--json"]);
    expect(code).toBe(6);
    expect(JSON.parse(stderr).error.reason).toBe("PEER_ADDRESS_FORBIDDEN");
  });
});

describe("profiles", () => {
  it("are refused with exit code 9 when others can read them, without a word of what is in them", async () => {
    writeProfile(PROFILE, 0o640);
    const { code, stdout, stderr } = await tool.run(["share", "list"]);
    expect({ code, stdout }).toEqual({ code: 9, stdout: "" });
    expect(stderr).toContain("chmod 600");
    expect(stderr).not.toContain("secret-token");
  });

  it("are refused when they are a link to another file", async () => {
    const path = writeProfile(PROFILE);
    const link = path.replace("default", "linked");
    symlinkSync(path, link);
    expect((await tool.run(["share", "list", "--profile", "linked"])).code).toBe(9);
  });

  it("are refused when they are damaged, without a word of what is in them", async () => {
    for (const damaged of [
      PROFILE.slice(0, -10),
      PROFILE.replace('"version":1', '"version":9'),
      "null",
      "[]",
    ]) {
      writeProfile(damaged);
      const { code, stderr } = await tool.run(["share", "list"]);
      expect(code).toBe(9);
      expect(stderr).not.toContain("secret-token");
    }
  });

  it("are refused in a folder that others can enter", async () => {
    writeProfile(PROFILE);
    const { chmodSync } = await import("node:fs");
    chmodSync(join(tool.home, "config", "keypears"), 0o755);
    expect((await tool.run(["share", "list"])).code).toBe(9);
  });
});

describe("init", () => {
  it("writes a configuration that serve takes, and a folder, for this user alone", async () => {
    const { config, dataDir } = await tool.json<{ config: string; dataDir: string }>([
      "init",
      ...["--domain", "acme.example", "--max-key-sets", "7"],
    ]);
    expect(statSync(config).mode & 0o777).toBe(0o600);
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    const { loadConfig, readConfigFile } = await import("../../src/config.ts");
    const loaded = loadConfig({ file: readConfigFile(config).options });
    expect(loaded.domains).toEqual(["acme.example"]);
    expect(loaded.limits.maxKeySets).toBe(7);
    expect(loaded.database).toBe(`sqlite:${join(dataDir, "node.sqlite")}`);
  });

  it("leaves a file that is there alone unless it is told otherwise", async () => {
    const config = join(tool.home, "node.json");
    writeFileSync(config, "mine");
    expect((await tool.run(["init", "--domain", "acme.example", "--config", config])).code).toBe(9);
    expect(readFileSync(config, "utf8")).toBe("mine");
    await tool.json(["init", "--domain", "acme.example", "--config", config, "--force"]);
    expect(JSON.parse(readFileSync(config, "utf8")).domain).toEqual(["acme.example"]);
  });

  it("writes nothing when an option is wrong", async () => {
    const { code, stderr } = await tool.run(["init", "--domain", "acme.example", "--listen", "nowhere"]);
    expect(code).toBe(2);
    expect(stderr).toContain("--listen");
    expect(existsSync(join(tool.home, "config"))).toBe(false);
  });
});
