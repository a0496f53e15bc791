import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { makeTool, startNode, type TestNode, type Tool } from "./tool.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const PASSWORDS = { alice: "correct horse alice", bob: "battery staple bob" } as const;
const SECRET = "sk_live_51f0c0ffee";

let node: TestNode;
let tool: Tool;
const alice = ["--profile", "alice"];
const bob = ["--profile", "bob"];

beforeAll(async () => {
  node = await startNode();
  tool = makeTool();
  for (const [name, address] of [
    ["alice", "alice@acme.test"],
    ["bob", "bob@partner.test"],
  ] as const) {
    const created = await tool.json(["account", "create", address, "--profile", name], {
      env: { KEYPEARS_PASSWORD: PASSWORDS[name], KEYPEARS_RESOLVE: node.resolve },
    });
    expect(created).toMatchObject({ address, apiUrl: node.apiUrl, profile: name });
    await tool.json(["unlock", "--profile", name, "--password-stdin"], { input: `${PASSWORDS[name]}\n` });
  }
});
afterAll(async () => {
  for (const profile of [alice, bob, ["--profile", "second"]]) await tool.run(["lock", ...profile]);
  await node.stop();
  tool.remove();
});

interface Sent {
  readonly id: string;
  readonly delivery: { readonly state: string };
}

const send = (args: readonly string[], input = "") =>
  tool.json<Sent>(["share", "send", "bob@partner.test", ...args, ...alice], { input });

