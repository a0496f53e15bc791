/** `keypears domain suspend` */

import { setSuspended } from "./set-suspended.ts";

/** Suspends an account: its sessions end, and nothing comes or goes. */
export const run = setSuspended(true);
