/**
 * Claiming domains (docs/protocol.md, section 2.1): what an owner has to show before this node hosts a domain, and again for
 * each new consent. Nothing is changed before all of it was verified, and the domain's own document bears it out.
 */

import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { DomainAuthorization, DomainKeyRotation } from "../../gen/keypears/v1/domain_pb.ts";
import type { DomainService } from "../../gen/keypears/v1/domain_service_pb.ts";
import { buildClaimNonce, COMPOSITE_PUBLIC_KEY_LENGTH, isClaimNonce, primitives } from "../crypto/index.ts";
import { canonicalDomain } from "../protocol/domain.ts";
import { type ParsedAuthorization, verifyAuthorization } from "../protocol/domain-authorization.ts";
import { DOMAIN_CLAIM_NONCE_LENGTH, verifyDomainClaim } from "../protocol/domain-claim.ts";
import { domainKeyHash } from "../protocol/domain-key.ts";
import { type ParsedRotation, verifyRotations } from "../protocol/domain-rotation.ts";
import { hostableDomain } from "../protocol/hostable-domain.ts";
import { DOMAIN_CLAIM_MS } from "../protocol/limits.ts";
import { sameBytes } from "../protocol/strict-message.ts";
import type { HostedDomainRecord } from "../storage/stores.ts";
import { type AuthenticatedSession, requireChangingSession, type ServiceContext } from "./context.ts";
import { checkHosted, followsFrom, type HostCheck, recheck } from "./domain-checks.ts";
import { consentRecord, joinedRotations, type KeptConsent, readConsent } from "./domain-consents.ts";
import { hostedDomainMessage } from "./domain-messages.ts";
import { notAdministrator, requireAdministrator } from "./domain-session.ts";
import { serviceError } from "./errors.ts";
import { bytesField, readField, requiredField, uint64Field } from "./fields.ts";

type Methods = Pick<
  ServiceImpl<typeof DomainService>,
  "beginClaim" | "completeClaim" | "renewAuthorization" | "checkDomain"
>;

/** How often a domain is checked because its administrator asks. */
const CHECK_AGAIN_MS = 60_000;

