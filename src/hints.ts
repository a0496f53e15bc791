/**
 * Hints between the processes and nodes that share one database: something changed that others hold in a cache or wait for.
 * A hint carries no data and may be lost or come late; whoever misses one finds the news in the database by itself, later.
 */

/** What others may want to know at once. */
export type Hint =
  /** The key sets of a canonical address are not what they were. */
  | { readonly kind: "key-sets"; readonly address: string }
  /** An account received a share. */
  | { readonly kind: "share"; readonly accountId: number }
  /** An account has a new notice. */
  | { readonly kind: "notice"; readonly accountId: number }
  /** A session of an account has ended. */
  | { readonly kind: "session-ended"; readonly accountId: number; readonly sessionId: string }
  /** The hosted domains, or the node's keys, are not what they were. */
  | { readonly kind: "domains" };

/** The road on which hints travel. What a process sends itself never comes back to it. */
export interface Hints {
  /**
   * Tells all others. Resolves when those that can say so have acted on it, a second later at the latest; never rejects.
   */
  send(hint: Hint): Promise<void>;
  /** Listens to the others until the returned function is called. */
  listen(listener: (hint: Hint) => void): () => void;
  /** Learns that hints may have been missed: what was built on them has to be dropped. */
  onGap(listener: () => void): () => void;
  /** Whether hints of the others arrive at present. While they do not, what they would drop may live a second at most. */
  readonly connected: boolean;
  close(): Promise<void>;
}

/** The hints of a process that has its database to itself: nobody to tell, nobody to hear. */
export function noHints(): Hints {
  return {
    async send() {},
    listen: () => () => {},
    onGap: () => () => {},
    connected: true,
    async close() {},
  };
}

/** The hints of a process that knows of others and has no road to them. */
export function unheardHints(): Hints {
  return { ...noHints(), connected: false };
}

/** Several roads as one, for a process that reaches some of the others on this one and some on that. */
export function joinHints(...roads: readonly Hints[]): Hints {
  const onAll = (subscribe: (road: Hints) => () => void) => {
    const ends = roads.map(subscribe);
    return () => {
      for (const end of ends) end();
    };
  };
  return {
    async send(hint) {
      await Promise.all(roads.map((road) => road.send(hint)));
    },
    listen: (listener) => onAll((road) => road.listen(listener)),
    onGap: (listener) => onAll((road) => road.onGap(listener)),
    get connected() {
      return roads.every((road) => road.connected);
    },
    async close() {
      await Promise.all(roads.map((road) => road.close()));
    },
  };
}
