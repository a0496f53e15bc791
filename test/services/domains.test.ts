// Hosting domains for their owners: what a claim has to show, how it is checked again, and when the node speaks for a domain.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RegistrationMode } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { HostedDomainState } from "../../gen/keypears/v1/domain_service_pb.ts";
import { DeliveryOutcome } from "../../gen/keypears/v1/federation_service_pb.ts";
import { randomBytes } from "../../src/crypto/index.ts";
import { parseAuthorizationBody } from "../../src/protocol/domain-authorization.ts";
import { generateCompositeKeyPair } from "../../src/protocol/domain-key.ts";
import { verifyProofSignature } from "../../src/protocol/domain-proof.ts";
import { createDomainRound } from "../../src/services/domain-schedule.ts";
import { rotateNodeKey } from "../../src/services/node-keys.ts";
import {
  API_URL,
  createPerson,
  creationRequest,
  deliver,
  type Person,
  seal,
  startNode,
  stranger,
  type TestNode,
} from "./node.ts";
import { ownerOf, type Publisher, publisher } from "./owner.ts";
import { refusal } from "./refusal.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const DOMAIN = "owner.test";
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let published: Publisher;
let node: TestNode;
let alice: Person;
let mallory: Person;
let owner: ReturnType<typeof ownerOf>;

beforeEach(async () => {
  published = publisher();
  node = await startNode({ lookUpPublished: (domain) => published.lookUp(domain) });
  alice = await createPerson(node, "alice@acme.test");
  mallory = await createPerson(node, "mallory@acme.test");
  owner = ownerOf(DOMAIN, node, published);
  owner.publish();
});
afterEach(() => node.close());

/** Runs the scheduled checks until `ms` have passed. */
async function pass(ms: number): Promise<void> {
  const round = createDomainRound(node.context);
  for (let passed = 0; passed < ms; passed += Math.min(ms, 10 * MINUTE)) {
    node.advance(Math.min(ms, 10 * MINUTE));
    await round(new AbortController().signal);
  }
}

async function stateOf(domain = DOMAIN): Promise<HostedDomainState> {
  return (await node.storage.domains.get(domain))?.state === "ACTIVE"
    ? HostedDomainState.ACTIVE
    : HostedDomainState.SUSPENDED;
}

async function openTo(person: Person, mode = RegistrationMode.OPEN): Promise<void> {
  await person.domains.updateDomain({
    domain: { domain: DOMAIN, registrationMode: mode },
    updateMask: { paths: ["registration_mode"] },
  });
}

