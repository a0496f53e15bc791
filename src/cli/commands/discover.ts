/** `keypears discover` */

import { nodeClients } from "../../client/rpc.ts";
import { POST_QUANTUM_GROUP } from "../../federation/dialer.ts";
import type { FetchedDocument } from "../../federation/document-fetcher.ts";
import type { DomainLook } from "../../federation/domain-check.ts";
import { canonicalDomain } from "../../protocol/domain.ts";
import type { DomainCheck, DomainStanding } from "../../protocol/domain-check.ts";
import { confirmDomainKey, type DomainMemory } from "../../protocol/domain-memory.ts";
import { type CommandContext, printResult, type Run } from "../context.ts";
import { deviceDomains } from "../device-domains.ts";
import { readKeyHash } from "../domain-key-option.ts";
import { showTime } from "../duration.ts";
import { environmentOf, type NodeEnvironment } from "../environment.ts";
import { EXIT, endingOf } from "../exit-codes.ts";
import { CliError, failureOf } from "../failure.ts";
import { findProfile } from "../profile.ts";
import { visible } from "../visible.ts";

/** One thing that was checked. */
interface Check {
  readonly check: string;
  readonly outcome: DomainCheck["outcome"];
  readonly ok: boolean;
  readonly detail: string;
}

const MAX_CLOCK_DIFFERENCE_MS = 5 * 60_000;

const STANDINGS: Readonly<Record<DomainStanding, string>> = {
  proven: "proven: its owner consents to this host",
  "version-1": "unproven: version 1 names a host, and nobody vouches for that",
  unproven: "refused: what it publishes does not bear out its host",
  downgraded: "refused: it proves less than it did",
  changed: "held back: it has another key, and nothing vouches for it",
  unknown: "not known now: something could not be had",
};

const MARKS: Readonly<Record<Check["outcome"], string>> = {
  passed: "✓",
  failed: "✗",
  retry: "?",
  skipped: "–",
};

/** Makes every check of a domain and asks the node that it names what it is. The result is printed whatever it is. */
export const run: Run = async (context, [text], options) => {
  const domain = canonicalDomain(String(text));
  const confirmed = readKeyHash("--confirm-key", options.confirmKey);
  const remembered = findProfile(context.profile)?.resolve ?? [];
  const env = await environmentOf(context, [...remembered, ...context.resolve]);
  try {
    const looked = await env.look(domain, context.signal);
    const look = confirmed === undefined ? looked : await confirm(context, env, domain, confirmed);
    const { report, fetched, failure } = look;
    if (fetched === undefined) throw failure;
    const { checks: nodeChecks, node } = await checkNode(env, fetched.document.apiUrl.href, context);
    const checks: readonly Check[] = [
      ...report.checks.map(({ name, outcome, message }) => toCheck(name, outcome, message)),
      tlsCheck(fetched),
      ...nodeChecks,
    ];
    const result = toResult(domain, look, fetched, checks, node);
    printResult(context, result, describe(result).join("\n"));
    const problem = problemOf(domain, look, checks, result.apiUrl);
    if (problem) throw problem;
  } finally {
    env.close();
  }
};

function toResult(
  domain: string,
  { report }: DomainLook,
  { document, fetchedUrl, tlsGroup, maxAgeMs }: FetchedDocument,
  checks: readonly Check[],
  node: Awaited<ReturnType<typeof checkNode>>["node"],
) {
  return {
    domain,
    standing: report.standing,
    document: { ...document, apiUrl: document.apiUrl.href },
    apiUrl: document.apiUrl.href,
    documentVersion: document.version,
    fetchedUrl,
    tlsGroup: tlsGroup === "" ? null : tlsGroup,
    cacheSeconds: maxAgeMs === undefined ? null : Math.floor(maxAgeMs / 1_000),
    remembered: report.memory ?? null,
    node,
    checks,
    ok: checks.every(({ outcome }) => outcome === "passed"),
  };
}

function describe({
  domain,
  standing,
  apiUrl,
  cacheSeconds,
  remembered,
  node,
  checks,
}: ReturnType<typeof toResult>): string[] {
  return [
    `${domain} is served at ${apiUrl}`,
    `  standing    ${STANDINGS[standing]}`,
    `  cached for  ${cacheSeconds === null ? "5 minutes, for want of a word" : `${cacheSeconds} s`}`,
    `  remembered  ${describeMemory(remembered)}`,
    ...(node ? [`  software    ${visible(node.software)}`, `  accounts    ${node.registration}`] : []),
    ...checks.map(({ check, outcome, detail }) => `  ${MARKS[outcome]} ${check}: ${visible(detail)}`),
  ];
}

