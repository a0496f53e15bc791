/**
 * Where this node answers otherwise than the library does, and why that is right. Values are written as [ours, the library's];
 * undefined is a field that is not there.
 */

import type { Codec, Dress, Protocol } from "./dress.ts";

/** A value, or what it looks like. */
export type Expected = string | RegExp | undefined;

/** Fields that differ, for one reason. */
export interface Difference {
  /** The sentence that makes ours right, and where it stands. */
  readonly rule: string;
  /** The kinds of request in which all the fields differ so. Where it is missing, they may do so in every kind. */
  readonly kinds?: readonly string[];
  readonly protocols?: readonly Protocol[];
  readonly codecs?: readonly Codec[];
  readonly versions?: readonly Dress["version"][];
  readonly fields: Readonly<Record<string, readonly [ours: Expected, theirs: Expected]>>;
}

const SOMETHING = /./s;
const ACCEPT_POST = { "header accept-post": [/application\/grpc/, undefined] } as const;
const PROBLEM = "application/problem+json";
const GRPC = /^application\/grpc/;
const UNKNOWN_METHODS = [
  "a method that its service lacks",
  "a service that is not there",
  "a path in other letters",
];
const ENVELOPED: readonly Protocol[] = ["gRPC", "gRPC-Web"];
const BARE: readonly Protocol[] = ["Connect", "Connect GET"];

const ONE_REASON =
  'docs/protocol.md, section 9: "Every error has a Connect/gRPC code and exactly one google.rpc.ErrorInfo"';
const BUG = `${ONE_REASON}; "INTERNAL: a bug of this node", with its "request_id"`;
const INVALID =
  'docs/protocol.md, section 9: "MESSAGE_INVALID (INVALID_ARGUMENT): the bytes of the request are no message"';
const COUNT =
  'docs/protocol.md, section 9: "MESSAGE_COUNT_INVALID (UNIMPLEMENTED) for other than one request message"';
const PLAIN =
  'docs/protocol.md, section 9: "Plain HTTP answers say what went wrong as {"error":{"reason","message"}}"';
const UTF8 = 'proto3 JSON mapping: "JSON is UTF-8"; RFC 8259 section 8.1: "MUST be encoded using UTF-8"';
const FLAGS =
  'PROTOCOL-HTTP2.md: "Compressed-Flag → 0 / 1"; PROTOCOL-WEB.md lets servers alone send a frame of trailers';
const PARAMETERS =
  'RFC 2045 section 1: implementations "must ignore any parameters whose names they do not recognize"; RFC 8259 section 11: "No "charset" parameter is defined", it "has no effect on compliant recipients"';
const UNKNOWN =
  'PROTOCOL-HTTP2.md, statuscodes.md: UNIMPLEMENTED where "the method is not found"; docs/protocol.md, section 9: METHOD_UNKNOWN';
const VERSION =
  'connectrpc.com/docs/protocol: "Connect-Protocol-Version → "connect-protocol-version" "1"", no other is defined';

/** The library answered well where this node refuses with INVALID_ARGUMENT or UNIMPLEMENTED. */
function refused(
  rule: string,
  kinds: readonly string[],
  where: { readonly protocols: readonly Protocol[]; readonly codecs?: readonly Codec[] },
  code = "InvalidArgument",
): Difference[] {
  const codecs = where.codecs ?? ["proto", "json"];
  const details = [/^ErrorInfo \{"reason":"\w+","domain":"keypears.v1"\}/, undefined] as const;
  const common = { code: [code, "ok"], details, message: [SOMETHING, undefined] } as const;
  return where.protocols.flatMap((protocol): Difference[] => {
    if (ENVELOPED.includes(protocol)) {
      return [
        { rule, kinds, protocols: [protocol], codecs, fields: { ...common, messages: ["", SOMETHING] } },
      ];
    }
    return codecs.map((codec) => ({
      rule,
      kinds,
      protocols: [protocol],
      codecs: [codec],
      fields: {
        ...common,
        status: ["400", "200"],
        messages: [undefined, SOMETHING],
        ...(codec === "proto" && { "header content-type": ["application/json", "application/proto"] }),
      },
    }));
  });
}