describe("a claim", () => {
  it("makes its maker the domain's administrator, and the node serve the domain", async () => {
    const domain = await owner.claim(alice);
    expect(domain).toMatchObject({
      domain: DOMAIN,
      administrator: alice.address,
      state: HostedDomainState.ACTIVE,
      serial: 1n,
      registrationMode: RegistrationMode.INVITATION,
      accounts: 0,
    });
    expect(domain.checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        "document",
        "api-url",
        "domain-key",
        "authorization",
        "dates",
        "node-key",
        "dns",
      ]),
    );
    expect(node.context.domains.service(DOMAIN)).toBe("active");
    expect(node.context.domains.documentKey(DOMAIN)).toEqual({ domainPubKeyHash: owner.keyHash });
    expect((await alice.domains.listDomains({})).domains).toHaveLength(1);
    expect((await mallory.domains.listDomains({})).domains).toHaveLength(0);
  });

  const unproven: readonly [string, string, () => unknown, object?][] = [
    ["of a domain that publishes nothing", "document", () => published.documents.delete(DOMAIN)],
    ["of a domain with a document of version 1", "document", () => owner.publish({ version: 1 })],
    [
      "of a domain that names another host",
      "api-url",
      () => owner.publish({ apiUrl: "https://other.test/api" }),
    ],
    ["of a domain that names another key", "domain-key", () => owner.publish({ keyHash: "0".repeat(64) })],
    ["whose authorization is revoked", "serial", () => owner.publish({ minSerial: 2 })],
    ["that DNS contradicts", "dns", () => published.txt.set(DOMAIN, [`v=kp2; h=${"0".repeat(64)}`])],
    ["with an authorization for another domain", "authorization", () => {}, { domain: "other.test" }],
    ["with an authorization for another host", "api-url", () => {}, { apiUrl: "https://other.test/api" }],
    [
      "with an authorization that does not hold yet",
      "dates",
      () => {},
      { notBefore: Date.UTC(2027, 0, 1), notAfter: Date.UTC(2027, 5, 1) },
    ],
    [
      "with an authorization that has ended",
      "dates",
      () => {},
      { notBefore: Date.UTC(2025, 0, 1), notAfter: Date.UTC(2025, 5, 1) },
    ],
    [
      "with an authorization of another node's key",
      "node-key",
      () => {},
      { nodePublicKeys: [generateCompositeKeyPair().publicKey] },
    ],
  ];
  it.each(unproven)("%s is refused, and says that %s is missing", async (_, check, arrange, terms = {}) => {
    const request = await owner.claimRequest(alice, terms);
    arrange();
    const before = node.contents();
    const refused = await refusal(alice.domains.completeClaim(request));
    expect(refused).toMatchObject({
      code: "FailedPrecondition",
      reason: "CLAIM_UNPROVEN",
      metadata: { domain: DOMAIN, check },
    });
    expect(refused.metadata[check]).toBe(refused.message);
    expect(node.contents()).toBe(before);
    // What is missing can be mended, and the same claim completed.
    if (Object.keys(terms).length > 0) return;
    owner.publish();
    published.txt.clear();
    expect((await alice.domains.completeClaim(request)).domain?.state).toBe(HostedDomainState.ACTIVE);
  });

  it("of a domain that cannot be asked at present is put off", async () => {
    const request = await owner.claimRequest(alice);
    published.unreachable.add(DOMAIN);
    expect(await refusal(alice.domains.completeClaim(request))).toMatchObject({
      code: "Unavailable",
      reason: "PEER_UNREACHABLE",
    });
    expect(await node.storage.domains.get(DOMAIN)).toBeUndefined();
  });

  it("by one who does not hold the domain's key is refused", async () => {
    const thief = ownerOf(DOMAIN, node, published);
    expect(await refusal(thief.claim(mallory))).toMatchObject({
      reason: "CLAIM_UNPROVEN",
      metadata: { check: "domain-key" },
    });
    const request = await thief.claimRequest(mallory);
    // The public key and the authorization are the owner's, as anybody can have them; the signature is not.
    const copied = {
      ...request,
      domainPublicKey: owner.keys.publicKey,
      authorization: await owner.authorize(),
    };
    expect(await refusal(mallory.domains.completeClaim(copied))).toMatchObject({
      code: "InvalidArgument",
      reason: "DOMAIN_CLAIM_INVALID",
      field: "signature",
    });
    const forged = { ...(await owner.claimRequest(alice)), authorization: await thief.authorize() };
    expect(await refusal(alice.domains.completeClaim(forged))).toMatchObject({
      reason: "DOMAIN_AUTHORIZATION_INVALID",
    });
  });

  it("signed for another node, another administrator or another API is refused here", async () => {
    for (const signed of [
      { nodePublicKey: generateCompositeKeyPair().publicKey },
      { administrator: mallory.address },
      { apiUrl: "https://rogue.test/api" },
      { nonce: randomBytes(32) },
    ]) {
      const request = await owner.claimRequest(alice, {}, signed);
      expect(await refusal(alice.domains.completeClaim(request))).toMatchObject({
        reason: "DOMAIN_CLAIM_INVALID",
      });
    }
  });

  it("with a nonce of another node, account or domain, spent or expired, is refused", async () => {
    const invalid = { code: "FailedPrecondition", reason: "CHALLENGE_INVALID" };
    const request = await owner.claimRequest(alice);
    const relayed = { ...(await owner.claimRequest(alice, {}, {})), nonce: randomBytes(32) };
    expect(await refusal(alice.domains.completeClaim(relayed))).toMatchObject(invalid);
    expect(await refusal(mallory.domains.completeClaim(request))).toMatchObject(invalid);
    const longer = { ...request, expiresAt: request.expiresAt + 1n };
    expect(await refusal(alice.domains.completeClaim(longer))).toMatchObject(invalid);
    const other = ownerOf("other.test", node, published);
    other.publish();
    const crossed = {
      ...(await other.claimRequest(alice)),
      nonce: request.nonce,
      expiresAt: request.expiresAt,
    };
    expect(await refusal(alice.domains.completeClaim(crossed))).toMatchObject(invalid);

    await alice.domains.completeClaim(request);
    const before = node.contents();
    expect(await refusal(alice.domains.completeClaim(request))).toMatchObject(invalid);
    expect(node.contents()).toBe(before);

    const late = await owner.claimRequest(alice);
    node.advance(15 * MINUTE);
    expect(await refusal(alice.domains.completeClaim(late))).toMatchObject(invalid);
  });

  it("for the node's own domain, or a name made to mislead, does not even begin", async () => {
    expect(await refusal(alice.domains.beginClaim({ domain: "acme.test" }))).toMatchObject({
      code: "AlreadyExists",
      reason: "DOMAIN_CLAIMED",
    });
    for (const domain of ["pаypal.test", "раураӏ.test"]) {
      expect(await refusal(alice.domains.beginClaim({ domain }))).toMatchObject({
        code: "InvalidArgument",
        reason: "DOMAIN_NAME_MISLEADING",
      });
    }
  });

  it("to a hosted domain under another key is refused, whatever the domain publishes", async () => {
    await owner.claim(alice);
    const thief = ownerOf(DOMAIN, node, published);
    thief.publish();
    const before = await node.storage.domains.get(DOMAIN);
    expect(await refusal(thief.claim(mallory, { serial: 9 }))).toMatchObject({
      code: "AlreadyExists",
      reason: "DOMAIN_CLAIMED",
    });
    expect(await node.storage.domains.get(DOMAIN)).toEqual(before);
  });

  it("by the known key gives the domain another administrator, with no lower serial", async () => {
    await owner.claim(alice, { serial: 5 });
    expect(await refusal(owner.claim(mallory, { serial: 4 }))).toMatchObject({ reason: "SERIAL_TOO_LOW" });
    expect(await refusal(owner.claim(mallory, { serial: 5, notAfter: node.now() + DAY }))).toMatchObject({
      reason: "SERIAL_TOO_LOW",
    });
    expect(await owner.claim(mallory, { serial: 6 })).toMatchObject({ administrator: mallory.address });
    expect(await refusal(alice.domains.getDomain({ domain: DOMAIN }))).toMatchObject({
      code: "PermissionDenied",
      reason: "NOT_ADMINISTRATOR",
    });
  });

  it("is refused where an account, or the node, has as many domains as it may", async () => {
    const small = await startNode({
      lookUpPublished: (domain) => published.lookUp(domain),
      hosting: { maxPerAdministrator: 1, maxDomains: 2 },
    });
    try {
      const people = await Promise.all(
        ["a", "b", "c"].map((name) => createPerson(small, `${name}@acme.test`)),
      );
      const claim = (index: number, domain: string) => {
        const one = ownerOf(domain, small, published);
        one.publish();
        return one.claim(people[index]!);
      };
      await claim(0, "one.test");
      expect(await refusal(claim(0, "two.test"))).toMatchObject({ reason: "QUOTA_EXCEEDED" });
      await claim(1, "two.test");
      expect(await refusal(claim(2, "three.test"))).toMatchObject({ reason: "QUOTA_EXCEEDED" });
    } finally {
      await small.close();
    }
  });

  it("costs look-ups, of which an account has so many a minute", async () => {
    const small = await startNode({
      lookUpPublished: (domain) => published.lookUp(domain),
      domainChecksPerMinute: 1,
    });
    try {
      const bob = await createPerson(small, "bob@acme.test");
      const one = ownerOf(DOMAIN, small, published);
      one.publish({ minSerial: 2 });
      expect(await refusal(one.claim(bob))).toMatchObject({ reason: "CLAIM_UNPROVEN" });
      expect(await refusal(one.claim(bob))).toMatchObject({ reason: "RATE_LIMITED" });
    } finally {
      await small.close();
    }
  });
});

