/**
 * ShareService (docs/protocol.md, section 6): what an account sent and received. The account is always the session's, so
 * that a share id of somebody else finds nothing.
 */

import type { UnknownEnum } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  ContactState,
  ContactStateSchema,
  ShareBox,
  ShareBoxSchema,
  type ShareService,
} from "../../gen/keypears/v1/share_service_pb.ts";
import type { ContactStateName, DeliveryRecord } from "../storage/stores.ts";
import { requireChangingSession, requireSession, type ServiceContext } from "./context.ts";
import { fieldError, serviceError } from "./errors.ts";
import { addressField, enumField, shareIdField } from "./fields.ts";
import { cutPage, pageNumber, pageSizeOf, pageToken } from "./page.ts";
import { createShareSending, tooManyContacts } from "./sending.ts";
import {
  deliveryMessage,
  envelopeMessage,
  receivedSummary,
  senderKeySetMessage,
  sentSummary,
} from "./share-messages.ts";
import { createShareWatch } from "./watch.ts";

const MAX_PAGE_SIZE = 100;
const DEFAULT_PAGE_SIZE = 50;

const CONTACT_STATES: Readonly<Record<Exclude<ContactState, UnknownEnum>, ContactStateName>> = {
  [ContactState.UNSPECIFIED]: "NONE",
  [ContactState.NONE]: "NONE",
  [ContactState.ACCEPTED]: "ACCEPTED",
  [ContactState.BLOCKED]: "BLOCKED",
};

/** Makes the service. */
export function createShareService(context: ServiceContext): ServiceImpl<typeof ShareService> {
  const { stores, clock, limits } = context;
  return {
    sendShare: createShareSending(context),

    async getShareStatus(request, call) {
      const { account } = requireSession(call);
      const delivery = await stores.outbox.status(account.id, shareIdField(request.shareId));
      if (!delivery) throw shareUnknown();
      return { delivery: deliveryMessage(delivery) };
    },

    async listShares(request, call) {
      const { account } = requireSession(call);
      const box = boxField(request.box);
      const size = pageSizeOf(request.pageSize, MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE);
      const undelivered = request.undeliveredOnly;
      if (undelivered && box !== "SENT") throw fieldError("undelivered_only", "only for the sent box");
      const list = `ListShares ${undelivered ? "UNDELIVERED" : box} ${account.address}`;
      const before = pageNumber(list, request.pageToken);
      const page = { limit: size + 1, ...(before !== undefined && { before }) };
      if (box === "SENT") {
        const sent = await stores.outbox.list(account.id, { ...page, undelivered });
        const { rows, nextPageToken } = cutPage(sent, size, (last) => pageToken(list, `${last.position}`));
        return { shares: rows.map(sentSummary), nextPageToken };
      }
      const received = await stores.received.list(account.id, { ...page, now: clock() });
      const { rows, nextPageToken } = cutPage(received, size, (last) => pageToken(list, `${last.sequence}`));
      return { shares: rows.map(receivedSummary), nextPageToken };
    },

    async getShare(request, call) {
      const { account } = requireSession(call);
      const shareId = shareIdField(request.shareId);
      if (boxField(request.box) === "SENT") {
        const sent = await stores.outbox.get(account.id, shareId);
        if (!sent) throw shareUnknown();
        return { summary: sentSummary(sent.share), ...shareBytes(sent) };
      }
      const received = await stores.received.get(account.id, shareId, clock());
      if (!received) throw shareUnknown();
      return { summary: receivedSummary(received.share), ...shareBytes(received) };
    },

    watchShares: createShareWatch(context),

    async markOpened(request, call) {
      const { account } = await requireChangingSession(context, call);
      const openedAt = await stores.received.markOpened(account.id, shareIdField(request.shareId), clock());
      if (openedAt === undefined) throw shareUnknown();
      return { openedAt: BigInt(openedAt) };
    },

    async deleteShare(request, call) {
      const { account } = await requireChangingSession(context, call);
      const shareId = shareIdField(request.shareId);
      if (boxField(request.box) === "SENT") {
        const { cancelled } = await stores.outbox.delete(account.id, shareId, clock());
        return { cancelled };
      }
      await stores.received.delete(account.id, shareId);
      return { cancelled: false };
    },

    async retryShare(request, call) {
      const { account } = await requireChangingSession(context, call);
      const found = await stores.outbox.retry(account.id, shareIdField(request.shareId), clock());
      if (!found) throw shareUnknown();
      const { delivery, destination } = found;
      if (delivery.state === "QUEUED") context.wakeOutbox(destination);
      else if (delivery.state !== "DELIVERING") throw deliveryEnded(delivery);
      return { delivery: deliveryMessage(delivery) };
    },

    async cancelShare(request, call) {
      const { account } = await requireChangingSession(context, call);
      const delivery = await stores.outbox.cancel(account.id, shareIdField(request.shareId), clock());
      if (!delivery) throw shareUnknown();
      if (delivery.state === "DELIVERING") {
        const message = "the share is being delivered at this moment: look at its status, or try again";
        throw serviceError("DELIVERY_UNDER_WAY", message);
      }
      if (delivery.state !== "CANCELLED") throw deliveryEnded(delivery);
      return { delivery: deliveryMessage(delivery) };
    },

    async setContact(request, call) {
      const { account } = await requireChangingSession(context, call);
      const { canonical } = addressField("address", request.address);
      const state = CONTACT_STATES[enumField("state", request.state, ContactStateSchema)];
      const { maxContacts } = limits;
      const isSet = await stores.contacts.set(account.id, canonical, state, { now: clock(), maxContacts });
      if (!isSet) throw tooManyContacts(maxContacts);
      return { address: canonical, state: ContactState[state] };
    },
  };
}

function boxField(box: ShareBox): "RECEIVED" | "SENT" {
  return enumField("box", box, ShareBoxSchema) === ShareBox.SENT ? "SENT" : "RECEIVED";
}

/** What is opened: the envelope, and the sender's keys as they were verified. */
function shareBytes(share: {
  readonly envelope: Parameters<typeof envelopeMessage>[0];
  readonly senderKeySet: Parameters<typeof senderKeySetMessage>[0];
}) {
  return {
    envelope: envelopeMessage(share.envelope),
    senderKeySet: senderKeySetMessage(share.senderKeySet),
  };
}

function deliveryEnded({ state }: DeliveryRecord) {
  const metadata = { state };
  return serviceError("DELIVERY_ENDED", `the delivery has come to an end: ${state}`, { metadata });
}

function shareUnknown() {
  return serviceError(
    "SHARE_UNKNOWN",
    "there is no such share in this box: it may have expired or been deleted",
  );
}
