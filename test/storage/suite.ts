/** All storage behaviour, for one backend: the same tests hold whatever database stands behind the stores. */

import { afterAll, afterEach, beforeAll, describe } from "vitest";
import { type Backend, Storages } from "./fixtures.ts";
import { accountTests } from "./suites/accounts.ts";
import { domainTests } from "./suites/domains.ts";
import { keySetTests } from "./suites/key-sets.ts";
import { lifeTests } from "./suites/life.ts";
import { outboxTests } from "./suites/outbox.ts";
import { peerDomainTests } from "./suites/peer-domains.ts";
import { receivedShareTests } from "./suites/received-shares.ts";
import { sessionTests } from "./suites/sessions.ts";

/** What a group of tests opens its storages with. */
export type OpenStorages = () => Storages;

/** Declares every test of the storage layer on a backend. */
export function describeStorage(name: string, start: () => Promise<Backend>): void {
  describe(`storage on ${name}`, { timeout: 60_000 }, () => {
    let backend: Backend;
    let storages: Storages;
    const open: OpenStorages = () => storages;

    beforeAll(async () => {
      backend = await start();
      storages = new Storages(backend);
    }, 120_000);
    afterEach(() => storages.close());
    afterAll(() => backend.stop(), 60_000);

    describe("accounts", () => accountTests(open));
    describe("sessions", () => sessionTests(open));
    describe("key sets", () => keySetTests(open));
    describe("received shares", () => receivedShareTests(open));
    describe("domains", () => domainTests(open));
    describe("outbox", () => outboxTests(open));
    describe("domains of peers", () => peerDomainTests(open));
    describe("life of a database", () => lifeTests(open, () => backend));
  });
}