describe("a renewal", () => {
  it("takes a higher serial; the same authorization again changes nothing", async () => {
    await owner.claim(alice);
    const authorization = await owner.authorize({ serial: 2 });
    const renewed = await alice.domains.renewAuthorization({ domain: DOMAIN, authorization });
    expect(renewed.domain?.serial).toBe(2n);
    const before = node.contents();
    await alice.domains.renewAuthorization({ domain: DOMAIN, authorization });
    expect(node.contents()).toBe(before);
  });

  it("with a lower serial, or the same and another body, is refused", async () => {
    await owner.claim(alice, { serial: 3 });
    const before = node.contents();
    for (const terms of [{ serial: 2 }, { serial: 3, notAfter: node.now() + DAY }]) {
      const authorization = await owner.authorize(terms);
      expect(
        await refusal(alice.domains.renewAuthorization({ domain: DOMAIN, authorization })),
      ).toMatchObject({ reason: "SERIAL_TOO_LOW", metadata: { serial: "3" } });
    }
    expect(node.contents()).toBe(before);
  });

  it("by anybody else is refused, also by the administrator of another domain", async () => {
    await owner.claim(alice);
    const other = ownerOf("other.test", node, published);
    other.publish();
    await other.claim(mallory);
    const before = node.contents();
    const authorization = await owner.authorize({ serial: 2 });
    expect(
      await refusal(mallory.domains.renewAuthorization({ domain: DOMAIN, authorization })),
    ).toMatchObject({ reason: "NOT_ADMINISTRATOR" });
    expect(node.contents()).toBe(before);
  });

  it("brings a new domain key along only where the old one vouches for it", async () => {
    await owner.claim(alice);
    const { next, rotation } = owner.rotated(2);
    next.publish();
    const request = {
      domain: DOMAIN,
      authorization: await next.authorize({ serial: 2 }),
      domainPublicKey: next.keys.publicKey,
    };
    expect(await refusal(alice.domains.renewAuthorization(request))).toMatchObject({
      reason: "DOMAIN_CLAIMED",
    });
    await alice.domains.renewAuthorization({ ...request, rotations: [rotation] });
    expect(node.context.domains.documentKey(DOMAIN)?.domainPubKeyHash).toBe(next.keyHash);
    const { proof } = await node.as().discovery.proveDomain({ domain: DOMAIN, nonce: randomBytes(32) });
    expect(proof?.rotations).toHaveLength(1);
  });
});

