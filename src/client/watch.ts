/**
 * Watching an account's shares and notices over a stream that a client opens again whenever it breaks (docs/protocol.md,
 * section 6.3).
 */

import type { AccountNotice } from "../../gen/keypears/v1/account_service_pb.ts";
import type { ShareSummary } from "../../gen/keypears/v1/share_service_pb.ts";
import { ClientError, toClientError } from "./errors.ts";
import type { NodeClients } from "./rpc.ts";

/** Something that a watch tells. */
export type WatchEvent =
  | { readonly kind: "share"; readonly share: ShareSummary }
  | { readonly kind: "notice"; readonly notice: AccountNotice };

/** Longest wait before a watch connects again, in milliseconds. */
const MAX_RECONNECT_MS = 30_000;

/**
 * Watches an account's shares and notices until the signal ends it: first the shares above `after`, in order of sequence,
 * then what is new. Connects again by itself, with back-off and full jitter, as long as the node can come back.
 *
 * @throws ClientError where connecting again would not help.
 */
export async function* watchShares(
  node: NodeClients,
  after: bigint,
  signal: AbortSignal | undefined,
): AsyncGenerator<WatchEvent> {
  let afterSequence = after;
  let failures = 0;
  while (!signal?.aborted) {
    try {
      const stream = node.shares.watchShares({ afterSequence }, { timeoutMs: 0, ...(signal && { signal }) });
      for await (const { event } of stream) {
        failures = 0;
        if (event.case === "share") {
          afterSequence = event.value.sequence;
          yield { kind: "share", share: event.value };
        } else if (event.case === "notice") {
          yield { kind: "notice", notice: event.value };
        }
      }
    } catch (error) {
      if (signal?.aborted) return;
      const reason = toClientError(error);
      if (!(reason instanceof ClientError) || !isPassing(reason)) throw reason;
    }
    failures += 1;
    await pause(Math.random() * Math.min(MAX_RECONNECT_MS, 500 * 2 ** failures), signal);
  }
}

/** Whether a stream that ended so is worth opening again. */
function isPassing(error: ClientError): boolean {
  return (
    error.reason === "NODE_UNREACHABLE" ||
    error.reason === "SHUTTING_DOWN" ||
    error.reason === "DATABASE_UNAVAILABLE"
  );
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done);
  });
}
