/** Development resolution on the command line: `--resolve NAME=ORIGIN`, or KEYPEARS_RESOLVE, or what a profile remembers. */

import type { DevelopmentResolution } from "../federation/development-resolution.ts";

/** The `NAME=ORIGIN` texts of the options, or, if there are none, of the environment (separated by spaces or commas). */
export function resolveTexts(option: unknown): readonly string[] {
  if (Array.isArray(option) && option.length > 0) return option.map(String);
  return (process.env.KEYPEARS_RESOLVE ?? "").split(/[\s,]+/).filter((text) => text !== "");
}

/** Reads such texts; undefined if there are none. Of two for one name the last one counts. @throws ProtocolError. */
export async function readResolve(texts: readonly string[]): Promise<DevelopmentResolution | undefined> {
  if (texts.length === 0) return undefined;
  const { parseResolveOption } = await import("../federation/development-resolution.ts");
  return new Map(texts.map(parseResolveOption));
}
