/** `keypears domain keygen` */

import { wipe } from "../../../crypto/index.ts";
import { generateCompositeKeyPair } from "../../../protocol/domain-key.ts";
import { hostableDomain } from "../../../protocol/hostable-domain.ts";
import { printResult, type Run } from "../../context.ts";
import { readNewPassword } from "../../prompt.ts";
import { visible } from "../../visible.ts";
import { keyPathOf, requireNoFile, sealedKeyFile, writeNewKeyFile } from "./key-file.ts";
import { statePathOf, writeState } from "./state-file.ts";

/** Makes a domain key and seals it into a file. */
export const run: Run = async (context, [text], options) => {
  const domain = hostableDomain(String(text));
  const path = keyPathOf(domain, options.out);
  requireNoFile(path);
  requireNoFile(statePathOf(path));
  const password = await readNewPassword(context, "KEYPEARS_PASSWORD");
  const keys = generateCompositeKeyPair();
  const file = await sealedKeyFile(domain, keys, password).finally(() => wipe(keys.secretKey));
  writeNewKeyFile(path, file);
  writeState(path, { domain, serial: 0, minSerial: 0 });
  printResult(
    context,
    { domain, key: path, domainPubKeyHash: file.publicKeyHash },
    [
      `made the domain key of ${domain}: ${visible(path)}`,
      `  hash  ${file.publicKeyHash}`,
      "",
      "Keep the file and its password where no server can read them, and a copy of it: without it, a new key counts with",
      "others only after they have waited for 7 days.",
      "",
      "Next:",
      `  1. Ask the host for its node keys and its apiUrl.`,
      `  2. keypears domain authorize ${domain} --api-url https://… --node-key …`,
    ].join("\n"),
  );
};
