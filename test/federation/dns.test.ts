// DNS as federation uses it, asked at a real server over UDP and TCP.

import dgram from "node:dgram";
import { once } from "node:events";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createAddressLookup } from "../../src/federation/dns-addresses.ts";
import { createTxtLookup } from "../../src/federation/dns-txt.ts";
import { type DnsRecords, type DnsTrouble, startDnsServer } from "../support/dns-server.ts";

vi.setConfig({ testTimeout: 30_000 });

async function server(records: Readonly<Record<string, DnsRecords | DnsTrouble>>) {
  const dns = await startDnsServer(records);
  onTestFinished(() => dns.close());
  return dns;
}

async function txt(entry: DnsRecords | DnsTrouble | undefined, domain = "acme.test", timeoutMs?: number) {
  const dns = await server(entry === undefined ? {} : { "_keypears.acme.test": entry });
  return createTxtLookup({ servers: [dns.address], timeoutMs })(domain);
}

describe("a TXT look-up", () => {
  it("gives every record at _keypears. with its chunks", async () => {
    const dns = await server({ "_keypears.acme.test": { txt: [["v=kp2; h=", "00"], "v=spf1 -all"] } });
    const found = await createTxtLookup({ servers: [dns.address] })("acme.test");
    expect(found).toEqual({ kind: "found", records: [["v=kp2; h=", "00"], ["v=spf1 -all"]] });
    expect(dns.questions).toEqual(["TXT _keypears.acme.test"]);
  });

  it("asks again over TCP for what is too large for a datagram", async () => {
    const dns = await server({ "_keypears.acme.test": { txt: ["x".repeat(2_000)] } });
    const found = await createTxtLookup({ servers: [dns.address] })("acme.test");
    expect(found.kind === "found" && found.records.map((chunks) => chunks.join("").length)).toEqual([2_000]);
    expect(dns.questions.at(-1)).toBe("TXT _keypears.acme.test tcp");
  });

  it("takes a name that does not exist, and one without TXT records, for absence", async () => {
    expect(await txt(undefined)).toEqual({ kind: "absent" });
    expect(await txt({ a: ["192.0.2.1"] })).toEqual({ kind: "absent" });
  });

  it("takes a domain whose name leaves no room for the label for absence, without asking", async () => {
    const long = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(50)}.test`;
    const dns = await server({});
    expect(await createTxtLookup({ servers: [dns.address] })(long)).toEqual({ kind: "absent" });
    expect(dns.questions).toEqual([]);
  });

  it.each(["servfail", "refused", "garbage", "silence"] as const)(
    "that meets %s fails in a way that is tried again, and is no absence",
    async (trouble) => {
      expect(await txt(trouble, "acme.test", 700)).toEqual({
        kind: "failed",
        retry: true,
        message: expect.stringContaining("_keypears.acme.test"),
      });
    },
  );

  it("at a port where nobody listens fails in a way that is tried again", async () => {
    const socket = dgram.createSocket("udp4").bind(0, "127.0.0.1");
    await once(socket, "listening");
    const { port } = socket.address();
    socket.close();
    const lookUp = createTxtLookup({ servers: [`127.0.0.1:${port}`], timeoutMs: 700 });
    expect(await lookUp("acme.test")).toMatchObject({ kind: "failed", retry: true });
  });

  it("ends with the signal", async () => {
    const dns = await server({ "_keypears.acme.test": "silence" });
    const lookUp = createTxtLookup({ servers: [dns.address], timeoutMs: 3_600_000 });
    const ending = new AbortController();
    const asked = lookUp("acme.test", ending.signal);
    await vi.waitFor(() => expect(dns.questions).toHaveLength(1), 10_000);
    ending.abort();
    expect(await asked).toMatchObject({ kind: "failed", retry: true });
    expect(await lookUp("acme.test", ending.signal)).toMatchObject({ kind: "failed", retry: true });
    expect(dns.questions).toHaveLength(1);
  });
});

describe("an address look-up at named servers", () => {
  async function addresses(records: Readonly<Record<string, DnsRecords | DnsTrouble>>, host: string) {
    const dns = await server(records);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    createAddressLookup([dns.address])(host, { all: true }, (error, found) => resolve(error?.code ?? found));
    return promise;
  }

  it("gives all addresses of a name", async () => {
    expect(await addresses({ "acme.test": { a: ["192.0.2.1", "192.0.2.2"] } }, "acme.test")).toEqual([
      { address: "192.0.2.1", family: 4 },
      { address: "192.0.2.2", family: 4 },
    ]);
  });

  it("tells a name that does not exist, or has no address, from a server that fails", async () => {
    expect(await addresses({}, "acme.test")).toBe("ENOTFOUND");
    expect(await addresses({ "acme.test": { txt: ["x"] } }, "acme.test")).toBe("ENOTFOUND");
    expect(await addresses({ "acme.test": "servfail" }, "acme.test")).toBe("ESERVFAIL");
  });

  it("leaves localhost to this machine", async () => {
    expect(await addresses({}, "localhost")).toContainEqual({ address: "127.0.0.1", family: 4 });
  });
});