describe("sharing", () => {
  it("brings a secret from one to the other, with its value out of the arguments", async () => {
    const { id, delivery } = await send(["API_KEY=-", "USER=app", "--name", "prod"], `${SECRET}\n`);
    expect(delivery.state).toBe("delivered");
    const listed = await tool.json<{ shares: { id: string; openedAt: number | null }[] }>([
      "share",
      "list",
      ...bob,
    ]);
    expect(listed.shares[0]).toMatchObject({ id, openedAt: null });
    expect(await tool.run(["share", "open", id.slice(0, 8), ...bob])).toMatchObject({
      code: 0,
      stdout: `API_KEY=${SECRET}\nUSER=app\n`,
    });
    const opened = await tool.json(["share", "open", id, ...bob]);
    expect(opened).toMatchObject({
      id,
      sender: "alice@acme.test",
      standing: "pinned",
      content: {
        kind: "secret",
        name: "prod",
        fields: [
          { name: "API_KEY", value: SECRET },
          { name: "USER", value: "app" },
        ],
      },
    });
    expect((await tool.run(["share", "open", id, "--field", "API_KEY", ...bob])).stdout).toBe(`${SECRET}\n`);
    expect((await tool.run(["share", "open", id, "--field", "NONE", ...bob])).code).toBe(8);
    expect(await tool.json(["share", "open", id, "--sent", ...alice])).toMatchObject({
      content: { name: "prod" },
    });
  });

  it("brings an environment file byte for byte, and shows the names of its variables alone", async () => {
    const path = join(tool.home, "prod.env");
    const content = `A=1\r\n# note\nB="x ${SECRET}"\n\nC=é`;
    writeFileSync(path, content);
    const sent = await tool.run(["share", "send", "bob@partner.test", "--env", path, ...alice]);
    expect(sent.stdout).toContain("prod.env (A, B, C)");
    expect(sent.stdout + sent.stderr).not.toContain(SECRET);
    const id = sent.stdout.split(" ")[0] ?? "";

    const out = join(tool.home, "received.env");
    await tool.json(["share", "open", id, "--out", out, ...bob]);
    expect(readFileSync(out, "utf8")).toBe(content);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    expect(await tool.run(["share", "open", id, "--out", out, ...bob])).toMatchObject({ code: 9 });
    await tool.json(["share", "open", id, "--out", out, "--force", ...bob]);
    expect((await tool.run(["share", "open", id, ...bob])).stdout).toBe(content);
    expect((await tool.run(["share", "send", "bob@partner.test", "--env", "/dev/null", ...alice])).code).toBe(
      2,
    );
  });

  it("never takes the name of a file as a path", async () => {
    const path = join(tool.home, "payload");
    writeFileSync(path, "content");
    const { id } = await send(["--file", path, "--name", "../../../escaped"]);
    const opened = await tool.json<{ content: { name: string; content: string } }>([
      "share",
      "open",
      id,
      ...bob,
    ]);
    expect(opened.content).toMatchObject({
      name: "../../../escaped",
      content: Buffer.from("content").toString("base64"),
    });
    expect(readdirSync(tool.home)).not.toContain("escaped");
  });

  it("takes a text from standard input", async () => {
    const { id } = await send(["-"], "two\nlines\n");
    expect((await tool.run(["share", "open", id, ...bob])).stdout).toBe("two\nlines\n");
  });

  it("says who is unknown, and what was refused", async () => {
    const unknown = await tool.run(["share", "send", "nobody@partner.test", "A=1", ...alice, "--json"]);
    expect(unknown).toMatchObject({ code: 8, stdout: "" });
    expect(JSON.parse(unknown.stderr).error.reason).toBe("ADDRESS_UNKNOWN");

    await tool.json(["contact", "block", "alice@acme.test", ...bob]);
    const refused = await tool.run(["share", "send", "bob@partner.test", "A=1", ...alice, "--json"]);
    expect(refused).toMatchObject({ code: 5, stdout: "" });
    expect(JSON.parse(refused.stderr).error.reason).toBe("NOT_ACCEPTED");
    await tool.json(["contact", "accept", "alice@acme.test", ...bob]);
    expect((await send(["A=1"])).delivery.state).toBe("delivered");
  });

  it("deletes what was received, and says so when it is gone", async () => {
    const { id } = await send(["A=1"]);
    expect(await tool.json(["share", "delete", id.slice(0, 10), ...bob])).toMatchObject({
      id,
      deleted: true,
    });
    expect((await tool.run(["share", "open", id, ...bob])).code).toBe(8);
    expect(await tool.json(["share", "status", id.slice(0, 10), ...alice])).toMatchObject({
      delivery: { state: "delivered" },
    });
  });

  it("watches, and ends with success on Ctrl-C", async () => {
    const watch = tool.start(["share", "watch", "--json", ...bob]);
    let seen = "";
    watch.stdout?.on("data", (chunk) => {
      seen += chunk;
    });
    let id = "";
    // The watch says nothing when it stands, so that its output stays clean: send until it shows one.
    while (!seen.includes("\n")) id = (await send(["A=1"])).id;
    watch.kill("SIGINT");
    expect((await once(watch, "exit"))[0]).toBe(0);
    const events = seen
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    for (const event of events) expect(event).toMatchObject({ event: "share", sender: "alice@acme.test" });
    expect(events.length).toBeGreaterThan(0);
    expect(id).not.toBe("");
  });

  it("works for several commands at once on one unlock", async () => {
    const runs = await Promise.all(
      Array.from({ length: 4 }, () => tool.run(["contact", "list", "--json", ...alice])),
    );
    for (const { code, stdout } of runs) {
      expect(code).toBe(0);
      expect(JSON.parse(stdout).contacts[0].address).toBe("bob@partner.test");
    }
  });
});

