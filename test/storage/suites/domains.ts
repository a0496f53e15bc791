import { sql } from "kysely";
import { expect, test } from "vitest";
import { readAuditRecord, requireAuditOrder } from "../../../src/protocol/audit-record.ts";
import type { Storage } from "../../../src/storage/open.ts";
import { openForMaintenance } from "../../../src/storage/open.ts";
import type { HostedDomainRecord, NewAccount } from "../../../src/storage/stores.ts";
import { account, bytes, createAccount, DAY, NOW, range } from "../fixtures.ts";
import type { OpenStorages } from "../suite.ts";

const DOMAIN = "owner.test";
const ALICE = "alice@acme.test";
const act = { domain: DOMAIN, actor: ALICE, time: NOW };

/** A hosted domain. */
export function hostedDomain(changes: Partial<HostedDomainRecord> = {}): HostedDomainRecord {
  return {
    domain: DOMAIN,
    administrator: ALICE,
    state: "ACTIVE",
    registrationMode: "OPEN",
    consent: bytes(9_000),
    domainKeyHash: bytes(),
    serial: 1,
    notAfter: NOW + 365 * DAY,
    minSerial: 0,
    checks: "[]",
    checkedAt: NOW,
    failingSince: 0,
    nextCheckAt: NOW + DAY,
    claimedAt: NOW,
    ...changes,
  };
}

export async function claim(
  storage: Storage,
  record: HostedDomainRecord,
  seen?: Pick<HostedDomainRecord, "domainKeyHash" | "serial">,
  challenge = { id: bytes(), expiresAt: NOW + DAY },
) {
  const limits = { maxPerAdministrator: 10, maxDomains: 10 };
  return (await storage.domains.claim({ record, challenge, seen, ...limits })).kind;
}

function newcomer(name: string, admission: Partial<NewAccount["admission"] & object> = {}): NewAccount {
  return account(`${name}@${DOMAIN}`, {
    admission: { name, reserved: false, codeHash: undefined, maxAccounts: 100, ...admission },
  });
}

function invitation(changes: object = {}) {
  return {
    id: Buffer.from(bytes(16)).toString("hex"),
    name: "",
    createdAt: NOW,
    expiresAt: NOW + DAY,
    codeHash: bytes(),
    ...changes,
  };
}

/** The verified log of a domain, oldest first, as actions. */
async function log(storage: Storage, domain = DOMAIN): Promise<string[]> {
  const stored = (await storage.audit.list(domain, { limit: 1_000 })).toReversed();
  const records = stored.map(({ body, hash }) => ({
    body: readAuditRecord({ body, hash } as never, domain),
    hash,
  }));
  for (const [index, { body }] of records.entries()) requireAuditOrder(records[index - 1], body);
  return records.map(({ body }) => body.action);
}

