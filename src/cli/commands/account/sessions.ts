/** `keypears account sessions` */

import { printResult, type Run } from "../../context.ts";
import { showTime } from "../../duration.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError, usageError } from "../../failure.ts";
import { type OwnNode, withOwnNode } from "../../node-call.ts";
import { timeOf } from "../../node-shares.ts";
import { describeNotice, type Notice, noticeKind } from "../../notices.ts";
import { visible } from "../../visible.ts";

/** keypears.v1.Session in JSON. */
interface JsonSession {
  readonly id: string;
  readonly deviceName?: string;
  readonly createdAt?: string;
  readonly lastUsedAt?: string;
  readonly expiresAt?: string;
  readonly current?: boolean;
}

const PREFIX = /^[0-9a-f]{6,32}$/;

/** Lists sessions and notices, or ends one of the sessions. */
export const run: Run = async (context, _args, options) => {
  if (typeof options.revoke === "string") {
    const prefix = options.revoke.toLowerCase();
    if (!PREFIX.test(prefix))
      throw usageError("a session's id has 32 hex digits, of which at least 6 are needed");
    const sessionId = await withOwnNode(context, (node) => revoke(node, prefix));
    printResult(context, { revoked: sessionId }, `ended session ${sessionId}`);
    return;
  }
  const { sessions, notices } = await withOwnNode(context, listAll);
  const lines = sessions.map((session) => {
    const current = session.current ? "  (this device)" : "";
    const used = showTime(timeOf(session.lastUsedAt) ?? 0);
    return `${session.id.slice(0, 8)}  ${visible(session.deviceName ?? "")}  last used ${used}${current}`;
  });
  if (notices.length > 0) lines.push("", "In the last 30 days:", ...notices.map(describeNotice));
  const result = {
    sessions: sessions.map((session) => ({
      id: session.id,
      deviceName: session.deviceName ?? "",
      createdAt: timeOf(session.createdAt),
      lastUsedAt: timeOf(session.lastUsedAt),
      expiresAt: timeOf(session.expiresAt),
      current: session.current ?? false,
    })),
    notices: notices.map((notice) => ({
      kind: noticeKind(notice),
      createdAt: Number(notice.createdAt ?? 0),
      deviceName: notice.deviceName ?? "",
      keySetNumber: notice.keySetNumber ?? 0,
    })),
  };
  printResult(context, result, lines.join("\n"));
};

async function listAll(node: OwnNode): Promise<{ sessions: JsonSession[]; notices: Notice[] }> {
  const sessions: JsonSession[] = [];
  const notices: Notice[] = [];
  let pageToken = "";
  do {
    const page: { sessions?: JsonSession[]; notices?: Notice[]; nextPageToken?: string } = await node.call(
      "AccountService/ListSessions",
      { pageToken },
    );
    sessions.push(...(page.sessions ?? []));
    notices.push(...(page.notices ?? []));
    pageToken = page.nextPageToken ?? "";
  } while (pageToken !== "");
  return { sessions, notices };
}

async function revoke(node: OwnNode, prefix: string): Promise<string> {
  const { sessions } = await listAll(node);
  const [found, another] = sessions.filter(({ id }) => id.startsWith(prefix));
  if (another) throw usageError(`several sessions start with ${prefix}`, "write more digits");
  if (!found) {
    const next = "see what there is: keypears account sessions";
    throw new CliError(
      "SESSION_UNKNOWN",
      EXIT.notFound,
      `there is no session that starts with ${prefix}`,
      next,
    );
  }
  await node.call("AccountService/RevokeSession", { sessionId: found.id });
  return found.id;
}
