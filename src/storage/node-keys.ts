/** The keys with which this node proves what it hosts, shared by all processes and nodes of a database. */

import type { Database } from "./database.ts";
import type { NodeKeyStore } from "./stores.ts";

/** The node keys of a database. */
export function createNodeKeyStore(database: Database): NodeKeyStore {
  return {
    list: () =>
      database.read(async (queries) => {
        const rows = await queries.selectFrom("node_keys").selectAll().orderBy("number").execute();
        return rows.map((row) => ({
          number: row.number,
          secretKey: row.secret_key,
          activeFrom: row.active_from,
        }));
      }),

    add: ({ secretKey, activeFrom }, after) =>
      database.write(async (trx) => {
        const last = await trx
          .selectFrom("node_keys")
          .select("number")
          .orderBy("number", "desc")
          .limit(1)
          .executeTakeFirst();
        if ((last?.number ?? 0) !== after) return false;
        const added = await trx
          .insertInto("node_keys")
          .values({ number: after + 1, secret_key: secretKey, active_from: activeFrom })
          .onConflict((conflict) => conflict.column("number").doNothing())
          .returning("number")
          .executeTakeFirst();
        return added !== undefined;
      }),

    deleteBelow: (number) =>
      database.write(async (trx) => {
        await trx.deleteFrom("node_keys").where("number", "<", number).execute();
      }),
  };
}
