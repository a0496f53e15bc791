/**
 * What domains have proven to a profile, as a private file in $XDG_CONFIG_HOME/keypears/domains: no domain proves less to this
 * device than it did before. Nothing in it is secret, but whoever could change it could make the tool forget.
 */

import { basename, join } from "node:path";
import type { DomainMemories } from "../protocol/domain-memories.ts";
import type { DomainMemory } from "../protocol/domain-memory.ts";
import { DOMAIN_MEMORY_MS } from "../protocol/limits.ts";
import { EXIT } from "./exit-codes.ts";
import { CliError } from "./failure.ts";
import {
  makePrivateFolder,
  readPrivateFile,
  requirePrivateFolder,
  writePrivateFile,
} from "./private-files.ts";
import { configFolder, profilePath } from "./profile.ts";
import { visible } from "./visible.ts";

interface Remembered {
  readonly memory: DomainMemory;
  readonly revision: number;
}

const VERSION = 1;
const HASH = /^[0-9a-f]{64}$/;

/** The domains that a profile remembers. Nothing is read or made before it is needed. */
export function deviceDomains(profile: string): DomainMemories {
  const folder = join(configFolder(), "domains");
  const path = join(folder, basename(profilePath(profile)));

  const readAll = (): Map<string, Remembered> => {
    if (!requirePrivateFolder(configFolder()) || !requirePrivateFolder(folder)) return new Map();
    const text = readPrivateFile(path);
    if (text === undefined) return new Map();
    try {
      return fromJson(JSON.parse(text));
    } catch {
      throw new CliError(
        "DOMAINS_INVALID",
        EXIT.local,
        "what this device remembers of domains is damaged or of another version",
        `find out who changed it; to begin anew, remove ${visible(path)}`,
      );
    }
  };

  return {
    read: async (domain) => readAll().get(domain),
    async replace(domain, revision, memory) {
      const kept = readAll();
      if ((kept.get(domain)?.revision ?? 0) !== revision) return false;
      for (const [name, { memory: old }] of kept) {
        if (old.provenAt + DOMAIN_MEMORY_MS <= memory.provenAt) kept.delete(name);
      }
      kept.set(domain, { memory, revision: revision + 1 });
      makePrivateFolder(configFolder());
      writePrivateFile(
        path,
        `${JSON.stringify({ version: VERSION, domains: Object.fromEntries(kept) }, null, 2)}\n`,
      );
      return true;
    },
  };
}

/** Throws whatever it meets where the shape is not the one that is written here. */
function fromJson(value: unknown): Map<string, Remembered> {
  const { version, domains } = value as Record<string, unknown>;
  if (version !== VERSION) throw new TypeError("no memory of domains");
  const entries = Object.entries(domains as Record<string, Record<string, unknown>>);
  return new Map(
    entries.map(([domain, { memory, revision }]) => [
      domain,
      { memory: memoryOf(memory as Record<string, unknown>), revision: count(revision) },
    ]),
  );
}

function memoryOf({
  keyHash,
  serial,
  bodyHash,
  txtSeen,
  provenAt,
  pending,
}: Record<string, unknown>): DomainMemory {
  if (typeof txtSeen !== "boolean") throw new TypeError("no flag");
  return {
    keyHash: hash(keyHash),
    serial: count(serial),
    bodyHash: bodyHash === "" ? "" : hash(bodyHash),
    txtSeen,
    provenAt: count(provenAt),
    ...(pending !== undefined && { pending: pendingOf(pending as Record<string, unknown>) }),
  };
}

function pendingOf({ keyHash, since, lastSeen }: Record<string, unknown>) {
  return { keyHash: hash(keyHash), since: count(since), lastSeen: count(lastSeen) };
}

function hash(value: unknown): string {
  if (typeof value !== "string" || !HASH.test(value)) throw new TypeError("no hash");
  return value;
}

function count(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new TypeError("no number");
  return value as number;
}
