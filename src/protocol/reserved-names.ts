/**
 * Names that a domain's staff answers to: the mailboxes of RFC 2142, those by which certificate authorities ask for a
 * domain's consent (CA/Browser Forum Baseline Requirements §3.2.2.4.4), and what a person would take for the host itself.
 * Nobody takes one just because registration is open (docs/protocol.md, section 5).
 */

import { latinLookAlike } from "./look-alikes.ts";

const RESERVED: ReadonlySet<string> = new Set(
  [
    // RFC 2142 §3 to §5, business, networks, services
    "info marketing sales support abuse noc security",
    "postmaster hostmaster usenet news webmaster www uucp ftp",
    // Baseline Requirements, and what certificate authorities took before
    "admin administrator root ssladmin ssladministrator sslwebmaster sysadmin",
    // Taken for the host itself
    "keypears system staff official help helpdesk account accounts billing legal privacy trust",
    "noreply donotreply mailerdaemon nobody null daemon everyone all",
  ].flatMap((line) => line.split(" ")),
);

/**
 * Whether a local part in canonical form is reserved, however it is dressed up: with dots, hyphens and underscores in between,
 * with a tag behind a plus, in compatibility forms, or in letters that look like these.
 *
 *     isReservedName("no-reply")   // true
 *     isReservedName("аdmin")      // true, for the Cyrillic а
 */
export function isReservedName(local: string): boolean {
  const plain = latinLookAlike(local.normalize("NFKC").toLowerCase())
    .replace(/\+.*$/u, "")
    .replace(/[\p{P}\p{Default_Ignorable_Code_Point}\s]/gu, "");
  return RESERVED.has(plain);
}