describe("a domain whose document this node serves itself", () => {
  const servedBy = "0a".repeat(16);

  it("takes a new key that the old one vouches for, and the document changes with it", async () => {
    await owner.claim(alice);
    owner.publish({ servedBy });
    const { next, rotation } = owner.rotated(2);
    await alice.domains.renewAuthorization({
      domain: DOMAIN,
      authorization: await next.authorize({ serial: 2 }),
      domainPublicKey: next.keys.publicKey,
      rotations: [rotation],
    });
    expect(node.context.domains.documentKey(DOMAIN)?.domainPubKeyHash).toBe(next.keyHash);
  });

  it("cannot be claimed by pointing at another domain's document here", async () => {
    const thief = ownerOf(DOMAIN, node, published);
    owner.publish({ servedBy });
    expect(await refusal(thief.claim(mallory))).toMatchObject({
      reason: "CLAIM_UNPROVEN",
      metadata: { check: "domain-key" },
    });
    await owner.claim(alice);
    published.documents.set(DOMAIN, { keyHash: "0".repeat(64), servedBy });
    const authorization = await owner.authorize({ serial: 2 });
    expect(await refusal(alice.domains.renewAuthorization({ domain: DOMAIN, authorization }))).toMatchObject({
      reason: "CLAIM_UNPROVEN",
    });
  });
});

