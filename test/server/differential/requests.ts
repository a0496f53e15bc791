/** The table: every kind of request, good and broken, in every dress that it makes sense in. */

import { gzipSync } from "node:zlib";
import { create, type DescMessage, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Blake3RequestSchema } from "../../../gen/keypears/v1/hash_service_pb.ts";
import {
  GetKeySetRequestSchema,
  PublishKeySetRequestSchema,
} from "../../../gen/keypears/v1/key_set_service_pb.ts";
import {
  contentTypeOf,
  DRESSES,
  type Dress,
  dressed,
  envelope,
  headerNames,
  isEnveloped,
  type Parts,
} from "./dress.ts";
import type { RawRequest } from "./exchange.ts";
import { MAX_MESSAGE_BYTES } from "./roads.ts";
import { BINARY, PATHS } from "./service.ts";

/** A request of the table. */
export interface TableEntry {
  /** What it tries. */
  readonly kind: string;
  readonly dress: Dress;
  readonly request: RawRequest;
}

/** What a kind of request is in a dress; undefined where the dress has no such thing. */
type Kind = (dress: Dress) => (Partial<Parts> & { readonly method?: string }) | undefined;

const post: Kind = (dress) => (dress.protocol === "Connect GET" ? undefined : {});
const enveloped = (parts: (dress: Dress) => Partial<Parts>): Kind => {
  return (dress) => (isEnveloped(dress) ? parts(dress) : undefined);
};
const connect = (parts: (dress: Dress) => Partial<Parts>): Kind => {
  return (dress) => (dress.protocol === "Connect" ? parts(dress) : undefined);
};
const get = (parts: (dress: Dress) => Partial<Parts>): Kind => {
  return (dress) => (dress.protocol === "Connect GET" ? parts(dress) : undefined);
};
const ordering = (address: string): Kind => {
  return (dress) => ({ message: lookup(dress, address) });
};
const withHeaders = (address: string, headers: (dress: Dress) => Parts["headers"]): Kind => {
  return (dress) => ({ message: lookup(dress, address), headers: headers(dress) ?? {} });
};
const timeout = (value: { grpc: string; connect: string }, address = "context"): Kind =>
  withHeaders(address, (dress) => ({
    [headerNames(dress).timeout]: isEnveloped(dress) ? value.grpc : value.connect,
  }));
const accepting = (value: string): Kind =>
  withHeaders("large:3000", (dress) => ({ [headerNames(dress).accept]: value }));
/** The body whatever the dress, in its envelope where it has one. */
const carrying =
  (bytes: (dress: Dress) => Uint8Array): Kind =>
  (dress) => ({ message: bytes(dress) });

// Compressed with a dictionary of its own this is small, so that only its size afterwards is beyond the limit.
const BOMB_BYTES = 100 * MAX_MESSAGE_BYTES;
const NOT_UTF8 = Uint8Array.of(0x0a, 2, 0xc3, 0x28);

