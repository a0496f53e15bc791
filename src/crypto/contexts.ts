/**
 * Every string that separates one use of a key or a hash from another, in one place, so that no two uses share one.
 * They are part of the protocol (docs/protocol.md): changing one breaks what was signed, sealed or derived under it.
 */

/** Contexts of composite signatures (section 4). */
export const SIGNATURE_CONTEXT = {
  /** A key set, by its own keys (section 3.1). */
  keySet: "keypears/v1/key-set",
  /** A key set, by the keys of the set before it (section 3.1). */
  keySetRotation: "keypears/v1/key-set-rotation",
  /** A share id, by the sender (section 6.1). */
  share: "keypears/v1/share",
  /** An owner's consent to a host, by the domain key (section 2.1). */
  domainAuthorization: "keypears/v1/domain-authorization",
  /** A change of the domain key, by the old one (section 2.1). */
  domainKeyRotation: "keypears/v1/domain-key-rotation",
  /** A host's answer to whoever asks for a proof, by its node key (section 2.1). */
  domainProof: "keypears/v1/domain-proof",
  /** A claim at a node, by the domain key (section 2.1). */
  domainClaim: "keypears/v1/domain-claim",
} as const;

/** Contexts of BLAKE3's key derivation mode (sections 2.1, 5, 6.2 and 6.4). */
export const DERIVATION_CONTEXT = {
  passwordSalt: "keypears v1 password salt",
  wrappingKey: "keypears v1 wrapping key",
  loginKey: "keypears v1 login key",
  loginVerifier: "keypears v1 login verifier",
  privateKeys: "keypears v1 private keys",
  vaultKeys: "keypears v1 vault keys",
  contacts: "keypears v1 contacts",
  contentKeyCommitment: "keypears v1 content key commitment",
  stamp: "keypears v1 stamp",
  domainKeyFile: "keypears v1 domain key file",
} as const;

/** First fields of the associated data and the HKDF info of what is sealed (sections 2.1, 5 and 6.2). */
export const SEALING_LABEL = {
  accountKey: "keypears/v1/account-key",
  privateKey: "keypears/v1/private-key",
  contacts: "keypears/v1/contacts",
  keyWrap: "keypears/v1/key-wrap",
  domainKey: "keypears/v1/domain-key",
} as const;
