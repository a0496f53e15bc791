/**
 * Hints between nodes over PostgreSQL's LISTEN and NOTIFY, on a connection of their own. What is told within a millisecond
 * goes in one statement, since every one takes a lock of the whole server when it commits. Nothing is promised: what could
 * not be told or heard becomes a gap, which makes everybody drop what they built on hints.
 */

import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { randomBytes, toHex } from "../crypto/bytes.ts";
import type { Hint, Hints } from "../hints.ts";
import type { Logger } from "../logger.ts";
import { StorageError, toStorageError } from "./errors.ts";
import { connectionConfig } from "./postgres-connection.ts";
import { HINTS_APPLICATION_NAME } from "./postgres-names.ts";
import { encodeNews, parseNews } from "./postgres-news.ts";

/** The channel of all nodes of a database. */
export const HINT_CHANNEL = "keypears_hints";

/** What hints over PostgreSQL are made of. */
export interface PostgresHintsOptions {
  /** `postgres://…`, straight to the server: a pooler that gives sessions away cannot listen. */
  readonly url: string;
  readonly log: Logger;
}

const SEND_PATIENCE_MS = 1_000;
const MAX_GATHERED = 1_000;
const GATHER_MS = 1;
/** A line that died without a word is found out after both of these, at the latest. */
const PROBE_INTERVAL_MS = 2_000;
const ANSWER_TIMEOUT_MS = 2_000;
const FIRST_RECONNECT_MS = 100;
const MAX_RECONNECT_MS = 5_000;

/** Begins to listen; `connected` says whether it does by now. @throws StorageError `DATABASE_CONFIGURATION`. */
export function createPostgresHints({ url, log }: PostgresHintsOptions): Hints {
  return new PostgresHints(connectionConfig(url, HINTS_APPLICATION_NAME), log);
}

/** What goes out together. */
interface Batch {
  readonly hints: Map<string, Hint>;
  readonly sent: PromiseWithResolvers<void>;
}

class PostgresHints implements Hints {
  readonly #config: pg.ClientConfig;
  readonly #log: Logger;
  /** Tells this process's own notifications from those of others. */
  readonly #id = toHex(randomBytes(8));
  readonly #listeners = new Set<(hint: Hint) => void>();
  readonly #gapListeners = new Set<() => void>();
  readonly #closing = new AbortController();
  readonly #listening: Promise<void>;
  /** The connection, while it listens. */
  #client: pg.Client | undefined;
  /** The end of what was asked on it last: one statement runs after the other. */
  #asked: Promise<unknown> = Promise.resolve();
  /** Called when a notification of this process's own comes back. */
  #heardItself = () => {};
  #gathering: Batch | undefined;
  #flushing: Promise<void> | undefined;
  /** Whether this process wanted to tell the others something and could not. */
  #untold = false;

  constructor(config: pg.ClientConfig, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#listening = this.#keepListening();
  }

  get connected(): boolean {
    return this.#client !== undefined;
  }

  async send(hint: Hint): Promise<void> {
    if (this.#client === undefined) {
      this.#untold = true;
      return;
    }
    this.#gathering ??= { hints: new Map(), sent: Promise.withResolvers() };
    const { hints, sent } = this.#gathering;
    if (hints.size < MAX_GATHERED) hints.set(JSON.stringify(hint), hint);
    else this.#untold = true;
    this.#flushSoon();
    await within(SEND_PATIENCE_MS, sent.promise);
  }

