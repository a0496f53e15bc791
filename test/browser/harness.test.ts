import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { chromiumNote, findChromium, runInBrowser } from "./harness.ts";

const fixture = (name: string) => join(import.meta.dirname, "fixtures", `${name}.entry.ts`);

describe.skipIf(findChromium() === undefined)(
  `the browser harness${chromiumNote()}`,
  { timeout: 180_000 },
  () => {
    it("reports what the page threw", async () => {
      await expect(runInBrowser(fixture("throws"))).rejects.toThrow("thrown on purpose");
    });

    it("reports a module that fails while it loads", async () => {
      await expect(runInBrowser(fixture("fails-to-load"))).rejects.toThrow("failed while loading");
    });

    it("refuses to bundle a module that imports from Node", async () => {
      await expect(runInBrowser(fixture("imports-node"))).rejects.toThrow("node:fs");
    });

    it("gives up on a page that never answers", async () => {
      await expect(runInBrowser(fixture("never-ends"), { timeoutMs: 5_000 })).rejects.toThrow(
        "no result within",
      );
    });

    it("runs pages in a secure context, so that Web Cryptography is there", async () => {
      expect(await runInBrowser(fixture("secure-context"))).toEqual({ secure: true, digest: 32 });
    });
  },
);
