/**
 * The crypto layer: primitives in three tiers, and the protocol's constructions on them. No I/O, no protobuf; everything
 * here runs in a browser.
 */

export * from "./account-key.ts";
export type { ByteReader, ByteSource } from "./byte-source.ts";
export * from "./bytes.ts";
export * from "./challenge.ts";
export { buildClaimNonce, type ClaimNonceTerms, isClaimNonce } from "./claim-nonce.ts";
export * from "./composite.ts";
export * from "./content.ts";
export * from "./contexts.ts";
export * from "./domain-key-box.ts";
export { CryptoError, type CryptoErrorReason } from "./errors.ts";
export { hashFile } from "./hash-file.ts";
export type { HashOptions } from "./hash-options.ts";
export { hashStream } from "./hash-stream.ts";
export * from "./key-wrap.ts";
export { MIN_PADDED_LENGTH, pad, paddedLength, unpad } from "./padding.ts";
export * from "./password.ts";
export * from "./primitives.ts";
export { isMlKem768PublicKey, isX25519PublicKey } from "./public-keys.ts";
export { openBox, SEALED_BOX_OVERHEAD, sealBox } from "./sealed-box.ts";
export { cryptoReport, loadTier, primitives, TIER_VARIABLE } from "./select.ts";
export type { PrimitiveReport, TierStatus } from "./selection.ts";
export * from "./stamp.ts";
