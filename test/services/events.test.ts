// Events of accounts, between hubs in two processes: the road between them is the only thing that is not the real one.

import { expect, it } from "vitest";
import { type Hint, type Hints, noHints } from "../../src/hints.ts";
import { type AccountEvent, createAccountEvents } from "../../src/services/events.ts";

/** Two ends of a road, and everything that travelled on it. */
function road(): { readonly ends: readonly [Hints, Hints]; readonly sent: readonly Hint[] } {
  const sent: Hint[] = [];
  const listeners: ((hint: Hint) => void)[][] = [[], []];
  const end = (own: number): Hints => ({
    ...noHints(),
    async send(hint) {
      sent.push(hint);
      for (const listener of listeners[1 - own] ?? []) listener(hint);
    },
    listen(listener) {
      listeners[own]?.push(listener);
      return () => {};
    },
  });
  return { ends: [end(0), end(1)], sent };
}

function hear(events: ReturnType<typeof createAccountEvents>, accountId: number): AccountEvent[] {
  const heard: AccountEvent[] = [];
  events.listen(accountId, (event) => heard.push(event));
  return heard;
}

it("are told to listeners here and there, once each, and only of the account", () => {
  const { ends, sent } = road();
  const [here, there] = [createAccountEvents(ends[0]), createAccountEvents(ends[1])];
  const heard = [hear(here, 7), hear(there, 7)];
  const ofOthers = [hear(here, 8), hear(there, 8)];

  here.emit(7, { kind: "share" });
  there.emit(7, { kind: "notice" });
  here.emit(7, { kind: "session-ended", sessionId: "5e55" });

  for (const events of heard) {
    expect(events).toMatchObject([
      { kind: "share" },
      { kind: "notice" },
      { kind: "session-ended", sessionId: "5e55" },
    ]);
  }
  expect(ofOthers).toEqual([[], []]);
  expect(sent).toHaveLength(3);
});

it("are not made of hints about anything else", () => {
  const { ends } = road();
  const heard = hear(createAccountEvents(ends[1]), 7);
  void ends[0].send({ kind: "key-sets", address: "alice@acme.test" });
  expect(heard).toEqual([]);
});

it("come no longer once nobody listens", () => {
  const events = createAccountEvents();
  const heard: AccountEvent[] = [];
  const stop = events.listen(7, (event) => heard.push(event));
  stop();
  events.emit(7, { kind: "share" });
  expect(heard).toEqual([]);
});