describe("keys and contacts", () => {
  it("accept a rotation quietly, and stop at a reset until it is confirmed by fingerprint", async () => {
    const before = await tool.json<{ fingerprint: string }>(["keys", "show", ...bob]);
    expect(
      await tool.json(["keys", "verify", "bob@partner.test", "--fingerprint", before.fingerprint, ...alice]),
    ).toMatchObject({
      matches: true,
    });
    const rotated = await tool.json<{ number: number; fingerprint: string }>(["keys", "rotate", ...bob]);
    expect(await tool.json(["keys", "verify", "bob@partner.test", ...alice])).toMatchObject({
      standing: "continued",
    });
    expect((await send(["A=1"])).delivery.state).toBe("delivered");

    const reset = await tool.json<{ number: number; fingerprint: string }>(
      ["keys", "reset", "--yes", ...bob],
      {
        env: { KEYPEARS_PASSWORD: PASSWORDS.bob },
      },
    );
    expect(reset.number).toBe(rotated.number + 1);
    const refused = await tool.run(["share", "send", "bob@partner.test", "A=1", ...alice]);
    expect(refused.code).toBe(7);
    expect(refused.stderr).toContain(rotated.fingerprint);
    expect(refused.stderr).toContain(reset.fingerprint);
    expect((await tool.run(["keys", "verify", "bob@partner.test", ...alice])).code).toBe(7);

    const wrong = await tool.run([
      "contact",
      "confirm",
      "bob@partner.test",
      "--fingerprint",
      before.fingerprint,
      ...alice,
    ]);
    expect(wrong.code).toBe(7);
    const confirmed = await tool.json([
      "contact",
      "confirm",
      "bob@partner.test",
      "--fingerprint",
      reset.fingerprint,
      ...alice,
    ]);
    expect(confirmed).toMatchObject({ verified: true, fingerprint: reset.fingerprint });
    expect((await send(["A=1"])).delivery.state).toBe("delivered");

    const history = await tool.json<{ keySets: { continuous: boolean }[] }>(["keys", "history", ...bob]);
    expect(history.keySets.map(({ continuous }) => continuous)).toEqual([false, true, false]);
  });

  it("need the password for a reset even while unlocked", async () => {
    expect((await tool.run(["keys", "reset", "--yes", ...bob])).code).toBe(3);
    const wrong = await tool.run(["keys", "reset", "--yes", ...bob], { env: { KEYPEARS_PASSWORD: "wrong" } });
    expect(wrong.code).toBe(4);
    expect(
      (await tool.run(["keys", "reset", ...bob], { env: { KEYPEARS_PASSWORD: PASSWORDS.bob } })).code,
    ).toBe(2);
  });

  it("forget a contact", async () => {
    await tool.json(["contact", "accept", "carol@acme.test", ...bob]);
    await tool.json(["contact", "forget", "carol@acme.test", ...bob]);
    expect((await tool.run(["contact", "forget", "carol@acme.test", ...bob])).code).toBe(8);
  });
});

