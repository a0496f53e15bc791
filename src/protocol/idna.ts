// Internationalized domain names by UTS #46 (https://www.unicode.org/reports/tr46/), non-transitional, with every check
// on. It stands alone because the mapping table behind it is the one heavy thing in this folder: src/protocol/domain.ts
// comes here only with names that ASCII rules cannot settle.

import { toASCII, toUnicode, type Uts46Options } from "tr46";

// VerifyDnsLength stays off: it refuses more than 253 octets, docs/protocol.md section 1 refuses more than 255, and
// src/protocol/domain.ts says which length was wrong.
const CHECKS: Uts46Options = {
  checkHyphens: true,
  checkBidi: true,
  checkJoiners: true,
  useSTD3ASCIIRules: true,
  transitionalProcessing: false,
};

/** ToASCII of UTS #46 §4.2: lower-case A-labels, or undefined where a label fails a check. Lengths are not checked. */
export function domainToAscii(domain: string): string | undefined {
  return toASCII(domain, CHECKS) ?? undefined;
}

/** ToUnicode of UTS #46 §4.3 for a domain that {@link domainToAscii} returned: U-labels in place of A-labels. */
export function domainToUnicode(canonical: string): string {
  return toUnicode(canonical, CHECKS).domain;
}
