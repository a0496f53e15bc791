// Watching: a stream that tells of each new share once, over restarts of its node, until its session ends.

import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, it, onTestFinished, vi } from "vitest";
import {
  type Account,
  AccountNoticeKind,
  logIn,
  openAccount,
  type WatchEvent,
} from "../../src/client/index.ts";
import { toHex } from "../../src/crypto/bytes.ts";
import { delivered, PATIENCE, type Person, reasonOf, signUp } from "../support/clients.ts";
import { describePair } from "./pair.ts";

const TIMEOUT_MS = 120_000;

/** A watch that goes on by itself. */
interface Watch {
  readonly events: readonly WatchEvent[];
  /** Share ids that it told of, in hex, in the order in which it did. */
  shares(): string[];
  /** Resolves or rejects as the watch itself ends. */
  readonly ended: Promise<void>;
}

describePair("a watch", (pair) => {
  let alice: Person;
  let bob: Person;

  beforeAll(async () => {
    const { env } = pair();
    [alice, bob] = await Promise.all([signUp(env, "alice@acme.test"), signUp(env, "bob@partner.test")]);
  }, TIMEOUT_MS);

  function watch(account: Account, after = 0n): Watch {
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    const events: WatchEvent[] = [];
    const ended = (async () => {
      for await (const event of account.shares.watch({ after, signal: stop.signal })) events.push(event);
    })();
    ended.catch(() => {}); // looked at by the tests that expect it to end
    const shares = () =>
      events.flatMap((event) => (event.kind === "share" ? [toHex(event.share.shareId)] : []));
    return { events, shares, ended };
  }

  async function sendToBob(text: string): Promise<string> {
    const { shareId } = await alice.account.shares.send(bob.address, { kind: "text", text });
    await delivered(alice, shareId);
    return toHex(shareId);
  }

  async function onAnotherDevice(person: Person): Promise<Account> {
    const { address, password } = person;
    return openAccount(pair().env, await logIn(pair().env, { address, password, deviceName: "phone" }));
  }

  it("tells of what is there, then of what comes, once each", { timeout: TIMEOUT_MS }, async () => {
    const first = await sendToBob("one");
    const watching = watch(bob.account);
    await vi.waitFor(() => expect(watching.shares()).toEqual([first]), PATIENCE);

    const second = await sendToBob("two");
    await vi.waitFor(() => expect(watching.shares()).toEqual([first, second]), PATIENCE);

    const cursor = watching.events.flatMap((event) => (event.kind === "share" ? [event.share.sequence] : []));
    expect(cursor).toEqual([1n, 2n]);
    const resumed = watch(bob.account, 1n);
    await vi.waitFor(() => expect(resumed.shares()).toEqual([second]), PATIENCE);
  });

  it("goes on where it was after its node has restarted", { timeout: TIMEOUT_MS }, async () => {
    const { partner } = pair();
    const known = await sendToBob("before the restart");
    const watching = watch(bob.account);
    await vi.waitFor(() => expect(watching.shares()).toContain(known), PATIENCE);
    const before = watching.shares();

    await partner.stop();
    // Down for longer than the first attempts to connect again take.
    expect(await reasonOf(bob.account.shares.list("received"))).toBe("NODE_UNREACHABLE");
    await delay(1_500);
    await partner.start();
    const next = await sendToBob("after the restart");

    await vi.waitFor(() => expect(watching.shares()).toEqual([...before, next]), PATIENCE);
  });

  it("tells every device of a password change and of new keys", { timeout: TIMEOUT_MS }, async () => {
    const carol = await signUp(pair().env, "carol@partner.test");
    const watching = watch(carol.account);
    const device = await onAnotherDevice(carol);
    const there = watch(device);
    const kindsOf = ({ events }: Watch) =>
      events.flatMap((event) => (event.kind === "notice" ? [event.notice.kind] : []));
    const told = [AccountNoticeKind.KEYS_ROTATED, AccountNoticeKind.KEYS_RESET];
    const marker = await carol.account.shares.send(carol.address, { kind: "text", text: "are you there?" });
    for (const each of [watching, there]) {
      await vi.waitFor(() => expect(each.shares()).toEqual([toHex(marker.shareId)]), PATIENCE);
    }

    await carol.account.rotateKeys();
    await carol.account.resetKeys(carol.password);

    await vi.waitFor(() => expect(kindsOf(watching)).toEqual(told), PATIENCE);
    await vi.waitFor(() => expect(kindsOf(there)).toEqual(told), PATIENCE);

    await carol.account.changePassword({ current: carol.password, next: "another password" });

    await vi.waitFor(() => expect(kindsOf(watching)).toContain(AccountNoticeKind.PASSWORD_CHANGED), PATIENCE);
    expect(await reasonOf(there.ended)).toBe("SESSION_INVALID");
    expect(await reasonOf(device.shares.list("received"))).toBe("SESSION_INVALID");
    expect((await carol.account.sessions()).sessions).toHaveLength(1);
  });

  it("ends when its session is revoked, and no other does", { timeout: TIMEOUT_MS }, async () => {
    const device = await onAnotherDevice(bob);
    const [revoked, kept] = [watch(device), watch(bob.account)];
    const known = await sendToBob("to both");
    for (const each of [revoked, kept]) {
      await vi.waitFor(() => expect(each.shares()).toContain(known), PATIENCE);
    }

    await bob.account.revokeSession(device.credentials.sessionId);

    expect(await reasonOf(revoked.ended)).toBe("SESSION_INVALID");
    const next = await sendToBob("to one");
    await vi.waitFor(() => expect(kept.shares()).toContain(next), PATIENCE);
    expect(revoked.shares()).not.toContain(next);
  });

  it("ends when its account is deleted, and says so", { timeout: TIMEOUT_MS }, async () => {
    const dave = await signUp(pair().env, "dave@partner.test");
    const watching = watch(dave.account);
    const marker = await dave.account.shares.send(dave.address, { kind: "text", text: "still here" });
    await vi.waitFor(() => expect(watching.shares()).toEqual([toHex(marker.shareId)]), PATIENCE);

    await dave.account.delete(dave.password);

    expect(await reasonOf(watching.ended)).toBe("SESSION_INVALID");
    expect(watching.events.at(-1)).toMatchObject({ notice: { kind: AccountNoticeKind.ACCOUNT_DELETED } });
    expect(await reasonOf(signUp(pair().env, "dave@partner.test"))).toBe("ADDRESS_TAKEN");
  });
});
