/** The owner's consent as it is stored: a DomainProof without time, node key and signature, which are made when one is asked for. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DomainKeyRotation } from "../../gen/keypears/v1/domain_pb.ts";
import { DomainProofSchema } from "../../gen/keypears/v1/domain_pb.ts";
import type { ParsedAuthorization } from "../protocol/domain-authorization.ts";
import { domainKeyHash } from "../protocol/domain-key.ts";
import type { HostedConsent } from "../protocol/domain-proof.ts";
import { MAX_DOMAIN_KEY_ROTATIONS } from "../protocol/limits.ts";
import { sameBytes } from "../protocol/strict-message.ts";
import type { ConsentRecord } from "../storage/stores.ts";
import type { NodeKey, PresentNodeKeys } from "./node-keys.ts";

/** A consent with all that a host keeps of it. */
export type KeptConsent = Required<HostedConsent>;

/** A consent, ready to be stored. */
export function consentRecord(consent: KeptConsent, terms: ParsedAuthorization): ConsentRecord {
  const { domainPublicKey, authorization } = consent;
  const rotations = [...consent.rotations];
  return {
    consent: toBinary(
      DomainProofSchema,
      create(DomainProofSchema, { domainPublicKey, authorization, rotations }),
    ),
    domainKeyHash: domainKeyHash(domainPublicKey),
    serial: terms.serial,
    notAfter: terms.notAfter,
  };
}

/** A stored consent. */
export function readConsent({ consent }: Pick<ConsentRecord, "consent">): KeptConsent {
  const { domainPublicKey, authorization, rotations } = fromBinary(DomainProofSchema, consent);
  if (authorization === undefined) throw new Error("a stored consent has no authorization");
  return { domainPublicKey, authorization, rotations };
}

/** Which of the node's keys an authorization names: the current one, or else the next; the current one if neither. */
export function authorizedKey(
  { nodePublicKeys }: Pick<ParsedAuthorization, "nodePublicKeys">,
  { current, next }: PresentNodeKeys,
): NodeKey {
  const isNamed = (key: NodeKey) => nodePublicKeys.some((named) => sameBytes(named, key.publicKey));
  return next !== undefined && !isNamed(current) && isNamed(next) ? next : current;
}

/** The chain that stands behind a domain key when `added`, which may begin anywhere in it, follows the one that is `known`. */
export function joinedRotations(
  known: readonly DomainKeyRotation[],
  added: readonly DomainKeyRotation[],
): readonly DomainKeyRotation[] {
  const [first] = added;
  if (first === undefined) return known;
  const at = known.findIndex(({ oldPublicKey }) => sameBytes(oldPublicKey, first.oldPublicKey));
  const before = at < 0 ? known : known.slice(0, at);
  return [...before, ...added].slice(-MAX_DOMAIN_KEY_ROTATIONS);
}
