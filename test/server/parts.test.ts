import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCidr } from "../../src/protocol/ip-policy.ts";
import { createBudgets } from "../../src/server/budgets.ts";
import { clientAddress } from "../../src/server/caller.ts";
import { createLogger } from "../../src/server/logging.ts";

describe("a budget", () => {
  const rates = {
    lookup: { perSecond: 50, burst: 200 },
    penalty: { perSecond: 10, burst: 100, drains: true },
  };
  const make = () => {
    const time = { now: 1_000_000 };
    return { time, budgets: createBudgets(rates, () => time.now) };
  };

  it("gives its burst at once, then its rate", () => {
    const { time, budgets } = make();
    expect(budgets.draw("lookup", "a", 200)).toBe(0);
    expect(budgets.draw("lookup", "a", 1)).toBe(20);
    time.now += 20;
    expect(budgets.draw("lookup", "a", 1)).toBe(0);
    expect(budgets.draw("lookup", "a", 1)).toBe(20);
  });

  it("counts each key and each name by itself", () => {
    const { budgets } = make();
    expect(budgets.draw("lookup", "a", 200)).toBe(0);
    expect(budgets.draw("lookup", "b", 200)).toBe(0);
    expect(budgets.draw("penalty", "a", 100)).toBe(0);
  });

  it("takes nothing for a draw that fails, unless it is a penalty", () => {
    const { budgets } = make();
    budgets.draw("lookup", "a", 150);
    expect(budgets.draw("lookup", "a", 100)).toBeGreaterThan(0);
    expect(budgets.draw("lookup", "a", 50)).toBe(0);
    budgets.draw("penalty", "a", 70);
    expect(budgets.draw("penalty", "a", 50)).toBeGreaterThan(0);
    expect(budgets.draw("penalty", "a", 1)).toBeGreaterThan(0);
  });

  it("tells without taking anything whether a point is there, and else when", () => {
    const { time, budgets } = make();
    budgets.draw("lookup", "a", 199);
    for (let i = 0; i < 3; i++) expect(budgets.look("lookup", "a")).toBe(0);
    expect(budgets.draw("lookup", "a", 1)).toBe(0);
    expect(budgets.look("lookup", "a")).toBe(20);
    time.now += 20;
    expect(budgets.look("lookup", "a")).toBe(0);
  });

  it("lets a draw above its burst through once it is full", () => {
    const { budgets } = make();
    expect(budgets.draw("lookup", "a", 1_000)).toBe(0);
    expect(budgets.draw("lookup", "a", 1_000)).toBe(4_000);
  });

  it("recovers within its time when the clock is set back", () => {
    const { time, budgets } = make();
    budgets.draw("lookup", "a", 200);
    time.now -= 3_600_000;
    const wait = budgets.draw("lookup", "a", 1);
    expect(wait).toBeLessThanOrEqual(4_000);
    time.now += wait;
    expect(budgets.draw("lookup", "a", 1)).toBe(0);
  });

  it("never gives more than burst and rate allow, and keeps the promise of its wait", () => {
    const draws = fc.array(fc.record({ pause: fc.nat(5_000), points: fc.integer({ min: 1, max: 250 }) }), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(draws, (list) => {
        const { time, budgets } = make();
        const start = time.now;
        let taken = 0;
        for (const { pause, points } of list) {
          time.now += pause;
          const wait = budgets.draw("lookup", "a", points);
          if (wait === 0) taken += Math.min(points, 200);
          else {
            time.now += wait;
            expect(budgets.draw("lookup", "a", points)).toBe(0);
            taken += Math.min(points, 200);
          }
          expect(taken).toBeLessThanOrEqual(200 + ((time.now - start) * 50) / 1_000 + 0.001);
        }
      }),
    );
  });
});

describe("the address of a client", () => {
  const proxies = [parseCidr("10.0.0.0/8"), parseCidr("::1")];

  it("is the peer's where the peer is no trusted proxy, whatever it claims", () => {
    expect(clientAddress("192.0.2.1", "198.51.100.7", proxies)).toBe("192.0.2.1");
    expect(clientAddress("10.0.0.1", "198.51.100.7", [])).toBe("10.0.0.1");
  });

  it("is the last one that no trusted proxy has", () => {
    expect(clientAddress("10.0.0.1", "198.51.100.7", proxies)).toBe("198.51.100.7");
    expect(clientAddress("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.1.1.1", proxies)).toBe("198.51.100.7");
    expect(clientAddress("::ffff:10.0.0.1", ["203.0.113.9", "2001:db8::1"], proxies)).toBe("2001:db8::1");
  });

  it("is the nearest proxy's where the header is missing or garbage", () => {
    expect(clientAddress("10.0.0.1", undefined, proxies)).toBe("10.0.0.1");
    expect(clientAddress("10.0.0.1", "unknown", proxies)).toBe("10.0.0.1");
    expect(clientAddress("10.0.0.1", "198.51.100.7, nonsense", proxies)).toBe("10.0.0.1");
    expect(clientAddress(undefined, "198.51.100.7", proxies)).toBeUndefined();
  });
});

describe("the log", () => {
  const collect = async (format: "json" | "pretty", level: "info" | "silent" = "info") => {
    const lines: string[] = [];
    const log = await createLogger({ level, format }, { write: (line) => void lines.push(line) });
    return { lines, log };
  };

  it.each(["json", "pretty"] as const)("holds back what is named like a secret (%s)", async (format) => {
    const { lines, log } = await collect(format);
    log.info(
      { authorization: "hunter2", headers: { authorization: "hunter2", deep: { token: "hunter2" } } },
      "request",
    );
    expect(lines.join("")).toContain("request");
    expect(lines.join("")).toContain("[redacted]");
    expect(lines.join("")).not.toContain("hunter2");
  });

  it("writes one JSON object a line, with level, time and an error's stack", async () => {
    const { lines, log } = await collect("json");
    log.error({ err: new TypeError("broken") }, "failed");
    log.debug({}, "not at this level");
    expect(lines).toHaveLength(1);
    const entry = JSON.parse(lines[0]!);
    expect(entry).toMatchObject({
      level: "error",
      msg: "failed",
      err: { type: "TypeError", message: "broken" },
    });
    expect(entry.err.stack).toContain("parts.test.ts");
    expect(Number.isNaN(Date.parse(entry.time))).toBe(false);
  });

  it("can be silent", async () => {
    const { lines, log } = await collect("json", "silent");
    log.error({}, "failed");
    expect(lines).toEqual([]);
  });
});