describe("a hosted domain", () => {
  it("is suspended when what it publishes contradicts the claim, and comes back when it does not", async () => {
    await owner.claim(alice);
    owner.publish({ minSerial: 2 });
    await pass(27 * HOUR);
    expect(await stateOf()).toBe(HostedDomainState.SUSPENDED);
    expect(node.context.domains.service(DOMAIN)).toBe("suspended");
    expect(
      await refusal(node.as().discovery.proveDomain({ domain: DOMAIN, nonce: randomBytes(32) })),
    ).toMatchObject({ reason: "DOMAIN_UNPROVEN" });
    owner.publish();
    await pass(2 * HOUR);
    expect(await stateOf()).toBe(HostedDomainState.ACTIVE);
    const { records } = await alice.domains.listAuditRecords({ domain: DOMAIN });
    expect(records).toHaveLength(3);
  });

  it("is not suspended at once for a document that is missing, nor for days where nothing can be asked", async () => {
    await owner.claim(alice);
    published.unreachable.add(DOMAIN);
    await pass(5 * DAY);
    expect(await stateOf()).toBe(HostedDomainState.ACTIVE);
    await pass(4 * DAY);
    expect(await stateOf()).toBe(HostedDomainState.SUSPENDED);
    published.unreachable.clear();
    await pass(2 * HOUR);
    expect(await stateOf()).toBe(HostedDomainState.ACTIVE);
    published.documents.delete(DOMAIN);
    node.advance(MINUTE);
    await alice.domains.checkDomain({ domain: DOMAIN });
    expect(await stateOf()).toBe(HostedDomainState.ACTIVE);
    await pass(2 * HOUR);
    expect(await stateOf()).toBe(HostedDomainState.SUSPENDED);
  });

  it("tells its administrator in time that the authorization ends, and is suspended when it does", async () => {
    await owner.claim(alice, { notAfter: node.now() + 10 * DAY });
    const { domain } = await alice.domains.getDomain({ domain: DOMAIN });
    expect(domain?.checks.find(({ name }) => name === "dates")?.message).toContain("ends in 10 days");
    await pass(10 * DAY + HOUR);
    expect(await stateOf()).toBe(HostedDomainState.SUSPENDED);
  });

  it("is checked on demand, at most once a minute, for its administrator only", async () => {
    await owner.claim(alice);
    expect(await refusal(alice.domains.checkDomain({ domain: DOMAIN }))).toMatchObject({
      reason: "RATE_LIMITED",
    });
    expect(await refusal(mallory.domains.checkDomain({ domain: DOMAIN }))).toMatchObject({
      reason: "NOT_ADMINISTRATOR",
    });
    node.advance(MINUTE);
    owner.publish({ apiUrl: "https://other.test/api" });
    const { domain } = await alice.domains.checkDomain({ domain: DOMAIN });
    expect(domain?.state).toBe(HostedDomainState.SUSPENDED);
    expect(domain?.checks.find(({ name }) => name === "api-url")?.message).toContain("names another apiUrl");
  });

  it("that is suspended lets its users read, and takes and sends nothing new", async () => {
    await owner.claim(alice);
    await openTo(alice);
    const bob = await createPerson(node, `bob@${DOMAIN}`);
    await deliver(node, mallory, bob);
    owner.publish({ minSerial: 2 });
    await pass(27 * HOUR);

    expect((await bob.shares.listShares({ box: 1 })).shares).toHaveLength(1);
    expect((await bob.keySets.getKeySet({ address: bob.address })).published).toBeDefined();
    const { envelope } = seal(node, mallory, bob);
    const { results } = await node.as().federation.deliverShares({ envelopes: [envelope] });
    expect(results[0]).toMatchObject({ outcome: DeliveryOutcome.RETRY_LATER });
    const sent = seal(node, bob, stranger("x@partner.test", node)).envelope;
    expect(await refusal(bob.shares.sendShare({ envelope: sent }))).toMatchObject({
      reason: "DOMAIN_SUSPENDED",
    });
    expect(await refusal(creationRequest(node, `carol@${DOMAIN}`))).toMatchObject({
      reason: "DOMAIN_SUSPENDED",
    });
  });

  it("takes no more than it may store", async () => {
    const small = await startNode({
      lookUpPublished: (domain) => published.lookUp(domain),
      hosting: { maxStoredBytes: 1 },
    });
    try {
      const dave = await createPerson(small, "dave@acme.test");
      const one = ownerOf(DOMAIN, small, published);
      one.publish();
      await one.claim(dave);
      await dave.domains.updateDomain({
        domain: { domain: DOMAIN, registrationMode: RegistrationMode.OPEN },
        updateMask: { paths: ["registration_mode"] },
      });
      const bob = await createPerson(small, `bob@${DOMAIN}`);
      await deliver(small, dave, bob);
      await vi.waitFor(() => expect(small.context.domains.service(DOMAIN)).toBe("full"), 30_000);
      await expect(deliver(small, dave, bob)).rejects.toThrow("storage of the recipient's domain");
    } finally {
      await small.close();
    }
  });
});

