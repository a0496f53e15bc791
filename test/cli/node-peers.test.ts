// What the operator of a node sees of other domains' keys, and says about them, beside the node on its database.

import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { openStorage } from "../../src/storage/open.ts";
import { makeTool } from "./tool.ts";

vi.setConfig({ testTimeout: 120_000 });

const NOW = Date.UTC(2026, 5, 1);
const [OLD, NEW] = ["0a".repeat(32), "0b".repeat(32)];
const MEMORY = { keyHash: OLD, serial: 7, bodyHash: "0c".repeat(32), txtSeen: true, provenAt: NOW };
const PENDING = { keyHash: NEW, since: NOW, lastSeen: NOW };

/** A node's database that remembers three domains, and stays open as a node would keep it. */
async function start() {
  const tool = makeTool();
  onTestFinished(() => tool.remove());
  const url = `sqlite:${join(tool.home, "node.sqlite")}`;
  const storage = await openStorage({ url });
  onTestFinished(() => storage.close());
  const { peerDomains } = storage;
  await peerDomains.replace("a.test", 0, MEMORY);
  await peerDomains.replace("b.test", 0, { ...MEMORY, pending: PENDING });
  await peerDomains.replace("c.test", 0, { ...MEMORY, txtSeen: false });
  const env = { KEYPEARS_DOMAIN: "node.test", KEYPEARS_DATABASE: url };
  return { tool, peerDomains, env };
}

it("the operator sees what domains have proven, and which keys wait", async () => {
  const { tool, env } = await start();
  const { stdout } = await tool.run(["node", "peers", "--limit", "2"], { env });
  expect(stdout).toBe(
    [
      "a.test  proven 2026-06-01 00:00:00, serial 7, with a TXT record",
      "b.test  proven 2026-06-01 00:00:00, serial 7, with a TXT record",
      `  another key waits since 2026-06-01 00:00:00: ${NEW}`,
      "(there are more: --after b.test)",
      "",
    ].join("\n"),
  );
  const rest = await tool.json(["node", "peers", "--after", "b.test"], { env });
  expect(rest).toEqual({ domains: [{ domain: "c.test", ...MEMORY, txtSeen: false }], more: false });
  const waiting = await tool.json(["node", "peers", "--waiting"], { env });
  expect(waiting).toEqual({ domains: [{ domain: "b.test", ...MEMORY, pending: PENDING }], more: false });
});

it("a waiting key is confirmed by its hash, and nothing else is", async () => {
  const { tool, env, peerDomains } = await start();
  for (const [domain, hash] of [
    ["b.test", OLD],
    ["a.test", NEW],
    ["unknown.test", NEW],
  ] as const) {
    const { code, stderr } = await tool.run(["node", "confirm-peer", domain, "--key", hash, "--json"], {
      env,
    });
    expect(JSON.parse(stderr).error.reason).toBe("DOMAIN_KEY_MISMATCH");
    expect(code).toBe(7);
  }
  expect((await tool.run(["node", "confirm-peer", "b.test"], { env })).code).toBe(2);
  expect((await peerDomains.read("b.test"))?.revision).toBe(1);

  const confirmed = await tool.json(["node", "confirm-peer", "b.test", "--key", NEW.toUpperCase()], { env });
  expect(confirmed).toEqual({ domain: "b.test", keyHash: NEW, confirmed: true });
  const { memory } = (await peerDomains.read("b.test"))!;
  expect(memory).toMatchObject({ keyHash: NEW, serial: 0, bodyHash: "", txtSeen: true });
  expect(memory.pending).toBeUndefined();
});
