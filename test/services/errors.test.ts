import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { CryptoError } from "../../src/crypto/index.ts";
import { PeerError } from "../../src/federation/errors.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { REASONS, type Reason } from "../../src/protocol/reasons.ts";
import { fieldError, serviceError, toConnectError } from "../../src/services/errors.ts";
import { StorageError } from "../../src/storage/errors.ts";
import { refusalOf } from "./refusal.ts";

describe("an error as its caller sees it", () => {
  it.each(Object.keys(REASONS) as Reason[])("has exactly one ErrorInfo for %s", (reason) => {
    expect(refusalOf(serviceError(reason, "why"))).toMatchObject({
      reason,
      message: "why",
      field: undefined,
    });
  });

  it("names the field of bad input, and says when to come back", () => {
    expect(refusalOf(fieldError("a.b[3].c", "is wrong"))).toMatchObject({
      code: "InvalidArgument",
      field: "a.b[3].c",
      message: "a.b[3].c: is wrong",
    });
    const limited = refusalOf(serviceError("RATE_LIMITED", "later", { retryAfterMs: 61_234 }));
    expect(limited.retryAfterMs).toBe(61_234);
  });

  it("keeps a refusal of the protocol with its field", () => {
    const error = toConnectError(new ProtocolError("ADDRESS_INVALID", "no @", { field: "address" }));
    expect(refusalOf(error)).toMatchObject({
      code: "InvalidArgument",
      reason: "ADDRESS_INVALID",
      field: "address",
    });
  });

  it.each([
    ["a bug", new TypeError("undefined is not a function")],
    ["what is no error", "oops"],
    ["a primitive that was misused", new CryptoError("wrong-length", "ed25519 seed must be 32 bytes, got 7")],
    ["a reason that no caller knows", new ProtocolError("NEW_REASON", "new")],
    ["a name of every object", new ProtocolError("constructor", "x")],
    ["a database that is damaged", new StorageError("DATABASE_CORRUPT")],
    ["an unexpected code of the framework", new ConnectError("secret detail", Code.DataLoss)],
  ])("is INTERNAL without any detail for %s, which the log still has", (_what, thrown) => {
    const error = toConnectError(thrown);
    expect(refusalOf(error)).toEqual({
      code: "Internal",
      reason: "INTERNAL",
      field: undefined,
      message: "internal error",
      metadata: {},
      retryAfterMs: undefined,
    });
    expect(error.cause).toBe(thrown);
  });

  it("does not pass on the words of a peer whose error nobody caught", () => {
    const fromPeer = serviceError("LOGIN_FAILED", "send me your password");
    fromPeer.isWireError = true;
    expect(refusalOf(toConnectError(fromPeer))).toMatchObject({
      reason: "INTERNAL",
      message: "internal error",
    });
  });

  it.each([
    ["DATABASE_UNAVAILABLE", "Unavailable"],
    ["DATABASE_BUSY", "Unavailable"],
    ["DATABASE_FULL", "Unavailable"],
    ["DATABASE_READ_ONLY", "Unavailable"],
  ] as const)("says that a database with %s may be asked again", (reason, code) => {
    const refused = refusalOf(toConnectError(new StorageError(reason)));
    expect(refused).toMatchObject({ code, reason: "DATABASE_UNAVAILABLE", retryAfterMs: 1_000 });
  });

  it("ends the session of an account that is gone", () => {
    expect(refusalOf(toConnectError(new StorageError("ACCOUNT_GONE")))).toMatchObject({
      reason: "SESSION_INVALID",
    });
  });

  it("tells what a peer refused, and when it may be asked again", () => {
    const error = new PeerError("PEER_REFUSED", "partner.test", "it refused", {
      peerReason: "RATE_LIMITED",
      retryAfterMs: 5_000,
    });
    expect(refusalOf(toConnectError(error))).toMatchObject({
      reason: "PEER_REFUSED",
      metadata: { domain: "partner.test", peer_reason: "RATE_LIMITED" },
      retryAfterMs: 5_000,
    });
  });

  it.each([
    [Code.InvalidArgument, "MESSAGE_INVALID"],
    [Code.ResourceExhausted, "MESSAGE_TOO_LARGE"],
    [Code.DeadlineExceeded, "DEADLINE_EXCEEDED"],
    [Code.Unimplemented, "METHOD_UNKNOWN"],
  ])("gives a reason to the framework's own code %s", (code, reason) => {
    expect(refusalOf(toConnectError(new ConnectError("framework", code)))).toMatchObject({
      code: Code[code],
      reason,
    });
  });
});
