/**
 * Contacts' keys, asked for at their own domain and held against the pins (docs/protocol.md, section 3.2). A set that chains
 * to the pinned one is accepted quietly; one that does not has to be confirmed by a person; one that contradicts it is
 * refused.
 */

import type { Contact } from "../../gen/keypears/v1/contact_book_pb.ts";
import { type KeySet, KeySetView } from "../../gen/keypears/v1/key_set_pb.ts";
import { parseAddress } from "../protocol/address.ts";
import { fingerprint, sameFingerprint } from "../protocol/fingerprint.ts";
import { continues, follows, type ParsedKeySet, verifyKeySet } from "../protocol/key-set.ts";
import { sameBytes } from "../protocol/strict-message.ts";
import type { Environment } from "./environment.ts";
import { ClientError, toClientError } from "./errors.ts";
import { listKeySets } from "./key-ring.ts";
import { nodeClients } from "./rpc.ts";

/**
 * How keys stand to what is pinned: `new` (nothing is), `pinned` (the very same), `continued` (the pinned set vouches for
 * them, over any number of steps), `changed` (nothing vouches for them).
 */
export type Standing = "new" | "pinned" | "continued" | "changed";

/** A contact's active key set. */
export interface LookedUp {
  readonly keySet: ParsedKeySet;
  readonly firstContactDifficulty: number;
  readonly standing: Standing;
  /** Sets that may be pinned: all that were verified between the pin and the active one. */
  readonly seen: readonly ParsedKeySet[];
}

/** What the pins say of the set that signed a share. */
export interface Judgement {
  /** `unconfirmed` where the sender's domain cannot be asked. */
  readonly standing: Standing | "unconfirmed";
  /** Sets that may be pinned. */
  readonly seen: readonly ParsedKeySet[];
}

/** A number and a hash that were accepted before. */
type Pin = Contact["pins"][number];

/**
 * The active key set of an address, from its own domain, and how it stands to the pins.
 *
 * @throws ClientError ADDRESS_UNKNOWN and others of the domain's node's, CONTACT_FORK when it contradicts the pins.
 */
export async function lookUp(
  env: Environment,
  address: string,
  pins: readonly Pin[],
  signal?: AbortSignal,
): Promise<LookedUp> {
  const { domain } = parseAddress(address);
  const { apiUrl } = await env.resolveDomain(domain, signal);
  const node = nodeClients(env, apiUrl);
  const { published } = await node.keySets.getKeySet(
    { address, view: KeySetView.FULL },
    signal ? { signal } : {},
  );
  if (!published?.keySet) throw new ClientError("NODE_ANSWER_INVALID", `${domain} answers without a key set`);
  const keySet = verifyKeySet(published.keySet);
  if (keySet.address !== address || keySet.number !== published.activeNumber) {
    throw new ClientError("NODE_ANSWER_INVALID", `${domain} answers with another key set than asked for`);
  }
  const { firstContactDifficulty } = published;
  const found = (standing: Standing, seen: readonly ParsedKeySet[]) => ({
    keySet,
    firstContactDifficulty,
    standing,
    seen,
  });

  const pin = pins.at(-1);
  if (!pin) return found("new", [keySet]);
  if (keySet.number < pin.number) throw fork(address, "an older key set than the one that is pinned");
  if (keySet.number === pin.number) {
    if (!sameBytes(keySet.hash, pin.hash))
      throw fork(address, "another key set under the number that is pinned");
    return found("pinned", [keySet]);
  }
  const listed = readChain(address, await listKeySets(node, address, pin.number - 1), pin.number, [pin]);
  // A set that was published in between may stand behind the one that was active a moment ago.
  const chain = listed.filter(({ set }) => set.number <= keySet.number);
  if (!sameBytes(chain.at(-1)?.set.hash ?? new Uint8Array(), keySet.hash)) {
    throw fork(address, "a list of key sets without the active one");
  }
  return found(isVouched(chain, pin.number, keySet.number) ? "continued" : "changed", setsOf(chain));
}

