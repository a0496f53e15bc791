/** Keeps a store from committing together what comes at the same time, as it would by itself. */

/** The same function, which begins when its last call has ended. */
export function oneAtATime<Argument, Result>(
  work: (argument: Argument) => Promise<Result>,
): (argument: Argument) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (argument) => {
    const next = last.then(() => work(argument));
    last = next.catch(() => {});
    return next;
  };
}
