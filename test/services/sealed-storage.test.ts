import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomBytes } from "../../src/crypto/index.ts";
import { createPerson, type Person, startNode, type TestNode } from "./node.ts";
import { refusal } from "./refusal.ts";

const MIB = 1024 * 1024;

let node: TestNode;
let alice: Person;
beforeAll(async () => {
  node = await startNode();
  alice = await createPerson(node, "alice@acme.test");
});
afterAll(() => node.close());

describe("sealed contacts", () => {
  it("are empty, of version 0, until some are put", async () => {
    const { version, sealedContacts } = await alice.accounts.getSealedContacts({});
    expect(version).toBe(0n);
    expect(sealedContacts).toHaveLength(0);
  });

  it.each<[string, object, string]>([
    ["fewer bytes than a nonce and a tag", { sealedContacts: randomBytes(27) }, "sealed_contacts"],
    ["more than 1 MiB", { sealedContacts: new Uint8Array(MIB + 1) }, "sealed_contacts"],
    ["a version that no number holds", { expectedVersion: 2n ** 63n }, "expected_version"],
    ["a request id that is none", { requestId: "no" }, "request_id"],
  ])("are refused for %s, and nothing changes", async (_what, wrong, field) => {
    const before = node.contents();
    const put = alice.accounts.putSealedContacts({ sealedContacts: randomBytes(28), ...wrong });
    expect(await refusal(put)).toMatchObject({ code: "InvalidArgument", reason: "FIELD_INVALID", field });
    expect(node.contents()).toBe(before);
  });

  it("are replaced only by whoever saw the version before, and say which it is", async () => {
    const bob = await createPerson(node, "bob@acme.test");
    const [first, second] = [randomBytes(100), randomBytes(MIB)];
    const put = (expectedVersion: bigint, sealedContacts: Uint8Array) =>
      bob.accounts.putSealedContacts({ requestId: randomUUID(), expectedVersion, sealedContacts });
    expect(await put(0n, first)).toMatchObject({ version: 1n });
    expect(await refusal(put(0n, second))).toMatchObject({
      code: "Aborted",
      reason: "CONTACTS_CHANGED",
      metadata: { version: "1" },
    });
    expect((await bob.accounts.getSealedContacts({})).sealedContacts).toEqual(first);
    expect(await put(1n, second)).toMatchObject({ version: 2n });
    expect(await bob.accounts.getSealedContacts({})).toMatchObject({ version: 2n, sealedContacts: second });
  });

  it("answer a repeated request with the version that it made", async () => {
    const carol = await createPerson(node, "carol@acme.test");
    const request = { requestId: randomUUID(), expectedVersion: 0n, sealedContacts: randomBytes(64) };
    await carol.accounts.putSealedContacts(request);
    await carol.accounts.putSealedContacts({ expectedVersion: 1n, sealedContacts: randomBytes(64) });
    expect(await carol.accounts.putSealedContacts(request)).toMatchObject({ version: 1n });
    const other = { ...request, sealedContacts: randomBytes(64) };
    expect(await refusal(carol.accounts.putSealedContacts(other))).toMatchObject({
      reason: "REQUEST_ID_REUSED",
    });
    expect(await carol.accounts.getSealedContacts({})).toMatchObject({ version: 2n });
  });
});
