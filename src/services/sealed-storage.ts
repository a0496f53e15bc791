/** What an account keeps sealed on its node and only its clients can open (docs/protocol.md, section 5). */

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { AccountService, type WrappedAccountKeySchema } from "../../gen/keypears/v1/account_service_pb.ts";
import { SEALED_BOX_OVERHEAD } from "../crypto/index.ts";
import { MAX_SEALED_CONTACTS_BYTES } from "../protocol/limits.ts";
import type { AccountRecord, AccountStore } from "../storage/stores.ts";
import { requireChangingSession, requireSession, type ServiceContext } from "./context.ts";
import { fieldError, serviceError } from "./errors.ts";
import { uint64Field } from "./fields.ts";
import { requestIdReused, requestKey } from "./request-id.ts";

type Methods = Pick<
  ServiceImpl<typeof AccountService>,
  "getSealedKeys" | "getSealedContacts" | "putSealedContacts"
>;

/** Makes the methods that give and take sealed bytes. */
export function createSealedStorage(context: ServiceContext): Methods {
  const { stores, clock } = context;
  return {
    async getSealedKeys(_request, call) {
      const { account } = requireSession(call);
      const sealed = await stores.keySets.sealed(account.id);
      return {
        sealedKeySets: sealed.map((keys) => ({
          number: keys.number,
          sealedEd25519Seed: keys.ed25519,
          sealedX25519Seed: keys.x25519,
          sealedMlDsa65Seed: keys.mlDsa65,
          sealedMlKem768Seed: keys.mlKem768,
        })),
        wrappedAccountKey: wrappedAccountKeyMessage(account),
      };
    },

    async getSealedContacts(_request, call) {
      const { account } = requireSession(call);
      const { version, sealed } = await stores.accounts.sealedContacts(account.id);
      return { version: BigInt(version), sealedContacts: sealed };
    },

    async putSealedContacts(request, call) {
      const { account } = await requireChangingSession(context, call);
      const { length } = request.sealedContacts;
      if (length < SEALED_BOX_OVERHEAD || length > MAX_SEALED_CONTACTS_BYTES) {
        const range = `from ${SEALED_BOX_OVERHEAD} to ${MAX_SEALED_CONTACTS_BYTES}`;
        throw fieldError("sealed_contacts", `must be ${range} bytes, is ${length}`);
      }
      const result = await stores.accounts.putSealedContacts({
        accountId: account.id,
        expectedVersion: uint64Field("expected_version", request.expectedVersion),
        sealed: request.sealedContacts,
        now: clock(),
        request: requestKey(AccountService.method.putSealedContacts, request),
      });
      return putAnswer(result);
    },
  };
}

/** The account key as wrapped under the password. */
export function wrappedAccountKeyMessage({
  password,
}: AccountRecord): MessageInitShape<typeof WrappedAccountKeySchema> {
  return { kind: "password", number: password.wrapNumber, wrappedKey: password.wrappedAccountKey };
}

function putAnswer(result: Awaited<ReturnType<AccountStore["putSealedContacts"]>>): { version: bigint } {
  switch (result.kind) {
    case "put":
      return { version: BigInt(result.version) };
    case "conflict": {
      const metadata = { version: String(result.version) };
      const message = "another device replaced the contacts meanwhile: get them, merge, put again";
      throw serviceError("CONTACTS_CHANGED", message, { metadata });
    }
    case "request-id-reused":
      throw requestIdReused();
  }
}