/** Both refuse, with other codes. */
function otherCode(
  rule: string,
  kinds: readonly string[],
  [ours, theirs]: readonly [string, string],
  where: { readonly protocols: readonly Protocol[]; readonly codecs?: readonly Codec[] },
  statuses: readonly [string, string] = ["400", "500"],
): Difference[] {
  const { codecs } = where;
  const enveloped = where.protocols.filter((protocol) => ENVELOPED.includes(protocol));
  const bare = where.protocols.filter((protocol) => BARE.includes(protocol));
  const common = { rule, kinds, ...(codecs && { codecs }) };
  return [
    { ...common, protocols: enveloped, fields: { code: [ours, theirs] as const } },
    { ...common, protocols: bare, fields: { code: [ours, theirs] as const, status: statuses } },
  ].filter(({ protocols }) => protocols.length > 0);
}

/** The library gave an empty answer of plain HTTP where this node says more. */
function saidInJson(
  kinds: readonly string[],
  reason: string,
  more: Difference["fields"] = {},
  protocols: readonly Protocol[] = [...ENVELOPED, ...BARE],
): Difference {
  return {
    rule: PLAIN,
    kinds,
    protocols,
    fields: {
      "header content-type": [PROBLEM, undefined],
      messages: [new RegExp(`^\\{"error":\\{"reason":"${reason}",`), ""],
      ...more,
    },
  };
}

/** The library refused what this node answers. */
function answered(
  rule: string,
  kinds: readonly string[],
  where: { readonly protocols: readonly Protocol[]; readonly codecs?: readonly Codec[] },
): Difference[] {
  const place: Record<Protocol, string | undefined> = {
    gRPC: "trailers",
    "gRPC-Web": "body",
    Connect: undefined,
    "Connect GET": undefined,
  };
  return where.protocols.map((protocol) => ({
    rule,
    kinds,
    protocols: [protocol],
    ...(where.codecs && { codecs: where.codecs }),
    fields: {
      status: ["200", "415"],
      "header content-type": [SOMETHING, undefined],
      messages: [SOMETHING, ""],
      code: ["ok", undefined],
      ...(place[protocol] && { "status in": [place[protocol], undefined] }),
    },
  }));
}

