/**
 * The payload of a notification between nodes: `{"from": "<16 hex digits>", "hints": […]}`, with `"gap": true` where the
 * sender could not tell everything. Whoever may connect to the database may send one, and so may a newer release: what is
 * not understood is left out.
 */

import type { Hint } from "../hints.ts";

/** What one process tells the others. */
export interface News {
  /** Names the process that tells. */
  readonly from: string;
  readonly hints: readonly Hint[];
  /** Whether there was more. */
  readonly gap: boolean;
}

/** PostgreSQL takes less than 8,000 bytes; no hint is longer than a sixth of this. */
const MAX_PAYLOAD_LENGTH = 6_000;
const MAX_TEXT_LENGTH = 512;

/** News as payloads, one at least. */
export function encodeNews({ from, hints, gap }: News): readonly string[] {
  const payloads: string[] = [];
  let page: Hint[] = [];
  let length = 0;
  const turnPage = () => {
    payloads.push(JSON.stringify({ from, hints: page, ...(gap && payloads.length === 0 && { gap }) }));
    page = [];
    length = 0;
  };
  for (const hint of hints) {
    const added = JSON.stringify(hint).length;
    if (length + added > MAX_PAYLOAD_LENGTH) turnPage();
    page.push(hint);
    length += added;
  }
  if (page.length > 0 || payloads.length === 0) turnPage();
  return payloads;
}

/** News from a payload; undefined if it is none. */
export function parseNews(payload: string): News | undefined {
  const news = parseObject(payload);
  if (news === undefined || !isText(news.from)) return undefined;
  const hints = Array.isArray(news.hints) ? news.hints : [];
  return { from: news.from, hints: hints.flatMap((hint) => parseHint(hint) ?? []), gap: news.gap === true };
}

function parseHint(value: unknown): Hint | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { kind, address, accountId, sessionId } = value as Readonly<Record<string, unknown>>;
  switch (kind) {
    case "key-sets":
      return isText(address) ? { kind, address } : undefined;
    case "share":
    case "notice":
      return isId(accountId) ? { kind, accountId } : undefined;
    case "session-ended":
      return isId(accountId) && isText(sessionId) ? { kind, accountId, sessionId } : undefined;
    case "domains":
      return { kind };
    default:
      return undefined;
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_TEXT_LENGTH;
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
