/**
 * KeySetService (docs/protocol.md, section 3): look-ups, open to everyone from everywhere, and publication. Key sets are
 * stored as they were verified, so that an answer needs no cryptography; and look-ups are answered in bytes, which are kept.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { type KeySetView, KeySetViewSchema } from "../../gen/keypears/v1/key_set_pb.ts";
import {
  type BatchGetKeySetsRequest,
  BatchGetKeySetsResponseSchema,
  type GetKeySetRequest,
  GetKeySetResponseSchema,
  type KeySetLookup,
  KeySetResultSchema,
  type KeySetService,
} from "../../gen/keypears/v1/key_set_service_pb.ts";
import { concat } from "../crypto/index.ts";
import { MAX_KEY_SET_NUMBER } from "../protocol/limits.ts";
import { callerKey, type ServiceContext } from "./context.ts";
import { answeredInBytes, type EncodedAnswer } from "./encoded-answer.ts";
import { encodedMessage } from "./encoded-message.ts";
import { fieldError, reasonOf, serviceError } from "./errors.ts";
import { enumField, hostedAddressField } from "./fields.ts";
import { KEY_SET_CACHE_CONTROL, publishedKeySet } from "./key-set-answers.ts";
import { createKeySetPublication } from "./key-set-publication.ts";
import { pageNumber, pageSizeOf, pageToken } from "./page.ts";

const MAX_PAGE_SIZE = 50;
const DEFAULT_PAGE_SIZE = 20;

/** Makes the service. */
export function createKeySetService(context: ServiceContext): ServiceImpl<typeof KeySetService> {
  const { stores, limits, keySetAnswers, firstContactDifficulty } = context;

  /** Looks one set up, with the request's fields found under `prefix`. */
  function lookUp(
    lookup: GetKeySetRequest | KeySetLookup,
    view: KeySetView,
    prefix = "",
  ): EncodedAnswer | Promise<EncodedAnswer> {
    // Most callers spell an address as it is kept, and what is kept needs no check.
    return keySetAnswers.known(lookup.address, lookup.number, view) ?? checkAndLookUp(lookup, view, prefix);
  }

  async function checkAndLookUp(
    lookup: GetKeySetRequest | KeySetLookup,
    view: KeySetView,
    prefix: string,
  ): Promise<EncodedAnswer> {
    numberField(`${prefix}number`, lookup.number);
    const { canonical } = hostedAddressField(`${prefix}address`, lookup.address, context);
    const found = await keySetAnswers.find(canonical, lookup.number, view);
    switch (found.kind) {
      case "found":
        return found.answer;
      case "address-unknown":
        throw addressUnknown(canonical);
      case "number-unknown": {
        const metadata = { active_number: String(found.activeNumber) };
        const message = `${canonical} has no key set ${lookup.number}, its active one is ${found.activeNumber}`;
        throw serviceError("KEY_SET_UNKNOWN", message, { metadata });
      }
    }
  }

  /** Whoever has no session draws from the budget of where the request comes from. */
  async function spendLookups(call: HandlerContext, count: number): Promise<void> {
    const { session, sourcePrefix } = call.values.get(callerKey);
    const anonymous = session === undefined || session === "invalid";
    if (anonymous && count > 0) await context.spend("lookup", `prefix:${sourcePrefix}`, count);
  }

  return {
    getKeySet: answeredInBytes(GetKeySetResponseSchema, async (request: GetKeySetRequest, call) => {
      enumField("view", request.view, KeySetViewSchema);
      await spendLookups(call, 1);
      return lookUp(request, request.view);
    }),

    batchGetKeySets: answeredInBytes(
      BatchGetKeySetsResponseSchema,
      async ({ lookups, view }: BatchGetKeySetsRequest, call) => {
        enumField("view", view, KeySetViewSchema);
        if (lookups.length > limits.maxBatchLookups) {
          throw fieldError("lookups", `must be at most ${limits.maxBatchLookups}`);
        }
        await spendLookups(call, lookups.length);
        const settled = lookups.map((lookup, index) => settle(lookUp(lookup, view, `lookups[${index}].`)));
        return batchAnswer(await Promise.all(settled));
      },
    ),

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
          const state = { activeNumber, firstContactDifficulty, supersededAt, revoked };
          return publishedKeySet(keySet, state, view);
        }),
        nextPageToken: next && last ? pageToken(list, String(last.number)) : "",
      };
    },

    publishKeySet: createKeySetPublication(context),
  };
}

/**
 * One look-up's own success or failure, an encoded KeySetResult. What failed for another cause than the look-up's own fails
 * the whole call.
 */
async function settle(lookup: EncodedAnswer | Promise<EncodedAnswer>): Promise<Uint8Array> {
  try {
    // A GetKeySetResponse with a set is a KeySetResult with that set: in both it is field 1.
    return (await lookup).bytes("proto");
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    const result = { case: "error", value: { reason, message: error.rawMessage } } as const;
    return toBinary(KeySetResultSchema, create(KeySetResultSchema, { result }));
  }
}

/** A BatchGetKeySetsResponse of encoded results. */
function batchAnswer(results: readonly Uint8Array[]): EncodedAnswer {
  const { number } = BatchGetKeySetsResponseSchema.field.results;
  // The writer makes the heads alone: a megabyte of sets would make it grow step by step.
  const writer = new BinaryWriter();
  const parts = results.flatMap((result) => [
    writer.tag(number, WireType.LengthDelimited).uint32(result.length).finish(),
    result,
  ]);
  return encodedMessage(BatchGetKeySetsResponseSchema, concat(...parts), {
    cacheControl: KEY_SET_CACHE_CONTROL,
    compressible: ["json"],
  });
}

function numberField(field: string, number: number): void {
  if (number > MAX_KEY_SET_NUMBER) throw fieldError(field, `must be at most ${MAX_KEY_SET_NUMBER}`);
}

function addressUnknown(address: string): ConnectError {
  return serviceError("ADDRESS_UNKNOWN", `${address} has no account here`);
}
