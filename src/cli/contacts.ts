/** Contacts, for programs and for people. */

import type { Contact } from "../client/account.ts";
import { fingerprint } from "../protocol/fingerprint.ts";
import { visibleAddress } from "./visible.ts";

const DECISIONS = ["none", "accepted", "blocked"] as const;

/** A contact with the keys that are pinned for it. */
export function describeContact(contact: Contact) {
  const pin = contact.pins.at(-1);
  return {
    address: contact.address,
    decision: DECISIONS[contact.decision] ?? "none",
    verified: contact.verified,
    replied: contact.replied,
    keySetNumber: pin?.number ?? null,
    fingerprint: pin ? fingerprint(pin.hash) : null,
    createdAt: Number(contact.createdAt),
  };
}

/** The same as a line of text. */
export async function contactLine(contact: Contact): Promise<string> {
  const { decision, verified, fingerprint: shown } = describeContact(contact);
  const words = [verified ? "verified" : "", decision === "none" ? "" : decision].filter(
    (word) => word !== "",
  );
  const state = words.length === 0 ? "" : `  (${words.join(", ")})`;
  return `${await visibleAddress(contact.address)}${state}\n  ${shown ?? "no keys seen yet"}`;
}
