import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { describeDelivery, isFinal, readDelivery, remedyFor } from "../../src/cli/delivery.ts";
import { parseDuration } from "../../src/cli/duration.ts";
import { EXIT, endingOf } from "../../src/cli/exit-codes.ts";
import { failureOf } from "../../src/cli/failure.ts";
import { describe as describeProgress } from "../../src/cli/progress.ts";
import { findShareId } from "../../src/cli/share-id.ts";
import { visible, visibleAddress, visibleLines } from "../../src/cli/visible.ts";
import { REASONS } from "../../src/protocol/reasons.ts";

describe("durations", () => {
  it.each(["", "8", "h", "-8h", "08h", "1.5h", "8H", "8h ", "8 h", "1e3s", "9999999s"])(
    "refuse %j",
    (text) => {
      expect(() => parseDuration("--for", text, "52w")).toThrow(/--for must be/);
    },
  );

  it("count in seconds, minutes, hours, days and weeks", () => {
    const all = ["45s", "30m", "8h", "7d", "4w"].map((text) => parseDuration("--for", text, "52w"));
    expect(all).toEqual([45_000, 1_800_000, 28_800_000, 604_800_000, 2_419_200_000]);
  });

  it("end at a limit, which they reach", () => {
    expect(parseDuration("--for", "7d", "7d")).toBe(604_800_000);
    expect(() => parseDuration("--for", "8d", "7d")).toThrow("at most 7d");
  });
});

describe("text of others", () => {
  it("loses every character that a terminal could obey or a reader not see", () => {
    expect(visible("a\u001b[2Jb\u202ec\u200bd\r\n")).toBe("a\\u{1b}[2Jb\\u{202e}c\\u{200b}d\\u{d}\\u{a}");
    expect(visibleLines("a\n\tb\u0007")).toBe("a\n\tb\\u{7}");
  });

  it("holds no control character after it was made visible, whatever it was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(visible(text)).not.toMatch(/[\p{C}\u2028\u2029]/u);
      }),
    );
  });

  it("shows addresses with what is suspicious about them", async () => {
    expect(await visibleAddress("alice@acme.test")).toBe("alice@acme.test");
    expect(await visibleAddress("alice@xn--bcher-kva.example")).toBe("alice@bücher.example");
    expect(await visibleAddress("p\u0430ypal@acme.test")).toContain(
      "careful: the name mixes letters of Latin, Cyrillic",
    );
    expect(await visibleAddress("no address\u001b")).toBe("no address\\u{1b}");
  });
});

describe("share ids", () => {
  const ids = ["aa".repeat(32), `aaaaab${"0".repeat(58)}`, `bbbbbb${"0".repeat(58)}`];
  const list = async (pageToken: string) =>
    pageToken === ""
      ? { ids: ids.slice(0, 2), nextPageToken: "2" }
      : { ids: ids.slice(2), nextPageToken: "" };

  it.each(["", "aaaaa", "xyzxyz", `${"aa".repeat(32)}a`])("refuse %j", async (text) => {
    await expect(findShareId(text, list)).rejects.toMatchObject({ exitCode: EXIT.usage });
  });

  it("are found by their first digits, on any page", async () => {
    expect(await findShareId("AAAAAB", list)).toBe(ids[1]);
    expect(await findShareId("bbbbbb", list)).toBe(ids[2]);
  });

  it("are refused where several begin alike, and where none does", async () => {
    const twins = async () => ({
      ids: [`${"c".repeat(60)}0000`, `${"c".repeat(60)}1111`],
      nextPageToken: "",
    });
    await expect(findShareId("cccccc", twins)).rejects.toMatchObject({ reason: "SHARE_AMBIGUOUS" });
    await expect(findShareId("dddddd", list)).rejects.toMatchObject({ exitCode: EXIT.notFound });
  });

  it("are taken as they are when they are whole", async () => {
    const whole = "ef".repeat(32);
    expect(await findShareId(whole, () => Promise.reject(new Error("was asked")))).toBe(whole);
  });
});

describe("deliveries", () => {
  it("say why they ended, and what to do", () => {
    const rejected = readDelivery({
      state: "DELIVERY_STATE_REJECTED",
      rejectionReason: "REJECTION_REASON_NOT_ACCEPTED",
      message: "no\u001b",
    });
    expect(isFinal(rejected)).toBe(true);
    expect(describeDelivery(rejected)).toBe("rejected: NOT_ACCEPTED (no\\u{1b})");
    expect(remedyFor(rejected)).toContain("another way");
  });

  it("say until when they are retried", () => {
    const queued = readDelivery({ state: "DELIVERY_STATE_QUEUED", attempts: 2 });
    expect(isFinal(queued)).toBe(false);
    expect(describeDelivery(queued, 0)).toMatch(/^queued, and will be retried until 19(?:69|70)-/);
  });

  it("are unknown where nothing is said", () => {
    expect(readDelivery({})).toMatchObject({ state: "unknown", rejectionReason: null, nextAttemptAt: null });
  });
});

describe("failures", () => {
  it("give every reason of a node's an exit code that is none of success or bug", () => {
    for (const reason of Object.keys(REASONS))
      expect(endingOf(reason).exitCode).toBeGreaterThan(EXIT.unexpected);
  });

  it("are a bug where they carry no reason", () => {
    expect(failureOf(new TypeError("x is undefined"))).toMatchObject({ exitCode: EXIT.unexpected });
    expect(failureOf("thrown text")).toMatchObject({ exitCode: EXIT.unexpected, message: "thrown text" });
  });

  it("are interruptions where a signal ended them", () => {
    expect(failureOf(AbortSignal.abort().reason)).toMatchObject({ exitCode: EXIT.interrupted });
  });
});

describe("progress", () => {
  it("shows a bar that fills and a time that is left", () => {
    expect(describeProgress({ step: "stamp", tries: 0, expected: 100 }, 0, "sending")).toBe(
      `sending: working on a stamp ${"░".repeat(20)}`,
    );
    const half = describeProgress({ step: "stamp", tries: 50, expected: 100 }, 1_000, "sending");
    expect(half).toMatch(/█{8}░{12} about 2 s$/);
  });
});
