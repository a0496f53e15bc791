// HashService through the real services: vectors, other implementations, and callers who ask for too much.

import { createClient } from "@connectrpc/connect";
import { blake3 as nobleBlake3 } from "@noble/hashes/blake3.js";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { HashService } from "../../gen/keypears/v1/hash_service_pb.ts";
import { fromHex, randomBytes, toHex } from "../../src/crypto/index.ts";
import { hashData, MAX_HASH_STREAMS_PER_ACCOUNT } from "../../src/services/hashing.ts";
import { describeVectors } from "../crypto/shared-vectors.ts";
import { createPerson, logIn, type Person, startNode, type TestNode } from "./node.ts";
import { refusal } from "./refusal.ts";

vi.setConfig({ testTimeout: 60_000 });

let node: TestNode;
let alice: Person;
beforeAll(async () => {
  node = await startNode();
  alice = await createPerson(node, "alice@acme.test");
});
afterAll(() => node.close());

const anonymous = (at = node) => createClient(HashService, at.transport());
const of = (person: Person, at = node) => createClient(HashService, at.transport({ token: person.token }));
const reference = (data: Uint8Array, dkLen = 32) => nobleBlake3(data, { dkLen });

interface Piece {
  readonly data?: Uint8Array;
  readonly outputLength?: number;
}

async function* sent(...pieces: Piece[]): AsyncGenerator<Piece> {
  yield* pieces;
}

/** A stream whose pieces a test sends one by one. */
function slowly() {
  const waiting: { piece: Piece | undefined; taken: () => void }[] = [];
  let wake = () => {};
  const push = (piece: Piece | undefined) =>
    new Promise<void>((taken) => {
      waiting.push({ piece, taken });
      wake();
    });
  async function* pieces(): AsyncGenerator<Piece> {
    for (;;) {
      const next = waiting.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      if (next.piece === undefined) return;
      yield next.piece;
      next.taken(); // the one after it is asked for
    }
  }
  return { pieces: pieces(), send: push, end: () => void push(undefined) };
}

describe("Blake3", () => {
  it.each([1_025, 2_048, 2 ** 32 - 1])("refuses %i bytes of output", async (outputLength) => {
    expect(await refusal(anonymous().blake3({ outputLength }))).toMatchObject({
      code: "InvalidArgument",
      reason: "FIELD_INVALID",
      field: "output_length",
    });
  });

  it("draws from the budget of look-ups, for good and for bad requests, and not with a session", async () => {
    const poor = await startNode({ limits: { lookupsPerSecond: 1, lookupBurst: 2 } });
    const bob = await createPerson(poor, "bob@acme.test"); // its challenge is a look-up too
    await anonymous(poor).blake3({});
    expect((await refusal(anonymous(poor).blake3({ outputLength: 9_999 }))).reason).toBe("RATE_LIMITED");
    const refused = await refusal(anonymous(poor).blake3({}));
    expect(refused).toMatchObject({ code: "ResourceExhausted", reason: "RATE_LIMITED" });
    expect(refused.retryAfterMs).toBeGreaterThan(0);
    const elsewhere = createClient(HashService, poor.transport({ sourcePrefix: "198.51.100.0/24" }));
    await expect(elsewhere.blake3({})).resolves.toBeDefined();
    for (let i = 0; i < 5; i++) await of(bob, poor).blake3({});
    await poor.close();
  });

  it.each([1, 31, 32, 33, 64, 65, 131, 1_023, 1_024])("gives %i bytes of output", async (outputLength) => {
    const data = randomBytes(5_000);
    const { hash } = await anonymous().blake3({ data, outputLength });
    expect(toHex(hash)).toBe(toHex(reference(data, outputLength)));
  });

  it("gives 32 bytes where none are asked for", async () => {
    const { hash } = await anonymous().blake3({ data: new TextEncoder().encode("abc") });
    expect(toHex(hash)).toBe("6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
  });

  it("agrees with another implementation on data of any length", async () => {
    const client = anonymous();
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 9_000 }),
        fc.integer({ min: 1, max: 1_024 }),
        async (data, outputLength) => {
          const { hash } = await client.blake3({ data, outputLength });
          expect(toHex(hash)).toBe(toHex(reference(data, outputLength)));
        },
      ),
      { numRuns: 100 },
    );
  });

  it.each([262_143, 262_144, 262_145, 1_048_576])(
    "hashes %i bytes as one, however it slices them",
    async (length) => {
      const data = randomBytes(length);
      expect(toHex(await hashData(data))).toBe(toHex(reference(data)));
    },
  );

  it("lets others work while it hashes what is large", async () => {
    let turns = 0;
    const count = () => {
      turns += 1;
      next = setImmediate(count);
    };
    let next = setImmediate(count);
    await hashData(randomBytes(2 * 1024 * 1024));
    clearImmediate(next);
    expect(turns).toBeGreaterThanOrEqual(7);
  });
});