const KINDS: Readonly<Record<string, Kind>> = {
  // Good ones.
  "a look-up": ordering("alice@acme.example"),
  "a look-up compressed": (dress) => ({ message: lookup(dress, "alice@acme.example"), gzip: true }),
  "an address beyond ASCII": ordering("bücher🍐@acme.example"),
  "an empty request": carrying((dress) => encode(dress, GetKeySetRequestSchema, {})),
  "an empty request compressed": (dress) => ({
    message: encode(dress, GetKeySetRequestSchema, {}),
    gzip: true,
  }),
  "an empty answer": ordering("empty"),
  "an answer above a kibibyte": ordering("large:3000"),
  "a large answer": ordering("large:300000"),
  "a large answer to one who takes gzip": withHeaders("large:300000", (dress) => ({
    [headerNames(dress).accept]: "gzip",
  })),
  "another method": (dress) =>
    dress.protocol === "Connect GET"
      ? undefined
      : {
          method: PATHS.publishKeySet,
          message: encode(dress, PublishKeySetRequestSchema, { loginKey: BINARY }),
        },
  "bytes there and back": (dress) => ({
    method: PATHS.blake3,
    message: encode(dress, Blake3RequestSchema, { data: BINARY }),
  }),
  "a message just within the limit": (dress) => ({ message: sized(dress, MAX_MESSAGE_BYTES) }),
  "a body byte by byte": (dress) => post(dress) && { ...ordering("alice")(dress), raw: { dripping: true } },
  "a body in chunks": (dress) => post(dress) && { ...ordering("alice")(dress), raw: { length: "chunked" } },
  "a body in chunks of a byte": (dress) =>
    post(dress) && { ...ordering("alice")(dress), raw: { length: "chunked", dripping: true } },
  "an unknown field": carrying((dress) =>
    dress.codec === "json"
      ? Buffer.from('{"address":"alice","later":{"x":1}}')
      : Buffer.concat([
          encode(dress, GetKeySetRequestSchema, { address: "alice" }),
          Uint8Array.of(0x98, 0x06, 1),
        ]),
  ),

  // What the service sees, and what it sends beside its answer.
  "headers to the service": withHeaders("context", () => ({
    "x-text": "plain words",
    "x-octets-bin": Buffer.from(BINARY).toString("base64"),
  })),
  "a binary header without padding": withHeaders("context", () => ({ "x-octets-bin": "AAECAw" })),
  "headers and trailers from the service": ordering("headers"),
  "headers and trailers with an error": ordering("headers-and-error"),

  // Errors of the service.
  ...Object.fromEntries(
    Array.from({ length: 16 }, (_, index) => [
      `an error with code ${index + 1}`,
      ordering(`code:${index + 1}`),
    ]),
  ),
  "an error beyond ASCII": ordering("unicode"),
  "an error without words": ordering("no-words"),
  "an error with details": ordering("details"),
  "an error with metadata": ordering("metadata"),
  "an error with metadata of the protocol": ordering("forged-metadata"),
  "an error without a reason": ordering("bare"),
  "a bug of the service": ordering("bug"),

  // Deadlines.
  "a deadline far off": timeout({ grpc: "40S", connect: "40000" }),
  "a deadline near": timeout({ grpc: "20000m", connect: "20000" }),
  "a deadline in minutes": (dress) =>
    isEnveloped(dress) ? timeout({ grpc: "1M", connect: "" })(dress) : undefined,
  "a deadline in nanoseconds, beyond which nothing waits": (dress) =>
    isEnveloped(dress) ? timeout({ grpc: "99999999n", connect: "" }, "wait:nanoseconds")(dress) : undefined,
  "a deadline that comes": timeout({ grpc: "30m", connect: "30" }, "wait:deadline"),
  "a deadline of the smallest unit": timeout({ grpc: "1n", connect: "1" }, "wait:smallest"),
  "a deadline of words": timeout({ grpc: "soon", connect: "soon" }),
  "a deadline below zero": timeout({ grpc: "-1S", connect: "-1" }),
  "a deadline with a fraction": timeout({ grpc: "1.5S", connect: "1.5" }),
  "a deadline without a unit, or with one": timeout({ grpc: "100", connect: "100m" }),
  "a deadline of too many digits": timeout({ grpc: "123456789m", connect: "12345678901" }),
  "an empty deadline": timeout({ grpc: "", connect: "" }),
  "a deadline in weeks": timeout({ grpc: "504H", connect: "1814400000" }),

  // Compression.
  "a caller who takes gzip": accepting("gzip"),
  "a caller who takes many": accepting("br, zstd, gzip"),
  "a caller who takes identity alone": accepting("identity"),
  "a caller who takes what nobody has": accepting("snappy"),
  "a small answer to one who takes gzip": withHeaders("alice", (dress) => ({
    [headerNames(dress).accept]: "gzip",
  })),
  "an error to one who takes gzip": withHeaders("details", (dress) => ({
    [headerNames(dress).accept]: "gzip",
  })),
  "identity named as the compression": (dress) =>
    dress.protocol === "Connect GET"
      ? { ...ordering("alice")(dress), query: { compression: "identity" } }
      : withHeaders("alice", () => ({ [headerNames(dress).encoding]: "identity" }))(dress),
  "an unknown compression": (dress) =>
    dress.protocol === "Connect GET"
      ? { ...ordering("alice")(dress), query: { compression: "zstd" } }
      : withHeaders("alice", () => ({ [headerNames(dress).encoding]: "zstd" }))(dress),
  "an empty compression": (dress) =>
    dress.protocol === "Connect GET"
      ? { ...ordering("alice")(dress), query: { compression: "" } }
      : withHeaders("alice", () => ({ [headerNames(dress).encoding]: "" }))(dress),
  "gzip that is none": (dress) =>
    dress.protocol === "Connect GET"
      ? { message: Buffer.from("no gzip"), query: { compression: "gzip" } }
      : { message: Buffer.from("no gzip"), flags: 1, headers: { [headerNames(dress).encoding]: "gzip" } },
  "gzip that is cut off": (dress) => {
    const message = gzipSync(lookup(dress, "alice")).subarray(0, -6);
    return dress.protocol === "Connect GET"
      ? { message, query: { compression: "gzip" } }
      : { message, flags: 1, headers: { [headerNames(dress).encoding]: "gzip" } };
  },
  "gzip named and not used": enveloped((dress) => ({
    message: lookup(dress, "alice"),
    headers: { [headerNames(dress).encoding]: "gzip" },
  })),
  "a compressed flag without an encoding": enveloped((dress) => ({
    message: gzipSync(lookup(dress, "alice")),
    flags: 1,
  })),
  "a compressed flag with identity": enveloped((dress) => ({
    message: lookup(dress, "alice"),
    flags: 1,
    headers: { [headerNames(dress).encoding]: "identity" },
  })),

  // Sizes.
  "a message just beyond the limit": (dress) => ({ message: sized(dress, MAX_MESSAGE_BYTES + 1) }),
  "a message far beyond the limit": (dress) =>
    post(dress) && { message: sized(dress, 200 * MAX_MESSAGE_BYTES) },
  "a message beyond the limit in chunks": (dress) =>
    post(dress) && { message: sized(dress, 4 * MAX_MESSAGE_BYTES), raw: { length: "chunked" } },
  "a message beyond the limit once decompressed": (dress) => ({
    message: sized(dress, BOMB_BYTES),
    gzip: true,
  }),
  "a message of the limit once decompressed": (dress) => ({
    message: sized(dress, MAX_MESSAGE_BYTES),
    gzip: true,
  }),
  "a length beyond the limit": enveloped(() => ({ body: Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff, 1) })),

  // Envelopes.
  "no message": enveloped(() => ({ body: new Uint8Array(0) })),
  "two messages": enveloped((dress) => {
    const one = envelope(lookup(dress, "alice"));
    return { body: Buffer.concat([one, one]) };
  }),
  "a second message that is cut off": enveloped((dress) => {
    const one = envelope(lookup(dress, "alice"));
    return { body: Buffer.concat([one, one.subarray(0, 7)]) };
  }),
  "half the five bytes": enveloped(() => ({ body: Uint8Array.of(0, 0, 0) })),
  "the five bytes alone": enveloped(() => ({ body: Uint8Array.of(0, 0, 0, 0, 9) })),
  "a message shorter than its length": enveloped((dress) => {
    const message = lookup(dress, "alice");
    return { body: envelope(message, 0, message.length + 1) };
  }),
  "a message longer than its length": enveloped((dress) => {
    const message = lookup(dress, "alice");
    return { body: envelope(message, 0, message.length - 1) };
  }),
  "a flag that Connect's streams end with": enveloped((dress) => ({
    message: lookup(dress, "alice"),
    flags: 2,
  })),
  "a flag that nobody knows": enveloped((dress) => ({ message: lookup(dress, "alice"), flags: 0x40 })),
  "trailers in the request": enveloped((dress) => ({
    body: Buffer.concat([envelope(lookup(dress, "alice")), envelope(Buffer.from("x: y\r\n"), 0x80)]),
  })),
  "trailers for a message": enveloped(() => ({ body: envelope(Buffer.from("x: y\r\n"), 0x80) })),

  // Messages.
  "bytes that are no message": carrying(() => Uint8Array.of(0xff, 0xff, 0xff)),
  "text that is not UTF-8": carrying((dress) =>
    dress.codec === "json" ? Buffer.from('{"address":"\xc3("}', "latin1") : NOT_UTF8,
  ),
  "a field of the wrong type": carrying((dress) =>
    dress.codec === "json" ? Buffer.from('{"number":"many"}') : Uint8Array.of(0x0d, 1, 2, 3, 4),
  ),
  "JSON that is no object": (dress) => (dress.codec === "json" ? { message: Buffer.from("[1]") } : undefined),
  "JSON with a number too large": (dress) =>
    dress.codec === "json" ? { message: Buffer.from('{"number":4294967296}') } : undefined,
  "JSON with a half of a pair": (dress) =>
    dress.codec === "json" ? { message: Buffer.from('{"address":"\\ud83c"}') } : undefined,
  "JSON with an unknown name of an enum": (dress) =>
    dress.codec === "json" ? { message: Buffer.from('{"view":"KEY_SET_VIEW_NEW"}') } : undefined,
  "JSON with its names in the schema's spelling": (dress) =>
    dress.codec === "json" && dress.protocol !== "Connect GET"
      ? { method: PATHS.publishKeySet, message: Buffer.from('{"login_key":"AAEC"}') }
      : undefined,
  "JSON with the name twice": (dress) =>
    dress.codec === "json" ? { message: Buffer.from('{"address":"alice","address":"bob"}') } : undefined,
  "no body": connect(() => ({ body: new Uint8Array(0) })),
  "no body compressed": connect((dress) => ({
    body: new Uint8Array(0),
    headers: { [headerNames(dress).encoding]: "gzip" },
  })),

  // Headers of the protocol.
  "no content type": withHeaders("alice", (dress) =>
    dress.protocol === "Connect GET" ? {} : { "content-type": undefined },
  ),
  "a content type of text": (dress) =>
    post(dress) && withHeaders("alice", () => ({ "content-type": "text/plain" }))(dress),
  "the content type of a stream": (dress) =>
    post(dress) &&
    withHeaders("alice", () => ({ "content-type": `application/connect+${dress.codec}` }))(dress),
  "the content type of gRPC-Web in text": (dress) =>
    post(dress) && withHeaders("alice", () => ({ "content-type": "application/grpc-web-text" }))(dress),
  "a content type in capitals": (dress) =>
    post(dress) && withHeaders("alice", (d) => ({ "content-type": contentTypeOf(d).toUpperCase() }))(dress),
  "a content type with its charset": (dress) =>
    post(dress) &&
    withHeaders("alice", (d) => ({ "content-type": `${contentTypeOf(d)}; charset=utf-8` }))(dress),
  "a content type with another charset": (dress) =>
    post(dress) &&
    withHeaders("alice", (d) => ({ "content-type": `${contentTypeOf(d)}; charset=iso-8859-1` }))(dress),
  "a codec that nobody knows": enveloped((dress) => ({
    message: lookup(dress, "alice"),
    headers: { "content-type": contentTypeOf(dress).replace(/\+.*/, "+thrift") },
  })),
  "gRPC without a codec": (dress) =>
    isEnveloped(dress) && dress.codec === "proto"
      ? {
          message: lookup(dress, "alice"),
          headers: { "content-type": contentTypeOf(dress).replace(/\+.*/, "") },
        }
      : undefined,
  "gRPC without te": (dress) =>
    dress.protocol === "gRPC" ? withHeaders("alice", () => ({ te: undefined }))(dress) : undefined,
  "no connect-protocol-version": connect((dress) => ({
    message: lookup(dress, "alice"),
    headers: { "connect-protocol-version": undefined },
  })),
  "another connect-protocol-version": connect((dress) => ({
    message: lookup(dress, "alice"),
    headers: { "connect-protocol-version": "2" },
  })),
  "the accepted encodings of another protocol": withHeaders("large:3000", (dress) => ({
    [isEnveloped(dress) ? "accept-encoding" : "grpc-accept-encoding"]: "gzip",
  })),
  "the timeout of another protocol": withHeaders("context", (dress) =>
    isEnveloped(dress) ? { "connect-timeout-ms": "soon" } : { "grpc-timeout": "soon" },
  ),

  // Parameters of a GET.
  "a GET without its protocol": get((dress) => ({
    message: lookup(dress, "alice"),
    query: { connect: undefined },
  })),
  "a GET of another protocol": get((dress) => ({
    message: lookup(dress, "alice"),
    query: { connect: "v2" },
  })),
  "a GET without an encoding": get((dress) => ({
    message: lookup(dress, "alice"),
    query: { encoding: undefined },
  })),
  "a GET in an unknown encoding": get((dress) => ({
    message: lookup(dress, "alice"),
    query: { encoding: "thrift" },
  })),
  "a GET without a message, compressed": get(() => ({ query: { message: undefined, compression: "gzip" } })),
  "a GET without a message": get(() => ({ query: { message: undefined } })),
  "a GET in padded base64": get((dress) => ({
    query: { message: Buffer.from(lookup(dress, "alice")).toString("base64url").padEnd(24, "=") },
  })),
  "a GET in base64 of the other alphabet": get((dress) => ({
    method: PATHS.blake3,
    query: {
      message: Buffer.from(
        encode(dress, Blake3RequestSchema, { data: new Uint8Array(9).fill(0xff) }),
      ).toString("base64"),
    },
  })),
  "a GET in what is no base64": get(() => ({ query: { message: "!" } })),
  "a GET with its message as text": get((dress) => ({
    query: { base64: undefined, message: Buffer.from(lookup(dress, "alice")).toString("utf8") },
  })),
  "a GET of a method with side effects": get((dress) => ({
    method: PATHS.publishKeySet,
    message: encode(dress, PublishKeySetRequestSchema, {}),
  })),
  "a GET with a content type": get((dress) => ({
    message: lookup(dress, "alice"),
    headers: { "content-type": "text/plain" },
  })),

  // Verbs and paths.
  "PUT instead of POST": (dress) => post(dress) && { message: lookup(dress, "alice"), verb: "PUT" },
  "DELETE instead of GET": get((dress) => ({ message: lookup(dress, "alice"), verb: "DELETE" })),
  "HEAD instead of GET": get((dress) => ({ message: lookup(dress, "alice"), verb: "HEAD" })),
  "GET instead of POST": (dress) =>
    isEnveloped(dress)
      ? { message: lookup(dress, "alice"), verb: "GET", body: new Uint8Array(0) }
      : undefined,
  "a method that its service leaves out": (dress) => ({
    message: lookup(dress, "alice"),
    path: "/keypears.v1.KeySetService/ListKeySets",
  }),
  "a method that its service lacks": (dress) => ({
    message: lookup(dress, "alice"),
    path: "/keypears.v1.KeySetService/Nope",
  }),
  "a service that is not there": (dress) => ({
    message: lookup(dress, "alice"),
    path: "/keypears.v9.Nope/GetKeySet",
  }),
  "a path that is none of a method": (dress) => ({ message: lookup(dress, "alice"), path: "/nope" }),
  "a path with a slash too many": (dress) => ({
    message: lookup(dress, "alice"),
    path: `${PATHS.getKeySet}/`,
  }),
  "a path in other letters": (dress) => ({
    message: lookup(dress, "alice"),
    path: PATHS.getKeySet.toLowerCase(),
  }),
  "a path with a parameter": (dress) =>
    post(dress) && { message: lookup(dress, "alice"), path: `${PATHS.getKeySet}?x=%zz` },

  // Bodies that do not end as they should.
  "less body than its length": (dress) =>
    post(dress) && dress.version === "2"
      ? { message: lookup(dress, "alice"), raw: { length: 1_000 } }
      : undefined,
  "a reset before the body is whole": (dress) =>
    post(dress) && { ...ordering("wait:it")(dress), raw: { length: 1_000, after: "reset" } },
  "a reset while the service works": (dress) => ({
    ...ordering("wait:it")(dress),
    raw: { after: "reset", resetOnceWaiting: true },
  }),
};

