/**
 * Shares as a client handles them (docs/protocol.md, section 6): sealing to the keys that the recipient's own domain gives,
 * opening only what the sender's pinned keys signed, listing, watching, deleting.
 */

import { create } from "@bufbuild/protobuf";
import { StampSchema } from "../../gen/keypears/v1/envelope_pb.ts";
import {
  DeliveryState,
  type DeliveryStatus,
  RejectionReason,
  ShareBox,
  type ShareSummary,
} from "../../gen/keypears/v1/share_service_pb.ts";
import { stampKey } from "../crypto/stamp.ts";
import { parseAddress } from "../protocol/address.ts";
import { type ParsedEnvelope, parseEnvelope } from "../protocol/envelope.ts";
import { fingerprint } from "../protocol/fingerprint.ts";
import { type ParsedKeySet, verifyKeySet } from "../protocol/key-set.ts";
import type { ShareContent } from "../protocol/payload.ts";
import { openShare, sealShare } from "../protocol/seal.ts";
import { sameBytes } from "../protocol/strict-message.ts";
import { type ContactBookStore, pin } from "./contact-book.ts";
import { type Judgement, judgeSender, lookUp, requireFingerprint, type Standing } from "./directory.ts";
import { ClientError, call } from "./errors.ts";
import { activeOf, type KeyRing, type KeyRingContext, type OwnKeySet } from "./key-ring.ts";
import type { WorkOptions } from "./sign-in.ts";
import { earnStamp } from "./stamps.ts";
import { type WatchEvent, watchShares } from "./watch.ts";

export type { DeliveryStatus, ShareContent, ShareSummary, WatchEvent };
export { DeliveryState, RejectionReason };

/** Which side of a share: received, or sent. */
export type Box = "received" | "sent";

/** A share that was sent. */
export interface SentShare {
  /** 32 bytes. */
  readonly shareId: Uint8Array;
  readonly recipient: string;
  readonly delivery: DeliveryStatus | undefined;
  /** How the recipient's keys stand to what was pinned; `new` is a first contact. */
  readonly standing: Standing;
  readonly recipientFingerprint: string;
}

/** A share that was opened. */
export interface OpenedShare {
  readonly summary: ShareSummary;
  readonly content: ShareContent;
  /** How the sender's keys stand to what was pinned. */
  readonly standing: Standing | "unconfirmed";
  readonly senderFingerprint: string;
}

/** Sending, receiving and keeping shares. Every method throws ClientError. */
export interface Shares {
  /**
   * Seals content for an address and hands it to the own node, which delivers it. Does the work of a stamp where a first
   * contact needs one.
   *
   * @throws ClientError CONTACT_CHANGED when the recipient's keys are not vouched for by the pinned ones: confirm them.
   */
  send(
    to: string,
    content: ShareContent,
    options?: WorkOptions & { /** Unix milliseconds. */ readonly expiresAt?: number },
  ): Promise<SentShare>;
  /** Seals a sent share again, to the keys that the recipient has now: after KEY_RETIRED or STAMP_REQUIRED. */
  sendAgain(shareId: Uint8Array, options?: WorkOptions): Promise<SentShare>;
  status(shareId: Uint8Array): Promise<DeliveryStatus>;
  /** Makes the next attempt to deliver a queued share now. */
  retry(shareId: Uint8Array): Promise<DeliveryStatus>;
  /** Cancels the delivery of a queued share and keeps the own copy. */
  cancel(shareId: Uint8Array): Promise<DeliveryStatus>;
  /** A page of shares, newest first; of the sent ones those that are not delivered yet, if asked for. */
  list(
    box: Box,
    page?: {
      readonly pageSize?: number;
      readonly pageToken?: string;
      readonly undeliveredOnly?: boolean;
    },
  ): Promise<{ readonly shares: readonly ShareSummary[]; readonly nextPageToken: string }>;
  /**
   * Opens a share and marks it opened.
   *
   * @param options.acceptSender fingerprint that a person compared: opens a share under these keys, and no others, although
   *   they changed or could not be confirmed.
   * @throws ClientError CONTACT_CHANGED, CONTACT_UNCONFIRMED, CONTACT_FORK, FINGERPRINT_MISMATCH, SHARE_SIGNATURE_INVALID,
   *   SHARE_NOT_OPENED.
   */
  open(
    shareId: Uint8Array,
    options?: { readonly box?: Box; readonly acceptSender?: string | undefined },
  ): Promise<OpenedShare>;
  /** Received shares in order of sequence, first those above `after`, then new ones; reconnects by itself. */
  watch(options?: { readonly after?: bigint; readonly signal?: AbortSignal }): AsyncIterable<WatchEvent>;
  /** True if it was still queued and will not be delivered. */
  delete(shareId: Uint8Array, box: Box): Promise<boolean>;
}

