/** What happened to an account, in words, whether it came as protobuf or as its JSON. */

import { showTime } from "./duration.ts";
import { visible } from "./visible.ts";

/** keypears.v1.AccountNotice. */
export interface Notice {
  /** The number on the wire, or the name in JSON. */
  readonly kind?: string | number;
  readonly createdAt?: string | bigint;
  readonly deviceName?: string;
  readonly keySetNumber?: number;
}

/** By the numbers of keypears.v1.AccountNoticeKind. */
const KINDS = ["UNSPECIFIED", "KEYS_ROTATED", "KEYS_RESET", "PASSWORD_CHANGED", "ACCOUNT_DELETED"] as const;

/** Name of a notice's kind, without what all of them begin with. */
export function noticeKind({ kind = 0 }: Notice): string {
  return typeof kind === "number" ? (KINDS[kind] ?? "UNSPECIFIED") : kind.replace("ACCOUNT_NOTICE_KIND_", "");
}

/** A notice as a line of text. */
export function describeNotice(notice: Notice): string {
  const device = notice.deviceName ? ` from ${visible(notice.deviceName)}` : "";
  const number = notice.keySetNumber ?? 0;
  const what: Readonly<Record<string, string>> = {
    KEYS_ROTATED: `keys were rotated: set ${number} is active`,
    KEYS_RESET: `keys were reset: set ${number} is active, and contacts have to confirm it`,
    PASSWORD_CHANGED: "the password was changed, and all other sessions ended",
    ACCOUNT_DELETED: "the account was deleted",
  };
  const said = what[noticeKind(notice)] ?? "something happened that this version does not know";
  return `${showTime(Number(notice.createdAt ?? 0))}  ${said}${device}`;
}