describe("a proof", () => {
  it("answers the nonce with the node key that the owner authorized", async () => {
    await owner.claim(alice);
    const nonce = randomBytes(32);
    const { proof } = await node.as().discovery.proveDomain({ domain: DOMAIN, nonce });
    const terms = parseAuthorizationBody(proof!.authorization!.body);
    expect(terms).toMatchObject({ domain: DOMAIN, apiUrl: API_URL });
    expect(verifyProofSignature(proof!, terms, nonce)).toBe(true);
    expect(verifyProofSignature(proof!, terms, randomBytes(32))).toBe(false);
  });

  it("is refused for domains without a consent, and for nonces that are none", async () => {
    for (const domain of ["acme.test", "nowhere.test"]) {
      expect(
        await refusal(node.as().discovery.proveDomain({ domain, nonce: randomBytes(32) })),
      ).toMatchObject({ code: "FailedPrecondition", reason: "DOMAIN_UNPROVEN", metadata: { domain } });
    }
    expect(
      await refusal(node.as().discovery.proveDomain({ domain: DOMAIN, nonce: randomBytes(31) })),
    ).toMatchObject({ reason: "FIELD_INVALID", field: "nonce" });
  });

  it("is signed at most ten times a second, and not all for one who asks", async () => {
    await owner.claim(alice);
    const ask = (sourcePrefix: string) =>
      node.as({ sourcePrefix }).discovery.proveDomain({ domain: DOMAIN, nonce: randomBytes(32) });
    for (let signed = 0; signed < 10; signed += 1) await ask(`198.51.${signed}.0/24`);
    expect(await refusal(ask("203.0.113.0/24"))).toMatchObject({ reason: "RATE_LIMITED" });
    node.advance(1_000);
    for (let signed = 0; signed < 10; signed += 1) await refusalOrAnswer(ask("192.0.2.0/24"));
    expect(await refusal(ask("192.0.2.0/24"))).toMatchObject({ reason: "RATE_LIMITED" });
  });

  it("goes over to the next node key when that is due, if the owner authorized it", async () => {
    const { nodePublicKey } = await node.as().discovery.getNodeKeys({});
    await rotateNodeKey(node.storage.nodeKeys, node.now());
    node.advance(2 * MINUTE);
    const told = await node.as().discovery.getNodeKeys({});
    expect(told.nodePublicKey).toEqual(nodePublicKey);
    expect(told.nextNodePublicKey).toHaveLength(1_984);
    expect(Number(told.nextFrom)).toBe(node.now() - 2 * MINUTE + 30 * DAY);

    const careless = ownerOf("careless.test", node, published);
    careless.publish();
    const warned = await careless.claim(alice);
    expect(warned.checks.find(({ name }) => name === "node-key")?.message).toContain("changes its key");
    await owner.claim(alice, { nodePublicKeys: [told.nodePublicKey, told.nextNodePublicKey] });

    await pass(31 * DAY);
    const { proof } = await node.as().discovery.proveDomain({ domain: DOMAIN, nonce: randomBytes(32) });
    expect(proof?.nodePublicKey).toEqual(told.nextNodePublicKey);
    expect((await node.as().discovery.getNodeKeys({})).nodePublicKey).toEqual(told.nextNodePublicKey);
    expect(await stateOf(DOMAIN)).toBe(HostedDomainState.ACTIVE);
    expect(await stateOf("careless.test")).toBe(HostedDomainState.SUSPENDED);
    expect(await node.storage.nodeKeys.list()).toHaveLength(1);
  });
});

async function refusalOrAnswer(call: Promise<unknown>): Promise<void> {
  await call.catch(() => {});
}