export function domainTests(open: OpenStorages): void {
  test("a domain comes back as it was claimed, and its administrator's list has it", async () => {
    const storage = await open().fresh();
    const record = hostedDomain();
    expect(await claim(storage, record)).toBe("claimed");
    expect(await storage.domains.get(DOMAIN)).toEqual(record);
    expect(await storage.domains.list(ALICE, { limit: 10 })).toEqual([record]);
    expect(await storage.domains.list(ALICE, { limit: 10, after: DOMAIN })).toEqual([]);
    expect(await storage.domains.summaries()).toMatchObject([{ domain: DOMAIN, state: "ACTIVE" }]);
  });

  test("of ten who claim at once one is first, and a challenge is good once", async () => {
    const [one, other] = await open().pair();
    const kinds = await Promise.all(range(1, 10).map((n) => claim(n % 2 ? one : other, hostedDomain())));
    expect(kinds.filter((kind) => kind === "claimed")).toHaveLength(1);
    const challenge = { id: bytes(), expiresAt: NOW + DAY };
    expect(await claim(one, hostedDomain({ domain: "a.test" }), undefined, challenge)).toBe("claimed");
    expect(await claim(one, hostedDomain({ domain: "b.test" }), undefined, challenge)).toBe(
      "challenge-spent",
    );
    expect(await one.domains.get("b.test")).toBeUndefined();
    expect(await log(one)).toEqual(["claim.complete"]);
  });

  test("a consent is replaced only if it is the one that was seen", async () => {
    const storage = await open().fresh();
    const record = hostedDomain({ serial: 3 });
    await claim(storage, record);
    const next = hostedDomain({ serial: 4, state: "SUSPENDED" });
    const renew = (seen: HostedDomainRecord, actor = ALICE) =>
      storage.domains.renew({ ...act, actor }, { seen, consent: next, check: next });
    expect((await renew(hostedDomain({ serial: 3 }))).kind).toBe("conflict");
    expect((await renew(record, "mallory@acme.test")).kind).toBe("not-administrator");
    expect(await storage.domains.get(DOMAIN)).toEqual(record);
    expect((await renew(record)).kind).toBe("renewed");
    expect(await storage.domains.settleCheck(DOMAIN, record, record)).toBe(false);
    expect(await storage.domains.settleCheck(DOMAIN, next, { ...next, state: "ACTIVE" })).toBe(true);
    expect(await log(storage)).toEqual([
      "claim.complete",
      "authorization.renew",
      "domain.suspend",
      "domain.restore",
    ]);
  });

  test("what is due is taken by one of several", async () => {
    const [one, other] = await open().pair();
    for (const n of range(1, 6)) {
      await claim(one, hostedDomain({ domain: `d${n}.test`, nextCheckAt: NOW + n }));
    }
    const taken = await Promise.all(
      [one, other].map(({ domains }) => domains.takeDue(NOW + 5, NOW + DAY, 5)),
    );
    expect(
      taken
        .flat()
        .map(({ domain }) => domain)
        .sort(),
    ).toEqual(range(1, 5).map((n) => `d${n}.test`));
    expect(await one.domains.takeDue(NOW + 5, NOW + DAY, 5)).toEqual([]);
  });

  test("the database refuses to change or delete a record of a log", async () => {
    const { storage, url } = await open().freshWithUrl();
    await claim(storage, hostedDomain());
    if (url === undefined) return;
    await storage.close();
    const database = await openForMaintenance(url);
    try {
      for (const change of [
        sql`update audit_records set hash = body`,
        sql`delete from audit_records`,
        sql`delete from audit_records where sequence = 1`,
      ]) {
        await expect(database.write((trx) => change.execute(trx))).rejects.toThrow();
      }
    } finally {
      await database.close();
    }
    expect(await log(await open().at(url))).toEqual(["claim.complete"]);
  });

  test("an invitation makes one account, however many try at once, and a full domain none", async () => {
    const [one, other] = await open().pair();
    await claim(one, hostedDomain({ registrationMode: "INVITATION" }));
    const made = invitation();
    expect((await one.invitations.create(act, made, 1)).kind).toBe("created");
    expect((await one.invitations.create(act, invitation(), 1)).kind).toBe("too-many");
    const { codeHash } = made;
    const kinds = await Promise.all(
      range(1, 8).map(async (n) => {
        const storage = n % 2 ? one : other;
        return (await storage.accounts.create(newcomer(`n${n}`, { codeHash }))).kind;
      }),
    );
    expect(kinds.toSorted()).toEqual(["created", ...range(1, 7).map(() => "invitation-invalid")]);
    expect((await one.accounts.create(newcomer("x"))).kind).toBe("invitation-required");
    const more = invitation();
    await one.invitations.create(act, more, 1);
    const full = newcomer("x", { codeHash: more.codeHash, maxAccounts: 1 });
    expect((await one.accounts.create(full)).kind).toBe("domain-full");
    expect(await one.invitations.list(DOMAIN, { limit: 10, now: NOW })).toHaveLength(1);
    expect(await one.domains.usage(DOMAIN)).toEqual({ accounts: 1, storedBytes: 0 });
  });

  test("a refused creation spends no invitation, and a taken address none either", async () => {
    const storage = await open().fresh();
    await claim(storage, hostedDomain());
    await storage.accounts.create(newcomer("bob"));
    const { codeHash, ...made } = invitation();
    await storage.invitations.create(act, { ...made, codeHash }, 10);
    expect((await storage.accounts.create(newcomer("bob", { codeHash }))).kind).toBe("address-taken");
    expect((await storage.accounts.create(newcomer("admin", { codeHash, reserved: true }))).kind).toBe(
      "name-reserved",
    );
    expect(await storage.invitations.list(DOMAIN, { limit: 10, now: NOW })).toEqual([made]);
    expect(await storage.invitations.list(DOMAIN, { limit: 10, now: NOW + DAY })).toEqual([]);
    expect((await storage.invitations.revoke(act, made.id)).kind).toBe("revoked");
    expect((await storage.invitations.revoke(act, made.id)).kind).toBe("unknown");
  });

  test("a suspended account has no session and says so to deliveries; a removed one is gone", async () => {
    const storage = await open().fresh();
    await claim(storage, hostedDomain());
    const bob = newcomer("bob");
    await storage.accounts.create(bob);
    await createAccount(storage, "bob@other.test");
    const session = () => storage.sessions.byTokenHash(bob.session.tokenHash, NOW);
    const set = await storage.domainAccounts.setSuspended(act, bob.address, true);
    expect(set).toMatchObject({ kind: "set", endedSessionIds: [bob.session.id] });
    expect(await session()).toBeUndefined();
    expect((await storage.accounts.byAddress(bob.address))?.suspended).toBe(true);
    expect((await storage.domainAccounts.setSuspended(act, "bob@other.test", true)).kind).toBe("unknown");
    expect((await storage.domainAccounts.remove(act, "bob@other.test")).kind).toBe("unknown");
    expect((await storage.domainAccounts.remove(act, bob.address)).kind).toBe("removed");
    expect(await storage.domainAccounts.list(DOMAIN, { limit: 10 })).toEqual([]);
    expect((await storage.accounts.create(newcomer("bob"))).kind).toBe("address-taken");
    expect((await log(storage)).slice(-2)).toEqual(["account.suspend", "account.remove"]);
  });

  test("acts that come at once stand in the log one behind the other", async () => {
    const [one, other] = await open().pair();
    await claim(one, hostedDomain());
    await Promise.all(
      range(1, 12).map((n) => (n % 2 ? one : other).invitations.create(act, invitation(), 100)),
    );
    expect(await log(one)).toHaveLength(13);
  });

  test("a node key is added behind the last one only", async () => {
    const [one, other] = await open().pair();
    const key = () => ({ secretKey: bytes(64), activeFrom: NOW });
    const added = await Promise.all(range(1, 6).map((n) => (n % 2 ? one : other).nodeKeys.add(key(), 0)));
    expect(added.filter(Boolean)).toHaveLength(1);
    expect(await one.nodeKeys.add(key(), 1)).toBe(true);
    await other.nodeKeys.deleteBelow(2);
    expect((await one.nodeKeys.list()).map(({ number }) => number)).toEqual([2]);
  });
}
