/**
 * Gives the event loop a turn. Browsers hold timers back, to 4 ms always and to a second in a tab out of sight, so it
 * is a message to oneself there; Node would go on with such messages for a thousand turns and starve its timers.
 */
export function yieldTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") {
      setImmediate(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