/** What shares need of their account. */
export interface SharesContext extends KeyRingContext {
  readonly keyRing: () => Promise<KeyRing>;
  readonly book: ContactBookStore;
}

/** Makes the share functions of an account. */
export function createShares(context: SharesContext): Shares {
  const { env, node, address, book, keyRing } = context;

  async function recipientOf(to: string, active: OwnKeySet, signal: AbortSignal | undefined) {
    const { canonical } = parseAddress(to);
    if (canonical === address) {
      return { keySet: active.keySet, firstContactDifficulty: 0, standing: "pinned" as const, seen: [] };
    }
    const contact = await book.find(canonical);
    const found = await lookUp(env, canonical, contact?.pins ?? [], signal);
    if (found.standing === "changed") throw changed(canonical, contact?.pins.at(-1)?.hash, found.keySet.hash);
    return { ...found, firstContactDifficulty: contact?.replied ? 0 : found.firstContactDifficulty };
  }

  async function send(
    to: string,
    content: ShareContent,
    options: WorkOptions & { expiresAt?: number },
  ): Promise<SentShare> {
    const active = activeOf(await keyRing());
    const recipient = await recipientOf(to, active, options.signal);
    const { envelope, shareId } = sealShare({
      content,
      sender: active,
      recipient: recipient.keySet,
      createdAt: env.now(),
      expiresAt: options.expiresAt ?? 0,
    });
    if (recipient.firstContactDifficulty > 1) {
      const key = stampKey(shareId, recipient.keySet.address);
      envelope.stamp = create(StampSchema, {
        nonce: await earnStamp(key, recipient.firstContactDifficulty, options),
      });
    }
    // Before anything leaves: what could not be pinned would be trusted anew the next time, whatever it is then.
    await remember(recipient.keySet.address, recipient, false);
    const { delivery } = await node.shares.sendShare(
      { envelope },
      options.signal ? { signal: options.signal } : {},
    );
    return {
      shareId,
      recipient: recipient.keySet.address,
      delivery,
      standing: recipient.standing,
      recipientFingerprint: fingerprint(recipient.keySet.hash),
    };
  }

  /** Pins what was verified, and notes that a contact has written; the book is left alone if it says so already. */
  async function remember(
    contactAddress: string,
    { standing, seen }: Pick<Judgement, "standing" | "seen">,
    replied: boolean,
  ): Promise<void> {
    if (contactAddress === address) return;
    const known = await book.find(contactAddress);
    const news = seen.some((set) => !known?.pins.some(({ number }) => number === set.number));
    if (!news && (!replied || known?.replied)) return;
    await book.change(contactAddress, (contact) => {
      pin(contact, seen);
      contact.replied ||= replied;
      if (standing === "changed") contact.verified = false; // the keys that were compared are not these
      return true;
    });
  }

  async function open(shareId: Uint8Array, box: Box, acceptSender?: string): Promise<OpenedShare> {
    const wanted = box === "sent" ? ShareBox.SENT : ShareBox.RECEIVED;
    const { summary, envelope, senderKeySet } = await node.shares.getShare({ shareId, box: wanted });
    if (!summary || !envelope || !senderKeySet) {
      throw new ClientError("NODE_ANSWER_INVALID", "the node's answer lacks a part of the share");
    }
    const parsed = parseEnvelope(envelope);
    const own = parsed.sender === address;
    const inBox = box === "sent" ? own : parsed.recipient === address;
    if (!sameBytes(parsed.shareId, shareId) || !inBox || !describes(summary, parsed))
      throw new ClientError("NODE_ANSWER_INVALID", "the node gave another share, or described it wrongly");
    const ring = await keyRing();
    const sender = own ? numbered(ring, parsed.senderKeyNumber).keySet : readSender(senderKeySet, parsed);
    const judged = own ? { standing: "pinned" as const, seen: [] } : await judge(sender, acceptSender);
    const wrap = parsed.header.wraps[box === "sent" ? 1 : 0];
    const content = openShare(
      parsed,
      sender.publicKeys,
      { role: box === "sent" ? "sender" : "recipient", seeds: numbered(ring, wrap?.keyNumber ?? 0).seeds },
      env.now(),
    );
    if (box === "received") {
      await remember(sender.address, judged, true);
      await node.shares.markOpened({ shareId });
    }
    return { summary, content, standing: judged.standing, senderFingerprint: fingerprint(sender.hash) };
  }

  /** Refuses what a person has not confirmed. */
  async function judge(sender: ParsedKeySet, acceptSender: string | undefined): Promise<Judgement> {
    const pins = (await book.find(sender.address))?.pins ?? [];
    const judged = await judgeSender(env, sender, pins);
    if (acceptSender !== undefined) {
      requireFingerprint(sender, acceptSender);
      return judged;
    }
    if (judged.standing === "changed") throw changed(sender.address, pins.at(-1)?.hash, sender.hash);
    if (judged.standing === "unconfirmed") {
      throw new ClientError(
        "CONTACT_UNCONFIRMED",
        `the domain of ${sender.address} cannot be asked whether these are its keys: compare the fingerprint with the sender`,
        { metadata: { address: sender.address, fingerprint: fingerprint(sender.hash) } },
      );
    }
    return judged;
  }

  return {
    send: (to, content, options = {}) => call(() => send(to, content, options)),
    sendAgain: (shareId, options = {}) =>
      call(async () => {
        const { summary, content } = await open(shareId, "sent");
        return send(summary.recipient, content, { ...options, expiresAt: Number(summary.expiresAt) });
      }),
    status: (shareId) => statusFrom(node.shares.getShareStatus({ shareId })),
    retry: (shareId) => statusFrom(node.shares.retryShare({ shareId })),
    cancel: (shareId) => statusFrom(node.shares.cancelShare({ shareId })),
    list: (box, page = {}) =>
      call(() =>
        node.shares.listShares({ box: box === "sent" ? ShareBox.SENT : ShareBox.RECEIVED, ...page }),
      ),
    open: (shareId, options = {}) =>
      call(() => open(shareId, options.box ?? "received", options.acceptSender)),
    watch: (options = {}) => watchShares(node, options.after ?? 0n, options.signal),
    delete: (shareId, box) =>
      call(async () => {
        const wanted = box === "sent" ? ShareBox.SENT : ShareBox.RECEIVED;
        return (await node.shares.deleteShare({ shareId, box: wanted })).cancelled;
      }),
  };
}

