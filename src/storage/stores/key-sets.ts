/** Key sets by address and number (docs/protocol.md §3), and the seeds that their owners sealed. */

import type { RequestIdReused, RequestKey } from "./accounts.ts";
import type { NewNotice } from "./contacts.ts";

/** A key set as it is kept. */
export interface KeySetRecord {
  readonly number: number;
  /** A canonical KeySetBody. */
  readonly body: Uint8Array;
  /** 32 bytes. */
  readonly hash: Uint8Array;
  readonly selfSignature: Uint8Array;
  /** Empty where there is none. */
  readonly continuitySignature: Uint8Array;
  readonly createdAt: number;
  readonly revokesPrevious: boolean;
}

/** The sealed seeds of one key set. */
export interface SealedKeySetRecord {
  readonly number: number;
  readonly ed25519: Uint8Array;
  readonly x25519: Uint8Array;
  readonly mlDsa65: Uint8Array;
  readonly mlKem768: Uint8Array;
}

/** Key sets by address and number. */
export interface KeySetStore {
  /**
   * One set of an address (the active one for number 0) with what the next one says about it, or why there is none. Asked
   * for most often of all.
   */
  get(
    address: string,
    number: number,
  ): Promise<
    | { kind: "found"; keySet: KeySetRecord; activeNumber: number; supersededAt: number; revoked: boolean }
    | { kind: "address-unknown" }
    | { kind: "number-unknown"; activeNumber: number }
  >;
  /** Sets with numbers above `after` in ascending order, and the one that follows the page, which supersedes its last. */
  list(
    address: string,
    page: { readonly limit: number; readonly after: number },
  ): Promise<
    | {
        kind: "found";
        keySets: readonly KeySetRecord[];
        activeNumber: number;
        next: KeySetRecord | undefined;
      }
    | { kind: "address-unknown" }
  >;
  /** Sealed seeds of all sets in ascending order. */
  sealed(accountId: number): Promise<readonly SealedKeySetRecord[]>;
  /** How many sets were published since `since`, by this node's clock at publication. */
  publishedSince(accountId: number, since: number): Promise<number>;
  /** Publishes the next set if the active number is still `expectedActiveNumber`, and leaves a notice. */
  publish(publication: {
    readonly accountId: number;
    readonly expectedActiveNumber: number;
    readonly keySet: KeySetRecord;
    readonly sealedKeys: SealedKeySetRecord;
    readonly now: number;
    readonly notice: NewNotice;
    readonly request: RequestKey;
  }): Promise<
    { kind: "published"; activeNumber: number } | { kind: "conflict"; activeNumber: number } | RequestIdReused
  >;
}
