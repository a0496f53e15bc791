/**
 * How the tool ends: one exit code for each thing that a script may want to react to, which reasons lead to it, and what to
 * do next. Reasons are those of docs/protocol.md, section 9, of the client library, and of the tool itself.
 */

/** Exit codes of the tool. */
export const EXIT = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  notSignedIn: 3,
  wrongPassword: 4,
  refused: 5,
  unreachable: 6,
  contactChanged: 7,
  notFound: 8,
  local: 9,
  mismatch: 10,
  interrupted: 130,
} as const;

/** One of them. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What each of them means, for help. */
export const EXIT_CODE_MEANINGS: readonly (readonly [ExitCode, string])[] = [
  [EXIT.ok, "done"],
  [EXIT.unexpected, "something unexpected, which is a bug"],
  [EXIT.usage, "the command line or its input cannot be used"],
  [EXIT.notSignedIn, "not signed in, or locked and no password to unlock with"],
  [EXIT.wrongPassword, "the password is wrong"],
  [EXIT.refused, "a node refused, or a share was rejected"],
  [EXIT.unreachable, "a node or domain cannot be reached, or gives no usable answer"],
  [EXIT.contactChanged, "a contact's or a domain's keys changed or are not confirmed: compare fingerprints"],
  [EXIT.notFound, "there is no such account, share, contact, key set or domain"],
  [EXIT.local, "a file or folder on this device is in the way, missing or not private"],
  [EXIT.mismatch, "a file does not have the hash that a list says"],
  [EXIT.interrupted, "interrupted"],
];

const LOG_IN_AGAIN = "log in again: keypears account login ADDRESS";
const TRY_LATER = "try again in a moment";
const CHECK_DOMAIN = "see what the domain answers: keypears discover DOMAIN";
const TELL_OWNER = "tell the domain's owner, who has to mend what does not hold in: keypears discover DOMAIN";

interface Ending {
  readonly exitCode: ExitCode;
  readonly next?: string;
}

