/** An operation whose cost is held against how much is stored: how a database for it is filled, and what is asked. */

/** A unary call over gRPC. */
export interface Call {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The request, without gRPC's prefix. */
  readonly message: Uint8Array;
  /** Session token, where the method needs one. */
  readonly token?: string;
}

/** One kind of call. */
export interface Operation {
  /** As in `growth: NAME MANY/FEW`. */
  readonly name: string;
  /** What is stored: "accounts", "shares". */
  readonly stored: string;
  /** How much of it, in the two databases that are compared. */
  readonly few: number;
  readonly many: number;
  /** Calls until its code is warm. */
  readonly warmUpCalls: number;
  /** Makes a database with so much in it. */
  fill(path: string, count: number): Promise<void>;
  /** So many calls to a database that holds `count`, no two alike where a cache would answer the second; `times <= count`. */
  calls(count: number, times: number): readonly Call[];
  /** Takes back what so many calls have changed in a database that holds `count`. @throws Error if they did not all succeed. */
  undo?(path: string, count: number, times: number): void;
}
