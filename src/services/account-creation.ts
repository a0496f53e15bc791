/**
 * Making accounts (docs/protocol.md, sections 5 and 6.4). On an open node a stamp over a challenge is the price. The
 * challenge is authenticated by the cluster's secret instead of being stored, and spent in the transaction that makes the
 * account.
 */

import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { AccountService } from "../../gen/keypears/v1/account_service_pb.ts";
import {
  buildChallenge,
  CHALLENGE_LIFETIME_MS,
  LOGIN_KEY_LENGTH,
  loginVerifier,
  openChallenge,
  stampKey,
  verifyStamp,
} from "../crypto/index.ts";
import type { Address } from "../protocol/address.ts";
import { isReservedName } from "../protocol/reserved-names.ts";
import type { Admission, AdmissionRefusal, NewAccount, RegistrationModeName } from "../storage/stores.ts";
import { callerKey, type ServiceContext } from "./context.ts";
import { invitationCodeHash } from "./domain-administration.ts";
import { REGISTRATION_MODES } from "./domain-messages.ts";
import { fieldError, serviceError } from "./errors.ts";
import {
  bytesField,
  deviceNameField,
  domainNotHosted,
  domainSuspended,
  hostedAddressField,
  passwordFields,
  sealedKeysField,
} from "./fields.ts";
import { newKeySetField } from "./key-set-checks.ts";
import { newSession, sessionMessage } from "./session-token.ts";

type Methods = Pick<ServiceImpl<typeof AccountService>, "getCreationChallenge" | "createAccount">;

/** Makes the methods that make accounts. */
export function createAccountCreation(context: ServiceContext): Methods {
  const { stores, clock, keySetAnswers } = context;
  let cachedSecret: Uint8Array | undefined;

  async function clusterSecret(): Promise<Uint8Array> {
    cachedSecret ??= await stores.secrets.clusterSecret();
    return cachedSecret;
  }

  /** How accounts are made at a domain that is hosted here. */
  function registrationMode(domain: string): RegistrationModeName {
    return context.domains.registrationMode(domain) ?? (context.registrationOpen ? "OPEN" : "CLOSED");
  }

  /** An address at which an account may be made, as far as that can be said before it is. */
  function registrableAddress(input: string): Address {
    const address = hostedAddressField("address", input, context);
    const { domain, local } = address;
    if (context.domains.service(domain) === "suspended") throw domainSuspended(domain);
    if (registrationMode(domain) === "CLOSED") throw registrationClosed(domain);
    // The node's own domains have nobody who invites.
    if (context.domains.isOwn(domain) && isReservedName(local)) throw nameReserved(domain);
    return address;
  }

  function admissionOf(name: string, code: string): Admission {
    return {
      name,
      reserved: isReservedName(name),
      codeHash: code === "" ? undefined : invitationCodeHash(code),
      maxAccounts: context.hosting.maxAccounts,
    };
  }

  /** That the challenge is this node's own for this address, in time, and that its stamp was paid. */
  async function requireStamp(
    challenge: Uint8Array,
    nonce: bigint,
    address: string,
    now: number,
  ): Promise<NonNullable<NewAccount["challenge"]>> {
    const opened = openChallenge(await clusterSecret(), challenge, { address, now });
    if (opened.status !== "valid") {
      const problem =
        opened.status === "expired" ? "it has expired" : "it was not made here for this address";
      throw serviceError("CHALLENGE_INVALID", `challenge: ${problem}, ask for a new one`);
    }
    if (!verifyStamp(stampKey(opened.id, address), nonce, opened.difficulty)) {
      throw serviceError("STAMP_INVALID", `nonce: its work is not worth difficulty ${opened.difficulty}`);
    }
    return { id: opened.id, expiresAt: opened.expiresAt };
  }

  return {
    async getCreationChallenge(request, call) {
      const { canonical, domain } = registrableAddress(request.address);
      await context.spend("lookup", prefixOf(call));
      // Said before the work is done. Creation itself decides, also for addresses that were deleted.
      if (await stores.accounts.byAddress(canonical)) throw addressTaken(canonical);
      const now = clock();
      const difficulty = context.creationDifficulty;
      const challenge = buildChallenge(await clusterSecret(), { address: canonical, difficulty, now });
      return {
        challenge,
        difficulty,
        expiresAt: BigInt(now + CHALLENGE_LIFETIME_MS),
        registrationMode: REGISTRATION_MODES[registrationMode(domain)],
      };
    },

    async createAccount(request, call) {
      const { canonical, domain, local } = registrableAddress(request.address);
      const password = passwordFields(request.passwordParameters, request.wrappedAccountKey);
      if (password.wrapNumber !== 1) throw fieldError("wrapped_account_key.number", "must be 1");
      const loginKey = bytesField("login_key", request.loginKey, LOGIN_KEY_LENGTH);
      const sealedKeys = sealedKeysField(request.sealedKeys, 1);
      const deviceName = deviceNameField(request.deviceName);
      await context.spend("creation", prefixOf(call));

      const now = clock();
      const challenge = await requireStamp(request.challenge, request.nonce, canonical, now);
      const { record: keySet } = newKeySetField(request.keySet, canonical, 1, now);
      const { token, session } = newSession(deviceName, now);
      const created = await stores.accounts.create({
        address: canonical,
        domain,
        createdAt: now,
        password: { ...password, loginVerifier: loginVerifier(canonical, loginKey) },
        keySet,
        sealedKeys,
        session,
        challenge,
        ...(!context.domains.isOwn(domain) && { admission: admissionOf(local, request.invitationCode) }),
      });
      switch (created.kind) {
        case "created":
          // Nobody may still be told that there is no such account, not even together with who asked before.
          await keySetAnswers.changed(canonical);
          return {
            sessionToken: token,
            session: sessionMessage({ ...session, lastUsedAt: now }, session.id),
          };
        case "address-taken":
          throw addressTaken(canonical);
        case "challenge-spent":
          throw serviceError("CHALLENGE_INVALID", "challenge: it was used already, ask for a new one");
        default:
          throw notAdmitted(created.kind, domain);
      }
    },
  };
}

