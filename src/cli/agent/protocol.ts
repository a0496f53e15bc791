/**
 * What the tool and its unlock agent say to each other: one JSON object a line, one request a connection, over a Unix socket
 * in a folder that is this user's alone. Node cannot ask the kernel who is at the other end: the permissions of folder and
 * socket are what keeps others out. Root and the user's own programs can get in, as they could read the agent's memory.
 */

/** Version of the lines. Both sides refuse another one. */
export const AGENT_PROTOCOL = 1;

/** Longest line, in bytes. */
export const MAX_LINE_BYTES = 4_096;

/** How long either side waits for the other's line, in milliseconds. */
export const LINE_TIMEOUT_MS = 2_000;

/** What the agent is given on its standard input, and holds. */
export interface AgentSecret {
  readonly v: number;
  readonly address: string;
  /** The session that was unlocked: another log-in of the profile does not get the key of this one. */
  readonly sessionId: string;
  /** Base64, 32 bytes. */
  readonly accountKey: string;
  /** Unix milliseconds. */
  readonly lockAt: number;
}

/** A request to the agent. */
export type AgentRequest =
  | { readonly v: number; readonly op: "key"; readonly address: string; readonly sessionId: string }
  | { readonly v: number; readonly op: "lock" };

/** An answer of the agent's. */
export type AgentAnswer =
  | { readonly v: number; readonly ok: true; readonly accountKey?: string; readonly lockAt?: number }
  | { readonly v: number; readonly ok: false; readonly reason: "VERSION" | "MALFORMED" | "OTHER_ACCOUNT" };