/** Makes the methods. */
export function createDomainClaims(context: ServiceContext): Methods {
  const { stores, clock, apiUrl, development, nodeKeys, domains } = context;
  const apiUrlOptions = { allowInsecure: development };
  let cachedSecret: Uint8Array | undefined;

  async function clusterSecret(): Promise<Uint8Array> {
    cachedSecret ??= await stores.secrets.clusterSecret();
    return cachedSecret;
  }

  function claimable(input: string): string {
    const domain = readField("domain", () => hostableDomain(input));
    if (domains.isOwn(domain)) {
      throw serviceError("DOMAIN_CLAIMED", `${domain} is this node's own: its operator administers it`, {
        metadata: { domain },
      });
    }
    return domain;
  }

  /** A consent whose signatures hold, by the domain key that the caller shows. */
  function verifiedConsent(
    domain: string,
    domainPublicKey: Uint8Array,
    sent: DomainAuthorization | undefined,
    rotations: readonly DomainKeyRotation[],
  ) {
    const authorization = requiredField("authorization", sent);
    const chain = readField("rotations", () => verifyRotations(rotations, domain, domainPublicKey));
    const terms = readField("authorization", () =>
      verifyAuthorization(authorization, domainPublicKey, apiUrlOptions),
    );
    return { consent: { domainPublicKey, authorization, rotations }, terms, chain };
  }

  /** What the domain publishes bears the consent out. Costs look-ups, for which the account pays. */
  async function requireBorneOut(
    { account }: AuthenticatedSession,
    domain: string,
    consent: KeptConsent,
    known: Uint8Array | undefined,
    call: HandlerContext,
  ): Promise<HostCheck> {
    await context.spend("domain-check", `account:${account.id}`);
    const check = await checkHosted(context, domain, consent, known, call.signal);
    if (check.report.standing !== "proven") throw notBorneOut(domain, check);
    return check;
  }

  async function answer(domain: string) {
    await domains.changed();
    const record = await stores.domains.get(domain);
    if (record === undefined) throw notAdministrator(domain);
    return { domain: await hostedDomainMessage(context, record) };
  }

  return {
    async beginClaim(request, call) {
      const { account } = await requireChangingSession(context, call);
      const domain = claimable(request.domain);
      const { current, next } = await nodeKeys.present();
      const terms = { domain, administrator: account.address, expiresAt: clock() + DOMAIN_CLAIM_MS };
      return {
        domain,
        apiUrl,
        nodePublicKey: current.publicKey,
        nextNodePublicKey: next?.publicKey ?? new Uint8Array(),
        administrator: account.address,
        nonce: buildClaimNonce(await clusterSecret(), terms),
        expiresAt: BigInt(terms.expiresAt),
      };
    },

    async completeClaim(request, call) {
      const session = await requireChangingSession(context, call);
      const administrator = session.account.address;
      const domain = claimable(request.domain);
      const nonce = bytesField("nonce", request.nonce, DOMAIN_CLAIM_NONCE_LENGTH);
      const expiresAt = uint64Field("expires_at", request.expiresAt);
      const publicKey = bytesField("domain_public_key", request.domainPublicKey, COMPOSITE_PUBLIC_KEY_LENGTH);
      if (!isClaimNonce(await clusterSecret(), nonce, { domain, administrator, expiresAt })) {
        const message = "nonce: it was not given here to this account for this domain, begin the claim again";
        throw serviceError("CHALLENGE_INVALID", message);
      }
      if (clock() >= expiresAt) throw nonceGone("it has expired");
      const { current } = await nodeKeys.present();
      const claim = { domain, apiUrl, nodePublicKey: current.publicKey, administrator, nonce, expiresAt };
      readField("signature", () => verifyDomainClaim(claim, publicKey, request.signature));
      const { consent, terms, chain } = verifiedConsent(
        domain,
        publicKey,
        request.authorization,
        request.rotations,
      );

      const seen = await stores.domains.get(domain);
      if (seen !== undefined) {
        requireSuccession(seen, publicKey, chain);
        requireSerial(seen, consent, terms);
      }
      const check = await requireBorneOut(session, domain, consent, seen?.domainKeyHash, call);
      const { maxPerAdministrator, maxDomains } = context.hosting;
      const now = clock();
      const record: HostedDomainRecord = {
        domain,
        administrator,
        registrationMode: "INVITATION",
        claimedAt: now,
        ...consentRecord(consent, terms),
        ...followsFrom(check, { state: "ACTIVE", failingSince: 0, minSerial: 0, ...terms }, now),
      };
      const challenge = { id: primitives().blake3.hash(nonce), expiresAt };
      const claimed = await stores.domains.claim({
        record,
        challenge,
        seen,
        maxPerAdministrator,
        maxDomains,
      });
      switch (claimed.kind) {
        case "claimed":
          return answer(domain);
        case "challenge-spent":
          throw nonceGone("it was used already");
        case "conflict":
          throw changedMeanwhile(domain);
        case "too-many-of-administrator":
          throw serviceError(
            "QUOTA_EXCEEDED",
            `an account administers at most ${maxPerAdministrator} domains`,
          );
        case "too-many":
          throw serviceError("QUOTA_EXCEEDED", "this node hosts as many domains as it may: ask its operator");
      }
    },

    async renewAuthorization(request, call) {
      const session = await requireChangingSession(context, call);
      const record = await requireAdministrator(context, session, domainField(request.domain));
      const { domain } = record;
      const known = readConsent(record);
      const publicKey =
        request.domainPublicKey.length === 0
          ? known.domainPublicKey
          : bytesField("domain_public_key", request.domainPublicKey, COMPOSITE_PUBLIC_KEY_LENGTH);
      const { consent, terms, chain } = verifiedConsent(
        domain,
        publicKey,
        request.authorization,
        request.rotations,
      );
      requireSuccession(record, publicKey, chain);
      requireSerial(record, consent, terms);
      if (sameBytes(consent.authorization.body, known.authorization.body)) return answer(domain);
      const kept = { ...consent, rotations: joinedRotations(known.rotations, consent.rotations) };
      const check = await requireBorneOut(session, domain, kept, record.domainKeyHash, call);
      const now = clock();
      const renewed = await stores.domains.renew(
        { domain, actor: session.account.address, time: now },
        {
          seen: record,
          consent: consentRecord(kept, terms),
          check: followsFrom(check, { ...record, ...terms }, now),
        },
      );
      if (renewed.kind === "not-administrator") throw notAdministrator(domain);
      if (renewed.kind === "conflict") throw changedMeanwhile(domain);
      return answer(domain);
    },

    async checkDomain(request, call) {
      const session = await requireChangingSession(context, call);
      const record = await requireAdministrator(context, session, domainField(request.domain));
      const retryAfterMs = record.checkedAt + CHECK_AGAIN_MS - clock();
      if (retryAfterMs > 0) {
        throw serviceError("RATE_LIMITED", "a domain is checked at most once a minute", { retryAfterMs });
      }
      await context.spend("domain-check", `account:${session.account.id}`);
      const check = await recheck(context, record, call.signal);
      await stores.domains.settleCheck(record.domain, record, check);
      return answer(record.domain);
    },
  };
}

