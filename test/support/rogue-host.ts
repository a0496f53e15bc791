// A host that nobody consented to: it says that it hosts whatever domain it is asked about, and proves that with what the test
// gives it, be that a proof that it copied or one of its own making.

import { once } from "node:events";
import http2 from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { DiscoveryService } from "../../gen/keypears/v1/discovery_service_pb.ts";
import type { DomainProof } from "../../gen/keypears/v1/domain_pb.ts";
import type { Credentials } from "./certificates.ts";

/** How it answers a nonce. */
export type Prove = (domain: string, nonce: Uint8Array) => Promise<DomainProof> | DomainProof;

/** A running rogue host. */
export interface RogueHost {
  /** May be changed at any time. */
  prove: Prove;
  /** How often it was asked for a proof. */
  readonly asked: number;
  /** Every method that it was called with, by path. */
  readonly calls: readonly string[];
  close(): Promise<void>;
}

/** Starts one at an address and a port. */
export async function startRogueHost(options: {
  readonly credentials: Credentials;
  readonly address: string;
  readonly port: number;
  readonly prove: Prove;
}): Promise<RogueHost> {
  const { credentials, address, port } = options;
  const calls: string[] = [];
  let asked = 0;
  const adapter = connectNodeAdapter({
    requestPathPrefix: "/api",
    routes(router) {
      router.rpc(DiscoveryService.method.proveDomain, async ({ domain, nonce }) => {
        asked++;
        return { proof: await rogue.prove(domain, nonce) };
      });
    },
  });
  const server = http2.createSecureServer({ ...credentials, allowHTTP1: true }, (request, response) => {
    calls.push(request.url);
    adapter(request, response);
  });
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  server.listen(port, address);
  await once(server, "listening");
  const rogue: RogueHost = {
    prove: options.prove,
    calls,
    get asked() {
      return asked;
    },
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const session of sessions) session.destroy();
      await closed;
    },
  };
  return rogue;
}