describe("Blake3Stream", () => {
  it("refuses too much output, whatever the later messages say", async () => {
    const pieces = sent({ outputLength: 1_025 }, { outputLength: 32 });
    expect(await refusal(of(alice).blake3Stream(pieces))).toMatchObject({
      reason: "FIELD_INVALID",
      field: "output_length",
    });
  });

  it("reads the length of the output from the first message alone", async () => {
    const pieces = sent(
      { data: Uint8Array.of(1), outputLength: 64 },
      { data: Uint8Array.of(2), outputLength: 9_999 },
    );
    const { hash } = await of(alice).blake3Stream(pieces);
    expect(toHex(hash)).toBe(toHex(reference(Uint8Array.of(1, 2), 64)));
  });

  it("takes no message and empty ones for no data", async () => {
    for (const pieces of [sent(), sent({}), sent({}, {}, { data: new Uint8Array(0) })]) {
      const { hash, bytesHashed } = await of(alice).blake3Stream(pieces);
      expect([toHex(hash), bytesHashed]).toEqual([toHex(reference(new Uint8Array(0))), 0n]);
    }
  });

  it("gives the hash of all pieces together, however they are cut", async () => {
    const client = of(alice);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 12 }),
        fc.integer({ min: 0, max: 1_024 }),
        async (pieces, outputLength) => {
          const whole = Buffer.concat(pieces);
          const messages = pieces.map((data) => ({ data, outputLength }));
          const { hash, bytesHashed } = await client.blake3Stream(sent(...messages));
          const length = pieces.length === 0 ? 32 : outputLength || 32;
          expect([toHex(hash), bytesHashed]).toEqual([toHex(reference(whole, length)), BigInt(whole.length)]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("keeps streams apart that come side by side", async () => {
    const all = Array.from({ length: MAX_HASH_STREAMS_PER_ACCOUNT }, () => randomBytes(700_000));
    const client = of(alice);
    const answers = await Promise.all(
      all.map((data) => {
        const pieces = [0, 1, 2, 3, 4, 5, 6].map((i) => ({
          data: data.subarray(i * 100_000, (i + 1) * 100_000),
        }));
        return client.blake3Stream(sent(...pieces));
      }),
    );
    expect(answers.map(({ hash }) => toHex(hash))).toEqual(all.map((data) => toHex(reference(data))));
  });

  it("gives an account so many places, each back at its end, however that comes", async () => {
    // One client, and so one instance of the service.
    const client = of(await createPerson(node, "bob@acme.test"));
    const open = Array.from({ length: MAX_HASH_STREAMS_PER_ACCOUNT }, (_, i) => {
      const leaving = new AbortController();
      const stream = slowly();
      const answer = client.blake3Stream(stream.pieces, { signal: leaving.signal });
      answer.catch(() => {}); // looked at below
      return { stream, answer, leaving, leaves: i % 2 === 0 };
    });
    for (const { stream } of open) await stream.send({ data: Uint8Array.of(1) });
    expect(await refusal(client.blake3Stream(sent()))).toMatchObject({
      code: "ResourceExhausted",
      reason: "STREAM_LIMIT",
    });
    for (const { stream, answer, leaving, leaves } of open) {
      if (leaves) {
        leaving.abort();
        await expect(answer).rejects.toThrow();
      } else {
        stream.end();
        await answer;
      }
    }
    const again = () => Promise.all(open.map(() => client.blake3Stream(sent({ data: Uint8Array.of(2) }))));
    await expect
      .poll(
        () =>
          again().then(
            () => "open",
            () => "refused",
          ),
        { timeout: 10_000 },
      )
      .toBe("open");
  });

  it("ends at once when its session is ended, also while it waits", async () => {
    const phone = await logIn(node, alice, "phone");
    const stream = slowly();
    const refused = refusal(of(phone).blake3Stream(stream.pieces));
    await stream.send({ data: Uint8Array.of(1) });
    await alice.accounts.revokeSession({ sessionId: phone.sessionId });
    expect(await refused).toMatchObject({ code: "Unauthenticated", reason: "SESSION_INVALID" });
  });

  it("goes on when another session of the account ends", async () => {
    const phone = await logIn(node, alice, "phone");
    const stream = slowly();
    const answer = of(alice).blake3Stream(stream.pieces);
    await stream.send({ data: Uint8Array.of(1) });
    await phone.accounts.logOut({});
    await stream.send({ data: Uint8Array.of(2) });
    stream.end();
    expect(toHex((await answer).hash)).toBe(toHex(reference(Uint8Array.of(1, 2))));
  });

  it("finds with a later message that its session was ended in another process", async () => {
    const silent = await startNode({ events: { emit() {}, listen: () => () => {} } });
    const bob = await createPerson(silent, "bob@acme.test");
    const phone = await logIn(silent, bob, "phone");
    const stream = slowly();
    const refused = refusal(of(phone, silent).blake3Stream(stream.pieces));
    await stream.send({ data: Uint8Array.of(1) });
    await bob.accounts.revokeSession({ sessionId: phone.sessionId });
    const sending = (async () => {
      for (;;) {
        void stream.send({ data: Uint8Array.of(2) });
        if (
          (await Promise.race([refused, new Promise((resolve) => setTimeout(resolve, 30, "open"))])) !==
          "open"
        )
          return;
      }
    })();
    expect(await refused).toMatchObject({ reason: "SESSION_INVALID" });
    await sending;
    await silent.close();
  });
});

describeVectors<{ cases: { input_len: number; hash: string }[] }>("blake3.json", ({ cases }) => {
  it("the service gives BLAKE3's published vectors, at once and in pieces", async () => {
    for (const { input_len, hash: expected } of cases) {
      const data = Uint8Array.from({ length: input_len }, (_, i) => i % 251);
      const outputLength = fromHex(expected).length;
      const whole = await anonymous().blake3({ data, outputLength });
      const half = Math.floor(input_len / 2);
      const pieces = sent({ data: data.subarray(0, half), outputLength }, { data: data.subarray(half) });
      const streamed = await of(alice).blake3Stream(pieces);
      expect([input_len, toHex(whole.hash), toHex(streamed.hash)]).toEqual([input_len, expected, expected]);
    }
  });
});
