/** An owner's consent in protobuf's JSON form, as claims and renewals carry it. */

import { toBase64 } from "../../../crypto/bytes.ts";
import type { OwnedAuthorization } from "./authorization-file.ts";

/** The members that CompleteClaimRequest and RenewAuthorizationRequest share. */
export function consentJson({ authorization, domainPublicKey, rotations = [] }: OwnedAuthorization) {
  return {
    domainPublicKey: toBase64(domainPublicKey),
    authorization: { body: toBase64(authorization.body), signature: toBase64(authorization.signature) },
    rotations: rotations.map(({ body, oldPublicKey, signature }) => ({
      body: toBase64(body),
      oldPublicKey: toBase64(oldPublicKey),
      signature: toBase64(signature),
    })),
  };
}
