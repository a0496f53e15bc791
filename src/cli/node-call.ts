/**
 * The short road for commands that need no key, such as listing shares: one call in Connect's JSON form
 * (connectrpc.com/docs/protocol). The client library with its cryptography takes several times as long to load as such a
 * call takes in all.
 */

import { createConnections } from "./connections.ts";
import type { CommandContext } from "./context.ts";
import { readDnsServers } from "./dns-server-option.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import { requireProfile } from "./profile.ts";
import { readResolve } from "./resolve-option.ts";

/** Calls methods of the profile's own node, as the profile's account. */
export interface OwnNode {
  readonly address: string;
  /** `method` such as "ShareService/ListShares"; messages are protobuf's JSON form. */
  call<Response>(method: string, request: Readonly<Record<string, unknown>>): Promise<Response>;
}

const CALL_TIMEOUT_MS = 20_000;

/** Uses the profile's own node, and closes the connections after it. */
export async function withOwnNode<T>(
  context: CommandContext,
  use: (node: OwnNode) => Promise<T>,
): Promise<T> {
  const { profile, credentials } = requireProfile(context.profile);
  const connections = createConnections(
    await readResolve([...profile.resolve, ...context.resolve]),
    await readDnsServers(context.dnsServers),
  );
  try {
    return await use({
      address: credentials.address,
      async call(method, request) {
        const answer = await connections.post({
          url: `${credentials.apiUrl}/keypears.v1.${method}`,
          headers: {
            "content-type": "application/json",
            "connect-protocol-version": "1",
            "connect-timeout-ms": String(CALL_TIMEOUT_MS),
            authorization: `Bearer ${credentials.sessionToken}`,
          },
          body: Buffer.from(JSON.stringify(request)),
          signal: context.signal,
          timeoutMs: CALL_TIMEOUT_MS,
        });
        if (answer.status === 200 && answer.contentType === "application/json") {
          return JSON.parse(Buffer.from(answer.body).toString()) as never;
        }
        if (answer.status === 200) throw invalidAnswer();
        const [{ connectError }, { toClientError }] = await Promise.all([
          import("./transport.ts"),
          import("../client/errors.ts"),
        ]);
        throw toClientError(await connectError(answer));
      },
    });
  } finally {
    connections.close();
  }
}

function invalidAnswer(): CliError {
  return new CliError(
    "NODE_ANSWER_INVALID",
    EXIT.unreachable,
    "the answer is none of this protocol",
    "check that the address's domain leads to a KeyPears node",
  );
}
