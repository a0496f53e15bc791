import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { DomainProofSchema } from "../../gen/keypears/v1/domain_pb.ts";
import { parseApiUrl } from "../../src/protocol/api-url.ts";
import {
  checkDomain,
  DOMAIN_CHECKS,
  type DomainEvidence,
  type DomainReport,
} from "../../src/protocol/domain-check.ts";
import { generateCompositeKeyPair } from "../../src/protocol/domain-key.ts";
import type { DomainMemory } from "../../src/protocol/domain-memory.ts";
import { buildDomainProof } from "../../src/protocol/domain-proof.ts";
import { buildRotation } from "../../src/protocol/domain-rotation.ts";
import { formatDomainTxt } from "../../src/protocol/domain-txt.ts";
import {
  API_URL,
  authorized,
  consent,
  DAY,
  DOMAIN,
  evidence,
  hashOf,
  host,
  NOW,
  owner,
  rogue,
} from "./owned-domain.ts";
import { refusal } from "./refusal.ts";

const ROGUE_URL = "https://rogue.example/api";
const check = (given: DomainEvidence, memory?: DomainMemory, now = NOW) => checkDomain(given, memory, now);
const outcomes = ({ checks }: DomainReport) =>
  Object.fromEntries(checks.map(({ name, outcome }) => [name, outcome]));
const messageOf = ({ checks }: DomainReport, check: string) =>
  checks.find(({ name }) => name === check)?.message;

/** The names of the checks that failed. */
const failed = ({ checks }: DomainReport) =>
  checks.filter(({ outcome }) => outcome === "failed").map(({ name }) => name);

const proven = check(evidence());
const nonce = new Uint8Array(32).fill(1);
const proofOf = (given = consent(), time = NOW) => buildDomainProof(given, host, nonce, time);
const shown = (proof = proofOf(), asked = nonce) => ({ kind: "proof", proof, nonce: asked }) as const;

describe("a domain that its owner has authorized", () => {
  it("is proven by every check, in the order of the protocol", () => {
    expect(proven.standing).toBe("proven");
    expect(proven.checks.map(({ name }) => name)).toEqual([...DOMAIN_CHECKS]);
    expect(new Set(Object.values(outcomes(proven)))).toEqual(new Set(["passed"]));
    expect(proven.memory).toMatchObject({ keyHash: hashOf(owner), serial: 7, txtSeen: true, provenAt: NOW });
    expect(proven.authorization?.serial).toBe(7);
  });

  it("needs no TXT record", () => {
    const report = check(evidence(consent(), { txt: { kind: "absent" } }));
    expect(report).toMatchObject({ standing: "proven", memory: { txtSeen: false } });
  });

  it("is proven by one record of several, and whatever others say", () => {
    const records = [
      ["v=spf1 -all"],
      ["v=kp2; nonsense"],
      [formatDomainTxt({ keyHash: hashOf(rogue) })],
      [formatDomainTxt({ keyHash: hashOf(owner), minSerial: 99 })],
      [formatDomainTxt({ keyHash: hashOf(owner), minSerial: 7 })],
    ];
    expect(check(evidence(consent(), { txt: { kind: "found", records } })).standing).toBe("proven");
  });
});

