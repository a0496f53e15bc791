import { describe, expect, it } from "vitest";
import { ProtocolError } from "../../src/protocol/errors.ts";

describe("a protocol error", () => {
  it("carries its reason, its field and what caused it", () => {
    const cause = new Error("lower down");
    const error = new ProtocolError("ADDRESS_INVALID", "local part is empty", { field: "address", cause });

    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: "ProtocolError",
      reason: "ADDRESS_INVALID",
      message: "local part is empty",
      field: "address",
      cause,
    });
  });

  it("has neither field nor cause unless they are given", () => {
    const error = new ProtocolError("ADDRESS_INVALID", "address is empty");

    expect(error.field).toBeUndefined();
    expect("cause" in error).toBe(false);
  });
});
