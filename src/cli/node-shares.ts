/** Shares as the node's JSON gives them, for the commands that open none: what of protobuf's JSON form they read. */

import type { OwnNode } from "./node-call.ts";
import { findShareId, ID_PAGE_SIZE } from "./share-id.ts";

/** Which side of a share. */
export type ShareBoxName = "SHARE_BOX_RECEIVED" | "SHARE_BOX_SENT";

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

/** A page of shares. */
export function listShares(
  node: OwnNode,
  box: ShareBoxName,
  pageSize: number,
  pageToken: string,
): Promise<JsonSharePage> {
  return node.call("ShareService/ListShares", { box, pageSize, pageToken });
}

/** The whole id of a share of the node's, in hex. @throws CliError as `findShareId` does. */
export function findNodeShare(node: OwnNode, text: string, box: ShareBoxName): Promise<string> {
  return findShareId(text, async (pageToken) => {
    const page = await listShares(node, box, ID_PAGE_SIZE, pageToken);
    return {
      ids: (page.shares ?? []).map(({ shareId }) => hexOf(shareId)),
      nextPageToken: page.nextPageToken ?? "",
    };
  });
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
