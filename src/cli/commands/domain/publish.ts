/** What an owner publishes: the discovery document, and the TXT record that must not contradict it. */

import type { ApiUrlOptions } from "../../../protocol/api-url.ts";
import { buildDiscoveryDocument, DISCOVERY_PATH } from "../../../protocol/discovery-document.ts";
import { domainTxtName, formatDomainTxt } from "../../../protocol/domain-txt.ts";

/** What to publish for a domain. */
export interface Publication {
  /** The text of keypears.json. */
  readonly document: string;
  /** Where it has to be. */
  readonly documentUrl: string;
  readonly txtName: string;
  readonly txt: string;
}

/** @param minSerial 0 where nothing was revoked. @throws ProtocolError API_URL_INVALID. */
export function publicationOf(
  input: {
    readonly domain: string;
    readonly apiUrl: string;
    readonly publicKeyHash: string;
    readonly minSerial: number;
  },
  options: ApiUrlOptions,
): Publication {
  const { domain, apiUrl, publicKeyHash: keyHash } = input;
  const minSerial = input.minSerial > 0 ? { minSerial: input.minSerial } : {};
  return {
    document: buildDiscoveryDocument(apiUrl, options, { domainPubKeyHash: keyHash, ...minSerial }),
    documentUrl: `https://${domain}${DISCOVERY_PATH}`,
    txtName: domainTxtName(domain),
    txt: formatDomainTxt({ keyHash, ...minSerial }),
  };
}

/** In lines for people. */
export function publicationLines({ document, documentUrl, txtName, txt }: Publication): string[] {
  return [`${documentUrl}`, `  ${document}`, `${txtName}  TXT`, `  "${txt}"`];
}
