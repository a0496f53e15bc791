/** Secrets that all processes and nodes of a database share, made by whoever needs them first. */

import { randomBytes } from "../crypto/bytes.ts";
import type { Database, Queries } from "./database.ts";
import type { SecretStore } from "./stores.ts";

const CLUSTER_SECRET = "cluster";
const CLUSTER_SECRET_LENGTH = 32;

/** The secrets of a database. */
export function createSecretStore(database: Database): SecretStore {
  return {
    async clusterSecret() {
      const known = await database.read((queries) => readSecret(queries, CLUSTER_SECRET));
      if (known !== undefined) return known;
      return database.write(async (trx) => {
        const value = randomBytes(CLUSTER_SECRET_LENGTH);
        await trx
          .insertInto("secrets")
          .values({ name: CLUSTER_SECRET, value })
          .onConflict((conflict) => conflict.column("name").doNothing())
          .execute();
        // Another process may have been first.
        return (await readSecret(trx, CLUSTER_SECRET)) ?? value;
      });
    },
  };
}

async function readSecret(queries: Queries, name: string): Promise<Uint8Array | undefined> {
  const row = await queries.selectFrom("secrets").select("value").where("name", "=", name).executeTakeFirst();
  return row?.value;
}
