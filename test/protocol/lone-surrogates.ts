// Address vectors that JSON cannot carry from one language to another (RFC 7493 §2.1), beside address-vectors.json.

export const loneSurrogates = [
  { name: "a lone high surrogate in the local part", input: "a\ud800@example.com" },
  { name: "a lone low surrogate in quotes", input: '"a\udc00"@example.com' },
  { name: "surrogates in the wrong order", input: "\ude00\ud83d@example.com" },
  { name: "a lone surrogate in the domain", input: "alice@\udbff.com" },
].map((vector) => ({ ...vector, error: "ADDRESS_INVALID", message: "address has a lone surrogate" }));