function statusFrom(
  answer: Promise<{ readonly delivery?: DeliveryStatus | undefined }>,
): Promise<DeliveryStatus> {
  return call(async () => {
    const { delivery } = await answer;
    if (!delivery) throw new ClientError("NODE_ANSWER_INVALID", "the node gives no status");
    return delivery;
  });
}

function numbered(ring: KeyRing, number: number): OwnKeySet {
  const own = ring.find(({ keySet }) => keySet.number === number);
  if (!own)
    throw new ClientError(
      "SHARE_NOT_OPENED",
      `the share is sealed to key set ${number}, which this account lacks`,
    );
  return own;
}

/** Whether what a node says of a share is what its envelope says: people and programs go by it once the share is open. */
function describes(summary: ShareSummary, envelope: ParsedEnvelope): boolean {
  return (
    sameBytes(summary.shareId, envelope.shareId) &&
    summary.sender === envelope.sender &&
    summary.recipient === envelope.recipient &&
    summary.senderKeyNumber === envelope.senderKeyNumber &&
    summary.createdAt === envelope.header.createdAt &&
    summary.expiresAt === envelope.header.expiresAt
  );
}

/** The sender's set as the node kept it: it has to be the one that the envelope names. */
function readSender(record: Parameters<typeof verifyKeySet>[0], parsed: ParsedEnvelope): ParsedKeySet {
  const keySet = verifyKeySet(record);
  if (keySet.address !== parsed.sender || keySet.number !== parsed.senderKeyNumber) {
    throw new ClientError("NODE_ANSWER_INVALID", "the node gave the keys of another sender");
  }
  return keySet;
}

function changed(address: string, pinned: Uint8Array | undefined, now: Uint8Array): ClientError {
  return new ClientError(
    "CONTACT_CHANGED",
    `the keys of ${address} were reset: nothing vouches for the new ones; compare fingerprints with the person, then confirm`,
    {
      metadata: {
        address,
        pinned_fingerprint: pinned ? fingerprint(pinned) : "",
        new_fingerprint: fingerprint(now),
      },
    },
  );
}
