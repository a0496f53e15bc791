// A throw-away certificate authority for tests over real TLS: X.509 v3 certificates (RFC 5280) with ECDSA P-256 keys,
// written in DER here, so that tests need neither openssl nor files on disk.

import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** A certificate and its private key, both in PEM. */
export interface Credentials {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate says. */
export interface CertificateOptions {
  /** DNS names that it is good for. */
  readonly names: readonly string[];
  /** A day ago unless given. */
  readonly notBefore?: Date;
  /** In a day unless given. */
  readonly notAfter?: Date;
}

/** An authority that signs server certificates. */
export interface CertificateAuthority {
  /** Its own certificate in PEM, for those who are to trust it. */
  readonly certificate: string;
  issue(options: CertificateOptions): Credentials;
}

const DAY_MS = 86_400_000;
const OID = {
  commonName: "550403",
  ecdsaWithSha256: "2a8648ce3d040302",
  basicConstraints: "551d13",
  keyUsage: "551d0f",
  subjectAltName: "551d11",
  subjectKeyIdentifier: "551d0e",
  authorityKeyIdentifier: "551d23",
} as const;

/** Makes an authority with a key of its own. */
export function createCertificateAuthority(name = "Throw-away test authority"): CertificateAuthority {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const certificate = signCertificate({
    issuer: name,
    subject: name,
    publicKey,
    issuerPublicKey: publicKey,
    issuerKey: privateKey,
    // keyCertSign and cRLSign.
    extensions: [
      extension(OID.basicConstraints, sequence(tlv(0x01, Buffer.from([0xff]))), true),
      extension(OID.keyUsage, tlv(0x03, Buffer.from([0x01, 0x06])), true),
    ],
  });
  return {
    certificate,
    issue({ names, notBefore, notAfter }) {
      const subject = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const dnsNames = names.map((dnsName) => tlv(0x82, Buffer.from(dnsName, "latin1")));
      const cert = signCertificate({
        issuer: name,
        subject: "test server",
        publicKey: subject.publicKey,
        issuerPublicKey: publicKey,
        issuerKey: privateKey,
        notBefore,
        notAfter,
        extensions: [extension(OID.subjectAltName, sequence(...dnsNames))],
      });
      return { cert, key: subject.privateKey.export({ type: "pkcs8", format: "pem" }) as string };
    },
  };
}

interface CertificateFields {
  readonly issuer: string;
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly issuerPublicKey: KeyObject;
  readonly issuerKey: KeyObject;
  readonly notBefore?: Date | undefined;
  readonly notAfter?: Date | undefined;
  readonly extensions: readonly Buffer[];
}

function signCertificate(fields: CertificateFields): string {
  const notBefore = fields.notBefore ?? new Date(Date.now() - DAY_MS);
  const notAfter = fields.notAfter ?? new Date(Date.now() + DAY_MS);
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const toBeSigned = sequence(
    tlv(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    distinguishedName(fields.issuer),
    sequence(time(notBefore), time(notAfter)),
    distinguishedName(fields.subject),
    fields.publicKey.export({ type: "spki", format: "der" }),
    tlv(
      0xa3,
      sequence(
        extension(OID.subjectKeyIdentifier, tlv(0x04, keyIdentifier(fields.publicKey))),
        extension(OID.authorityKeyIdentifier, sequence(tlv(0x80, keyIdentifier(fields.issuerPublicKey)))),
        ...fields.extensions,
      ),
    ),
  );
  const signature = sign("sha256", toBeSigned, fields.issuerKey);
  const der = sequence(toBeSigned, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

function keyIdentifier(key: KeyObject): Buffer {
  // RFC 7093 §2, method 1, over the whole SubjectPublicKeyInfo: it only has to be unique.
  const digest = createHash("sha256").update(key.export({ type: "spki", format: "der" }));
  return digest.digest().subarray(0, 20);
}

function distinguishedName(commonName: string): Buffer {
  return sequence(tlv(0x31, sequence(oid(OID.commonName), tlv(0x0c, Buffer.from(commonName)))));
}

/** UTCTime or GeneralizedTime. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  // RFC 5280 §4.1.2.5: UTCTime through 2049.
  return date.getUTCFullYear() < 2050
    ? tlv(0x17, Buffer.from(digits.slice(2)))
    : tlv(0x18, Buffer.from(digits));
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  const flag = critical ? [tlv(0x01, Buffer.from([0xff]))] : [];
  return sequence(oid(id), ...flag, tlv(0x04, value));
}

function oid(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, "hex"));
}

function integer(bigEndian: Buffer): Buffer {
  return tlv(0x02, bigEndian);
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

function tlv(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}
