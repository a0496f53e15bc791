/**
 * The file that an owner hands to a host: the authorization with the domain key that signed it, the changes that led to that
 * key, and in plain words what it says. Public: it gives nobody anything to sign with.
 */

import { readFileSync } from "node:fs";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { DomainAuthorizationSchema, DomainKeyRotationSchema } from "../../../../gen/keypears/v1/domain_pb.ts";
import { CryptoError, fromBase64, toBase64, toHex } from "../../../crypto/index.ts";
import type { ApiUrlOptions } from "../../../protocol/api-url.ts";
import { type ParsedAuthorization, verifyAuthorization } from "../../../protocol/domain-authorization.ts";
import { domainKeyHash } from "../../../protocol/domain-key.ts";
import type { HostedConsent } from "../../../protocol/domain-proof.ts";
import { verifyRotations } from "../../../protocol/domain-rotation.ts";
import { ProtocolError } from "../../../protocol/errors.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError } from "../../failure.ts";
import { codeOf, replaceFile } from "../../private-files.ts";
import { visible } from "../../visible.ts";

/** An authorization with all that a host needs beside it. */
export interface OwnedAuthorization extends HostedConsent {
  readonly terms: ParsedAuthorization;
}

const VERSION = 1;

/** Where the authorization is written if nobody says so: beside the key. */
export function authorizationPathOf(keyPath: string): string {
  return `${keyPath}.authorization.json`;
}

/** What an authorization says, for people and programs. Node keys are shown by the first bytes of their BLAKE3. */
export function describeAuthorization({ terms, domainPublicKey }: OwnedAuthorization) {
  return {
    domain: terms.domain,
    apiUrl: terms.apiUrl,
    serial: terms.serial,
    notBefore: new Date(terms.notBefore).toISOString(),
    notAfter: new Date(terms.notAfter).toISOString(),
    domainPubKeyHash: toHex(domainKeyHash(domainPublicKey)),
    nodeKeys: terms.nodePublicKeys.map((key) => toHex(domainKeyHash(key))),
  };
}

/** Writes the file, in the place of an older one. @throws CliError `FILE_FAILED`. */
export function writeAuthorizationFile(path: string, owned: OwnedAuthorization): void {
  const { authorization, domainPublicKey, rotations = [] } = owned;
  const content = {
    version: VERSION,
    says: describeAuthorization(owned),
    domainPublicKey: toBase64(domainPublicKey),
    authorization: toBase64(toBinary(DomainAuthorizationSchema, authorization)),
    rotations: rotations.map((rotation) => toBase64(toBinary(DomainKeyRotationSchema, rotation))),
  };
  try {
    replaceFile(path, Buffer.from(`${JSON.stringify(content, null, 2)}\n`));
  } catch (error) {
    throw failed(
      `cannot write ${visible(path)}: ${codeOf(error)}`,
      "check that the folder is there and yours",
    );
  }
}

/**
 * Reads such a file and verifies every signature in it; what it says in words counts for nothing.
 *
 * @throws CliError `FILE_FAILED`; `AUTHORIZATION_FILE_INVALID`.
 */
export function readAuthorizationFile(path: string, options: ApiUrlOptions = {}): OwnedAuthorization {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const next = "make one with: keypears domain authorize DOMAIN --api-url … --node-key …";
    throw failed(`cannot read ${visible(path)}: ${codeOf(error)}`, next);
  }
  try {
    const content = JSON.parse(text);
    if (content.version !== VERSION) throw new SyntaxError("its version is not known");
    const domainPublicKey = fromBase64(content.domainPublicKey);
    const authorization = fromBinary(DomainAuthorizationSchema, fromBase64(content.authorization));
    const terms = verifyAuthorization(authorization, domainPublicKey, options);
    const rotations = (content.rotations as string[]).map((rotation) =>
      fromBinary(DomainKeyRotationSchema, fromBase64(rotation)),
    );
    verifyRotations(rotations, terms.domain, domainPublicKey);
    return { terms, authorization, domainPublicKey, rotations };
  } catch (error) {
    const why = error instanceof ProtocolError || error instanceof CryptoError ? `: ${error.message}` : "";
    throw new CliError(
      "AUTHORIZATION_FILE_INVALID",
      EXIT.local,
      `${visible(path)} is no authorization${why}`,
      "make a new one with: keypears domain authorize",
    );
  }
}

function failed(message: string, next: string): CliError {
  return new CliError("FILE_FAILED", EXIT.local, message, next);
}