describe("accounts", () => {
  it("are opened by the right password only, locked and unlocked", async () => {
    const env = { KEYPEARS_PASSWORD: PASSWORDS.bob };
    await tool.json(["lock", ...bob]);
    expect((await tool.run(["keys", "show", ...bob])).code).toBe(3);
    expect((await tool.run(["keys", "show", ...bob], { env: { KEYPEARS_PASSWORD: "wrong" } })).code).toBe(4);
    expect((await tool.run(["unlock", ...bob], { env: { KEYPEARS_PASSWORD: "wrong" } })).code).toBe(4);
    expect((await tool.run(["keys", "show", ...bob], { env })).code).toBe(0);
    // What needs no key asks for none.
    expect((await tool.run(["share", "list", ...bob])).code).toBe(0);
    await tool.json(["unlock", ...bob], { env });
    expect((await tool.run(["keys", "show", ...bob])).code).toBe(0);
  });

  it("are used on a second device, whose session the first one can end", async () => {
    const second = ["--profile", "second"];
    const password = { KEYPEARS_PASSWORD: PASSWORDS.alice };
    const login = (env: Record<string, string>) =>
      tool.run(["account", "login", "alice@acme.test", "--device", "second device", ...second, "--json"], {
        env: { ...env, KEYPEARS_RESOLVE: node.resolve },
      });
    expect((await login({ KEYPEARS_PASSWORD: "wrong" })).code).toBe(4);
    const { code, stdout } = await login(password);
    expect(code).toBe(0);
    expect((await login(password)).code).toBe(2); // signed in already
    await tool.json(["unlock", ...second], { env: password });

    const { sessionId } = JSON.parse(stdout);
    const { sessions } = await tool.json<{ sessions: { id: string; deviceName: string }[] }>([
      "account",
      "sessions",
      ...alice,
    ]);
    expect(sessions.find(({ id }) => id === sessionId)?.deviceName).toBe("second device");
    await tool.json(["account", "sessions", "--revoke", sessionId.slice(0, 8), ...alice]);
    expect((await tool.run(["share", "list", ...second])).code).toBe(3);
    expect((await tool.run(["share", "list", ...alice])).code).toBe(0);

    await tool.json(["account", "logout", ...second]);
    expect(await tool.json(["lock", ...second])).toMatchObject({ wasUnlocked: false });
    expect((await tool.run(["share", "list", ...second])).code).toBe(3);
  });

  it("refuse a changed way of stretching the password until the person says that the password was changed", async () => {
    const second = ["--profile", "second"];
    const env = { KEYPEARS_RESOLVE: node.resolve };
    await tool.json(["account", "login", ...second], { env: { ...env, KEYPEARS_PASSWORD: PASSWORDS.alice } });
    const changed = await tool.json<{ revokedSessions: number }>(
      ["account", "password", ...alice, "--password-stdin"],
      {
        input: `${PASSWORDS.alice}\nnew password\n`,
      },
    );
    expect(changed.revokedSessions).toBe(1);
    expect((await tool.run(["share", "list", ...second])).code).toBe(3);
    await tool.json(["account", "logout", ...second]);
    const login = ["account", "login", ...second];
    const withNew = { env: { ...env, KEYPEARS_PASSWORD: "new password" } };
    expect((await tool.run(login, withNew)).code).toBe(5);
    expect((await tool.run([...login, "--password-changed"], withNew)).code).toBe(0);
  });

  it("are deleted for good with the password, after asking", async () => {
    const env = { KEYPEARS_PASSWORD: "dora", KEYPEARS_RESOLVE: node.resolve };
    const dora = ["--profile", "dora"];
    await tool.json(["account", "create", "dora@acme.test", ...dora], { env });
    expect((await tool.run(["account", "delete", ...dora], { env })).code).toBe(2);
    expect(
      (await tool.run(["account", "delete", "--yes", ...dora], { env: { ...env, KEYPEARS_PASSWORD: "no" } }))
        .code,
    ).toBe(4);
    await tool.json(["account", "delete", "--yes", ...dora], { env });
    expect((await tool.run(["share", "list", ...dora])).code).toBe(3);
    expect((await tool.run(["account", "create", "dora@acme.test", ...dora], { env })).code).toBe(5);
  });

  it("cannot be made twice, nor where nobody hosts them", async () => {
    const env = { KEYPEARS_PASSWORD: "x", KEYPEARS_RESOLVE: node.resolve };
    const third = ["--profile", "third"];
    const taken = await tool.run(["account", "create", "alice@acme.test", ...third, "--json"], { env });
    expect(JSON.parse(taken.stderr).error).toMatchObject({ reason: "ADDRESS_TAKEN", exitCode: 5 });
    const nowhere = await tool.run(["account", "create", "alice@nowhere.invalid", ...third], { env });
    expect([6, 8]).toContain(nowhere.code);
  });
});

describe("discovery", () => {
  it("tells what a domain says and what was checked", async () => {
    const found = await tool.json<{ checks: { ok: boolean }[] }>(["discover", "acme.test"], {
      env: { KEYPEARS_RESOLVE: node.resolve },
    });
    expect(found).toMatchObject({
      domain: "acme.test",
      apiUrl: node.apiUrl,
      documentVersion: 1,
      cacheSeconds: 300,
      ok: true,
    });
    expect(found.checks.every(({ ok }) => ok)).toBe(true);
  });
});

describe("secrets", () => {
  it("stand in no file of the tool's, with profiles for this user alone", async () => {
    const needles = [...Object.values(PASSWORDS), "new password", SECRET];
    const folders = ["config", "state", "keypears"].map((name) => join(tool.home, name));
    for (const folder of folders) {
      let entries: string[];
      try {
        entries = readdirSync(folder, { recursive: true, encoding: "utf8" });
      } catch {
        continue; // this folder was not needed
      }
      for (const entry of entries) {
        const stats = statSync(join(folder, entry));
        expect(stats.mode & 0o077).toBe(0);
        if (!stats.isFile()) continue;
        const text = readFileSync(join(folder, entry), "utf8");
        for (const needle of needles) expect(text).not.toContain(needle);
      }
    }
    expect(
      readdirSync(join(tool.home, "config", "keypears", "profiles")).some((name) => name.endsWith(".tmp")),
    ).toBe(false);
  });

  it("stand in no process's arguments or environment while an agent runs", async () => {
    const shown = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" });
    for (const needle of [...Object.values(PASSWORDS), SECRET]) expect(shown).not.toContain(needle);
  });
});
