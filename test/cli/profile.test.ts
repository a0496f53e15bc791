// What a profile remembers of its account from one run of the tool to the next, so that a node cannot turn back time.

import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { makeTool, startNode, type TestNode, type Tool } from "./tool.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const HASH = /^[0-9a-f]{64}$/;
const PASSWORD = { env: { KEYPEARS_PASSWORD: "correct horse alice" } };

let node: TestNode;
let tool: Tool;

beforeAll(async () => {
  node = await startNode();
  tool = makeTool();
  await tool.json(["account", "create", "alice@acme.test"], {
    env: { ...PASSWORD.env, KEYPEARS_RESOLVE: node.resolve },
  });
});
afterAll(async () => {
  await node.stop();
  tool.remove();
});

const path = () => join(tool.env.XDG_CONFIG_HOME ?? "", "keypears", "profiles", "default.json");
const stored = () => JSON.parse(readFileSync(path(), "utf8"));

it("a profile remembers the newest contacts and own keys, over passwords and sessions", async () => {
  expect(stored().seen).toEqual({ ownKeySet: { number: 1, hash: expect.stringMatching(HASH) } });

  await tool.json(["contact", "accept", "bob@partner.test"], PASSWORD);
  expect(stored().seen.contacts).toEqual({ version: "1", hash: expect.stringMatching(HASH) });

  await tool.json(["keys", "rotate"], PASSWORD);
  const { seen, session } = stored();
  expect(seen).toMatchObject({ contacts: { version: "2" }, ownKeySet: { number: 2 } });

  await tool.json(["account", "password"], { env: { ...PASSWORD.env, KEYPEARS_NEW_PASSWORD: "another" } });
  expect(stored()).toMatchObject({ seen, session });
  await tool.json(["account", "logout"]);
  expect(stored()).not.toHaveProperty("session");
  expect(stored().seen).toEqual(seen);
  await tool.json(["account", "login"], { env: { KEYPEARS_PASSWORD: "another" } });
  expect(stored().seen).toEqual(seen);
  await tool.json(["account", "password"], {
    env: { KEYPEARS_PASSWORD: "another", KEYPEARS_NEW_PASSWORD: PASSWORD.env.KEYPEARS_PASSWORD },
  });
});

it("a profile is not written again where nothing is new", async () => {
  await tool.json(["contact", "list"], PASSWORD);
  const { ino, mtimeMs } = statSync(path());
  await tool.json(["contact", "list"], PASSWORD);
  await tool.json(["keys", "show"], PASSWORD);
  expect(statSync(path())).toMatchObject({ ino, mtimeMs });
});

it("a profile that has seen newer contacts or keys than the node gives refuses it", async () => {
  const profile = stored();
  const { contacts, ownKeySet } = profile.seen;
  const remember = (seen: object) => writeFileSync(path(), JSON.stringify({ ...profile, seen }));
  const reasonOf = async (...args: string[]) => {
    const { code, stderr } = await tool.run([...args, "--json"], PASSWORD);
    expect(code).not.toBe(0);
    return JSON.parse(stderr.trim().split("\n").at(-1) ?? "").error.reason;
  };

  remember({ contacts: { ...contacts, version: "9" }, ownKeySet });
  expect(await reasonOf("contact", "list")).toBe("CONTACTS_ROLLED_BACK");
  remember({ contacts, ownKeySet: { ...ownKeySet, number: 9 } });
  expect(await reasonOf("keys", "show")).toBe("OWN_KEYS_MISMATCH");
  remember({ contacts: { ...contacts, version: "-1" }, ownKeySet });
  expect(await reasonOf("contact", "list")).toBe("PROFILE_INVALID");
});
