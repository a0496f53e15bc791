/**
 * The demo's villain, a program of its own: it has only public knowledge, makes keys of its own, signs an envelope in
 * somebody else's name, does the work of the stamp, and delivers it straight to the recipient's node. Reads a ForgeryTarget as
 * JSON from standard input and prints a ForgeryResult.
 */

import { text } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { StampSchema } from "../../../gen/keypears/v1/envelope_pb.ts";
import { DeliveryOutcomeSchema, FederationService } from "../../../gen/keypears/v1/federation_service_pb.ts";
import { KeySetView } from "../../../gen/keypears/v1/key_set_pb.ts";
import { RejectionReasonSchema } from "../../../gen/keypears/v1/share_service_pb.ts";
import { fetchEnvironment, nodeClients } from "../../client/index.ts";
import { generateSeeds } from "../../client/key-ring.ts";
import { mineStamp, stampKey } from "../../crypto/stamp.ts";
import { buildKeySet, verifyKeySet } from "../../protocol/key-set.ts";
import { sealShare } from "../../protocol/seal.ts";

/** Whom to attack. */
export interface ForgeryTarget {
  readonly apiUrl: string;
  /** In whose name. */
  readonly sender: string;
  readonly recipient: string;
}

/** What the node said. */
export interface ForgeryResult {
  readonly outcome: string;
  readonly reason: string;
}

async function forge({ apiUrl, sender, recipient }: ForgeryTarget): Promise<ForgeryResult> {
  const env = fetchEnvironment();
  const { published } = await nodeClients(env, apiUrl).keySets.getKeySet({
    address: recipient,
    view: KeySetView.FULL,
  });
  if (!published?.keySet) throw new Error("the recipient has no keys");
  const seeds = generateSeeds();
  const keySet = verifyKeySet(buildKeySet({ address: sender, createdAt: Date.now(), seeds }));
  const { envelope, shareId } = sealShare({
    content: { kind: "text", text: "pay the invoice to this account instead" },
    sender: { keySet, seeds },
    recipient: verifyKeySet(published.keySet),
    createdAt: Date.now(),
    expiresAt: 0,
  });
  const nonce = await mineStamp(stampKey(shareId, recipient), published.firstContactDifficulty);
  envelope.stamp = create(StampSchema, { nonce });
  const federation = createClient(FederationService, env.transport(apiUrl));
  const { results } = await federation.deliverShares({ envelopes: [envelope] });
  const result = results[0];
  return {
    outcome: DeliveryOutcomeSchema.value[result?.outcome ?? 0]?.localName ?? "",
    reason: RejectionReasonSchema.value[result?.rejectionReason ?? 0]?.localName ?? "",
  };
}

process.stdout.write(JSON.stringify(await forge(JSON.parse(await text(process.stdin)) as ForgeryTarget)));