/** All requests. */
export const TABLE: readonly TableEntry[] = Object.entries(KINDS).flatMap(([kind, build]) =>
  DRESSES.flatMap((dress) => {
    const parts = build(dress);
    if (parts === undefined) return [];
    const { method = PATHS.getKeySet, ...rest } = parts;
    const request = dressed(dress, method, { message: lookup(dress, "alice"), ...rest });
    return [{ kind, dress, request }];
  }),
);

function lookup(dress: Dress, address: string): Uint8Array {
  return encode(dress, GetKeySetRequestSchema, { address, number: 7 });
}

/** A request of exactly so many bytes. */
function sized(dress: Dress, bytes: number): Uint8Array {
  const overhead =
    dress.codec === "json" ? encode(dress, GetKeySetRequestSchema, { address: "a" }).length - 1 : 3;
  // A length from 128 to 16,383 takes two bytes of protobuf, and one up to 2,097,151 three.
  const extra = dress.codec === "proto" && bytes > 16_386 ? 1 : 0;
  return encode(dress, GetKeySetRequestSchema, { address: "a".repeat(bytes - overhead - extra) });
}

function encode<T extends DescMessage>(dress: Dress, schema: T, init: MessageInitShape<T>): Uint8Array {
  const message = create(schema, init);
  return dress.codec === "json" ? Buffer.from(toJsonString(schema, message)) : toBinary(schema, message);
}
