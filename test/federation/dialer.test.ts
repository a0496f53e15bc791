import { describe, expect, it } from "vitest";
import { connectionError } from "../../src/federation/dialer.ts";
import { PeerError } from "../../src/federation/errors.ts";
import { startTcp } from "../support/hostile-server.ts";
import { createTestNetwork } from "./network.ts";

describe("an error of a connection", () => {
  it("that is a bug stays what it is, so that it does not pass for a peer's fault", () => {
    const bug = new TypeError("undefined is not a function");
    expect(() => connectionError("host.test", bug)).toThrow(bug);
    expect(() => connectionError("host.test", "thrown text")).toThrow("thrown text");
  });

  it("is found beneath what was wrapped around it", () => {
    const cause = new PeerError("PEER_ADDRESS_FORBIDDEN", "host.test", "no");
    expect(connectionError("host.test", new Error("outer", { cause: new Error("inner", { cause }) }))).toBe(
      cause,
    );
    const refused = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
    expect(connectionError("host.test", new Error("outer", { cause: refused }))).toMatchObject({
      reason: "PEER_UNREACHABLE",
      domain: "host.test",
      retryable: true,
    });
  });

  it.each([
    ["CERT_HAS_EXPIRED", "PEER_TLS_FAILED"],
    ["CERT_REVOKED", "PEER_TLS_FAILED"],
    ["SELF_SIGNED_CERT_IN_CHAIN", "PEER_TLS_FAILED"],
    ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "PEER_TLS_FAILED"],
    ["EPROTO", "PEER_TLS_FAILED"],
    ["HPE_INVALID_CONSTANT", "PEER_RESPONSE_INVALID"],
    ["ERR_HTTP2_ERROR", "PEER_RESPONSE_INVALID"],
    ["EHOSTUNREACH", "PEER_UNREACHABLE"],
    ["ETIMEDOUT", "PEER_UNREACHABLE"],
  ])("with the code %s is %s", (code, reason) => {
    const error = Object.assign(new Error("secret-of-the-peer"), { code });
    const failure = connectionError("host.test", error);
    expect(failure).toMatchObject({ reason, cause: error });
    expect(failure.message).not.toContain("secret-of-the-peer");
  });
});

describe("closing the dialer", () => {
  it("ends every socket, ready or not", async () => {
    const server = await startTcp((socket) => socket.resume());
    const { dialer } = createTestNetwork({ ports: { "host.test": server.port } });
    const socket = dialer.open({ scheme: "https", host: "host.test", port: 443 }, ["h2"]);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await expect.poll(() => server.connections(), { timeout: 5_000 }).toBe(1);
    dialer.close();
    await closed;
    await expect.poll(() => server.open().length, { timeout: 5_000 }).toBe(0);
  });
});
