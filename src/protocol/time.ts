/** Times on the wire: uint64 Unix milliseconds (docs/protocol.md, conventions), as numbers inside this code. */

/** Latest time that a Date can hold, in milliseconds (ECMA-262 §21.4.1.1). */
const MAX_TIME = 8_640_000_000_000_000n;

/** The time as a number, or undefined if it lies beyond what a Date can hold. */
export function timeFromWire(value: bigint): number | undefined {
  return value > MAX_TIME ? undefined : Number(value);
}
