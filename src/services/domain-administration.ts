/**
 * What the administrator of a hosted domain does: invitations, accounts, the audit log (docs/protocol.md, section 2.1). For
 * that domain only: who administers it is asked again in the transaction of each act.
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type {
  DomainAccountSchema,
  DomainService,
  InvitationSchema,
} from "../../gen/keypears/v1/domain_service_pb.ts";
import { primitives, randomBytes, toHex, utf8 } from "../crypto/index.ts";
import { parseAddress } from "../protocol/address.ts";
import { canonicalDomain } from "../protocol/domain.ts";
import { DEFAULT_INVITATION_MS, MAX_INVITATION_MS } from "../protocol/limits.ts";
import type { DomainAccountRecord, DomainAct, InvitationRecord } from "../storage/stores.ts";
import {
  type AuthenticatedSession,
  requireChangingSession,
  requireSession,
  type ServiceContext,
} from "./context.ts";
import { notAdministrator, requireAdministrator } from "./domain-session.ts";
import { fieldError, serviceError } from "./errors.ts";
import { addressField, readField } from "./fields.ts";
import { cutPage, pageNumber, pagePosition, pageSizeOf, pageToken } from "./page.ts";

type Methods = Pick<
  ServiceImpl<typeof DomainService>,
  | "createInvitation"
  | "listInvitations"
  | "revokeInvitation"
  | "listAccounts"
  | "setAccountSuspended"
  | "removeAccount"
  | "listAuditRecords"
>;

const MAX_PAGE_SIZE = 100;
const DEFAULT_PAGE_SIZE = 50;
const INVITATION_ID_LENGTH = 16;
/** 128 bits, which nobody guesses. */
const INVITATION_CODE_LENGTH = 16;
const INVITATION_ID = /^[0-9a-f]{32}$/;
/** created_at and id of the last invitation of a page. */
const INVITATION_POSITION = /^([0-9]{1,15})\.([0-9a-f]{32})$/;
/** Hex of the UTF-8 of the last address of a page. */
const ADDRESS_POSITION = /^(?:[0-9a-f]{2}){1,400}$/;

/** What is kept of an invitation's code, 32 bytes. */
export function invitationCodeHash(code: string): Uint8Array {
  return primitives().blake3.hash(utf8(code.toWellFormed()));
}

