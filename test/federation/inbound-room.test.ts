import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRoom, type Size } from "../../src/federation/inbound-room.ts";

const of = (envelopes: number, bytes = envelopes): Size => ({ envelopes, bytes });
const never = new AbortController().signal;

/** Lets everything happen that waits for nothing but its turn. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("room for what is undecided", () => {
  it("leaves somebody who comes later as much as anybody has", () => {
    const room = createRoom(of(120));
    const fill = (carrier: string) => {
      let taken = 0;
      while (room.enter(carrier, of(1))) taken += 1;
      return taken;
    };
    expect(fill("a")).toBe(60);
    expect(fill("b")).toBe(30);
    room.leave("a", of(30));
    expect(fill("c")).toBe(30);
    expect(["a", "b", "c"].map(fill)).toEqual([0, 0, 0]);
  });

  it("counts bytes as well as envelopes", () => {
    const room = createRoom(of(100, 1_000));
    expect(room.enter("a", of(1, 500))).toBe(true);
    expect(room.enter("a", of(1, 1))).toBe(false);
    expect(room.enter("b", of(1, 501))).toBe(false);
    expect(room.enter("b", of(1, 500))).toBe(true);
  });

  it("takes what is larger than all of it when there is nothing else", () => {
    const room = createRoom(of(10));
    expect(room.enter("a", of(20))).toBe(true);
    expect(room.enter("b", of(1))).toBe(false);
    room.leave("a", of(20));
    expect(room.enter("b", of(1))).toBe(true);
    expect(room.enter("a", of(20))).toBe(false);
  });

  it("lets those who wait in by turns, however many of one wait", async () => {
    const room = createRoom(of(10));
    expect(room.enter("x", of(10))).toBe(true);
    const order: string[] = [];
    for (const name of ["a1", "a2", "a3", "b1", "c1"]) {
      void room.wait(name.slice(0, 1), of(2), never).then(() => order.push(name));
    }
    await settle();
    expect(order).toEqual([]);
    room.leave("x", of(10));
    await settle();
    expect(order).toEqual(["a1", "b1", "c1"]);
    room.leave("b", of(2));
    await settle();
    expect(order).toEqual(["a1", "b1", "c1", "a2"]);
  });

  it("lets nobody overtake a large batch that waits for others to leave", async () => {
    const room = createRoom(of(10));
    expect(room.enter("x", of(8))).toBe(true);
    let isIn = false;
    void room.wait("large", of(6), never).then(() => {
      isIn = true;
    });
    expect(room.enter("small", of(1))).toBe(false);
    room.leave("x", of(8));
    await settle();
    expect(isIn).toBe(true);
    expect(room.enter("small", of(1))).toBe(true);
  });

  it("forgets who no longer waits, and lets in who came behind", async () => {
    const room = createRoom(of(10));
    expect(room.enter("x", of(8))).toBe(true);
    const leaving = new AbortController();
    const first = room.wait("a", of(6), leaving.signal);
    let secondIsIn = false;
    void room.wait("b", of(1), never).then(() => {
      secondIsIn = true;
    });
    await settle();
    expect(secondIsIn).toBe(false);
    leaving.abort(new Error("left"));
    await expect(first).rejects.toThrow("left");
    await settle();
    expect(secondIsIn).toBe(true);
    await expect(room.wait("c", of(1), leaving.signal)).rejects.toThrow("left");
  });

  it("never holds more than it has, forgets nobody, and is empty in the end", async () => {
    const step = fc.record({
      carrier: fc.constantFrom("a", "b", "c", "d"),
      envelopes: fc.integer({ min: 1, max: 12 }),
      bytes: fc.integer({ min: 1, max: 120 }),
      waits: fc.boolean(),
      leaves: fc.nat({ max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const room = createRoom(of(20, 200));
        const inside: { carrier: string; size: Size }[] = [];
        let waiting = 0;
        const leave = () => {
          const one = inside.shift();
          if (one !== undefined) room.leave(one.carrier, one.size);
        };
        for (const { carrier, envelopes, bytes, waits, leaves } of steps) {
          const size = { envelopes, bytes };
          if (waits) {
            waiting += 1;
            void room.wait(carrier, size, never).then(() => {
              waiting -= 1;
              inside.push({ carrier, size });
            });
          } else if (room.enter(carrier, size)) inside.push({ carrier, size });
          await Promise.resolve();
          const held = (part: keyof Size) => inside.reduce((sum, one) => sum + one.size[part], 0);
          expect(held("envelopes")).toBeLessThanOrEqual(20);
          expect(held("bytes")).toBeLessThanOrEqual(200);
          for (let i = 0; i < leaves; i++) leave();
          await Promise.resolve();
        }
        while (inside.length > 0) {
          leave();
          await settle();
        }
        expect(waiting).toBe(0);
        expect(room.enter("e", of(20, 200))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});
