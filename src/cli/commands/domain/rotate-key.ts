/** `keypears domain rotate-key` */

import { wipe } from "../../../crypto/index.ts";
import { canonicalDomain } from "../../../protocol/domain.ts";
import { generateCompositeKeyPair } from "../../../protocol/domain-key.ts";
import { buildRotation } from "../../../protocol/domain-rotation.ts";
import { formatDomainTxt } from "../../../protocol/domain-txt.ts";
import { MAX_DOMAIN_KEY_ROTATIONS } from "../../../protocol/limits.ts";
import { printResult, type Run } from "../../context.ts";
import { readPassword } from "../../prompt.ts";
import { visible } from "../../visible.ts";
import { describeAuthorization } from "./authorization-file.ts";
import {
  keyPathOf,
  openKeyFile,
  readKeyFile,
  replaceKeyFile,
  requireNoFile,
  sealedKeyFile,
  writeNewKeyFile,
} from "./key-file.ts";
import { publicationLines, publicationOf } from "./publish.ts";
import { readState, takeSerial } from "./state-file.ts";
import { authorizationLines, consentOf, signAuthorization, urlOptionsOf } from "./terms.ts";

/** Makes a new domain key that the old one vouches for, and a new authorization under it. */
export const run: Run = async (context, [text], options) => {
  const domain = canonicalDomain(String(text));
  const keyPath = keyPathOf(domain, options.key);
  const oldFile = readKeyFile(keyPath, domain);
  const consent = consentOf(context, options, readState(keyPath, domain));
  const password = await readPassword(context, `Password of the domain key of ${domain}`);
  const oldKey = await openKeyFile(oldFile, password);
  const newKey = generateCompositeKeyPair();
  try {
    const state = takeSerial(keyPath, domain, options.serial);
    const oldPath = `${keyPath}.before-${state.serial}`;
    requireNoFile(oldPath);
    const { serial } = state;
    const rotation = buildRotation({ domain, oldKey, newPublicKey: newKey.publicKey, serial });
    const rotations = [...oldFile.rotations, rotation].slice(-MAX_DOMAIN_KEY_ROTATIONS);
    const file = await sealedKeyFile(domain, newKey, password, rotations);
    // In this order a crash leaves the old key in place, or the new one with what vouches for it.
    writeNewKeyFile(oldPath, oldFile);
    replaceKeyFile(keyPath, file);
    const at = { keyPath, out: options.out };
    const { owned, path } = signAuthorization(context, at, state, file, newKey, consent);
    const { publicKeyHash } = file;
    const { apiUrl } = consent;
    const input = { domain, apiUrl, publicKeyHash, minSerial: state.minSerial };
    const publication = publicationOf(input, urlOptionsOf(context));
    const oldTxt = formatDomainTxt({ keyHash: oldFile.publicKeyHash });
    printResult(
      context,
      {
        ...describeAuthorization(owned),
        key: keyPath,
        oldKey: oldPath,
        oldDomainPubKeyHash: oldFile.publicKeyHash,
        file: path,
        ...publication,
        oldTxt,
      },
      [
        `${domain} has a new domain key, and the old one vouches for it:`,
        `  hash       ${publicKeyHash}`,
        ...authorizationLines(owned),
        `the old key is at ${visible(oldPath)}`,
        "",
        "Next, in this order:",
        `  1. If you publish a TXT record: add the new one below beside the old one, and wait until it is seen everywhere.`,
        "  2. Publish the new document:",
        ...publicationLines(publication).map((line) => `     ${line}`),
        `  3. Renew at the host right after it: keypears domain renew ${domain}`,
        `  4. Check it: keypears discover ${domain}`,
        `  5. After a day, take the old record away ("${oldTxt}") and destroy the old key.`,
      ].join("\n"),
    );
  } finally {
    wipe(oldKey.secretKey, newKey.secretKey);
  }
};
