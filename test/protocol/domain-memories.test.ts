// Two who judge a domain at the same time.

import { expect, it } from "vitest";
import {
  checkAndRemember,
  createDomainMemories,
  type DomainMemories,
} from "../../src/protocol/domain-memories.ts";
import { authorized, consent, DOMAIN, evidence, NOW } from "./owned-domain.ts";

it("whoever judged by what is no longer remembered judges again, and finds the downgrade that they are", async () => {
  const memories = createDomainMemories();
  const newer = evidence(consent({ authorization: authorized({ serial: 8 }) }));
  let overtaken = false;
  const slow: DomainMemories = {
    async read(domain) {
      const read = await memories.read(domain);
      if (!overtaken) {
        overtaken = true;
        expect((await checkAndRemember(newer, memories, NOW)).standing).toBe("proven");
      }
      return read;
    },
    replace: memories.replace,
  };
  const older = evidence(consent({ authorization: authorized({ serial: 7 }) }));
  expect((await checkAndRemember(older, slow, NOW)).standing).toBe("downgraded");
  expect(await memories.read(DOMAIN)).toMatchObject({ revision: 1, memory: { serial: 8 } });
});

it("what is remembered of one domain says nothing about another", async () => {
  const memories = createDomainMemories();
  await checkAndRemember(evidence(), memories, NOW);
  expect(await memories.read("other.example")).toBeUndefined();
  expect(await memories.replace(DOMAIN, 0, (await memories.read(DOMAIN))!.memory)).toBe(false);
});
