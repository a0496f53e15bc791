/**
 * The client library's surroundings in the tool: domains are asked and nodes are called over Node's own sockets, under the
 * connection policy, so that development resolution and the certificates in NODE_EXTRA_CA_CERTS count. Domains are checked
 * like a node does it, DNS included.
 */

import type { Environment } from "../client/environment.ts";
import { ClientError } from "../client/errors.ts";
import { systemClock } from "../clock.ts";
import type { DevelopmentResolution } from "../federation/development-resolution.ts";
import type { DomainLook } from "../federation/domain-check.ts";
import type { DomainMemories } from "../protocol/domain-memories.ts";
import { createConnections } from "./connections.ts";
import type { CommandContext } from "./context.ts";
import { readDnsServers } from "./dns-server-option.ts";
import { readResolve } from "./resolve-option.ts";
import { createTransport } from "./transport.ts";

/** An environment with connections of its own. */
export interface NodeEnvironment extends Environment {
  /** Makes every check of a canonical domain, whatever comes of it. */
  look(domain: string, signal?: AbortSignal): Promise<DomainLook>;
  close(): void;
}

/** What an environment is made of. */
export interface NodeEnvironmentOptions {
  /** Development resolution, if there is any. */
  readonly resolve?: DevelopmentResolution | undefined;
  /** In place of the system's, with ports. */
  readonly dnsServers?: readonly string[];
  /** What domains have proven; forgotten with the environment unless given. */
  readonly memories?: DomainMemories;
}

/** The environment of a command, which remembers domains with its profile; `resolve` as texts, those that the profile has too. */
export async function environmentOf(
  context: CommandContext,
  resolve: readonly string[],
): Promise<NodeEnvironment> {
  const { deviceDomains } = await import("./device-domains.ts");
  return nodeEnvironment({
    resolve: await readResolve(resolve),
    dnsServers: await readDnsServers(context.dnsServers),
    memories: deviceDomains(context.profile),
  });
}

/** Makes an environment. */
export function nodeEnvironment(options: NodeEnvironmentOptions): NodeEnvironment {
  const { resolve, dnsServers = [] } = options;
  const connections = createConnections(resolve, dnsServers);
  // Many commands ask no domain: what it takes is loaded by the first one that does.
  let domains: ReturnType<typeof openDomains> | undefined;

  const openDomains = async () => {
    const { createDomainLookups } = await import("./domain-lookups.ts");
    return createDomainLookups({
      ...options,
      dnsServers,
      dialer: connections.dialer,
      transport: env.transport,
    });
  };

  const ask = async <T>(
    question: (lookups: Awaited<ReturnType<typeof openDomains>>) => Promise<T>,
    signal?: AbortSignal,
  ) => {
    domains ??= openDomains();
    try {
      return await question(await domains);
    } catch (error) {
      signal?.throwIfAborted();
      const { reason } = error as { reason?: unknown };
      if (!(error instanceof Error) || typeof reason !== "string" || error.name === "CliError") throw error;
      throw new ClientError(reason, error.message, { cause: error });
    }
  };

  const env: NodeEnvironment = {
    now: systemClock,
    look: (domain, signal) => ask(({ checks }) => checks.look(domain, signal), signal),
    resolveDomain: (domain, signal) =>
      ask(async ({ resolve: resolveDomain }) => {
        const { apiUrl, proof } = await resolveDomain(domain, signal);
        return { apiUrl: apiUrl.href, proof };
      }, signal),
    transport: (apiUrl, token) => createTransport(connections, apiUrl, token),
    close() {
      domains?.then(
        ({ close }) => close(),
        () => {}, // There is nothing to close; whoever asked has the error.
      );
      connections.close();
    },
  };
  return env;
}
