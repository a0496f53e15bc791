// Types of the two functions of `tr46` 7 that src/protocol/idna.ts calls; the package ships none.

declare module "tr46" {
  /** The flags of UTS #46 §4; each is false unless given. */
  export interface Uts46Options {
    readonly checkHyphens?: boolean;
    readonly checkBidi?: boolean;
    readonly checkJoiners?: boolean;
    readonly useSTD3ASCIIRules?: boolean;
    readonly verifyDNSLength?: boolean;
    readonly transitionalProcessing?: boolean;
    readonly ignoreInvalidPunycode?: boolean;
  }

  /** ToASCII of UTS #46 §4.2; null where any check failed. */
  export function toASCII(domainName: string, options?: Uts46Options): string | null;

  /** ToUnicode of UTS #46 §4.3. */
  export function toUnicode(
    domainName: string,
    options?: Uts46Options,
  ): { readonly domain: string; readonly error: boolean };
}
