/**
 * Fills a database with accounts, as many as one likes and as fast as the disk takes them: the project's own tables, rows made
 * by SQLite itself. Keys, signatures and wrapped secrets are random bytes of the right lengths, the long ones cut from one pool;
 * nothing that is asked of these accounts needs them to be true.
 */

import { randomBytes } from "../../src/crypto/bytes.ts";
import { COMPOSITE_SIGNATURE_LENGTH } from "../../src/crypto/composite.ts";
import { openStorage } from "../../src/storage/open.ts";
import { writeInBulk } from "./bulk.ts";

/** Length of the body of a first key set, about: its keys, the address and the lengths between. */
const BODY_BYTES = 3_240;
const POOL_BYTES = 1_000_000;
const CREATED_AT = Date.UTC(2025, 0, 1);

/** The address of a filled account; they are numbered from 1. */
export function filledAddress(number: number): string {
  return `user${number}@acme.test`;
}

/** Makes a database of so many accounts in a file that is not there yet. */
export async function fillAccounts(path: string, count: number): Promise<void> {
  const storage = await openStorage({ url: `sqlite:${path}` });
  await storage.close();
  writeInBulk(path, (database) => {
    const numbers = `with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${count})`;
    database.exec(`
      insert into accounts (id, address, domain, created_at, active_key_number, password_salt, password_memory_kib,
          password_passes, password_lanes, login_verifier, wrapped_account_key, wrap_number)
        ${numbers} select n, 'user' || n || '@acme.test', 'acme.test', ${CREATED_AT}, 1, randomblob(32), 65536,
          3, 1, randomblob(32), randomblob(60), 1 from numbers`);
    const cut = (length: number) => `substr(@pool, 1 + abs(random()) % ${POOL_BYTES - length}, ${length})`;
    database
      .prepare(
        `insert into key_sets (account_id, number, body, hash, self_signature, continuity_signature, created_at,
          revokes_previous, published_at)
        ${numbers} select n, 1, ${cut(BODY_BYTES)}, randomblob(32), ${cut(COMPOSITE_SIGNATURE_LENGTH)}, x'',
          ${CREATED_AT}, 0, ${CREATED_AT} from numbers`,
      )
      .run({ pool: randomBytes(POOL_BYTES) });
  });
}
