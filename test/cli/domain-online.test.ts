// A domain from its key to its administration, all by the tool's own commands: at a real node, with the owner's own web server.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { freePort, startTestNode, type TestNode } from "../support/nodes.ts";
import { makeTool } from "./tool.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const DOMAIN = "owner.test";
const PASSWORD = { input: "correct horse battery staple\n" };

let node: TestNode;
let site: Server;
let document = "";
let resolve: string[];
const tool = makeTool();

beforeAll(async () => {
  site = createServer((_request, response) => {
    response.statusCode = document === "" ? 404 : 200;
    response.end(document);
  }).listen(0, "127.0.0.1");
  await once(site, "listening");
  const port = await freePort();
  const siteOrigin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  node = await startTestNode({
    domain: "acme.test",
    port,
    resolve: new Map([
      ["acme.test", `http://127.0.0.1:${port}`],
      [DOMAIN, siteOrigin],
    ]),
  });
  resolve = ["--resolve", `acme.test=${node.origin}`, "--resolve", `${DOMAIN}=${siteOrigin}`];
});
afterAll(async () => {
  tool.remove();
  site.close();
  await node.remove();
});

const run = <T>(words: readonly string[], options?: object) => tool.json<T>([...words, ...resolve], options);
const withPassword = <T>(words: readonly string[]) => run<T>([...words, "--password-stdin"], PASSWORD);

it("hosts a domain that its owner has proven, and lets the owner administer it", async () => {
  await withPassword(["account", "create", "alice@acme.test"]);
  await withPassword(["domain", "keygen", DOMAIN]);
  const host = await run<{ apiUrl: string; nodeKeys: string[] }>(["domain", "host"]);
  const nodeKeyFile = join(tool.home, "node.key");
  writeFileSync(nodeKeyFile, host.nodeKeys[0] ?? "");
  const consent = ["--api-url", host.apiUrl, "--node-key", nodeKeyFile];
  await withPassword(["domain", "authorize", DOMAIN, ...consent]);

  const early = await tool.run(
    ["domain", "claim", DOMAIN, "--json", "--password-stdin", ...resolve],
    PASSWORD,
  );
  expect(early.code).not.toBe(0);
  expect(JSON.parse(early.stderr).error).toMatchObject({ reason: "CLAIM_UNPROVEN" });

  ({ document } = await run<{ document: string }>(["domain", "document", DOMAIN]));
  expect(await withPassword(["domain", "claim", DOMAIN])).toMatchObject({
    domain: DOMAIN,
    state: "active",
    administrator: "alice@acme.test",
    registration: "invitation",
  });
  expect(await run(["domain", "status"])).toMatchObject({ domains: [{ domain: DOMAIN, serial: 1 }] });

  const invited = await run<{ id: string; code: string }>([
    "domain",
    "invite",
    DOMAIN,
    "--name",
    "postmaster",
  ]);
  const unused = await run<{ id: string }>(["domain", "invite", DOMAIN]);
  await run(["domain", "uninvite", DOMAIN, unused.id]);
  expect(await run(["domain", "invitations", DOMAIN])).toMatchObject({ invitations: [{ id: invited.id }] });
  const address = `postmaster@${DOMAIN}`;
  const profile = ["--profile", "postmaster"];
  await tool.json(
    [
      "account",
      "create",
      address,
      "--invitation",
      invited.code,
      "--resolve",
      `${DOMAIN}=${node.origin}`,
      "--password-stdin",
      ...profile,
    ],
    PASSWORD,
  );
  expect(await run(["domain", "accounts", DOMAIN])).toMatchObject({
    accounts: [{ address, suspended: false }],
  });

  const { lastHash } = await run<{ lastHash: string }>(["domain", "audit", DOMAIN]);
  expect(await run(["domain", "suspend", address])).toMatchObject({ address, suspended: true });
  const ended = await tool.run(["share", "list", "--json", ...profile]);
  expect(JSON.parse(ended.stderr).error).toMatchObject({ reason: "SESSION_INVALID" });
  expect(await run(["domain", "unsuspend", address])).toMatchObject({ suspended: false });
  expect(await run(["domain", "remove", address, "--yes"])).toMatchObject({ removed: true });
  expect(await run(["domain", "registration", DOMAIN, "closed"])).toMatchObject({ registration: "closed" });
  const audit = await run<{ records: { action: string }[] }>(["domain", "audit", DOMAIN, "--seen", lastHash]);
  expect(audit.records.map(({ action }) => action)).toEqual([
    "claim.complete",
    "invitation.create",
    "invitation.create",
    "invitation.revoke",
    "account.create",
    "account.suspend",
    "account.restore",
    "account.remove",
    "domain.registration",
  ]);
  const rewritten = await tool.run([
    ...["domain", "audit", DOMAIN, "--seen", "0".repeat(64), "--json"],
    ...resolve,
  ]);
  expect(JSON.parse(rewritten.stderr).error).toMatchObject({ reason: "AUDIT_LOG_BROKEN" });

  await withPassword(["domain", "authorize", DOMAIN]);
  expect(await run(["domain", "renew", DOMAIN])).toMatchObject({ serial: 2 });
});

it("tells the next key of a node 30 days ahead, once", async () => {
  const config = join(tool.home, "node.json");
  writeFileSync(config, JSON.stringify({ domain: "acme.test", dev: true, database: node.database }));
  const { nodeKeys } = await tool.json<{ nodeKeys: string[] }>(["node", "keys", "--config", config]);
  expect(nodeKeys).toHaveLength(1);
  const next = await tool.json<{ nodeKey: string; new: boolean }>(["node", "rotate-key", "--config", config]);
  expect(next.new).toBe(true);
  expect(await tool.json(["node", "rotate-key", "--config", config])).toMatchObject({
    nodeKey: next.nodeKey,
    new: false,
  });
  expect(await tool.json(["node", "keys", "--config", config])).toMatchObject({
    nodeKeys: [...nodeKeys, next.nodeKey],
  });
});