describe("a host that may not", () => {
  it.each<[string, DomainEvidence, string[], string]>([
    [
      "shows an authorization by another key",
      evidence({ ...consent(), domainPublicKey: rogue.publicKey }, { keyHash: hashOf(owner) }),
      ["domain-key"],
      "publish the right hash",
    ],
    [
      "shows a domain key that is none",
      evidence({ ...consent(), domainPublicKey: new Uint8Array(5) }, { keyHash: hashOf(owner) }),
      ["domain-key"],
      "5 bytes",
    ],
    [
      "signed the authorization itself",
      evidence(consent({ authorization: authorized({}, rogue) })),
      ["authorization"],
      "does not verify",
    ],
    [
      "shows the authorization of another domain",
      evidence(consent({ authorization: authorized({ domain: "other.example" }) })),
      ["authorization"],
      "is for other.example, not for acme.example",
    ],
    [
      "shows an authorization for another URL",
      evidence(consent(), { apiUrl: ROGUE_URL }),
      ["api-url"],
      `the authorization is for ${API_URL}`,
    ],
    [
      "shows one that has ended",
      evidence(consent({ authorization: authorized({ notAfter: NOW }) })),
      ["dates"],
      "renew it",
    ],
    [
      "shows one that is to begin",
      evidence(consent({ authorization: authorized({ notBefore: NOW + 300_001 }) })),
      ["dates"],
      "holds from",
    ],
    [
      "shows a serial that the document revokes",
      evidence(consent(), { minSerial: 8 }),
      ["serial"],
      "keypears.json at acme.example asks for 8",
    ],
    [
      "shows a serial that DNS revokes",
      evidence(consent(), {
        txt: { kind: "found", records: [[formatDomainTxt({ keyHash: hashOf(owner), minSerial: 8 })]] },
      }),
      ["serial"],
      "the TXT record at _keypears.acme.example asks for 8",
    ],
    [
      "copied a proof for another nonce",
      evidence(consent(), { shown: shown(proofOf(), new Uint8Array(32).fill(2)) }),
      ["proof"],
      "does not verify",
    ],
    [
      "shows its own node key for the one authorized",
      evidence(consent(), {
        shown: shown(create(DomainProofSchema, { ...proofOf(), nodePublicKey: rogue.publicKey })),
      }),
      ["node-key", "proof"],
      "does not name this node's key",
    ],
    [
      "dates its proof back",
      evidence(consent(), { shown: shown(proofOf(consent(), NOW - 300_001)) }),
      ["proof"],
      "check the clocks",
    ],
    [
      "dates its proof ahead",
      evidence(consent(), { shown: shown(proofOf(consent(), NOW + 300_001)) }),
      ["proof"],
      "check the clocks",
    ],
    [
      "has another time than it signed",
      evidence(consent(), {
        shown: shown(create(DomainProofSchema, { ...proofOf(), time: BigInt(NOW + 1) })),
      }),
      ["proof"],
      "does not verify",
    ],
    [
      "has a time beyond all time",
      evidence(consent(), {
        shown: shown(create(DomainProofSchema, { ...proofOf(), time: 2n ** 64n - 1n })),
      }),
      ["proof"],
      "does not verify",
    ],
    [
      "shows no authorization",
      evidence(consent(), { shown: shown(create(DomainProofSchema, { domainPublicKey: owner.publicKey })) }),
      ["authorization"],
      "no authorization",
    ],
    [
      "is contradicted by DNS",
      evidence(consent(), {
        txt: { kind: "found", records: [[formatDomainTxt({ keyHash: hashOf(rogue) })]] },
      }),
      ["dns"],
      `names the domain key ${hashOf(rogue)}`,
    ],
    [
      "has a TXT record that cannot be read",
      evidence(consent(), { txt: { kind: "found", records: [["v=kp2; h=abc"]] } }),
      ["dns"],
      "cannot be read",
    ],
    [
      "refuses to prove anything",
      evidence(consent(), { shown: { kind: "failed", message: "it has no authorization", retry: false } }),
      ["proof"],
      "it has no authorization",
    ],
  ])("%s: it is refused, and the owner told why", (_, given, names, message) => {
    const report = check(given, proven.memory);
    expect(report.standing).toBe("unproven");
    expect(failed(report)).toEqual(names);
    expect(messageOf(report, names[0]!)).toContain(message);
    expect(report.memory).toEqual(proven.memory);
    expect(outcomes(report).memory).toBe("skipped");
  });

  it("is told everything that is wrong at once", () => {
    const authorization = authorized({ notAfter: NOW, nodePublicKeys: [rogue.publicKey], serial: 3 });
    const report = check({
      ...evidence(consent(), { minSerial: 5, apiUrl: ROGUE_URL }),
      shown: { kind: "consent", consent: consent({ authorization }), nodePublicKey: host.publicKey },
    });
    expect(failed(report)).toEqual(["api-url", "dates", "serial", "node-key"]);
  });

  it("cannot even make a proof with a key that is not authorized", () => {
    expect(refusal(() => buildDomainProof(consent(), rogue, nonce, NOW)).reason).toBe("DOMAIN_UNPROVEN");
  });
});

