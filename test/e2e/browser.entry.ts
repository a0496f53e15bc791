// Runs in the browser: a person who makes an account at a running node, publishes new keys, sends a secret and opens one.
// Everything is computed by the library's JavaScript tier; the node's domain lies where the page's own address says.

import { createAccount, type Environment, fetchEnvironment, openAccount } from "../../src/client/index.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import { primitives } from "../../src/crypto/select.ts";

/** What the page is told in its address. */
export interface BrowserTask {
  readonly apiUrl: string;
  readonly address: string;
  readonly password: string;
  /** Somebody to send to, who is already there. */
  readonly recipient: string;
  readonly text: string;
}

/** What it found. */
export interface BrowserReport {
  readonly tier: string;
  readonly openedByItself: string;
  readonly openedAfterRotation: string;
  readonly activeNumber: number;
  /** Hex id of the share that went to the recipient. */
  readonly sentId: string;
}

export default async function run(): Promise<BrowserReport> {
  const task = JSON.parse(new URLSearchParams(location.search).get("task") ?? "{}") as BrowserTask;
  const env: Environment = {
    ...fetchEnvironment(),
    resolveDomain: async () => ({ apiUrl: task.apiUrl }),
  };
  const { address, password } = task;
  const account = openAccount(env, await createAccount(env, { address, password, deviceName: "browser" }));

  const own = await account.shares.send(address, { kind: "text", text: task.text });
  const openedByItself = await textOf(own.shareId);
  const ring = await account.rotateKeys();
  const openedAfterRotation = await textOf(own.shareId);
  const sent = await account.shares.send(task.recipient, { kind: "text", text: task.text });
  return {
    tier: primitives().tier,
    openedByItself,
    openedAfterRotation,
    activeNumber: ring.at(-1)?.keySet.number ?? 0,
    sentId: toHex(sent.shareId),
  };

  async function textOf(shareId: Uint8Array): Promise<string> {
    const { content } = await account.shares.open(shareId, { box: "sent" });
    return content.kind === "text" ? content.text : "";
  }
}
