// A hostile peer, in a process of its own: it has a server for domains that lie, people with real keys, and carries
// envelopes, good and bent, to a node. Its parent tells it what to do over the process's channel.

import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { BadRequestSchema, ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import type { Envelope } from "../../../gen/keypears/v1/envelope_pb.ts";
import { DeliveryOutcomeSchema, FederationService } from "../../../gen/keypears/v1/federation_service_pb.ts";
import { KeySetView } from "../../../gen/keypears/v1/key_set_pb.ts";
import { KeySetService } from "../../../gen/keypears/v1/key_set_service_pb.ts";
import { RejectionReasonSchema } from "../../../gen/keypears/v1/share_service_pb.ts";
import { verifyKeySet } from "../../../src/protocol/key-set.ts";
import type { Credentials } from "../../support/certificates.ts";
import { makeKeySet, makeShare, sealedKeys, type TestKeySet } from "../../support/people.ts";
import { type Bend, bendEnvelope } from "./bends.ts";
import { type Host, startHost } from "./host.ts";
import { createIdentities } from "./identities.ts";

/** What a node said about an envelope, or about the whole call. */
export interface Verdict {
  /** Such as "ACCEPTED"; "ERROR" if the call failed as a whole. */
  readonly outcome: string;
  /** RejectionReason, or the reason of the error. */
  readonly reason: string;
  readonly message: string;
  /** The field that an error names. */
  readonly field: string;
  /** The id that the node gave. */
  readonly shareId: Uint8Array;
}

/** An envelope to make. */
export interface EnvelopeOrder {
  /** Where the recipient's node lives. */
  readonly apiUrl: string;
  /** In whose name. */
  readonly sender: string;
  /** Keys that sign: the sender's own, of this number (the active one for 0), or some that the sender never had. */
  readonly keys?: number | "forged";
  readonly recipient: string;
  /** Number of the recipient's set to seal to; the active one for 0; "own" for a recipient of the peer's imagination. */
  readonly recipientKeys?: number | "own";
  readonly bend?: Bend;
  /** From now, in milliseconds. */
  readonly createdIn?: number;
  readonly expiresIn?: number;
}

const identities = createIdentities();
const made: Envelope[] = [];
let host: Host | undefined;

/** What the parent can ask for. */
const commands = {
  /** Starts the server. */
  async listen(options: {
    readonly address?: string;
    readonly port?: number;
    readonly credentials?: Credentials;
    readonly apiOrigin?: string;
  }): Promise<{ port: number; trapPort: number }> {
    const { address = "127.0.0.1", port = 0, credentials, apiOrigin } = options;
    host = await startHost(identities, { address, port, credentials }, apiOrigin);
    return { port: host.port, trapPort: host.trapPort };
  },

  async counts(): Promise<ReturnType<Host["counts"]>> {
    return host?.counts() ?? { requests: {}, trapped: 0 };
  },

  async reform(options: { readonly label: string }): Promise<void> {
    host?.reform(options.label);
  },

  async cutConnections(): Promise<void> {
    host?.cutConnections();
  },

  /** Makes an envelope; answers with its number and what it was named by its maker. */
  async make(order: EnvelopeOrder): Promise<{ index: number; shareId: Uint8Array }> {
    const { apiUrl, sender: address, recipient, bend = "nothing", keys = 0 } = order;
    const sender = keys === "forged" ? makeKeySet(address, Date.now() - 60_000) : ownKeys(address, keys);
    const { recipientKeys = 0 } = order;
    const sealTo =
      recipientKeys === "own" ? ownKeys(recipient, 0) : await publicKeys(apiUrl, recipient, recipientKeys);
    const { envelope, shareId } = await makeShare(sender, sealTo, {
      createdAt: Date.now() + (order.createdIn ?? 0),
      ...(order.expiresIn !== undefined && { expiresAt: Date.now() + order.expiresIn }),
    });
    const bent = bendEnvelope(envelope, bend, sender);
    return { index: made.push(bent) - 1, shareId };
  },

  /** Carries envelopes that were made to a node, as often as they are named. */
  async carry(options: { readonly apiUrl: string; readonly indexes: readonly number[] }): Promise<Verdict[]> {
    const federation = createClient(FederationService, transport(options.apiUrl));
    const envelopes = options.indexes.flatMap((index) => made[index] ?? []);
    try {
      const { results } = await federation.deliverShares({ envelopes });
      return results.map(({ outcome, rejectionReason, message, shareId }) => ({
        outcome: DeliveryOutcomeSchema.value[outcome]?.localName ?? String(outcome),
        reason: RejectionReasonSchema.value[rejectionReason]?.localName ?? String(rejectionReason),
        message,
        field: "",
        shareId,
      }));
    } catch (error) {
      return [verdictOf(error)];
    }
  },

  async rotate(options: { readonly address: string; readonly revokesPrevious: boolean }): Promise<number> {
    return identities.rotate(options.address, options).keySet.number;
  },

  /** Publishes a set for somebody whose session was stolen, with keys of its own: a reset. */
  async publishReset(options: {
    readonly apiUrl: string;
    readonly token: string;
    readonly address: string;
    readonly loginKey: Uint8Array;
    /** Claims that the former set vouches for it, with a signature of its own making. */
    readonly forgeContinuity: boolean;
  }): Promise<Verdict> {
    const { apiUrl, token, address, loginKey, forgeContinuity } = options;
    const active = await publicKeys(apiUrl, address, 0);
    const next = makeKeySet(address, Date.now(), active, { reset: true, revokesPrevious: true });
    if (forgeContinuity) next.record.continuitySignature = next.record.selfSignature;
    const { number } = next.keySet;
    try {
      await createClient(KeySetService, transport(apiUrl, token)).publishKeySet({
        requestId: crypto.randomUUID(),
        keySet: next.record,
        expectedActiveNumber: number - 1,
        sealedKeys: sealedKeysMessage(number),
        loginKey,
      });
      return { outcome: "PUBLISHED", reason: "", message: "", field: "", shareId: new Uint8Array() };
    } catch (error) {
      return verdictOf(error);
    }
  },
};

/** The commands, as their parent calls them. */
export type PeerCommands = typeof commands;

/** A command on its way to the peer, and its answer on the way back. */
export interface PeerRequest {
  readonly id: number;
  readonly command: keyof PeerCommands;
  readonly options: unknown;
}
export interface PeerResponse {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

process.on("message", ({ id, command, options }: PeerRequest) => {
  const run = commands[command] as (options: unknown) => Promise<unknown>;
  run(options).then(
    (value) => process.send?.({ id, value } satisfies PeerResponse),
    (error: unknown) => process.send?.({ id, error: String(error) } satisfies PeerResponse),
  );
});
process.on("disconnect", () => process.exit());

function ownKeys(address: string, number: number): TestKeySet {
  const sets = identities.of(address);
  const set = number === 0 ? sets.at(-1) : sets[number - 1];
  if (set === undefined) throw new Error(`${address} has no set ${number}`);
  return set;
}

/** Somebody's public keys at their own node. The seeds that come with it are no one's. */
async function publicKeys(apiUrl: string, address: string, number: number): Promise<TestKeySet> {
  const { published } = await createClient(KeySetService, transport(apiUrl)).getKeySet({
    address,
    number,
    view: KeySetView.FULL,
  });
  if (!published?.keySet) throw new Error(`${address} has no keys`);
  const { seeds } = makeKeySet(address, Date.now());
  return { keySet: verifyKeySet(published.keySet), record: published.keySet, seeds };
}

function sealedKeysMessage(number: number) {
  const { ed25519, x25519, mlDsa65, mlKem768 } = sealedKeys(number);
  return {
    number,
    sealedEd25519Seed: ed25519,
    sealedX25519Seed: x25519,
    sealedMlDsa65Seed: mlDsa65,
    sealedMlKem768Seed: mlKem768,
  };
}

function transport(apiUrl: string, token?: string) {
  return createConnectTransport({
    baseUrl: apiUrl,
    httpVersion: "1.1",
    interceptors:
      token === undefined
        ? []
        : [
            (next) => (request) => {
              request.header.set("Authorization", `Bearer ${token}`);
              return next(request);
            },
          ],
  });
}

function verdictOf(thrown: unknown): Verdict {
  const error = ConnectError.from(thrown);
  return {
    outcome: "ERROR",
    reason: error.findDetails(ErrorInfoSchema)[0]?.reason ?? "",
    message: error.rawMessage,
    field: error.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field ?? "",
    shareId: new Uint8Array(),
  };
}