/** What a reason of a node, of the client library or of a lower layer means for the tool. */
const ENDINGS: Readonly<Record<string, Ending>> = {
  ADDRESS_INVALID: { exitCode: EXIT.usage, next: "write an address like alice@acme.example" },
  DOMAIN_INVALID: { exitCode: EXIT.usage, next: "write a domain like acme.example" },
  FINGERPRINT_INVALID: { exitCode: EXIT.usage, next: "type it as `keypears keys show` prints it" },
  FIELD_INVALID: { exitCode: EXIT.usage },
  PAYLOAD_TOO_LARGE: { exitCode: EXIT.usage, next: "a share holds about 240 KiB: send less" },
  PAYLOAD_INVALID: { exitCode: EXIT.usage },
  RESOLVE_OPTION_INVALID: { exitCode: EXIT.usage },
  CONFIG_INVALID: { exitCode: EXIT.usage, next: "see: keypears help serve" },
  CRYPTO_REFUSED: { exitCode: EXIT.usage },
  SESSION_INVALID: { exitCode: EXIT.notSignedIn, next: LOG_IN_AGAIN },
  SESSION_REQUIRED: { exitCode: EXIT.notSignedIn, next: LOG_IN_AGAIN },
  LOGIN_FAILED: { exitCode: EXIT.wrongPassword, next: "check the password and try again" },
  PASSWORD_WRONG: { exitCode: EXIT.wrongPassword, next: "check the password and try again" },
  PASSWORD_PARAMETERS_CHANGED: {
    exitCode: EXIT.refused,
    next: "if you changed the password on another device, log in with --password-changed",
  },
  REGISTRATION_CLOSED: { exitCode: EXIT.refused, next: "ask the domain's operator for an account" },
  NAME_RESERVED: {
    exitCode: EXIT.refused,
    next: "choose another name, or ask the domain's administrator for an invitation to this one",
  },
  INVITATION_REQUIRED: { exitCode: EXIT.refused, next: "ask the domain's administrator for an invitation" },
  INVITATION_INVALID: { exitCode: EXIT.refused, next: "ask for a new one" },
  DOMAIN_NAME_MISLEADING: { exitCode: EXIT.usage, next: "use a name of one script that reads as what it is" },
  API_URL_INVALID: { exitCode: EXIT.usage, next: "write a URL like https://host.example/api" },
  ADDRESS_TAKEN: {
    exitCode: EXIT.refused,
    next: "choose another name, or log in: keypears account login ADDRESS",
  },
  RATE_LIMITED: { exitCode: EXIT.refused, next: TRY_LATER },
  DEADLINE_EXCEEDED: { exitCode: EXIT.unreachable, next: TRY_LATER },
  NODE_UNREACHABLE: { exitCode: EXIT.unreachable, next: "check the network, and that the node runs" },
  NODE_ANSWER_INVALID: {
    exitCode: EXIT.unreachable,
    next: "check that the address's domain leads to a KeyPears node",
  },
  DATABASE_IN_USE: { exitCode: EXIT.refused, next: "stop the node, then try again" },
  DATABASE_NOT_EMPTY: { exitCode: EXIT.refused, next: "create a new database for it" },
  DATABASE_UNAVAILABLE: { exitCode: EXIT.unreachable, next: TRY_LATER },
  SHUTTING_DOWN: { exitCode: EXIT.unreachable, next: TRY_LATER },
  DISCOVERY_FAILED: { exitCode: EXIT.unreachable, next: CHECK_DOMAIN },
  DISCOVERY_DOCUMENT_INVALID: { exitCode: EXIT.unreachable, next: CHECK_DOMAIN },
  DOMAIN_UNPROVEN: { exitCode: EXIT.unreachable, next: TELL_OWNER },
  DOMAIN_DOWNGRADED: { exitCode: EXIT.unreachable, next: TELL_OWNER },
  DOMAIN_CHANGED: {
    exitCode: EXIT.contactChanged,
    next: "ask the domain's owner for the hash of their key, then: keypears discover DOMAIN --confirm-key HASH; or wait",
  },
  DOMAIN_NOT_FOUND: { exitCode: EXIT.notFound, next: "check the spelling of the domain" },
  DOMAIN_NOT_HOSTED: { exitCode: EXIT.unreachable, next: CHECK_DOMAIN },
  ADDRESS_UNKNOWN: { exitCode: EXIT.notFound, next: "check the spelling of the address" },
  KEY_SET_UNKNOWN: { exitCode: EXIT.notFound },
  SHARE_UNKNOWN: { exitCode: EXIT.notFound, next: "see what there is: keypears share list" },
  DELIVERY_ENDED: { exitCode: EXIT.refused, next: "see how: keypears share status ID" },
  DELIVERY_UNDER_WAY: { exitCode: EXIT.refused, next: TRY_LATER },
  CONTACT_UNKNOWN: { exitCode: EXIT.notFound, next: "see who there is: keypears contact list" },
  CONTACT_CHANGED: {
    exitCode: EXIT.contactChanged,
    next: "ask the person for their fingerprint (keypears keys show), then: keypears contact confirm ADDRESS --fingerprint …",
  },
  CONTACT_UNCONFIRMED: {
    exitCode: EXIT.contactChanged,
    next: "compare the fingerprint with the sender, then open it with --accept-sender FINGERPRINT",
  },
  CONTACT_FORK: {
    exitCode: EXIT.contactChanged,
    next: "do not confirm it: somebody may be posing as this contact; ask the person in another way",
  },
  FINGERPRINT_MISMATCH: {
    exitCode: EXIT.contactChanged,
    next: "make sure that both of you read the same thing; if so, somebody may stand between you",
  },
  OWN_KEYS_MISMATCH: { exitCode: EXIT.contactChanged, next: "ask the node's operator what happened" },
  CONTACTS_ROLLED_BACK: {
    exitCode: EXIT.contactChanged,
    next: "ask the node's operator; if a backup was restored: keypears account login ADDRESS --profile NEW_NAME",
  },
};

/** How a failure with this reason ends. A reason that is not listed is a refusal of a node's, or of a peer's. */
export function endingOf(reason: string): Ending {
  const known = ENDINGS[reason];
  if (known) return known;
  if (reason.startsWith("PEER_")) return { exitCode: EXIT.unreachable, next: CHECK_DOMAIN };
  return { exitCode: EXIT.refused };
}