describe("what cannot be had at the moment", () => {
  const timeout = { kind: "failed", message: "the resolver did not answer", retry: true } as const;

  it.each<[string, DomainEvidence, string]>([
    ["the document", { ...evidence(), document: timeout }, "document"],
    ["the TXT record", evidence(consent(), { txt: timeout }), "dns"],
    ["the host's answer", evidence(consent(), { shown: timeout }), "proof"],
  ])("decides nothing and changes nothing: %s", (_, given, name) => {
    const memory = { ...proven.memory!, pending: { keyHash: hashOf(rogue), since: NOW, lastSeen: NOW } };
    const report = check(given, memory);
    expect(report).toMatchObject({ standing: "unknown", memory });
    expect(outcomes(report)[name]).toBe("retry");
    expect(failed(report)).toEqual([]);
  });

  it("does not hide what is wrong already", () => {
    const report = check(evidence(consent(), { txt: timeout, minSerial: 8 }));
    expect(report.standing).toBe("unproven");
  });
});

describe("a domain of version 1", () => {
  const version1: DomainEvidence = {
    domain: DOMAIN,
    document: { kind: "found", document: { version: 1, apiUrl: parseApiUrl(API_URL) } },
    txt: { kind: "absent" },
  };

  it("is what it says, and unproven", () => {
    const report = check(version1);
    expect(report).toMatchObject({ standing: "version-1", memory: undefined });
    expect(messageOf(report, "document")).toContain("not proven");
  });

  it("is a downgrade if it was proven before", () => {
    const report = check(version1, proven.memory, NOW + DAY);
    expect(report).toMatchObject({ standing: "downgraded", memory: proven.memory });
    expect(messageOf(report, "memory")).toContain("publish version 2 again");
  });

  it("is not enough for a claim", () => {
    const mine = { kind: "consent", consent: consent(), nodePublicKey: host.publicKey } as const;
    const report = check({ ...version1, shown: mine });
    expect(report.standing).toBe("unproven");
    expect(messageOf(report, "document")).toContain("publish version 2");
  });
});

describe("a host that checks itself", () => {
  const mine = { kind: "consent", consent: consent(), nodePublicKey: host.publicKey } as const;

  it("needs no proof to itself", () => {
    const report = check({ ...evidence(consent(), { shown: mine }), hostApiUrl: API_URL });
    expect(report.standing).toBe("proven");
    expect(outcomes(report)).not.toHaveProperty("proof");
  });

  it("says which URL the owner's document names for its own", () => {
    const report = check({ ...evidence(consent(), { shown: mine, apiUrl: ROGUE_URL }), hostApiUrl: API_URL });
    expect(messageOf(report, "api-url")).toBe(
      `keypears.json at acme.example names another apiUrl: ${ROGUE_URL}; this node is at ${API_URL}`,
    );
  });

  it("finds out that its own key is not authorized", () => {
    const report = check(evidence(consent(), { shown: { ...mine, nodePublicKey: rogue.publicKey } }));
    expect(failed(report)).toEqual(["node-key"]);
  });
});

describe("a new domain key", () => {
  const next = generateCompositeKeyPair();
  const rotation = buildRotation({ domain: DOMAIN, oldKey: owner, newPublicKey: next.publicKey, serial: 8 });
  const under = (serial: number, rotations = [rotation]) => ({
    domainPublicKey: next.publicKey,
    authorization: authorized({ serial }, next),
    rotations,
  });

  it("is taken with the old one's word", () => {
    const report = check(evidence(under(8)), proven.memory, NOW);
    expect(report).toMatchObject({ standing: "proven", memory: { keyHash: hashOf(next), serial: 8 } });
    expect(messageOf(report, "memory")).toContain("vouches");
  });

  it("waits without it, by the day on which it counts", () => {
    const report = check(evidence(under(8, [])), proven.memory, NOW);
    expect(report).toMatchObject({
      standing: "changed",
      memory: { keyHash: hashOf(owner), pending: { since: NOW } },
    });
    expect(messageOf(report, "memory")).toContain("2026-01-08 00:00 UTC");
  });

  it("is refused with an authorization from before the change, or a change by somebody else", () => {
    expect(failed(check(evidence(under(7)), proven.memory))).toEqual(["serial"]);
    const forged = buildRotation({ domain: DOMAIN, oldKey: rogue, newPublicKey: next.publicKey, serial: 8 });
    expect(check(evidence(under(8, [forged])), proven.memory).standing).toBe("changed");
    const elsewhere = buildRotation({
      domain: "other.example",
      oldKey: owner,
      newPublicKey: next.publicKey,
      serial: 8,
    });
    expect(failed(check(evidence(under(8, [elsewhere])), proven.memory))).toEqual(["rotation"]);
  });
});