function describeMemory(memory: DomainMemory | null): string {
  if (memory === null) return "nothing: it never proved itself to this device";
  const { serial, provenAt, txtSeen, pending } = memory;
  const txt = txtSeen ? "with" : "without";
  const waits = pending ? `; another key since ${showTime(pending.since)}` : "";
  return `proven ${showTime(provenAt)}, serial ${serial}, ${txt} a TXT record${waits}`;
}

/** What is wrong as a whole, as the exit code says it. */
function problemOf(
  domain: string,
  { report: { standing, checks: domainChecks }, failure }: DomainLook,
  checks: readonly Check[],
  apiUrl: string,
): CliError | undefined {
  const failed = checks.find(({ check, outcome }) => check === "node" && outcome !== "passed");
  if (standing === "unproven" || standing === "downgraded" || standing === "changed") {
    const reason = `DOMAIN_${standing.toUpperCase()}`;
    const { exitCode, next } = endingOf(reason);
    const first = domainChecks.find(({ outcome }) => outcome === "failed");
    return new CliError(reason, exitCode, `${domain} cannot be trusted: ${first?.message}`, next);
  }
  if (failed) {
    const message = `${domain} leads to ${apiUrl}, but ${failed.detail}`;
    return new CliError("NODE_UNREACHABLE", EXIT.unreachable, message, "check that the node runs there");
  }
  if (standing !== "unknown") return undefined;
  const { exitCode } = endingOf("DISCOVERY_FAILED");
  const first = domainChecks.find(({ outcome }) => outcome === "retry");
  const message = `${domain} cannot be checked now: ${failure?.message ?? first?.message}`;
  return new CliError("DISCOVERY_FAILED", exitCode, message, "try again in a moment");
}

/** Takes a waiting key for the domain's on the person's word, and looks again. */
async function confirm(
  { profile, signal }: CommandContext,
  env: NodeEnvironment,
  domain: string,
  keyHash: string,
): Promise<DomainLook> {
  const memories = deviceDomains(profile);
  const known = await memories.read(domain);
  const memory = known && confirmDomainKey(known.memory, keyHash, env.now());
  if (
    known === undefined ||
    memory === undefined ||
    !(await memories.replace(domain, known.revision, memory))
  ) {
    throw new CliError(
      "DOMAIN_KEY_MISMATCH",
      EXIT.contactChanged,
      `${domain} has no such key that waits to be confirmed`,
      `see what it has: keypears discover ${domain}`,
    );
  }
  return env.look(domain, signal);
}

function toCheck(check: string, outcome: Check["outcome"], detail: string): Check {
  return { check, outcome, ok: outcome === "passed", detail };
}

function passedIf(check: string, ok: boolean, detail: string): Check {
  return toCheck(check, ok ? "passed" : "failed", detail);
}

function tlsCheck({ fetchedUrl, tlsGroup }: FetchedDocument): Check {
  if (tlsGroup === "") return passedIf("tls", fetchedUrl.startsWith("http:"), "none: development resolution");
  const ok = tlsGroup === POST_QUANTUM_GROUP;
  return passedIf("tls", ok, ok ? tlsGroup : `${tlsGroup}, which is not post-quantum`);
}

async function checkNode(env: NodeEnvironment, apiUrl: string, { signal }: CommandContext) {
  try {
    const info = await nodeClients(env, apiUrl).discovery.getServerInfo({}, { signal });
    const difference = Number(info.serverTime) - env.now();
    const near = Math.abs(difference) < MAX_CLOCK_DIFFERENCE_MS;
    const apart = `${showTime(Number(info.serverTime))}, ${Math.round(Math.abs(difference) / 1_000)} s apart`;
    const checks = [
      passedIf("node", true, "answers"),
      passedIf("protocol", info.protocolVersions.includes(1), `versions ${info.protocolVersions.join(", ")}`),
      passedIf("clock", near, apart),
    ];
    const registration = ["unknown", "open", "closed", "by invitation"][info.registrationMode] ?? "unknown";
    return {
      checks,
      node: {
        software: info.software,
        protocolVersions: info.protocolVersions,
        development: info.development,
        registration,
        serverTime: Number(info.serverTime),
      },
    };
  } catch (error) {
    signal.throwIfAborted();
    const { reason, message } = failureOf(error);
    if (reason === "UNEXPECTED") throw error;
    return { checks: [passedIf("node", false, message)], node: undefined };
  }
}
