// What must be on no server is on none: a whole flow with everything that is logged at the lowest level kept, and then both
// the logs and the files of the databases searched for every secret in it.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { searchDisk } from "../../src/cli/demo/disk-search.ts";
import { loginKeyOf } from "../../src/client/sign-in.ts";
import { fromHex, randomBytes, toHex, utf8 } from "../../src/crypto/bytes.ts";
import { delivered, environment, type Person, reasonOf, signUp } from "../support/clients.ts";
import { startTestNodes, type TestNode } from "../support/nodes.ts";

const TIMEOUT_MS = 120_000;

describe("the disk and the log of a node", () => {
  let nodes: TestNode[];
  const needles: { name: string; bytes: Uint8Array }[] = [];

  beforeAll(async () => {
    nodes = await startTestNodes({ domain: "acme.test" }, { domain: "partner.test" });
  }, TIMEOUT_MS);

  afterAll(async () => {
    await Promise.all((nodes ?? []).map((node) => node.remove()));
  }, TIMEOUT_MS);

  async function addNeedlesOf({ account, address, password, signedIn }: Person): Promise<void> {
    needles.push(
      { name: `password of ${address}`, bytes: utf8(password) },
      { name: `account key of ${address}`, bytes: signedIn.accountKey },
      { name: `token of ${address}`, bytes: utf8(signedIn.credentials.sessionToken) },
      {
        name: `bytes of the token of ${address}`,
        bytes: Buffer.from(signedIn.credentials.sessionToken, "base64url"),
      },
    );
    needles.push({
      name: `login key of ${address}`,
      bytes: await loginKeyOf(signedIn.credentials, password, {}),
    });
    for (const { keySet, seeds } of await account.keyRing()) {
      for (const [algorithm, bytes] of Object.entries(seeds)) {
        needles.push({ name: `${algorithm} seed ${keySet.number} of ${address}`, bytes });
      }
    }
  }

  it("hold nothing that opens or says anything", { timeout: TIMEOUT_MS }, async () => {
    const env = environment(nodes);
    const alice = await signUp(env, "alice@acme.test");
    const bob = await signUp(env, "bob@partner.test");
    const texts = {
      text: toHex(randomBytes(20)),
      name: `item ${toHex(randomBytes(8))}`,
      field: toHex(randomBytes(8)),
    };
    const file = randomBytes(40_000);

    for (const content of [
      { kind: "text", text: texts.text },
      { kind: "secret", name: texts.name, fields: [{ name: texts.field, value: texts.text }] },
      { kind: "file", name: texts.name, mediaType: "application/x-secret", content: file },
    ] as const) {
      const { shareId } = await alice.account.shares.send(bob.address, content);
      await delivered(alice, shareId);
      expect((await bob.account.shares.open(shareId)).content).toEqual(content);
    }
    await alice.account.rotateKeys();
    await addNeedlesOf(alice); // before what follows makes the password another one
    await addNeedlesOf(bob);
    const next = `another password ${toHex(randomBytes(8))}`;
    await alice.account.changePassword({ current: alice.password, next });
    const wrong = `wrong password ${toHex(randomBytes(8))}`;
    expect(await reasonOf(alice.account.resetKeys(wrong))).toBe("LOGIN_FAILED");
    await bob.account.resetKeys(bob.password);
    await addNeedlesOf(bob);
    needles.push(
      { name: "new password", bytes: utf8(next) },
      { name: "wrong password", bytes: utf8(wrong) },
      { name: "text", bytes: utf8(texts.text) },
      { name: "name", bytes: utf8(texts.name) },
      { name: "field", bytes: utf8(texts.field) },
      { name: "beginning of the file", bytes: file.subarray(0, 64) },
      { name: "end of the file", bytes: file.subarray(-64) },
      { name: "bytes of the text", bytes: fromHex(texts.text) },
    );

    for (const node of nodes) {
      expect(node.log.length).toBeGreaterThan(20);
      // What was logged lies beside the database then, and is searched in the same spellings.
      await writeFile(join(node.folder, "node.log"), node.log.join(""));
      expect(await searchDisk(node.folder, needles)).toEqual([]);
    }
    await Promise.all(nodes.map((node) => node.stop()));
    for (const node of nodes) expect(await searchDisk(node.folder, needles)).toEqual([]);
  });

  it("would show a secret that is there, in each spelling", { timeout: TIMEOUT_MS }, async () => {
    const [{ folder }] = nodes as [TestNode, TestNode];
    const secret = randomBytes(32);
    const spellings = [
      secret,
      utf8(toHex(secret)),
      utf8(toHex(secret).toUpperCase()),
      utf8(Buffer.from(secret).toString("base64")),
      utf8(Buffer.concat([Buffer.from("x"), secret]).toString("base64url")),
    ];
    for (const [index, spelling] of spellings.entries()) {
      await writeFile(join(folder, `planted-${index}`), Buffer.concat([randomBytes(100), spelling]));
    }

    const found = await searchDisk(folder, [{ name: "planted", bytes: secret }]);

    expect(new Set(found.map(({ file }) => file))).toEqual(
      new Set(spellings.map((_, index) => `planted-${index}`)),
    );
  });

  it("have the account's address and public keys in them, or the search would prove nothing", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const [acme] = nodes as [TestNode, TestNode];

    const found = await searchDisk(acme.folder, [{ name: "address", bytes: utf8("alice@acme.test") }]);

    expect(found.length).toBeGreaterThan(0);
  });
});
