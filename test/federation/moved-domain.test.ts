// Fetcher, resolver and peers together: a domain that moves from one host to another while calls go on.

import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { expect, it, onTestFinished } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { systemClock } from "../../src/clock.ts";
import { createDocumentFetcher } from "../../src/federation/document-fetcher.ts";
import { createPeers } from "../../src/federation/peers.ts";
import { createResolver } from "../../src/federation/resolver.ts";
import { silentLogger } from "../../src/logger.ts";
import { createCertificateAuthority } from "../support/certificates.ts";
import { startHttp2, startHttps } from "../support/hostile-server.ts";
import { createTestNetwork, peerError } from "./network.ts";

it("a domain that moves is found at its new host after one refusal by the old one", async () => {
  const authority = createCertificateAuthority();
  let host = "old.test";
  let fetches = 0;
  const website = await startHttps(authority.issue({ names: ["acme.test"] }), (_request, response) => {
    fetches++;
    response.setHeader("cache-control", "max-age=86400");
    response.end(JSON.stringify({ version: 1, apiUrl: `https://${host}/api` }));
  });
  const startHost = (name: string) => {
    const routes = connectNodeAdapter({
      requestPathPrefix: "/api",
      routes: (router) => {
        router.service(DiscoveryService, {
          getServerInfo() {
            if (host === name) return { software: name };
            const error = new ConnectError("moved", Code.FailedPrecondition);
            const info = create(ErrorInfoSchema, { reason: "DOMAIN_MOVED", domain: "keypears.v1" });
            error.details.push({ desc: ErrorInfoSchema, value: info });
            throw error;
          },
        });
      },
    });
    return startHttp2(authority.issue({ names: [name] }), routes);
  };
  const [old, fresh] = await Promise.all([startHost("old.test"), startHost("new.test")]);
  const { dialer } = createTestNetwork({
    trustedCertificates: [authority.certificate],
    ports: { "acme.test": website.port, "old.test": old.port, "new.test": fresh.port },
  });
  const fetchDocument = createDocumentFetcher({ dialer });
  const resolver = createResolver({
    fetch: async (domain, signal) => ({ ...(await fetchDocument(domain, signal)), proof: "unproven" }),
    clock: systemClock,
    log: silentLogger,
  });
  const peers = createPeers({ resolver, dialer });
  onTestFinished(() => {
    peers.close();
    resolver.close();
  });

  expect((await peers.getServerInfo("acme.test")).software).toBe("old.test");
  host = "new.test";
  expect(await peerError(peers.getServerInfo("acme.test"))).toMatchObject({
    peerReason: "DOMAIN_MOVED",
    retryable: true,
  });
  expect((await peers.getServerInfo("acme.test")).software).toBe("new.test");
  expect(fetches).toBe(2);
  // Back within a minute: nobody can make this node fetch again and again.
  host = "old.test";
  expect((await peerError(peers.getServerInfo("acme.test"))).peerReason).toBe("DOMAIN_MOVED");
  expect((await peerError(peers.getServerInfo("acme.test"))).peerReason).toBe("DOMAIN_MOVED");
  expect(fetches).toBe(2);
});