/** All differences. Each of them has to occur. */
export const DIFFERENCES: readonly Difference[] = [
  // In every kind of request.
  {
    rule: ONE_REASON,
    fields: { details: [/^ErrorInfo \{"reason":"\w+","domain":"keypears.v1"/, undefined] },
  },
  {
    rule: 'docs/protocol.md, section 9: "Decide by the reason. The message is for people, and never holds a secret"',
    fields: {
      message: [
        SOMETHING,
        /^(?:protocol error: |unknown compression |decompression failed|message (?:size )?is? ?|message size |received compressed |parse binary: |cannot decode |internal error$)/,
      ],
    },
  },
  {
    rule: 'PROTOCOL-HTTP2.md: "Trailers-Only is permitted for calls that produce an immediate error"',
    protocols: ["gRPC"],
    fields: { "status in": ["headers", "trailers"] },
  },
  {
    rule: 'RFC 9111 section 5.2.2.5: no-store, "MUST NOT store any part of either the immediate request or the response", on what is no answer in bytes',
    protocols: ["Connect GET"],
    fields: { "header cache-control": ["no-store", undefined] },
  },
  {
    rule: 'PROTOCOL-HTTP2.md: "Response-Headers → HTTP-Status [Message-Encoding]": there is none where nothing is compressed',
    protocols: ENVELOPED,
    fields: { "header grpc-encoding": [undefined, "gzip"] },
  },

  // Errors of the service.
  {
    rule: BUG,
    kinds: ["an error with code 13"],
    fields: {
      message: [/^internal error: tell the operator of request [0-9a-f]{16}$/, "as it was asked to"],
      details: [/"reason":"INTERNAL".*"request_id":"[0-9a-f]{16}"/, /"reason":"ADDRESS_UNKNOWN"/],
    },
  },
  ...otherCode(
    BUG,
    ["an error without a reason"],
    ["Internal", "Unavailable"],
    { protocols: [...ENVELOPED, ...BARE] },
    ["500", "503"],
  ),
  {
    rule: BUG,
    kinds: ["an error without a reason"],
    fields: { message: [/^internal error: tell /, "a detail for developers"] },
  },

  // Compression.
  ...otherCode(INVALID, ["gzip that is cut off"], ["InvalidArgument", "Internal"], {
    protocols: [...ENVELOPED, ...BARE],
  }),
  {
    rule: 'PROTOCOL-HTTP2.md and compression.md: a server that lacks an encoding answers UNIMPLEMENTED and "must include grpc-accept-encoding"',
    kinds: ["an unknown compression", "an empty compression"],
    protocols: ENVELOPED,
    fields: { "trailer grpc-accept-encoding": ["gzip", undefined] },
  },
  {
    rule: "RFC 9110 section 15.5.16: a server that lacks a content coding says in Accept-Encoding which it has",
    kinds: ["an unknown compression", "an empty compression"],
    protocols: BARE,
    fields: { "header accept-encoding": ["gzip", undefined] },
  },
  {
    rule: 'connectrpc.com/docs/protocol: "Servers must assume that all clients accept "identity"": who names no encoding is given none',
    kinds: ["a message of the limit once decompressed"],
    protocols: BARE,
    fields: { "header content-encoding": [undefined, "gzip"] },
  },
  {
    rule: 'compression.md: a server may answer "uncompressed", whatever the request was: who names no encoding is given none',
    kinds: ["a message of the limit once decompressed"],
    protocols: ENVELOPED,
    fields: { messages: [/^0 /, /^compressed /] },
  },

  // Envelopes.
  ...otherCode(COUNT, ["a second message that is cut off"], ["Unimplemented", "InvalidArgument"], {
    protocols: ENVELOPED,
  }),
  ...otherCode(INVALID, ["the five bytes alone"], ["InvalidArgument", "Unimplemented"], {
    protocols: ENVELOPED,
  }),
  ...otherCode(COUNT, ["a message longer than its length"], ["Unimplemented", "Internal"], {
    protocols: ENVELOPED,
    codecs: ["proto"],
  }),
  ...otherCode(COUNT, ["a message longer than its length"], ["Unimplemented", "InvalidArgument"], {
    protocols: ENVELOPED,
    codecs: ["json"],
  }),
  ...refused(FLAGS, ["a flag that Connect's streams end with", "a flag that nobody knows"], {
    protocols: ENVELOPED,
  }),
  ...otherCode(COUNT, ["trailers in the request"], ["Unimplemented", "Internal"], {
    protocols: ["gRPC"],
    codecs: ["proto"],
  }),
  ...otherCode(COUNT, ["trailers in the request"], ["Unimplemented", "InvalidArgument"], {
    protocols: ["gRPC"],
    codecs: ["json"],
  }),
  ...refused(FLAGS, ["trailers in the request"], { protocols: ["gRPC-Web"] }, "Unimplemented"),
  ...otherCode(FLAGS, ["trailers for a message"], ["InvalidArgument", "Internal"], {
    protocols: ["gRPC"],
    codecs: ["proto"],
  }),
  ...otherCode(FLAGS, ["trailers for a message"], ["InvalidArgument", "Unimplemented"], {
    protocols: ["gRPC-Web"],
  }),

  // Messages.
  ...otherCode(
    INVALID,
    ["bytes that are no message", "text that is not UTF-8", "a field of the wrong type"],
    ["InvalidArgument", "Internal"],
    { protocols: [...ENVELOPED, ...BARE], codecs: ["proto"] },
  ),
  ...refused(UTF8, ["text that is not UTF-8"], { protocols: [...ENVELOPED, ...BARE], codecs: ["json"] }),

  // Headers of the protocol.
  saidInJson(
    [
      "no content type",
      "a content type of text",
      "the content type of a stream",
      "the content type of gRPC-Web in text",
      "a codec that nobody knows",
    ],
    "CONTENT_TYPE_UNSUPPORTED",
    ACCEPT_POST,
    [...ENVELOPED, "Connect"],
  ),
  ...answered(PARAMETERS, ["a content type with its charset"], {
    protocols: ["gRPC", "gRPC-Web", "Connect"],
    codecs: ["proto"],
  }),
  ...answered(PARAMETERS, ["a content type with another charset"], {
    protocols: ["gRPC", "gRPC-Web", "Connect"],
  }),
  ...refused(VERSION, ["another connect-protocol-version"], { protocols: ["Connect"] }),

  // Parameters of a GET.
  ...refused(VERSION, ["a GET of another protocol"], { protocols: ["Connect GET"] }),
  saidInJson(
    ["a GET without an encoding", "a GET in an unknown encoding"],
    "CONTENT_TYPE_UNSUPPORTED",
    ACCEPT_POST,
  ),
  ...otherCode(INVALID, ["a GET in what is no base64"], ["InvalidArgument", "Internal"], {
    protocols: ["Connect GET"],
  }),
  ...answered(
    'RFC 9110 section 9.3.1: "content received in a GET request has no generally defined semantics", nor has its type',
    ["a GET with a content type"],
    { protocols: ["Connect GET"] },
  ),

  // Verbs and paths.
  saidInJson(
    ["PUT instead of POST", "DELETE instead of GET", "a GET of a method with side effects"],
    "METHOD_NOT_ALLOWED",
    { "header allow": [/^POST, (?:GET, )?OPTIONS$/, undefined] },
  ),
  {
    rule: 'RFC 9110 section 15.5.6: "The origin server MUST generate an Allow header field in a 405 response"',
    kinds: ["HEAD instead of GET"],
    fields: {
      "header allow": ["POST, GET, OPTIONS", undefined],
      "header content-type": [PROBLEM, undefined],
    },
  },
  saidInJson(["GET instead of POST"], "CONTENT_TYPE_UNSUPPORTED", ACCEPT_POST, ENVELOPED),
  ...(
    [
      [
        "gRPC",
        {
          status: ["200", "404"],
          "status in": ["headers", undefined],
          "header content-type": [GRPC, undefined],
        },
      ],
      [
        "gRPC-Web",
        {
          status: ["200", "404"],
          "status in": ["body", undefined],
          "header content-type": [GRPC, undefined],
        },
      ],
      [
        "Connect",
        {
          "header content-type": ["application/json", undefined],
          messages: [undefined, ""],
        },
      ],
    ] as const
  ).map(
    ([protocol, fields]): Difference => ({
      rule: UNKNOWN,
      kinds: UNKNOWN_METHODS,
      protocols: [protocol],
      fields: { ...fields, code: ["Unimplemented", undefined], message: [SOMETHING, undefined] },
    }),
  ),
  {
    rule: PLAIN,
    kinds: UNKNOWN_METHODS,
    protocols: ["Connect GET"],
    fields: {
      "header content-type": [PROBLEM, undefined],
      messages: [/^\{"error":\{"reason":"METHOD_UNKNOWN",/, ""],
    },
  },
  {
    rule: 'connectrpc.com/docs/protocol, error codes: "canceled: RPC canceled, usually by the caller"',
    kinds: ["a reset while the service works"],
    protocols: ["Connect GET"],
    versions: ["1.1"],
    fields: { seen: ["given up: Canceled", "given up: Aborted"] },
  },
];
