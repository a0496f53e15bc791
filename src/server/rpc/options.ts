/** What both roads of calls are given. */

import type { Registry } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import type { Logger } from "../../logger.ts";
import type { Caller, NodeLimits } from "../../services/context.ts";
import type { Exchange } from "../exchange.ts";
import type { BodyMemory } from "../request-body.ts";
import type { Method } from "./methods.ts";

/** What both roads of calls are given. */
export interface RoadOptions {
  readonly limits: Pick<NodeLimits, "maxRequestBytes" | "maxAnonymousRequestBytes" | "defaultDeadlineMs">;
  /** Type names of the services whose callers may send large messages without a session. */
  readonly largeServices: ReadonlySet<string>;
  /** Memory for large requests. */
  readonly bodies: BodyMemory;
  /** Learns who calls, before the body is read; nobody in particular unless given. */
  readonly identify?: (exchange: Exchange) => Caller | Promise<Caller>;
  /** What a call threw, as its caller may see it; `callError` unless given. Every error of a call goes through it. */
  readonly toCallError?: (thrown: unknown, requestId: string, log: Logger) => ConnectError;
  /** Types that an Any in JSON may hold; none unless given. */
  readonly registry?: Registry;
  /** Aborted when the node stops. */
  readonly stopping: AbortSignal;
  readonly log: Logger;
}

/** A caller of whom nothing is known. */
export const NOBODY: Caller = { sourcePrefix: "unknown", connectionId: "unknown", session: undefined };

/** The largest message that a caller may send to a method. */
export function maxMessageBytes(
  { limits, largeServices }: RoadOptions,
  caller: Caller,
  method: Method,
): number {
  const large = typeof caller.session === "object" || largeServices.has(method.desc.parent.typeName);
  return large ? limits.maxRequestBytes : limits.maxAnonymousRequestBytes;
}
