/** Shares as the node's JSON gives them, for the commands that open none: what of protobuf's JSON form they read. */

import { type Delivery, readDelivery } from "./delivery.ts";
import { usageError } from "./failure.ts";
import type { OwnNode } from "./node-call.ts";
import { findShareId, ID_PAGE_SIZE } from "./share-id.ts";

/** keypears.v1.DeliveryStatus; members at their defaults are left out. */
export interface JsonDelivery {
  readonly state?: string;
  readonly rejectionReason?: string;
  readonly message?: string;
  readonly attempts?: number;
  readonly nextAttemptAt?: string;
  readonly updatedAt?: string;
}

/** keypears.v1.ShareSummary. */
export interface JsonShare {
  /** Base64. */
  readonly shareId: string;
  readonly sender: string;
  readonly recipient: string;
  readonly createdAt?: string;
  readonly expiresAt?: string;
  readonly ciphertextBytes?: number;
  readonly sequence?: string;
  readonly receivedAt?: string;
  readonly openedAt?: string;
  readonly delivery?: JsonDelivery;
}

/** keypears.v1.ListSharesResponse. */
export interface JsonSharePage {
  readonly shares?: readonly JsonShare[];
  readonly nextPageToken?: string;
}

/** What can be listed. */
export type ShareList = "RECEIVED" | "SENT" | "UNDELIVERED";

const DEFAULT_LIMIT = 50;
const MAX_PAGE = 100;

/** How many shares `--limit` asks for. @throws CliError `USAGE` */
export function readLimit(option: unknown): number {
  const limit = option === undefined ? DEFAULT_LIMIT : Number(option);
  if (!Number.isSafeInteger(limit) || limit < 1) throw usageError("--limit must be a number from 1 on");
  return limit;
}

/** The newest shares of a list, up to `limit`, and whether there are more. */
export async function listUpTo(
  node: OwnNode,
  list: ShareList,
  limit: number,
): Promise<{ readonly shares: readonly JsonShare[]; readonly more: boolean }> {
  const shares: JsonShare[] = [];
  let pageToken = "";
  do {
    const page = await listShares(node, list, Math.min(limit - shares.length, MAX_PAGE), pageToken);
    shares.push(...(page.shares ?? []));
    pageToken = page.nextPageToken ?? "";
  } while (pageToken !== "" && shares.length < limit);
  return { shares, more: pageToken !== "" };
}

/** The whole id of a share of the node's, in hex. @throws CliError as `findShareId` does. */
export function findNodeShare(node: OwnNode, text: string, list: ShareList): Promise<string> {
  return findShareId(text, async (pageToken) => {
    const page = await listShares(node, list, ID_PAGE_SIZE, pageToken);
    return {
      ids: (page.shares ?? []).map(({ shareId }) => hexOf(shareId)),
      nextPageToken: page.nextPageToken ?? "",
    };
  });
}

/** Asks for something to be done about the delivery of a sent share. @throws CliError as `findShareId` does. */
export async function changeDelivery(
  node: OwnNode,
  method: "GetShareStatus" | "RetryShare" | "CancelShare",
  text: string,
): Promise<{ readonly shareId: string; readonly delivery: Delivery }> {
  const shareId = await findNodeShare(node, text, "SENT");
  const request = { shareId: base64Of(shareId) };
  const { delivery } = await node.call<{ delivery?: JsonDelivery }>(`ShareService/${method}`, request);
  return { shareId, delivery: readDelivery(delivery ?? {}) };
}

function listShares(
  node: OwnNode,
  list: ShareList,
  pageSize: number,
  pageToken: string,
): Promise<JsonSharePage> {
  const box = list === "RECEIVED" ? "SHARE_BOX_RECEIVED" : "SHARE_BOX_SENT";
  const undeliveredOnly = list === "UNDELIVERED";
  return node.call("ShareService/ListShares", { box, pageSize, pageToken, undeliveredOnly });
}

/** Hex of base64, both as they are in JSON and on the command line. */
export function hexOf(base64: string): string {
  return Buffer.from(base64, "base64").toString("hex");
}

/** Base64 of hex. */
export function base64Of(hex: string): string {
  return Buffer.from(hex, "hex").toString("base64");
}

/** Milliseconds of a uint64 in JSON, null for 0 and for none. */
export function timeOf(text: string | undefined): number | null {
  return Number(text ?? 0) || null;
}
