/** Security notices as an account's sessions are told them. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AccountNoticeKind, AccountNoticeSchema } from "../../gen/keypears/v1/account_service_pb.ts";
import type { NewNotice } from "../storage/stores.ts";

/** A notice as a message. */
export function noticeMessage(notice: NewNotice): MessageInitShape<typeof AccountNoticeSchema> {
  const { kind, createdAt, deviceName, keySetNumber } = notice;
  return { kind: kind as AccountNoticeKind, createdAt: BigInt(createdAt), deviceName, keySetNumber };
}
