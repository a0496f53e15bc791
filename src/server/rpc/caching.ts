/** What HTTP caches may do with answers to GET (RFC 9110 §8.8, §13.1.2; RFC 9111): keep those that are given in bytes, and no others. */

import type { EncodedAnswer, MessageEncoding } from "../../services/encoded-answer.ts";
import type { HeaderList } from "../exchange.ts";

/** For whatever may differ from call to call or from caller to caller. */
export const NOT_STORED: HeaderList = ["cache-control", "no-store"];

/** The entity tags of an answer: as it stands, and compressed. */
export function entityTags(answer: EncodedAnswer, encoding: MessageEncoding): readonly [string, string] {
  const tag = answer.entityTag(encoding);
  return [tag, `${tag.slice(0, -1)}-gzip"`];
}

/** Headers of an answer that caches may keep. */
export function cacheHeaders(
  answer: EncodedAnswer,
  encoding: MessageEncoding,
  compressed: boolean,
): HeaderList {
  const [plain, gzip] = entityTags(answer, encoding);
  const tag = compressed ? gzip : plain;
  return ["etag", tag, "cache-control", answer.cacheControl, "vary", "accept-encoding"];
}

/** Whether an If-None-Match header (RFC 9110 §13.1.2) names one of the entity tags. */
export function isUnchanged(header: string | undefined, tags: readonly string[]): boolean {
  return (header ?? "").split(",").some((entry) => {
    const tag = entry.trim().replace(/^W\//, "");
    return tag === "*" || tags.includes(tag);
  });
}
