/** What the connections of a node are called in pg_stat_activity, where an operator and `keypears migrate` look for them. */

/** Those of its pool. */
export const APPLICATION_NAME = "keypears";

/** The one on which it hears of other nodes. */
export const HINTS_APPLICATION_NAME = "keypears-hints";

/** Those of migrations and copies. */
export const MAINTENANCE_APPLICATION_NAME = "keypears-maintenance";
