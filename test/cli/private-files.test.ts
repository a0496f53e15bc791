import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readPrivateFile, replaceFile, writeNewFile, writePrivateFile } from "../../src/cli/private-files.ts";

const SECRET = Buffer.from("API_KEY=4711\n");
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "keypears-files-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

describe("a file that replaces another", () => {
  it("leaves no copy of itself behind where it cannot", () => {
    const path = join(folder, "taken");
    mkdirSync(join(path, "inside"), { recursive: true });

    expect(() => replaceFile(path, SECRET)).toThrow();
    expect(() => writePrivateFile(path, "token")).toThrow(/cannot use/);

    expect(readdirSync(folder)).toEqual(["taken"]);
  });

  it("is readable by its user alone, whatever it replaces", () => {
    const path = join(folder, "file");
    writeFileSync(path, "old", { mode: 0o644 });

    replaceFile(path, SECRET);

    expect(readFileSync(path)).toEqual(SECRET);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  it("takes the place of a link, and leaves alone where that leads", () => {
    const [path, elsewhere] = [join(folder, "link"), join(folder, "elsewhere")];
    writeFileSync(elsewhere, "untouched");
    symlinkSync(elsewhere, path);

    replaceFile(path, SECRET);

    expect(readFileSync(elsewhere, "utf8")).toBe("untouched");
    expect(readFileSync(path)).toEqual(SECRET);
  });
});

describe("a new file", () => {
  it("is refused where there is one, or a link to nowhere", () => {
    const [file, link] = [join(folder, "file"), join(folder, "link")];
    writeFileSync(file, "old");
    symlinkSync(join(folder, "nowhere"), link);

    expect(() => writeNewFile(file, SECRET)).toThrow(/EEXIST/);
    expect(() => writeNewFile(link, SECRET)).toThrow(/EEXIST/);

    expect(readFileSync(file, "utf8")).toBe("old");
    expect(readdirSync(folder).sort()).toEqual(["file", "link"]);
  });

  it("leaves nothing behind when it cannot be written", () => {
    // What is no byte string fails when the file is there already, as a full disk would.
    const path = join(folder, "file");

    expect(() => writeNewFile(path, { length: 5 } as Uint8Array)).toThrow();

    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("a private file", () => {
  it("is not read where others could have read it, or through a link", () => {
    const [open, link] = [join(folder, "open"), join(folder, "link")];
    writeFileSync(open, "token", { mode: 0o644 });
    symlinkSync(open, link);

    expect(() => readPrivateFile(open)).toThrow(/can be read by other users/);
    expect(() => readPrivateFile(link)).toThrow(/ELOOP/);
    expect(readPrivateFile(join(folder, "missing"))).toBeUndefined();
  });
});
