/** Invitations to hosted domains, found by the hash of their code, and how a domain admits a new account. */

import { appendAuditRecord } from "./audit.ts";
import type { Database, Queries } from "./database.ts";
import { actOnDomain, lockDomain } from "./domain-acts.ts";
import { readUsage } from "./domains.ts";
import type { AdmissionRefusal, InvitationStore, NewAccount } from "./stores.ts";

/** The invitations of a database. */
export function createInvitationStore(database: Database): InvitationStore {
  return {
    create: (act, { id, name, codeHash, createdAt, expiresAt }, maxInvitations) =>
      database.write((trx) =>
        actOnDomain(database, trx, act, async (note) => {
          const { waiting } = await trx
            .selectFrom("invitations")
            .select((eb) => eb.fn.countAll<number | string>().as("waiting"))
            .where("domain", "=", act.domain)
            .where("expires_at", ">", createdAt)
            .executeTakeFirstOrThrow();
          if (Number(waiting) >= maxInvitations) return { kind: "too-many" };
          await trx
            .insertInto("invitations")
            .values({
              id,
              domain: act.domain,
              name,
              code_hash: codeHash,
              created_at: createdAt,
              expires_at: expiresAt,
            })
            .execute();
          await note({ action: "invitation.create", subject: id });
          return { kind: "created" };
        }),
      ),

    list: (domain, { limit, now, after }) =>
      database.read(async (queries) => {
        let query = queries
          .selectFrom("invitations")
          .select(["id", "name", "created_at", "expires_at"])
          .where("domain", "=", domain)
          .where("expires_at", ">", now);
        if (after !== undefined) {
          query = query.where((eb) =>
            eb(eb.refTuple("created_at", "id"), "<", eb.tuple(after.createdAt, after.id)),
          );
        }
        const rows = await query.orderBy("created_at", "desc").orderBy("id", "desc").limit(limit).execute();
        return rows.map((row) => ({
          id: row.id,
          name: row.name,
          createdAt: row.created_at,
          expiresAt: row.expires_at,
        }));
      }),

    revoke: (act, id) =>
      database.write((trx) =>
        actOnDomain(database, trx, act, async (note) => {
          const { numDeletedRows } = await trx
            .deleteFrom("invitations")
            .where("domain", "=", act.domain)
            .where("id", "=", id)
            .executeTakeFirstOrThrow();
          if (numDeletedRows === 0n) return { kind: "unknown" };
          await note({ action: "invitation.revoke", subject: id });
          return { kind: "revoked" };
        }),
      ),
  };
}

/** What admits an account: the invitation that it spends, or an empty list without one. */
export type Admitted = { readonly kind: "admitted"; readonly invitationIds: readonly string[] };

/** Whether a hosted domain admits an account. Its row stays locked until the transaction ends. */
export async function admit(
  database: Database,
  trx: Queries,
  { domain, createdAt, admission }: Pick<NewAccount, "domain" | "createdAt" | "admission">,
): Promise<Admitted | { readonly kind: AdmissionRefusal }> {
  if (admission === undefined) return { kind: "admitted", invitationIds: [] };
  const locked = await lockDomain(database, trx, domain);
  if (locked === undefined) return { kind: "domain-gone" };
  if (locked.state === "SUSPENDED") return { kind: "domain-suspended" };
  if (locked.registration_mode === "CLOSED") return { kind: "registration-closed" };
  const { name, reserved, codeHash, maxAccounts } = admission;
  if (codeHash === undefined && locked.registration_mode === "INVITATION") {
    return { kind: "invitation-required" };
  }
  const invitation =
    codeHash &&
    (await trx
      .selectFrom("invitations")
      .select(["id", "name"])
      .where("code_hash", "=", codeHash)
      .where("domain", "=", domain)
      .where("expires_at", ">", createdAt)
      .executeTakeFirst());
  if (codeHash !== undefined && invitation === undefined) return { kind: "invitation-invalid" };
  if (invitation && invitation.name !== "" && invitation.name !== name) return { kind: "invitation-invalid" };
  if (reserved && invitation?.name !== name) return { kind: "name-reserved" };
  if ((await readUsage(trx, domain)).accounts >= maxAccounts) return { kind: "domain-full" };
  return { kind: "admitted", invitationIds: invitation === undefined ? [] : [invitation.id] };
}

/** Spends what admitted an account that now exists, and tells the domain's log of it. */
export async function noteAdmission(
  trx: Queries,
  { address, domain, createdAt, admission }: NewAccount,
  { invitationIds }: Admitted,
): Promise<void> {
  if (admission === undefined) return;
  for (const id of invitationIds) await trx.deleteFrom("invitations").where("id", "=", id).execute();
  await appendAuditRecord(trx, domain, {
    time: createdAt,
    actor: address,
    action: "account.create",
    subject: invitationIds[0] ?? "",
  });
}
