import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutPage, pageNumber, pagePosition, pageSizeOf, pageToken } from "../../src/services/page.ts";

const LIST = "ListShares RECEIVED alice@acme.test";

function accepts(token: string, list = LIST): boolean {
  try {
    return pageNumber(list, token) !== undefined;
  } catch {
    return false;
  }
}

describe("a page token", () => {
  it("gives back its position, whatever the list is called", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme" }),
        fc.integer({ min: 1, max: 999_999_999_999_999 }),
        (list, position) => {
          expect(pageNumber(list, pageToken(list, String(position)))).toBe(position);
        },
      ),
    );
  });

  it("of one list is none of another", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, other) => {
        fc.pre(one !== other);
        expect(accepts(pageToken(one, "7"), other)).toBe(false);
      }),
    );
  });

  it("is read strictly: no other text than a token of the list is one", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), fc.string({ unit: "binary" })), (token) => {
        fc.pre(token !== "");
        expect(accepts(token)).toBe(false);
      }),
    );
    for (const position of ["0", "-1", "01", "1.5", "1e3", " 1", "", "9".repeat(16)]) {
      expect(accepts(pageToken(LIST, position))).toBe(false);
    }
    expect(accepts(`${pageToken(LIST, "12")}=`)).toBe(false);
  });

  it("is not needed for the first page", () => {
    expect(pagePosition(LIST, "", /x/)).toBeUndefined();
  });
});

describe("a page", () => {
  it("has as many rows as were asked for, at least the default and at most the maximum", () => {
    expect(pageSizeOf(0, 100, 50)).toBe(50);
    expect(pageSizeOf(1, 100, 50)).toBe(1);
    expect(pageSizeOf(2 ** 31 - 1, 100, 50)).toBe(100);
    expect(() => pageSizeOf(-1, 100, 50)).toThrow("page_size: must not be negative");
  });

  it("names the next one exactly when there is one", () => {
    const token = (last: number) => `after ${last}`;
    expect(cutPage([1, 2, 3], 2, token)).toEqual({ rows: [1, 2], nextPageToken: "after 2" });
    expect(cutPage([1, 2], 2, token)).toEqual({ rows: [1, 2], nextPageToken: "" });
    expect(cutPage([], 2, token)).toEqual({ rows: [], nextPageToken: "" });
  });
});
