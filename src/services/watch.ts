/**
 * WatchShares (docs/protocol.md, section 6.3): a recipient's shares in the order of their sequence numbers, without a gap or
 * a repetition, and what happens to the account's security. The database is the truth: events of this process only say when
 * to look at once, and whatever another process did is found at the next poll, the end of the session included.
 */

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type MethodImpl } from "@connectrpc/connect";
import { AccountNoticeKind } from "../../gen/keypears/v1/account_service_pb.ts";
import { type ShareService, WatchSharesResponseSchema } from "../../gen/keypears/v1/share_service_pb.ts";
import { type AuthenticatedSession, requireSession, type ServiceContext, sessionInvalid } from "./context.ts";
import { serviceError } from "./errors.ts";
import { uint64Field } from "./fields.ts";
import { noticeMessage } from "./notices.ts";
import { noteUse } from "./session-token.ts";
import { receivedSummary } from "./share-messages.ts";
import { createStreamPlaces } from "./stream-places.ts";

/** Open streams of one account in one process. */
export const MAX_STREAMS_PER_ACCOUNT = 32;

const PAGE_SIZE = 100;
/** How often an open stream counts as use of its session: it ends after 30 idle days, so that rarely is enough. */
const TOUCH_INTERVAL_MS = 60 * 60 * 1_000;

type WatchEvent = MessageInitShape<typeof WatchSharesResponseSchema>;

const KEEP_ALIVE: WatchEvent = create(WatchSharesResponseSchema);

/** Makes the method. */
export function createShareWatch(
  context: ServiceContext,
): MethodImpl<typeof ShareService.method.watchShares> {
  const places = createStreamPlaces(MAX_STREAMS_PER_ACCOUNT);
  return async function* watchShares(request, call) {
    const caller = requireSession(call);
    const after = uint64Field("after_sequence", request.afterSequence);
    const release = places.take(caller.account.id);
    // A generator that waits to be read on does not notice that its reader has gone.
    call.signal.addEventListener("abort", release);
    try {
      yield* events(context, caller, after, call);
    } finally {
      call.signal.removeEventListener("abort", release);
      release();
    }
  };
}

async function* events(
  context: ServiceContext,
  caller: AuthenticatedSession,
  after: number,
  call: HandlerContext,
): AsyncGenerator<WatchEvent> {
  const { stores, clock } = context;
  const accountId = caller.account.id;
  requireOpen(context, call.signal);
  // Listening begins before the first look, so that what comes between looking and waiting is not waited for.
  const news = listen(context, caller, call.signal);
  try {
    let cursor = after;
    let noticeCursor = await stores.notices.latestId(accountId);
    // Answers at once, so that the client knows that it is heard also when there is nothing to tell.
    yield KEEP_ALIVE;
    let quietSince = performance.now();
    for (;;) {
      news.begin();
      requireOpen(context, call.signal);
      const ending = await endOf(context, caller);
      if (ending !== undefined) {
        yield* ending;
        throw sessionInvalid();
      }
      const notices = await stores.notices.after(accountId, noticeCursor);
      const shares = await stores.received.after(accountId, {
        after: cursor,
        limit: PAGE_SIZE,
        now: clock(),
      });
      for (const notice of notices) {
        yield { event: { case: "notice", value: noticeMessage(notice) } };
        noticeCursor = notice.id;
      }
      for (const share of shares) {
        requireOpen(context, call.signal);
        // A slow reader must not be told the rest of a page after its session has ended.
        if (news.sessionEnded()) break;
        yield { event: { case: "share", value: receivedSummary(share) } };
        cursor = share.sequence;
      }
      if (notices.length > 0 || shares.length > 0) quietSince = performance.now();
      if (shares.length === PAGE_SIZE) continue;

      const silence = performance.now() - quietSince;
      if (silence >= context.watchKeepAliveMs) {
        yield KEEP_ALIVE;
        quietSince = performance.now();
      } else {
        await news.wait(Math.min(context.watchPollMs, context.watchKeepAliveMs - silence));
      }
    }
  } finally {
    news.close();
  }
}

/** What is left to tell a stream whose session has ended; undefined while it has not. */
async function endOf(
  context: ServiceContext,
  caller: AuthenticatedSession,
): Promise<readonly WatchEvent[] | undefined> {
  const { stores, clock } = context;
  const current = await stores.sessions.byTokenHash(caller.tokenHash, clock());
  if (current !== undefined) {
    await noteUse(context, current, TOUCH_INTERVAL_MS);
    return undefined;
  }
  if ((await stores.accounts.byId(caller.account.id)) !== undefined) return [];
  // The stored notices went with the account: this one is told to whoever is still there.
  const notice = {
    kind: AccountNoticeKind.ACCOUNT_DELETED,
    createdAt: clock(),
    deviceName: "",
    keySetNumber: 0,
  };
  return [{ event: { case: "notice", value: noticeMessage(notice) } }];
}

/** @throws ConnectError when the caller went away, its deadline passed, or the node stops. */
function requireOpen({ shutdown }: ServiceContext, signal: AbortSignal): void {
  if (shutdown.aborted) {
    throw serviceError("SHUTTING_DOWN", "this node is stopping: watch again, from the last sequence", {
      retryAfterMs: 1_000,
    });
  }
  if (signal.aborted) throw ConnectError.from(signal.reason, Code.Canceled);
}

/** Waits for something worth looking at: an event of the account, the caller's or the node's end. */
interface News {
  /** Forgets what happened so far: whoever looks now will see it. */
  begin(): void;
  /** Whether the session ended since `begin`. */
  sessionEnded(): boolean;
  /** Resolves when something happened since `begin`, or after `ms`. */
  wait(ms: number): Promise<void>;
  close(): void;
}

function listen(
  { events, shutdown }: ServiceContext,
  { account, session }: AuthenticatedSession,
  signal: AbortSignal,
): News {
  let happened = false;
  let sessionEnded = false;
  let wake: (() => void) | undefined;
  const happen = () => {
    happened = true;
    wake?.();
  };
  const stopListening = events.listen(account.id, (event) => {
    if (event.kind === "session-ended" && event.sessionId === session.id) sessionEnded = true;
    happen();
  });
  const close = () => {
    stopListening();
    signal.removeEventListener("abort", leave);
    shutdown.removeEventListener("abort", happen);
  };
  // Also where nobody reads on, and so nobody would close.
  const leave = () => {
    happen();
    close();
  };
  signal.addEventListener("abort", leave);
  shutdown.addEventListener("abort", happen);
  return {
    begin() {
      happened = false;
      sessionEnded = false;
    },
    sessionEnded: () => sessionEnded,
    async wait(ms) {
      if (happened) return;
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
        timer = setTimeout(resolve, ms);
      });
      wake = undefined;
      clearTimeout(timer);
    },
    close,
  };
}
