/**
 * How much may be undecided at once, and whose it may be. A carrier may hold as much as it leaves free for the others
 * (dynamic thresholds, Choudhury and Hahne 1998): alone it has half of the room, and whoever comes to n that take all they
 * can still finds an (n + 1)th of it. Those who wait for room are let in by turns.
 */

/** What envelopes take. */
export interface Size {
  readonly envelopes: number;
  readonly bytes: number;
}

/** Room for what is undecided. */
export interface Room {
  /** Takes room for a carrier, or answers false when there is none. */
  enter(carrier: string, size: Size): boolean;
  /** Takes room for a carrier when there is some. @throws the signal's reason when that comes first. */
  wait(carrier: string, size: Size, signal: AbortSignal): Promise<void>;
  /** Gives room back. */
  leave(carrier: string, size: Size): void;
}

interface Waiter {
  readonly size: Size;
  readonly admit: () => void;
}

/** Makes a room of this size. */
export function createRoom(whole: Size): Room {
  const holdings = new Map<string, Size>();
  // Carriers in the order of their turns, each with those who wait, first come first.
  const waiting = new Map<string, Waiter[]>();
  let free = whole;
  /** Whether somebody waits for others to leave, whom nobody may overtake: small batches would keep large ones out. */
  let blocked = false;

  function fitsBeside(carrier: string, size: Size): boolean {
    const held = holdings.get(carrier);
    if (held === undefined) return true;
    const left = minus(free, size);
    const after = plus(held, size);
    return after.envelopes <= left.envelopes && after.bytes <= left.bytes;
  }

  function fits(size: Size): boolean {
    // What is larger than the whole room has it for itself.
    return holdings.size === 0 || (size.envelopes <= free.envelopes && size.bytes <= free.bytes);
  }

  function hold(carrier: string, size: Size): void {
    free = minus(free, size);
    holdings.set(carrier, plus(holdings.get(carrier) ?? NOTHING, size));
  }

  /** Lets in whom there is room for, one of each carrier in turn. */
  function admit(): void {
    blocked = false;
    for (let admitted = true; admitted; ) {
      admitted = false;
      for (const [carrier, waiters] of [...waiting]) {
        const [first] = waiters;
        if (first === undefined || !fitsBeside(carrier, first.size)) continue;
        if (!fits(first.size)) {
          blocked = true;
          return;
        }
        hold(carrier, first.size);
        waiting.delete(carrier);
        waiters.shift();
        if (waiters.length > 0) waiting.set(carrier, waiters);
        first.admit();
        admitted = true;
      }
    }
  }

  function withdraw(carrier: string, waiter: Waiter): void {
    const left = waiting.get(carrier)?.filter((one) => one !== waiter) ?? [];
    if (left.length > 0) waiting.set(carrier, left);
    else waiting.delete(carrier);
    admit();
  }

  return {
    enter(carrier, size) {
      if (blocked || waiting.has(carrier) || !fitsBeside(carrier, size) || !fits(size)) return false;
      hold(carrier, size);
      return true;
    },

    wait: (carrier, size, signal) =>
      new Promise<void>((resolve, reject) => {
        signal.throwIfAborted();
        const leave = () => {
          withdraw(carrier, waiter);
          reject(signal.reason);
        };
        const waiter: Waiter = {
          size,
          admit() {
            signal.removeEventListener("abort", leave);
            resolve();
          },
        };
        signal.addEventListener("abort", leave, { once: true });
        waiting.set(carrier, [...(waiting.get(carrier) ?? []), waiter]);
        admit();
      }),

    leave(carrier, size) {
      free = plus(free, size);
      const left = minus(holdings.get(carrier) ?? size, size);
      if (left.envelopes > 0) holdings.set(carrier, left);
      else holdings.delete(carrier);
      admit();
    },
  };
}

const NOTHING: Size = { envelopes: 0, bytes: 0 };

/** Both together. */
export function plus(a: Size, b: Size): Size {
  return { envelopes: a.envelopes + b.envelopes, bytes: a.bytes + b.bytes };
}

/** What is left of the first without the second. */
export function minus(a: Size, b: Size): Size {
  return { envelopes: a.envelopes - b.envelopes, bytes: a.bytes - b.bytes };
}
