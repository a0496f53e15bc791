/**
 * Where the primary passes hints on: from one worker to all others, and back to the first that all have acted. A worker that
 * dies is waited for no longer. One that hangs is given no more than a bounded number of messages, and later learns that some
 * were left out; how long it is waited for is up to the worker that sent.
 */

import type { FromWorker, HintMessage } from "./messages.ts";

/** A worker's place at the relay. */
export interface RelaySeat {
  receive(message: Extract<FromWorker, { kind: "hints" | "acted" }>): void;
  leave(): void;
}

/** Passes hints on. */
export interface HintRelay {
  /** Takes a place; `send` reaches the worker. */
  join(send: (message: HintMessage) => void): RelaySeat;
}

/** Messages that a worker may owe an answer to: at 500 a second, two seconds of one other that never pauses. */
export const MAX_UNANSWERED = 1_000;

interface Member {
  readonly send: (message: HintMessage) => void;
  unanswered: number;
  missedSome: boolean;
}

/** A message on its way. */
interface Passage {
  readonly origin: Member;
  /** By which the origin knows it. */
  readonly id: number;
  readonly waitingFor: Set<Member>;
}

/** Makes a relay that nobody has joined. */
export function createHintRelay(): HintRelay {
  const members = new Set<Member>();
  const passages = new Map<number, Passage>();
  let lastId = 0;

  function pass(origin: Member, { id, hints }: Extract<FromWorker, { kind: "hints" }>): void {
    const passageId = ++lastId;
    const passage: Passage = { origin, id, waitingFor: new Set() };
    passages.set(passageId, passage);
    for (const member of members) {
      if (member === origin) continue;
      if (member.unanswered >= MAX_UNANSWERED) {
        member.missedSome = true;
        continue;
      }
      member.unanswered += 1;
      passage.waitingFor.add(member);
      member.send({ kind: "hints", id: passageId, hints });
    }
    finishIfAllActed(passageId, passage);
  }

  function acted(member: Member, passageId: number): void {
    member.unanswered -= 1;
    if (member.missedSome && member.unanswered === 0) {
      member.missedSome = false;
      member.send({ kind: "gap" });
    }
    const passage = passages.get(passageId);
    passage?.waitingFor.delete(member);
    if (passage) finishIfAllActed(passageId, passage);
  }

  function finishIfAllActed(passageId: number, { origin, id, waitingFor }: Passage): void {
    if (waitingFor.size > 0) return;
    passages.delete(passageId);
    if (members.has(origin)) origin.send({ kind: "acted", id });
  }

  return {
    join(send) {
      const member: Member = { send, unanswered: 0, missedSome: false };
      members.add(member);
      return {
        receive: (message) => (message.kind === "hints" ? pass(member, message) : acted(member, message.id)),
        leave() {
          members.delete(member);
          for (const [passageId, passage] of passages) {
            passage.waitingFor.delete(member);
            finishIfAllActed(passageId, passage);
          }
        },
      };
    },
  };
}
