/** How the delivery of a share stands, for programs and for people. */

import { showTime } from "./duration.ts";
import { visible } from "./visible.ts";

/** A delivery, whichever road it came by. */
export interface Delivery {
  /** "queued", "delivering", "delivered", "rejected", "failed", "cancelled", or "unknown". */
  readonly state: string;
  /** Why it was rejected, such as "UNKNOWN_RECIPIENT". */
  readonly rejectionReason: string | null;
  /** What the last attempt met; empty if nothing went wrong. */
  readonly message: string;
  readonly attempts: number;
  /** Unix milliseconds, or null. */
  readonly nextAttemptAt: number | null;
}

/** Whether nothing will change any more. */
export function isFinal({ state }: Delivery): boolean {
  return state === "delivered" || state === "rejected" || state === "failed" || state === "cancelled";
}

/** What to do about a rejection. */
const REMEDIES: Readonly<Record<string, string>> = {
  UNKNOWN_RECIPIENT: "check the spelling of the address",
  BAD_SIGNATURE: "see whether your node publishes your keys: keypears keys show",
  KEY_RETIRED: "send it again",
  TOO_LARGE: "send less at once",
  EXPIRED: "send it again, with a later --expires",
  STAMP_REQUIRED: "send it again",
  QUOTA: "the recipient's node takes no more for now: try again later, or ask the recipient to make room",
  NOT_ACCEPTED: "the recipient does not take shares from you: reach them in another way",
  MALFORMED: "update keypears, and report it if that does not help",
  FUTURE_DATED: "set this machine's clock",
};

/** What to do about a delivery that ended otherwise than delivered. */
export function remedyFor({ rejectionReason }: Delivery): string {
  return REMEDIES[rejectionReason ?? ""] ?? "send it again, or reach the recipient in another way";
}

/** A delivery in words. @param until when a queued one is given up, in Unix milliseconds. */
export function describeDelivery(delivery: Delivery, until?: number): string {
  const because = delivery.message === "" ? "" : ` (${visible(delivery.message)})`;
  switch (delivery.state) {
    case "delivered":
      return "delivered";
    case "rejected":
      return `rejected: ${delivery.rejectionReason ?? "no reason given"}${because}`;
    case "failed":
      return `failed: it could not be delivered in time${because}`;
    case "cancelled":
      return "cancelled";
    case "queued":
    case "delivering": {
      const limit = until === undefined ? "" : `, and will be retried until ${showTime(until)}`;
      return `${delivery.state}${limit}${because}`;
    }
    default:
      return delivery.state;
  }
}

/** The names that protobuf's JSON gives to states and reasons, without what all of them begin with. */
export function readDelivery(status: {
  readonly state?: string;
  readonly rejectionReason?: string;
  readonly message?: string;
  readonly attempts?: number;
  readonly nextAttemptAt?: string | bigint;
}): Delivery {
  const reason = (status.rejectionReason ?? "UNSPECIFIED").replace("REJECTION_REASON_", "");
  const state = (status.state ?? "UNSPECIFIED").replace("DELIVERY_STATE_", "").toLowerCase();
  return {
    state: state === "unspecified" ? "unknown" : state,
    rejectionReason: reason === "UNSPECIFIED" ? null : reason,
    message: status.message ?? "",
    attempts: status.attempts ?? 0,
    nextAttemptAt: Number(status.nextAttemptAt ?? 0) || null,
  };
}