  listen(listener: (hint: Hint) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  onGap(listener: () => void): () => void {
    this.#gapListeners.add(listener);
    return () => void this.#gapListeners.delete(listener);
  }

  async close(): Promise<void> {
    await within(SEND_PATIENCE_MS, this.#flushing);
    this.#closing.abort();
    await this.#listening;
  }

  async #keepListening(): Promise<void> {
    let failures = 0;
    while (!this.#closing.signal.aborted) {
      const began = performance.now();
      const { heard, reason } = await this.#listenUntilLost();
      if (this.#closing.signal.aborted) return;
      if (heard || failures === 0) {
        this.#log.warn({ reason }, "hints of other nodes do not arrive, caches live a second meanwhile");
      }
      failures = performance.now() - began > MAX_RECONNECT_MS ? 1 : failures + 1;
      const ceiling = Math.min(MAX_RECONNECT_MS, FIRST_RECONNECT_MS * 2 ** Math.min(failures, 10));
      await this.#pause(Math.random() * ceiling);
    }
  }

  /** One life of the connection. Answers whether it listened, and why it ended. */
  async #listenUntilLost(): Promise<{ readonly heard: boolean; readonly reason: string }> {
    const client = new pg.Client(this.#config);
    const lost = Promise.withResolvers<never>();
    client.on("error", lost.reject);
    client.on("end", () => lost.reject(new StorageError("DATABASE_UNAVAILABLE")));
    client.on("notification", ({ payload }) => this.#receive(payload ?? ""));
    this.#closing.signal.addEventListener("abort", lost.reject);
    this.#asked = Promise.resolve();
    let heard = false;
    try {
      await Promise.race([this.#subscribe(client), lost.promise]);
      heard = true;
      this.#client = client;
      this.#log.info({}, "hints of other nodes arrive");
      // Whatever the others told before now was not heard.
      this.#tellGap();
      for (;;) {
        if (this.#untold) this.#flushSoon();
        await Promise.race([this.#pause(PROBE_INTERVAL_MS), lost.promise]);
        await Promise.race([this.#ask(client, "select 1"), lost.promise]);
      }
    } catch (error) {
      const cause = toStorageError(error);
      return { heard, reason: cause instanceof Error ? cause.message : "closed" };
    } finally {
      this.#client = undefined;
      this.#closing.signal.removeEventListener("abort", lost.reject);
      await within(SEND_PATIENCE_MS, client.end());
    }
  }

  /**
   * Listens, and makes sure that what is sent on another connection arrives here: a pooler takes a LISTEN too, and then gives
   * the session that listens to somebody else.
   */
  async #subscribe(client: pg.Client): Promise<void> {
    await client.connect();
    await this.#ask(client, `listen ${HINT_CHANNEL}`);
    const echo = new Promise<void>((resolve) => {
      this.#heardItself = resolve;
    });
    const other = new pg.Client(this.#config);
    other.on("error", () => {}); // what was asked on it fails
    try {
      await other.connect();
      const [payload] = encodeNews({ from: this.#id, hints: [], gap: false });
      await answered(other.query("select pg_notify($1, $2)", [HINT_CHANNEL, payload]));
    } finally {
      await within(SEND_PATIENCE_MS, other.end());
    }
    await answered(echo, "notifications do not come back: add --no-listen if a pooler stands in between");
  }

  #receive(payload: string): void {
    const news = parseNews(payload);
    if (news === undefined) return;
    if (news.from === this.#id) {
      this.#heardItself();
      return;
    }
    if (news.gap) this.#tellGap();
    for (const hint of news.hints) for (const listener of this.#listeners) listener(hint);
  }

  #tellGap(): void {
    for (const listener of this.#gapListeners) listener();
  }

  #flushSoon(): void {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
  }

  /** Sends what was gathered until nothing is left, or until it cannot. */
  async #flush(): Promise<void> {
    for (;;) {
      await this.#pause(GATHER_MS);
      const batch = this.#gathering;
      this.#gathering = undefined;
      if (batch === undefined && !this.#untold) return;
      const sent = await this.#sendBatch(batch);
      batch?.sent.resolve();
      if (!sent) return;
    }
  }

  async #sendBatch(batch: Batch | undefined): Promise<boolean> {
    const client = this.#client;
    const gap = this.#untold;
    this.#untold = false;
    try {
      if (client === undefined) throw new StorageError("DATABASE_UNAVAILABLE");
      await this.#notify(client, [...(batch?.hints.values() ?? [])], gap);
      return true;
    } catch (error) {
      // Told with the next ones, or after the next probe.
      this.#untold = true;
      this.#log.warn({ err: toStorageError(error) }, "hints could not be sent to other nodes");
      return false;
    }
  }

  async #notify(client: pg.Client, hints: readonly Hint[], gap: boolean): Promise<void> {
    for (const payload of encodeNews({ from: this.#id, hints, gap })) {
      await this.#ask(client, "select pg_notify($1, $2)", [HINT_CHANNEL, payload]);
    }
  }

  /** Runs a statement when those before it have ended. One that gets no answer in time ends the connection. */
  #ask(client: pg.Client, statement: string, values: readonly string[] = []): Promise<unknown> {
    const asked = this.#asked.then(() => answered(client.query(statement, [...values])));
    this.#asked = asked.catch((error: unknown) => {
      if (error instanceof StorageError) return client.end();
    });
    return asked;
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#closing.signal }).catch(() => {});
  }
}

/** What a promise answers within a time. @throws StorageError `DATABASE_UNAVAILABLE`, with the message if one is given. */
async function answered<T>(promise: Promise<T>, message = "database does not answer"): Promise<T> {
  const late = Promise.withResolvers<never>();
  const error = new StorageError("DATABASE_UNAVAILABLE", { message });
  const timer = setTimeout(() => late.reject(error), ANSWER_TIMEOUT_MS);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for the end of something, well or not, but no longer than so many milliseconds. */
async function within(ms: number, promise: Promise<unknown> | undefined): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  await Promise.race([promise?.catch(() => {}), late.promise]);
  clearTimeout(timer);
}
