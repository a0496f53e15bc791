// Hostile peers over TLS, in a process of their own: certificates that are not what they should be, and a name that leads
// elsewhere as soon as it has been looked up. Nothing is delivered to them, and nothing is lost.

import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { DeliveryState } from "../../src/client/index.ts";
import type { AddressLookup } from "../../src/federation/connection-policy.ts";
import { refusal } from "../services/refusal.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import { delivered, environment, PATIENCE, type Person, signUp } from "../support/clients.ts";
import { freePort, startTestNode, type TestNode } from "../support/nodes.ts";
import { type PeerProcess, startPeer } from "../support/peer-process.ts";

const TIMEOUT_MS = 120_000;
const DAY_MS = 86_400_000;
/** A second loopback address. It stands for one on the internet: the operator allows it, and 127.0.0.1 only by name. */
const OUTSIDE = "127.0.0.2";
const HIDDEN_HOST = "api.rebinding.example";

// Other systems answer on 127.0.0.1 alone unless told otherwise.
const note = process.platform === "linux" ? "" : " (skipped: needs all of 127.0.0.0/8)";

describe.skipIf(note !== "")(`a hostile peer over TLS${note}`, () => {
  const authority = createCertificateAuthority();
  const certificates = {
    "wrong-name.test": authority.issue({ names: ["other.test"] }),
    "unknown-authority.test": createCertificateAuthority("Stranger").issue({
      names: ["unknown-authority.test"],
    }),
    "expired.test": authority.issue({
      names: ["expired.test"],
      notBefore: new Date(Date.now() - 3 * DAY_MS),
      notAfter: new Date(Date.now() - DAY_MS),
    }),
  };
  /** Host names that the node looked up, in order. */
  const lookedUp: string[] = [];
  /** What DNS says now. */
  let answer = OUTSIDE;
  /** Whether a name leads to the node's own machine as soon as it has been looked up. */
  let rebinds = true;
  let node: TestNode;
  let peer: PeerProcess;
  let alice: Person;
  /** What lies at the peer's port on the node's own machine. */
  let inside: Server;
  let insideConnections = 0;

  const lookup: AddressLookup = (host, _options, callback) => {
    lookedUp.push(host);
    callback(null, [{ address: answer, family: 4 }]);
    if (rebinds) answer = "127.0.0.1";
  };

  beforeAll(async () => {
    peer = startPeer();
    const honest = await peer.ask("listen", {});
    const resolve = new Map<string, string>();
    for (const [domain, credentials] of Object.entries(certificates)) {
      const { port } = await peer.ask("listen", { credentials });
      resolve.set(domain, `https://127.0.0.1:${port}`);
    }
    const port = await freePort();
    const credentials = authority.issue({ names: ["rebinding.test", HIDDEN_HOST] });
    const apiOrigin = `https://${HIDDEN_HOST}:${port}`;
    await peer.ask("listen", { address: OUTSIDE, port, credentials, apiOrigin });
    resolve.set("rebinding.test", `https://${OUTSIDE}:${port}`);
    inside = createServer((socket) => {
      insideConnections++;
      socket.destroy();
    }).listen(port, "127.0.0.1");
    await once(inside, "listening");

    node = await startTestNode({
      domain: "acme.test",
      resolve,
      flags: { "allow-network": [`${OUTSIDE}/32`] },
      overrides: { lookup, trustedCertificates: [authority.certificate] },
    });
    const atHome = environment([node]);
    const keysOfPeer = `http://127.0.0.1:${honest.port}/honest/api`;
    alice = await signUp(
      {
        ...atHome,
        resolveDomain: async (domain, signal) =>
          domain === "acme.test" ? atHome.resolveDomain(domain, signal) : { apiUrl: keysOfPeer },
      },
      "alice@acme.test",
    );
  }, TIMEOUT_MS);

  afterAll(async () => {
    await peer?.stop();
    inside?.close();
    await node?.remove();
  }, TIMEOUT_MS);

  function send(domain: string) {
    return alice.account.shares.send(`mallory@${domain}`, { kind: "text", text: "are you who you say?" });
  }

  /** Waits for an attempt that failed with a message. */
  async function attempted(shareId: Uint8Array, message: RegExp): Promise<void> {
    const { state } = await vi.waitFor(async () => {
      const status = await alice.account.shares.status(shareId);
      expect(status.message).toMatch(message);
      return status;
    }, PATIENCE);
    expect([DeliveryState.QUEUED, DeliveryState.DELIVERING]).toContain(state);
  }

  it.each([
    ["wrong-name.test", "is for another name"],
    ["unknown-authority.test", "is from an unknown authority"],
    ["expired.test", "has expired"],
  ])(
    "whose certificate makes %s another is not spoken to",
    { timeout: TIMEOUT_MS },
    async (domain, problem) => {
      const message = `the certificate of ${domain} ${problem}`;
      const refused = await refusal(alice.node.discovery.resolveDomain({ domain }));
      expect(refused).toMatchObject({ reason: "PEER_TLS_FAILED", message });

      const { shareId } = await send(domain);
      await attempted(shareId, new RegExp(message));

      expect((await peer.ask("counts")).requests[domain]).toBeUndefined();
      const { shareId: own } = await alice.account.shares.send(alice.address, { kind: "text", text: "me" });
      await delivered(alice, own);
    },
  );

  it("is connected to where its name led when it was checked, and nowhere else later", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const first = await send("rebinding.test");
    await delivered(alice, first.shareId);
    expect([lookedUp, answer]).toEqual([[HIDDEN_HOST], "127.0.0.1"]);

    // As long as the connection is there nothing is looked up; a new one is checked anew.
    const second = await send("rebinding.test");
    await delivered(alice, second.shareId);
    await peer.ask("cutConnections");
    const third = await send("rebinding.test");
    await attempted(third.shareId, new RegExp(`does not connect to ${HIDDEN_HOST}`));

    expect(lookedUp.filter((host) => host === HIDDEN_HOST).length).toBeGreaterThan(1);
    expect(insideConnections).toBe(0);
    rebinds = false;
    answer = OUTSIDE;
    await delivered(alice, third.shareId);
  });
});
