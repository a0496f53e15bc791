import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { makeTool, startNode, type TestNode, type Tool } from "./tool.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let node: TestNode;
let tool: Tool;

beforeAll(async () => {
  node = await startNode();
  tool = makeTool();
  await tool.json(["account", "create", "alice@acme.test"], {
    env: { KEYPEARS_PASSWORD: "password", KEYPEARS_RESOLVE: node.resolve },
  });
});
afterAll(async () => {
  await node.stop();
  tool.remove();
});

/** Paths, below the project's folder, of the modules that a command loads. */
async function modulesOf(args: readonly string[]): Promise<string[]> {
  const recorded = join(tool.home, "modules");
  const recorder = fileURLToPath(new URL("./record-modules.ts", import.meta.url));
  const env = { NODE_OPTIONS: `--import=${recorder}`, RECORDED_MODULES: recorded };
  expect(await tool.run(args, { env })).toMatchObject({ code: 0 });
  const root = new URL("../../", import.meta.url).href;
  return readFileSync(recorded, "utf8")
    .split("\n")
    .filter((url) => url.startsWith(root))
    .map((url) => url.slice(root.length));
}

describe("a command loads what it uses", () => {
  it("--version is answered by two modules", async () => {
    expect(await modulesOf(["--version"])).toEqual(["bin/keypears.js", "src/cli/main.ts"]);
  });

  it.each([[["share", "list"]], [["account", "sessions"]], [["help", "share", "send"]]])(
    "%j needs no client library, no cryptography, no protobuf, no prompts and no other command",
    async (args) => {
      const modules = await modulesOf(args);
      const heavy =
        /^(?:gen|src\/(?:client|server|storage|services))\/|select\.ts|node_modules\/(?:@bufbuild|@connectrpc|@noble|@clack|hash-wasm)/;
      expect(modules.filter((path) => heavy.test(path))).toEqual([]);
      const commands = modules.filter(
        (path) => /commands\/.*\.ts$/.test(path) && !path.endsWith("/specs.ts"),
      );
      expect(commands.length).toBeLessThanOrEqual(1);
    },
  );

  it("keys show needs no prompts, no server and no transport for streams", async () => {
    await tool.json(["unlock"], { env: { KEYPEARS_PASSWORD: "password" } });
    const modules = await modulesOf(["keys", "show"]);
    await tool.json(["lock"]);
    expect(modules.some((path) => path.startsWith("src/client/"))).toBe(true);
    expect(
      modules.filter((path) =>
        /^src\/(?:server|storage|services)\/|@clack|connect-node|connect-web/.test(path),
      ),
    ).toEqual([]);
  });
});
