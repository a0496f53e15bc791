/** `keypears domain authorize` */

import { toBinary } from "@bufbuild/protobuf";
import { DomainAuthorizationSchema } from "../../../../gen/keypears/v1/domain_pb.ts";
import { toBase64, wipe } from "../../../crypto/index.ts";
import { canonicalDomain } from "../../../protocol/domain.ts";
import { printResult, type Run } from "../../context.ts";
import { readPassword } from "../../prompt.ts";
import { visible } from "../../visible.ts";
import { describeAuthorization } from "./authorization-file.ts";
import { keyPathOf, openKeyFile, readKeyFile } from "./key-file.ts";
import { readState, takeSerial } from "./state-file.ts";
import { authorizationLines, consentOf, signAuthorization } from "./terms.ts";

/** Signs the owner's consent to a host. */
export const run: Run = async (context, [text], options) => {
  const domain = canonicalDomain(String(text));
  const keyPath = keyPathOf(domain, options.key);
  const file = readKeyFile(keyPath, domain);
  const consent = consentOf(context, options, readState(keyPath, domain));
  const keys = await openKeyFile(
    file,
    await readPassword(context, `Password of the domain key of ${domain}`),
  );
  try {
    const state = takeSerial(keyPath, domain, options.serial);
    const at = { keyPath, out: options.out };
    const { owned, path } = signAuthorization(context, at, state, file, keys, consent);
    printResult(
      context,
      {
        ...describeAuthorization(owned),
        file: path,
        authorization: toBase64(toBinary(DomainAuthorizationSchema, owned.authorization)),
      },
      [
        `${domain} may be hosted:`,
        ...authorizationLines(owned),
        `wrote ${visible(path)}, which is no secret`,
        "",
        "Next:",
        `  1. Publish what this prints:  keypears domain document ${domain}`,
        `  2. Give the authorization to the host: keypears domain claim ${domain}, or renew if it is hosted there already`,
      ].join("\n"),
    );
  } finally {
    wipe(keys.secretKey);
  }
};
