/** `keypears domain unsuspend` */

import { setSuspended } from "./set-suspended.ts";

/** Lifts a suspension. */
export const run = setSuspended(false);