function domainField(input: string): string {
  return readField("domain", () => canonicalDomain(input));
}

/** That a domain key is the one that is known of a hosted domain, or that rotations lead from that to it. */
function requireSuccession(
  known: Pick<HostedDomainRecord, "domain" | "domainKeyHash" | "serial">,
  publicKey: Uint8Array,
  chain: readonly ParsedRotation[],
): void {
  if (sameBytes(domainKeyHash(publicKey), known.domainKeyHash)) return;
  const departure = chain.findLast(({ oldHash }) => sameBytes(oldHash, known.domainKeyHash));
  if (departure !== undefined && departure.serial > known.serial) return;
  const message =
    departure === undefined
      ? `${known.domain} is hosted here already under another domain key, and no rotation leads from that to this one`
      : `the rotation away from the known domain key of ${known.domain} has serial ${departure.serial}, not above ${known.serial}`;
  throw serviceError("DOMAIN_CLAIMED", message, { metadata: { domain: known.domain } });
}

/** That an authorization is the one that is known, or has a higher serial. */
function requireSerial(
  known: HostedDomainRecord,
  { authorization }: KeptConsent,
  { serial }: ParsedAuthorization,
): void {
  if (serial > known.serial) return;
  if (serial === known.serial && sameBytes(authorization.body, readConsent(known).authorization.body)) return;
  const message =
    serial === known.serial
      ? `the authorization is another than the known one with serial ${serial}: make one with a higher serial`
      : `the authorization has serial ${serial}, one with ${known.serial} is known: make one with a higher serial`;
  throw serviceError("SERIAL_TOO_LOW", message, { metadata: { serial: String(known.serial) } });
}

/** What stands against a claim, every check that did not pass by its name. */
function notBorneOut(domain: string, { report, published }: HostCheck) {
  const wrong = report.checks.filter(({ outcome }) => outcome === "failed" || outcome === "retry");
  const first = wrong.find(({ outcome }) => outcome === "failed") ?? wrong[0];
  if (report.standing === "unknown") {
    return (
      published.failure ?? serviceError("DISCOVERY_FAILED", first?.message ?? `${domain} cannot be checked`)
    );
  }
  const metadata = {
    domain,
    check: first?.name ?? "",
    ...Object.fromEntries(wrong.map(({ name, message }) => [name, message])),
  };
  return serviceError("CLAIM_UNPROVEN", first?.message ?? `${domain} does not bear the claim out`, {
    metadata,
  });
}

function nonceGone(problem: string) {
  return serviceError("CHALLENGE_INVALID", `nonce: ${problem}, begin the claim again`);
}

function changedMeanwhile(domain: string) {
  const message = `${domain} was claimed or renewed by somebody else meanwhile: look how it stands`;
  return serviceError("DOMAIN_CLAIMED", message, { metadata: { domain } });
}