function prefixOf(call: HandlerContext): string {
  return `prefix:${call.values.get(callerKey).sourcePrefix}`;
}

function addressTaken(address: string) {
  return serviceError("ADDRESS_TAKEN", `${address} is taken, or was once: choose another`);
}

/** Why an account is not made at a hosted domain. */
function notAdmitted(refusal: AdmissionRefusal, domain: string) {
  const metadata = { domain };
  switch (refusal) {
    case "domain-gone":
      return domainNotHosted("address", domain);
    case "domain-suspended":
      return domainSuspended(domain);
    case "registration-closed":
      return registrationClosed(domain);
    case "invitation-required":
      return serviceError(
        "INVITATION_REQUIRED",
        `${domain} makes accounts by invitation: ask its administrator`,
        { metadata },
      );
    case "invitation-invalid":
      return serviceError(
        "INVITATION_INVALID",
        "the invitation is unknown, used, revoked, expired, or for another name: ask for a new one",
        { metadata },
      );
    case "name-reserved":
      return nameReserved(domain);
    case "domain-full":
      return serviceError("QUOTA_EXCEEDED", `${domain} has as many accounts as it may`, { metadata });
  }
}

function registrationClosed(domain: string) {
  return serviceError("REGISTRATION_CLOSED", `no accounts are made at ${domain}: ask whoever runs it`, {
    metadata: { domain },
  });
}

function nameReserved(domain: string) {
  const message = `the name is one that the staff of ${domain} answers to: it needs an invitation that names it`;
  return serviceError("NAME_RESERVED", message, { metadata: { domain } });
}