/**
 * How the set that signed a received share stands to the pins. Pinned numbers need no network; others are looked up at the
 * sender's own domain.
 *
 * @param hash the set's hash as this account's node gave it.
 * @throws ClientError CONTACT_FORK.
 */
export async function judgeSender(
  env: Environment,
  sender: { readonly address: string; readonly number: number; readonly hash: Uint8Array },
  pins: readonly Pin[],
): Promise<Judgement> {
  const { address, number, hash } = sender;
  const known = pins.find((pin) => pin.number === number);
  if (known) {
    if (!sameBytes(known.hash, hash))
      throw fork(address, "a share under another key set than the one that is pinned");
    return { standing: "pinned", seen: [] };
  }
  const nearest = pins.findLast((pin) => pin.number < number) ?? pins[0];
  const first = Math.min(number, nearest?.number ?? number);
  let published: KeySet[];
  try {
    const { apiUrl } = await env.resolveDomain(parseAddress(address).domain);
    published = await listKeySets(nodeClients(env, apiUrl), address, first - 1);
  } catch (error) {
    const reason = toClientError(error);
    if (!(reason instanceof ClientError)) throw reason;
    // Gone, unreachable or silent: the node's word alone is not enough, and a person decides.
    return { standing: "unconfirmed", seen: [] };
  }
  const last = Math.max(number, nearest?.number ?? number);
  const chain = readChain(address, published, first, pins).filter(({ set }) => set.number <= last);
  const signer = chain.find(({ set }) => set.number === number);
  if (!signer || !sameBytes(signer.set.hash, hash)) {
    throw fork(address, "another key set than the one that signed the share");
  }
  if (!nearest) return { standing: "new", seen: [signer.set] };
  return { standing: isVouched(chain, first, last) ? "continued" : "changed", seen: setsOf(chain) };
}

/**
 * Requires that a set is the one whose fingerprint a person compared, in whatever spelling they typed it.
 *
 * @throws ClientError FINGERPRINT_MISMATCH; ProtocolError FINGERPRINT_INVALID for what is no fingerprint.
 */
export function requireFingerprint({ address, hash }: ParsedKeySet, compared: string): void {
  if (sameFingerprint(compared, fingerprint(hash))) return;
  throw new ClientError(
    "FINGERPRINT_MISMATCH",
    `the keys of ${address} have another fingerprint: nothing was done`,
  );
}

/** A set of a chain, and whether the set before it vouches for it. */
interface Link {
  readonly set: ParsedKeySet;
  readonly vouched: boolean;
}

/** Reads consecutive sets of an address from number `first` on, each following the one before, none contradicting a pin. */
function readChain(
  address: string,
  published: readonly KeySet[],
  first: number,
  pins: readonly Pin[],
): Link[] {
  const chain: Link[] = [];
  for (const record of published) {
    const set = verifyKeySet(record);
    const before = chain.at(-1)?.set;
    if (set.address !== address) throw fork(address, "key sets of another address");
    if (before ? !follows(before, set) : set.number !== first)
      throw fork(address, "key sets that do not follow each other");
    const pin = pins.find(({ number }) => number === set.number);
    if (pin && !sameBytes(pin.hash, set.hash))
      throw fork(address, "another key set under a number that is pinned");
    chain.push({ set, vouched: before !== undefined && continues(before, set, record.continuitySignature) });
  }
  return chain;
}

/** Whether each set above `from` up to `to` is vouched for, and the chain reaches from one to the other. */
function isVouched(chain: readonly Link[], from: number, to: number): boolean {
  const steps = chain.filter(({ set }) => set.number > from && set.number <= to);
  return steps.length === to - from && steps.every(({ vouched }) => vouched);
}

function setsOf(chain: readonly Link[]): ParsedKeySet[] {
  return chain.map(({ set }) => set);
}

function fork(address: string, what: string): ClientError {
  return new ClientError("CONTACT_FORK", `the node of ${address} gives ${what}: refused`, {
    metadata: { address },
  });
}
