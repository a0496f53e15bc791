// The three ways of hosting a domain, end to end: nodes as processes, the owner's tool, TLS, names and TXT records in a real
// DNS server. The domain itself (self.example), a subdomain of it (keys.sub.example for sub.example), and a third party
// (host.example for third.example).

import https from "node:https";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { toClientError } from "../../src/client/errors.ts";
import { createAccount, nodeClients, openAccount } from "../../src/client/index.ts";
import { DISCOVERY_PATH } from "../../src/protocol/discovery-document.ts";
import { domainTxtName } from "../../src/protocol/domain-txt.ts";
import { delivered, PATIENCE, type Person, signUp } from "../support/clients.ts";
import {
  createWorld,
  type Place,
  type Site,
  type World,
  type WorldNode,
  type WorldTool,
} from "../support/world.ts";

const TIMEOUT_MS = 300_000;
const PASSWORD = "correct horse battery staple";

/** What an owner publishes, as the tool prints it with `--json`. */
interface Publication {
  readonly document: string;
  readonly txt: string;
}

/** What `keypears domain host --json` prints. */
interface HostKeys {
  readonly apiUrl: string;
  readonly nodeKeys: readonly string[];
}

describe("a domain", () => {
  let world: World;
  let self: WorldNode;
  let keys: WorldNode;
  let host: WorldNode;
  let sites: Readonly<Record<"sub.example" | "third.example", Site>>;
  let owner: WorldTool;
  let alice: Person;

  beforeAll(async () => {
    world = await createWorld();
    const place = async (name: string) => world.place(name);
    const places = {
      self: await place("self.example"),
      keys: await place("keys.sub.example"),
      host: await place("host.example"),
      sub: await place("sub.example"),
      third: await place("third.example"),
    };
    [self, keys, host] = [
      await world.node(places.self),
      await world.node(places.keys),
      await world.node(places.host),
    ];
    sites = { "sub.example": await world.site(places.sub), "third.example": await world.site(places.third) };
    await Promise.all([self.start(), keys.start(), host.start()]);
    owner = await world.tool("owner");
    alice = await signUp(world.environment(), "alice@self.example");
  }, TIMEOUT_MS);

  afterAll(() => world?.close(), TIMEOUT_MS);

  /** Makes the key of a domain, authorizes the node of a profile's account, and gives what to publish. */
  async function authorize(domain: string, profile: string): Promise<Publication> {
    await owner.json(["domain", "keygen", domain], PASSWORD);
    const { apiUrl, nodeKeys } = await owner.json<HostKeys>(["domain", "host", "--profile", profile]);
    const consent = ["--api-url", apiUrl, "--node-key", ...nodeKeys];
    await owner.json(["domain", "authorize", domain, ...consent], PASSWORD);
    return owner.json<Publication>(["domain", "document", domain]);
  }

  function publish(domain: keyof typeof sites, { document, txt }: Publication): void {
    sites[domain].documents.set(domain, document);
    world.dns.zone.set(domainTxtName(domain), { txt: [txt] });
  }

  /** Makes an account by invitation of the domain's administrator. */
  async function invite(domain: string, name: string, profile: string): Promise<Person> {
    const { code } = await owner.json<{ code: string }>([
      ...["domain", "invite", domain, "--name", name, "--profile", profile],
    ]);
    const env = world.environment();
    const address = `${name}@${domain}`;
    const input = { address, password: PASSWORD, deviceName: "test", invitationCode: code };
    const signedIn = await createAccount(env, input);
    const { apiUrl, sessionToken } = signedIn.credentials;
    const node = nodeClients(env, apiUrl, () => sessionToken);
    return { account: openAccount(env, signedIn), address, password: PASSWORD, signedIn, node };
  }

  async function exchange(from: Person, to: Person): Promise<void> {
    const content = { kind: "text", text: `from ${from.address} to ${to.address}` } as const;
    const { shareId } = await from.account.shares.send(to.address, content);
    await delivered(from, shareId);
    expect((await to.account.shares.open(shareId)).content).toEqual(content);
  }

  describe.each([
    { way: "a subdomain of its own", domain: "sub.example", at: "keys.sub.example" },
    { way: "a third party", domain: "third.example", at: "host.example" },
  ] as const)("hosted by $way", ({ domain, at }) => {
    const profile = domain.split(".", 1)[0] ?? "";
    let node: WorldNode;
    let published: Publication;
    let bob: Person;

    beforeAll(async () => {
      node = at === "host.example" ? host : keys;
      await owner.json(["account", "create", `owner@${at}`, "--profile", profile], PASSWORD);
      published = await authorize(domain, profile);
    }, TIMEOUT_MS);

    it("is not hosted before it publishes its document, which the owner is told", {
      timeout: TIMEOUT_MS,
    }, async () => {
      const claimed = await claim();

      expect(claimed.code).not.toBe(0);
      expect(claimed.stderr).toContain(`${domain} publishes no discovery document`);
      expect(await documentAt(node.place, domain)).toBe(404);
    });

    it("is not hosted while its document names another host, or DNS another key", {
      timeout: TIMEOUT_MS,
    }, async () => {
      publish(domain, { ...published, document: published.document.replace(node.apiUrl, self.apiUrl) });
      const elsewhere = await claim();
      publish(domain, { ...published, txt: published.txt.replace(/h=[0-9a-f]{64}/, `h=${"0".repeat(64)}`) });
      const contradicted = await claim();

      expect([elsewhere.code, contradicted.code]).not.toContain(0);
      expect(JSON.parse(elsewhere.stderr).error).toMatchObject({ reason: "CLAIM_UNPROVEN" });
      expect(elsewhere.stderr).toContain(self.apiUrl);
      expect(JSON.parse(contradicted.stderr).error).toMatchObject({ reason: "CLAIM_UNPROVEN" });
      expect(contradicted.stderr).toContain("TXT");
      expect(await documentAt(node.place, domain)).toBe(404);
    });

    it("is hosted once all is in order, and its node gives the same document for it", {
      timeout: TIMEOUT_MS,
    }, async () => {
      publish(domain, published);
      const claimed = await claim();

      expect(claimed).toMatchObject({ code: 0, stderr: "" });
      expect(await documentAt(node.place, domain)).toEqual(JSON.parse(published.document));
    });

    it("is proven to a peer", { timeout: TIMEOUT_MS }, async () => {
      const resolved = await alice.node.discovery.resolveDomain({ domain });

      expect(resolved).toMatchObject({ apiUrl: node.apiUrl, documentVersion: 2, proven: true });
    });

    it("exchanges shares with a domain that is hosted by itself, in both directions", {
      timeout: TIMEOUT_MS,
    }, async () => {
      bob = await invite(domain, "bob", profile);
      await exchange(alice, bob);
      await exchange(bob, alice);
    });

    it("costs a peer one document, one TXT record and one call, and nothing while that is cached", {
      timeout: TIMEOUT_MS,
      // On a machine that is busy for long a question over UDP is asked again.
      retry: 2,
    }, async () => {
      await startAnew(self);
      const { discovery } = aliceAnew();
      const before = costs();
      const resolve = () => discovery.resolveDomain({ domain });

      // As many at once as a connection may have under way, and more of them later.
      await Promise.all(Array.from({ length: 8 }, resolve));
      for (let index = 0; index < 20; index++) expect(await resolve()).toMatchObject({ proven: true });

      await vi.waitFor(() => expect(costs().proofs).toBeGreaterThan(before.proofs), PATIENCE);
      const after = costs();
      expect({
        documents: after.documents - before.documents,
        txtLookups: after.txtLookups - before.txtLookups,
        proofs: after.proofs - before.proofs,
      }).toEqual({ documents: 1, txtLookups: 1, proofs: 1 });
    });

    function claim() {
      return owner.run(["domain", "claim", domain, "--profile", profile, "--json"], PASSWORD);
    }

    /** What was asked about the domain so far, counted where it was asked. */
    function costs() {
      return {
        documents: sites[domain].fetches(domain),
        txtLookups: world.dns.questions.filter((question) => question === `TXT ${domainTxtName(domain)}`)
          .length,
        proofs: node.log().filter(({ method }) => method === "keypears.v1.DiscoveryService/ProveDomain")
          .length,
      };
    }
  });

  describe("hosted by itself", () => {
    it("is given by its own node, and believed without proof", { timeout: TIMEOUT_MS }, async () => {
      const { node } = await signUp(world.environment(), "carol@host.example");

      expect(await documentAt(self.place, "self.example")).toEqual({ version: 1, apiUrl: self.apiUrl });
      expect(await node.discovery.resolveDomain({ domain: "self.example" })).toMatchObject({
        apiUrl: self.apiUrl,
        documentVersion: 1,
        proven: false,
      });
    });

    it("is not given by a node that does not host it", { timeout: TIMEOUT_MS }, async () => {
      expect(await documentAt(host.place, "self.example")).toBe(404);
    });

    it("is proven from when its operator gives the owner's consent to the node", {
      timeout: TIMEOUT_MS,
    }, async () => {
      const domain = "self.example";
      await owner.json(["domain", "keygen", domain], PASSWORD);
      const { nodeKeys } = await self.operate<{ nodeKeys: string[] }>(["keys"]);
      const consent = ["--api-url", self.apiUrl, "--node-key", ...nodeKeys, "--out", "self.json"];
      await owner.json(["domain", "authorize", domain, ...consent], PASSWORD);
      const { document, txt } = await owner.json<Publication>(["domain", "document", domain]);
      await self.operate(["install", join(owner.home, "self.json")]);
      world.dns.zone.set(domainTxtName(domain), { txt: [txt] });
      await Promise.all([startAnew(self), startAnew(keys)]);

      expect(await documentAt(self.place, domain)).toEqual(JSON.parse(document));
      const { node } = await signUp(world.environment(), "carol@keys.sub.example");
      expect(await node.discovery.resolveDomain({ domain })).toMatchObject({
        apiUrl: self.apiUrl,
        documentVersion: 2,
        proven: true,
      });
    });
  });

  describe("that moves from one host to another", () => {
    const domain = "third.example";
    let former: Publication;

    it("is proven at the new one as soon as it names that", { timeout: TIMEOUT_MS }, async () => {
      former = { document: sites[domain].documents.get(domain) ?? "", txt: txtOf(domain) };
      const { apiUrl, nodeKeys } = await owner.json<HostKeys>(["domain", "host", "--profile", "sub"]);
      const consent = ["--api-url", apiUrl, "--node-key", ...nodeKeys];
      const { serial } = await owner.json(["domain", "authorize", domain, ...consent], PASSWORD);
      publish(domain, await owner.json<Publication>(["domain", "revoke", domain, "--below", String(serial)]));
      const claimed = await owner.json(["domain", "claim", domain, "--profile", "sub"], PASSWORD);
      await startAnew(self);
      const { discovery } = aliceAnew();

      expect(claimed).toMatchObject({ state: "active", serial, administrator: "owner@keys.sub.example" });
      expect(await discovery.resolveDomain({ domain })).toMatchObject({ apiUrl: keys.apiUrl, proven: true });
    });

    it("is not led back to the former one by what it published then", { timeout: TIMEOUT_MS }, async () => {
      const present = { document: sites[domain].documents.get(domain) ?? "", txt: txtOf(domain) };
      publish(domain, former);
      await startAnew(self);
      const refusal = await aliceAnew()
        .discovery.resolveDomain({ domain })
        .catch((error: unknown) => error);
      publish(domain, present);

      expect(toClientError(refusal)).toMatchObject({ reason: "DOMAIN_DOWNGRADED" });
    });

    function txtOf(name: string): string {
      const entry = world.dns.zone.get(domainTxtName(name));
      return typeof entry === "object" ? String(entry.txt?.[0]) : "";
    }
  });

  /** Ends a node and starts it again, so that it has nothing in its cache. */
  async function startAnew(node: WorldNode): Promise<void> {
    await node.stop();
    await node.start();
  }

  /** Calls of Alice's that do not use the connections of before. */
  function aliceAnew() {
    const { apiUrl, sessionToken } = alice.signedIn.credentials;
    return nodeClients(world.environment(), apiUrl, () => sessionToken);
  }

  /** The discovery document that a node gives for a domain, whatever DNS says; the status if it gives none. */
  function documentAt({ name, address, port }: Place, domain: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      https
        .get(
          {
            host: address,
            port,
            servername: name,
            path: DISCOVERY_PATH,
            headers: { host: domain },
            ca: world.authority.certificate,
            agent: false,
          },
          (response) => resolve(response.statusCode === 200 ? json(response) : response.resume().statusCode),
        )
        .on("error", reject);
    });
  }
});
