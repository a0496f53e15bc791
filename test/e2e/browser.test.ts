// The client library in headless Chromium against a running node: bundled as an application would bundle it, from a page of
// another origin, with nothing but fetch and the JavaScript tier. What the browser seals, Node opens.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromHex } from "../../src/crypto/bytes.ts";
import { chromiumNote, findChromium, runInBrowser } from "../browser/harness.ts";
import { delivered, environment, type Person, shareIds, signUp } from "../support/clients.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";
import type { BrowserReport, BrowserTask } from "./browser.entry.ts";

const TIMEOUT_MS = 300_000;

describe.skipIf(findChromium() === undefined)(`the client library in Chromium${chromiumNote()}`, () => {
  let node: TestNode;
  let bob: Person;

  beforeAll(async () => {
    // A stamp that a browser has to do some work for.
    node = await startTestNode({
      domain: "acme.test",
      flags: { "creation-difficulty": 4_096, "first-contact-difficulty": 4_096 },
    });
    bob = await signUp(environment([node]), "bob@acme.test");
  }, TIMEOUT_MS);

  afterAll(() => node?.remove(), TIMEOUT_MS);

  it("makes an account, publishes keys, sends and opens, and Node opens what it sealed", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const task: BrowserTask = {
      apiUrl: node.apiUrl,
      address: "alice@acme.test",
      password: "a password of the browser's",
      recipient: bob.address,
      text: "sealed in a browser — geöffnet in Node 🔑",
    };

    const report = (await runInBrowser(join(import.meta.dirname, "browser.entry.ts"), {
      timeoutMs: 240_000,
      parameters: { task: JSON.stringify(task) },
    })) as BrowserReport;

    expect(report).toMatchObject({
      tier: "js",
      openedByItself: task.text,
      openedAfterRotation: task.text,
      activeNumber: 2,
    });
    expect(await shareIds(bob)).toContain(report.sentId);
    const opened = await bob.account.shares.open(fromHex(report.sentId));
    expect(opened.content).toEqual({ kind: "text", text: task.text });
    expect(opened.summary).toMatchObject({ sender: task.address, senderKeyNumber: 2 });
    const reply = await bob.account.shares.send(task.address, { kind: "text", text: "thank you" });
    await delivered(bob, reply.shareId);
  });
});
