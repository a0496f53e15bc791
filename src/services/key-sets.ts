/**
 * KeySetService (docs/protocol.md, section 3): look-ups, open to everyone from everywhere, and publication. Key sets are
 * stored as they were verified, so that an answer needs no cryptography.
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  KeySetView,
  KeySetViewSchema,
  type PublishedKeySetSchema,
} from "../../gen/keypears/v1/key_set_pb.ts";
import type {
  GetKeySetRequest,
  KeySetLookup,
  KeySetResultSchema,
  KeySetService,
} from "../../gen/keypears/v1/key_set_service_pb.ts";
import { MAX_KEY_SET_NUMBER } from "../protocol/limits.ts";
import type { KeySetRecord } from "../storage/stores.ts";
import { callerKey, type ServiceContext } from "./context.ts";
import { fieldError, reasonOf, serviceError } from "./errors.ts";
import { enumField, hostedAddressField } from "./fields.ts";
import { createKeySetPublication } from "./key-set-publication.ts";
import { pageNumber, pageSizeOf, pageToken } from "./page.ts";

const MAX_PAGE_SIZE = 50;
const DEFAULT_PAGE_SIZE = 20;

type PublishedKeySetInit = MessageInitShape<typeof PublishedKeySetSchema>;

/** Makes the service. */
export function createKeySetService(context: ServiceContext): ServiceImpl<typeof KeySetService> {
  const { stores, limits } = context;

  /** Looks one set up, with the request's fields found under `prefix`. */
  async function lookUp(
    lookup: GetKeySetRequest | KeySetLookup,
    view: KeySetView,
    prefix = "",
  ): Promise<PublishedKeySetInit> {
    numberField(`${prefix}number`, lookup.number);
    const { canonical } = hostedAddressField(`${prefix}address`, lookup.address, context);
    const found = await stores.keySets.get(canonical, lookup.number);
    switch (found.kind) {
      case "found":
        return published(found.keySet, found, view);
      case "address-unknown":
        throw addressUnknown(canonical);
      case "number-unknown": {
        const metadata = { active_number: String(found.activeNumber) };
        const message = `${canonical} has no key set ${lookup.number}, its active one is ${found.activeNumber}`;
        throw serviceError("KEY_SET_UNKNOWN", message, { metadata });
      }
    }
  }

  function published(
    keySet: KeySetRecord,
    about: { readonly activeNumber: number; readonly supersededAt: number; readonly revoked: boolean },
    view: KeySetView,
  ): PublishedKeySetInit {
    const { body, selfSignature, continuitySignature } = keySet;
    return {
      keySet: view === KeySetView.BODY ? { body } : { body, selfSignature, continuitySignature },
      activeNumber: about.activeNumber,
      firstContactDifficulty: context.firstContactDifficulty,
      supersededAt: BigInt(about.supersededAt),
      revoked: about.revoked,
    };
  }

  /** Whoever has no session draws from the budget of where the request comes from. */
  async function spendLookups(call: HandlerContext, count: number): Promise<void> {
    const { session, sourcePrefix } = call.values.get(callerKey);
    const anonymous = session === undefined || session === "invalid";
    if (anonymous && count > 0) await context.spend("lookup", `prefix:${sourcePrefix}`, count);
  }

  return {
    async getKeySet(request, call) {
      enumField("view", request.view, KeySetViewSchema);
      await spendLookups(call, 1);
      return { published: await lookUp(request, request.view) };
    },

    async batchGetKeySets({ lookups, view }, call) {
      enumField("view", view, KeySetViewSchema);
      if (lookups.length > limits.maxBatchLookups) {
        throw fieldError("lookups", `must be at most ${limits.maxBatchLookups}`);
      }
      await spendLookups(call, lookups.length);
      const settled = lookups.map((lookup, index) => settle(lookUp(lookup, view, `lookups[${index}].`)));
      return { results: await Promise.all(settled) };
    },

    async listKeySets(request, call) {
      const { view, afterNumber } = request;
      enumField("view", view, KeySetViewSchema);
      numberField("after_number", afterNumber);
      const { canonical } = hostedAddressField("address", request.address, context);
      const size = pageSizeOf(request.pageSize, MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE);
      const list = `ListKeySets ${canonical}`;
      const after = Math.max(afterNumber, pageNumber(list, request.pageToken) ?? 0);
      await spendLookups(call, 1);
      const found = await stores.keySets.list(canonical, { limit: size, after });
      if (found.kind === "address-unknown") throw addressUnknown(canonical);
      const { keySets, next, activeNumber } = found;
      // A page costs as many look-ups as it has sets: it is as many times larger.
      await spendLookups(call, keySets.length - 1);
      const last = keySets.at(-1);
      return {
        keySets: keySets.map((keySet, index) => {
          const successor = keySets[index + 1] ?? next;
          const supersededAt = successor?.createdAt ?? 0;
          const revoked = successor?.revokesPrevious ?? false;
          return published(keySet, { activeNumber, supersededAt, revoked }, view);
        }),
        nextPageToken: next && last ? pageToken(list, String(last.number)) : "",
      };
    },

    publishKeySet: createKeySetPublication(context),
  };
}

/** One look-up's own success or failure. What failed for another cause than the look-up's own fails the whole call. */
async function settle(
  lookup: Promise<PublishedKeySetInit>,
): Promise<MessageInitShape<typeof KeySetResultSchema>> {
  try {
    return { result: { case: "published", value: await lookup } };
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    return { result: { case: "error", value: { reason, message: error.rawMessage } } };
  }
}

function numberField(field: string, number: number): void {
  if (number > MAX_KEY_SET_NUMBER) throw fieldError(field, `must be at most ${MAX_KEY_SET_NUMBER}`);
}

function addressUnknown(address: string): ConnectError {
  return serviceError("ADDRESS_UNKNOWN", `${address} has no account here`);
}
