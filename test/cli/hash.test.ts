import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { blake3 as nobleBlake3 } from "@noble/hashes/blake3.js";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { describeHashing } from "../../src/cli/hash-input.ts";
import { hashLine, parseHashLine } from "../../src/cli/hash-list.ts";
import { randomBytes, toHex } from "../../src/crypto/bytes.ts";
import { describeVectors } from "../crypto/shared-vectors.ts";
import { makeTool, type Tool } from "./tool.ts";

vi.setConfig({ testTimeout: 60_000 });

const MIB = 1024 * 1024;
const ABC = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
const EMPTY = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

let tool: Tool;
beforeAll(() => {
  tool = makeTool();
});
afterAll(() => tool.remove());

const reference = (data: Uint8Array, dkLen = 32) => toHex(nobleBlake3(data, { dkLen }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(tool.home, name);
  writeFileSync(path, content);
  return path;
}

const hash = (args: readonly string[], input?: string | Uint8Array) =>
  tool.run(["hash", ...args], input === undefined ? {} : { input });

describe("a line of a list", () => {
  it.each([
    "",
    ABC,
    `${ABC}  `,
    `${ABC} name`,
    `${ABC} *name`,
    `${ABC.toUpperCase()}  name`,
    `${ABC.slice(1)}  name`,
    `${ABC}0  name`,
    ` ${ABC}  name`,
    `\\${ABC}  a\\b`,
    `\\${ABC}  a\\rb`,
    `\\${ABC}  a\\`,
    `\\${ABC}  a\\\\\\`,
    `${ABC}  nul\0byte`,
    `${ABC}  what could not be written \ufffd`,
    `BLAKE3 (name) = ${ABC}`,
  ])("is none: %j", (line) => {
    expect(parseHashLine(line)).toBeUndefined();
  });

  it("spells a backslash and a line feed, and says so in front", () => {
    expect(hashLine("plain name", ABC)).toBe(`${ABC}  plain name`);
    expect(hashLine("a\nb", ABC)).toBe(`\\${ABC}  a\\nb`);
    expect(hashLine("a\\nb", ABC)).toBe(`\\${ABC}  a\\\\nb`);
  });

  it("takes backslashes as they are where none was announced", () => {
    expect(parseHashLine(`${ABC}  a\\nb`)).toEqual({ file: "a\\nb", hash: ABC });
  });

  it("gives back any name that a file can have", () => {
    const names = fc
      .string({
        unit: fc.oneof(
          fc.constantFrom("\\", "n", "\n", " ", "\r"),
          fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
        ),
        minLength: 1,
      })
      .filter((name) => !/[\0\ufffd]/.test(name));
    fc.assert(
      fc.property(names, (name) => {
        const line = hashLine(name, ABC);
        expect(line).not.toContain("\n");
        expect(parseHashLine(line)).toEqual({ file: name, hash: ABC });
      }),
    );
  });
});

describe("keypears hash", () => {
  it.each([
    [["--length", "0"], "--length must be"],
    [["--length", "1025"], "--length must be"],
    [["--length", "1e2"], "--length must be"],
    [["--quiet"], "--quiet is for --check"],
    [["--check", "--length", "64"], "--check reads lines of 32-byte hashes"],
    [["--check", "--no-names"], "--check reads lines of 32-byte hashes"],
  ])("refuses %j with exit code 2", async (args, hint) => {
    const { code, stdout, stderr } = await hash(args, "abc");
    expect(stderr).toContain(hint);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  it("hashes standard input, named or not", async () => {
    expect(await hash([], "abc")).toEqual({ code: 0, stdout: `${ABC}  -\n`, stderr: "" });
    expect(await hash(["-"], "abc")).toEqual({ code: 0, stdout: `${ABC}  -\n`, stderr: "" });
    expect((await hash([], "")).stdout).toBe(`${EMPTY}  -\n`);
    const large = randomBytes(20 * MIB);
    expect((await hash(["--no-names"], large)).stdout).toBe(`${reference(large)}\n`);
  });

  it("hashes files in their order, with names that need it escaped", async () => {
    const plain = file("plain", "abc");
    const strange = file("two\nlines \\ and more", "");
    const { code, stdout, stderr } = await hash([strange, plain, plain]);
    const escaped = strange.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
    expect(stdout).toBe(`\\${EMPTY}  ${escaped}\n${ABC}  ${plain}\n${ABC}  ${plain}\n`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  it.each([0, 1, 1_024, 1_025, MIB - 1, MIB, MIB + 1, 17 * MIB, 40 * MIB + 12_345])(
    "agrees with another implementation on a file of %i bytes",
    async (size) => {
      const data = randomBytes(size);
      const path = file("sized", data);
      expect((await hash(["--no-names", path])).stdout).toBe(`${reference(data)}\n`);
    },
  );

  it("gives as much output as is asked for, and names alone where they are wanted", async () => {
    const path = file("long", "abc");
    const expected = reference(Buffer.from("abc"), 1_024);
    expect((await hash(["-l", "1024", path])).stdout).toBe(`${expected}  ${path}\n`);
    expect((await hash(["--length", "1", "--no-names", path])).stdout).toBe(`${expected.slice(0, 2)}\n`);
  });

  it("goes on behind files that it cannot read, tells why, and ends with exit code 9", async () => {
    const path = file("there", "abc");
    const folder = join(tool.home, "folder");
    mkdirSync(folder, { recursive: true });
    const missing = join(tool.home, "not\u001b[2Jthere");
    const { code, stdout, stderr } = await hash([missing, folder, path, "-", "-"], "abc");
    expect({ code, stdout }).toEqual({ code: 9, stdout: `${ABC}  ${path}\n${ABC}  -\n` });
    expect(stderr).toContain("\\u{1b}[2Jthere: no such file\n");
    expect(stderr).toContain(`${folder}: is a folder\n`);
    expect(stderr).toContain("-: standard input was read already\n");
    expect(stderr).toContain("3 files could not be read");
  });

  it("prints one object with --json, the files that failed among the others", async () => {
    const path = file("json", "abc");
    const good = await tool.json(["hash", path]);
    expect(good).toEqual({ files: [{ file: path, hash: ABC, bytes: 3 }], ok: true });
    const missing = join(tool.home, "missing");
    const { code, stdout, stderr } = await hash(["--json", missing, path]);
    expect(code).toBe(9);
    expect(JSON.parse(stdout)).toEqual({
      files: [
        { file: missing, error: "no such file" },
        { file: path, hash: ABC, bytes: 3 },
      ],
      ok: false,
    });
    expect(JSON.parse(stderr).error).toMatchObject({ reason: "FILE_UNREADABLE", exitCode: 9 });
  });

  it("loads no client, no server, no protobuf and no other command", async () => {
    const recorded = join(tool.home, "modules");
    const recorder = join(import.meta.dirname, "record-modules.ts");
    const env = { NODE_OPTIONS: `--import=${recorder}`, RECORDED_MODULES: recorded };
    await tool.run(["hash"], { env, input: "abc" });
    const root = new URL("../../", import.meta.url).href;
    const modules = readFileSync(recorded, "utf8")
      .split("\n")
      .flatMap((url) => (url.startsWith(root) ? [url.slice(root.length)] : []));
    expect(modules).toContain("src/crypto/hash-stream.ts");
    const foreign =
      /^(?:gen|src\/(?:client|server|storage|services|federation|protocol))\/|@bufbuild|@connectrpc|@clack/;
    expect(modules.filter((path) => foreign.test(path))).toEqual([]);
    expect(modules.filter((path) => /commands\/(?!hash)[\w-]+\.ts$/.test(path))).toEqual([]);
  });

  it("stops at Ctrl-C, while it waits and while it works", async () => {
    for (const args of [[], ["/dev/zero"]]) {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, "../../bin/keypears.js"), "hash", ...args],
        {
          env: tool.env,
          stdio: ["pipe", "ignore", "pipe"],
        },
      );
      let stderr = "";
      child.stderr.on("data", (chunk) => {
        stderr += chunk;
      });
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      child.kill("SIGINT");
      const [code] = await once(child, "close");
      expect({ code, stderr }).toEqual({ code: 130, stderr: "keypears: interrupted\n" });
    }
  });
});

describe("keypears hash --check", () => {
  it("says OK for each file of its own list, names that need it among them, and with --quiet nothing", async () => {
    const files = [file("check one", "1"), file("check\ntwo \\", "2")];
    const list = file("SUMS", (await hash(files)).stdout);
    const { code, stdout, stderr } = await hash(["--check", list]);
    const [one, two = ""] = files;
    expect(stdout).toBe(`${one}: OK\n${two.replace("\\", "\\\\").replace("\n", "\\n")}: OK\n`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(await hash(["--check", "--quiet", list])).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(await hash(["--check"], (await hash(files)).stdout)).toMatchObject({ code: 0, stdout });
  });

  it("says FAILED for what is different or gone, goes on, sums up, and ends with exit code 10", async () => {
    const same = file("same", "abc");
    const different = file("different", "abd");
    const gone = join(tool.home, "gone");
    const list = file(
      "BAD",
      [`${ABC}  ${gone}`, `${ABC}  ${different}`, "nonsense", "", `${ABC}  ${same}`, ""].join("\n"),
    );
    const { code, stdout, stderr } = await hash(["--check", list]);
    expect(stdout).toBe(`${gone}: FAILED (no such file)\n${different}: FAILED\n${same}: OK\n`);
    expect(stderr).toContain("line 3 is not a hash");
    expect(stderr).toContain("line 4 is not a hash");
    expect(stderr).toContain("1 file did not have the hash that the list says");
    expect(stderr).toContain("1 file could not be read");
    expect(stderr).toContain("2 lines could not be understood");
    expect(code).toBe(10);
    const quiet = await hash(["--check", "--quiet", list]);
    expect({ code: quiet.code, stdout: quiet.stdout }).toEqual({
      code: 10,
      stdout: `${gone}: FAILED (no such file)\n${different}: FAILED\n`,
    });
    const json = await hash(["--check", "--json", list]);
    expect(JSON.parse(json.stdout)).toEqual({
      files: [
        { file: gone, ok: false, error: "no such file" },
        { file: different, ok: false },
        { file: same, ok: true },
      ],
      malformedLines: 2,
      ok: false,
    });
    expect(JSON.parse(json.stderr).error).toMatchObject({ reason: "HASH_MISMATCH", exitCode: 10 });
  });

  it.each<[string, string | Uint8Array, number, string]>([
    ["an empty list", "", 2, "the list has no hash"],
    ["a list without a hash", "nothing\n", 2, "1 line could not be understood"],
    ["bytes that are no text", Uint8Array.of(0xff, 0x0a), 2, "is not a list of hashes"],
    ["a list of what is gone", `${ABC}  /nowhere/at/all\n`, 9, "1 file could not be read"],
    ["a list that is to be its own file", `${ABC}  -\n`, 9, "1 file could not be read"],
  ])("fails for %s", async (_, list, exitCode, hint) => {
    const { code, stderr } = await hash(["--check"], list);
    expect(stderr).toContain(hint);
    expect(code).toBe(exitCode);
  });

  it("fails for a list that is not there", async () => {
    const { code, stdout, stderr } = await hash(["--check", join(tool.home, "no list")]);
    expect({ code, stdout }).toEqual({ code: 9, stdout: "" });
    expect(stderr).toContain("no such file");
  });
});

describeVectors<{ cases: { input_len: number; hash: string }[] }>("blake3.json", ({ cases }) => {
  it("the tool gives BLAKE3's published vectors", async () => {
    const paths = cases.map(({ input_len }) =>
      file(
        `vector-${input_len}`,
        Uint8Array.from({ length: input_len }, (_, i) => i % 251),
      ),
    );
    const { stdout } = await hash(["--no-names", "--length", "131", ...paths]);
    expect(stdout.trimEnd().split("\n")).toEqual(cases.map(({ hash: expected }) => expected));
  });
});

describe("beside b3sum", () => {
  const installed = spawnSync("b3sum", ["--version"]).status === 0;
  if (!installed) process.stderr.write("skipping the comparison with b3sum: it is not installed\n");

  it.skipIf(!installed)("prints and checks the same lines", async () => {
    const files = [file("ours", randomBytes(3 * MIB)), file("new\nline", "x"), file("back\\slash", "y")];
    const theirs = spawnSync("b3sum", files, { encoding: "utf8" }).stdout;
    expect((await hash(files)).stdout).toBe(theirs);
    expect((await hash(["--check"], theirs)).code).toBe(0);
    expect(spawnSync("b3sum", ["--check"], { input: (await hash(files)).stdout }).status).toBe(0);
  });
});

describe("the sign of life", () => {
  it("shows how far it is, how fast, and how long it takes, where that can be known", () => {
    expect(describeHashing("a.iso", 512 * MIB, 1_024 * MIB, 1_000)).toBe(
      "a.iso ██████████░░░░░░░░░░ 50 %, 512 MiB, 512 MiB/s, about 1 s",
    );
    expect(describeHashing("a.iso", 0, 1_024, 500)).toBe("a.iso ░░░░░░░░░░░░░░░░░░░░ 0 %, 0 B, 0 B/s");
    expect(describeHashing("-", 1_536, undefined, 1_000)).toBe("standard input: 1.5 KiB, 1.5 KiB/s");
    expect(describeHashing("/dev/\u001bzero", 2 * MIB, 0, 1_000)).toBe(
      "/dev/\\u{1b}zero: 2.0 MiB, 2.0 MiB/s",
    );
    expect(describeHashing("grew", 20, 10, 1_000)).toBe("grew: 20 B, 20 B/s");
  });
});
