import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import "../../src/server/to-base64.ts";

interface ToBase64 {
  toBase64(options?: { alphabet?: string; omitPadding?: boolean }): string;
}
const encode = (bytes: Uint8Array, options?: { alphabet?: string; omitPadding?: boolean }) =>
  (bytes as unknown as ToBase64).toBase64(options);

test("Bytes are written in both alphabets, with and without padding, wherever they lie in their buffer", () => {
  const bytes = Uint8Array.of(9, 0xfb, 0xff, 0xfe, 1, 9).subarray(1, 5);
  expect(encode(bytes)).toBe("+//+AQ==");
  expect(encode(bytes, { omitPadding: true })).toBe("+//+AQ");
  expect(encode(bytes, { alphabet: "base64url" })).toBe("-__-AQ==");
  expect(encode(bytes, { alphabet: "base64url", omitPadding: true })).toBe("-__-AQ");
  expect(encode(new Uint8Array(0))).toBe("");
  expect(() => encode(bytes, { alphabet: "base32" })).toThrow(TypeError);
});

test("What is written reads as the same bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, omitPadding) => {
      expect(new Uint8Array(Buffer.from(encode(bytes, { omitPadding }), "base64"))).toEqual(bytes);
    }),
  );
});

test("A node has it before the protobuf library is loaded", () => {
  // The library keeps what it finds: one that is put there afterwards is not used.
  const script = `
    await import(${JSON.stringify(new URL("../../src/server/node.ts", import.meta.url).href)});
    Object.defineProperty(Buffer.prototype, "toString", { value: () => "by Buffer" });
    const { base64Encode } = await import("@bufbuild/protobuf/wire");
    process.stdout.write(base64Encode(Uint8Array.of(1)));`;
  const cwd = fileURLToPath(new URL("../..", import.meta.url));
  const said = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd,
    encoding: "utf8",
  });
  expect(said).toBe("by Buffer");
});