/** Makes the methods. */
export function createDomainAdministration(context: ServiceContext): Methods {
  const { stores, clock, events, keySetAnswers, hosting } = context;

  async function administered(call: HandlerContext, input: string): Promise<string> {
    const session = requireSession(call);
    const domain = readField("domain", () => canonicalDomain(input));
    await requireAdministrator(context, session, domain);
    return domain;
  }

  function actOf({ account }: AuthenticatedSession, domain: string): DomainAct {
    return { domain, actor: account.address, time: clock() };
  }

  /** The account that is meant, and the act on its domain. */
  async function accountAct(session: AuthenticatedSession, input: string) {
    const { canonical, domain } = addressField("address", input);
    await requireAdministrator(context, session, domain);
    if (canonical === session.account.address) {
      throw fieldError("address", "is your own: have another account administer the domain first");
    }
    return { address: canonical, act: actOf(session, domain) };
  }

  async function endSessions(accountId: number, sessionIds: readonly string[]): Promise<void> {
    for (const sessionId of sessionIds) events.emit(accountId, { kind: "session-ended", sessionId });
  }

  return {
    async createInvitation(request, call) {
      const session = await requireChangingSession(context, call);
      const domain = readField("domain", () => canonicalDomain(request.domain));
      const name = nameField(request.name, domain);
      const lifetime = request.lifetimeSeconds * 1_000 || DEFAULT_INVITATION_MS;
      if (lifetime > MAX_INVITATION_MS) {
        throw fieldError("lifetime_seconds", `must be at most ${MAX_INVITATION_MS / 1_000}`);
      }
      const act = actOf(session, domain);
      const code = toHex(randomBytes(INVITATION_CODE_LENGTH));
      const invitation = {
        id: toHex(randomBytes(INVITATION_ID_LENGTH)),
        name,
        createdAt: act.time,
        expiresAt: act.time + lifetime,
      };
      const created = await stores.invitations.create(
        act,
        { ...invitation, codeHash: invitationCodeHash(code) },
        hosting.maxInvitations,
      );
      if (created.kind === "not-administrator") throw notAdministrator(domain);
      if (created.kind === "too-many") {
        const message = `${hosting.maxInvitations} invitations wait to be used already: revoke some`;
        throw serviceError("QUOTA_EXCEEDED", message);
      }
      return { invitation: invitationMessage(invitation), code };
    },

    async listInvitations(request, call) {
      const domain = await administered(call, request.domain);
      const size = pageSizeOf(request.pageSize, MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE);
      const list = `ListInvitations ${domain}`;
      const [, createdAt, id] = pagePosition(list, request.pageToken, INVITATION_POSITION) ?? [];
      const after =
        createdAt === undefined || id === undefined ? undefined : { createdAt: Number(createdAt), id };
      const page = { limit: size + 1, now: clock(), ...(after && { after }) };
      const { rows, nextPageToken } = cutPage(await stores.invitations.list(domain, page), size, (last) =>
        pageToken(list, `${last.createdAt}.${last.id}`),
      );
      return { invitations: rows.map(invitationMessage), nextPageToken };
    },

    async revokeInvitation(request, call) {
      const session = await requireChangingSession(context, call);
      const domain = readField("domain", () => canonicalDomain(request.domain));
      if (!INVITATION_ID.test(request.invitationId)) {
        throw fieldError("invitation_id", "must be 32 lower-case hex digits");
      }
      const revoked = await stores.invitations.revoke(actOf(session, domain), request.invitationId);
      if (revoked.kind === "not-administrator") throw notAdministrator(domain);
      return {};
    },

    async listAccounts(request, call) {
      const domain = await administered(call, request.domain);
      const size = pageSizeOf(request.pageSize, MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE);
      const list = `ListAccounts ${domain}`;
      const [position] = pagePosition(list, request.pageToken, ADDRESS_POSITION) ?? [];
      const after = position && Buffer.from(position, "hex").toString();
      const accounts = await stores.domainAccounts.list(domain, { limit: size + 1, ...(after && { after }) });
      const { rows, nextPageToken } = cutPage(accounts, size, (last) =>
        pageToken(list, Buffer.from(last.address).toString("hex")),
      );
      return { accounts: rows.map(accountMessage), nextPageToken };
    },

    async setAccountSuspended(request, call) {
      const session = await requireChangingSession(context, call);
      const { address, act } = await accountAct(session, request.address);
      const set = await stores.domainAccounts.setSuspended(act, address, request.suspended);
      if (set.kind === "not-administrator") throw notAdministrator(act.domain);
      if (set.kind === "unknown") throw unknownAccount(address);
      await endSessions(set.account.id, set.endedSessionIds);
      return { account: accountMessage(set.account) };
    },

    async removeAccount(request, call) {
      const session = await requireChangingSession(context, call);
      const { address, act } = await accountAct(session, request.address);
      const removed = await stores.domainAccounts
        .remove(act, address)
        .finally(() => keySetAnswers.changed(address)); // also if it failed: perhaps after the commit
      if (removed.kind === "not-administrator") throw notAdministrator(act.domain);
      if (removed.kind === "unknown") throw unknownAccount(address);
      await endSessions(removed.accountId, removed.endedSessionIds);
      return {};
    },

    async listAuditRecords(request, call) {
      const domain = await administered(call, request.domain);
      const size = pageSizeOf(request.pageSize, MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE);
      const list = `ListAuditRecords ${domain}`;
      const before = pageNumber(list, request.pageToken);
      const page = { limit: size + 1, ...(before !== undefined && { before }) };
      const { rows, nextPageToken } = cutPage(await stores.audit.list(domain, page), size, (last) =>
        pageToken(list, `${last.sequence}`),
      );
      return { records: rows.map(({ body, hash }) => ({ body, hash })), nextPageToken };
    },
  };
}

/** The name that an invitation is for, in canonical form; empty for any. */
function nameField(name: string, domain: string): string {
  if (name === "") return "";
  return readField("name", () => parseAddress(`${name}@${domain}`)).local;
}

function unknownAccount(address: string) {
  return serviceError("ADDRESS_UNKNOWN", `${address} has no account here`);
}

function invitationMessage({
  id,
  name,
  createdAt,
  expiresAt,
}: InvitationRecord): MessageInitShape<typeof InvitationSchema> {
  return { invitationId: id, name, createdAt: BigInt(createdAt), expiresAt: BigInt(expiresAt) };
}

function accountMessage({
  address,
  createdAt,
  storedBytes,
  suspended,
}: DomainAccountRecord): MessageInitShape<typeof DomainAccountSchema> {
  return { address, createdAt: BigInt(createdAt), storedBytes: BigInt(storedBytes), suspended };
}
