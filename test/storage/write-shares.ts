// A process of its own that accepts shares one after the other and prints the id of each once it is acknowledged:
// write-shares.ts URL ADDRESS COUNT

import { openStorage } from "../../src/storage/open.ts";
import { acceptance, createAccount } from "./fixtures.ts";

const [url = "", address = "", count = ""] = process.argv.slice(2);
const storage = await openStorage({ url });
const accountId = await createAccount(storage, address);
for (let i = 0; i < Number(count); i++) {
  const one = acceptance(accountId, { maxStoredBytes: Number.MAX_SAFE_INTEGER });
  const [result] = await storage.received.accept([one]);
  if (result?.kind !== "accepted") throw new Error("share was not accepted");
  process.stdout.write(`${Buffer.from(one.envelope.shareId).toString("hex")}\n`);
}
await storage.close();
