/** `keypears discover` */

import { nodeClients } from "../../client/rpc.ts";
import { POST_QUANTUM_GROUP } from "../../federation/dialer.ts";
import { canonicalDomain } from "../../protocol/domain.ts";
import { type CommandContext, printResult, type Run } from "../context.ts";
import { showTime } from "../duration.ts";
import { type NodeEnvironment, nodeEnvironment } from "../environment.ts";
import { EXIT } from "../exit-codes.ts";
import { CliError, failureOf } from "../failure.ts";
import { findProfile } from "../profile.ts";
import { readResolve } from "../resolve-option.ts";
import { visible } from "../visible.ts";

/** One thing that was checked. */
interface Check {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}

const MAX_CLOCK_DIFFERENCE_MS = 5 * 60_000;

/** Asks a domain where its node is, and the node what it is. */
export const run: Run = async (context, [text]) => {
  const domain = canonicalDomain(String(text));
  const remembered = findProfile(context.profile)?.resolve ?? [];
  const env = nodeEnvironment({ resolve: await readResolve([...remembered, ...context.resolve]) });
  try {
    const { document, maxAgeMs, tlsGroup, fetchedUrl } = await env.fetchDocument(domain, context.signal);
    const { checks, node } = await checkNode(env, document.apiUrl.href, context);
    checks.unshift(
      { check: "document", ok: true, detail: `version ${document.version}, from ${fetchedUrl}` },
      tlsCheck(document.apiUrl.scheme, tlsGroup),
    );
    const result = {
      domain,
      document: { ...document, apiUrl: document.apiUrl.href },
      apiUrl: document.apiUrl.href,
      documentVersion: document.version,
      fetchedUrl,
      tlsGroup: tlsGroup === "" ? null : tlsGroup,
      cacheSeconds: maxAgeMs === undefined ? null : Math.floor(maxAgeMs / 1_000),
      node,
      checks,
      ok: checks.every(({ ok }) => ok),
    };
    const failed = checks.find(({ check, ok }) => !ok && check === "node");
    if (failed)
      throw new CliError(
        "NODE_UNREACHABLE",
        EXIT.unreachable,
        `${domain} leads to ${document.apiUrl.href}, but ${failed.detail}`,
        "check that the node runs there",
      );
    printResult(
      context,
      result,
      [
        `${domain} is served at ${result.apiUrl}`,
        `  cached for  ${result.cacheSeconds === null ? "5 minutes, for want of a word" : `${result.cacheSeconds} s`}`,
        ...(node ? [`  software    ${visible(node.software)}`, `  accounts    ${node.registration}`] : []),
        ...checks.map(({ check, ok, detail }) => `  ${ok ? "✓" : "✗"} ${check}: ${visible(detail)}`),
      ].join("\n"),
    );
  } finally {
    env.close();
  }
};

function tlsCheck(scheme: "https" | "http", group: string): Check {
  if (group === "") return { check: "tls", ok: scheme === "http", detail: "none: development resolution" };
  const ok = group === POST_QUANTUM_GROUP;
  return { check: "tls", ok, detail: ok ? group : `${group}, which is not post-quantum` };
}

async function checkNode(env: NodeEnvironment, apiUrl: string, { signal }: CommandContext) {
  const checks: Check[] = [];
  try {
    const info = await nodeClients(env, apiUrl).discovery.getServerInfo({}, { signal });
    const difference = Number(info.serverTime) - env.now();
    const speaks = info.protocolVersions.includes(1);
    checks.push(
      { check: "node", ok: true, detail: "answers" },
      { check: "protocol", ok: speaks, detail: `versions ${info.protocolVersions.join(", ")}` },
      {
        check: "clock",
        ok: Math.abs(difference) < MAX_CLOCK_DIFFERENCE_MS,
        detail: `${showTime(Number(info.serverTime))}, ${Math.round(Math.abs(difference) / 1_000)} s apart`,
      },
    );
    const registration = ["unknown", "open", "closed"][info.registrationMode] ?? "unknown";
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
    checks.push({ check: "node", ok: false, detail: message });
    return { checks, node: undefined };
  }
}
