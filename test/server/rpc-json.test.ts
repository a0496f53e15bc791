// JSON as the server writes it, held against protobuf-es.

import {
  create,
  createFileRegistry,
  type DescField,
  type DescFile,
  type DescMessage,
  type Message,
  ScalarType,
  toJsonString,
} from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_duration,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.ts";
import { file_keypears_v1_account_service } from "../../gen/keypears/v1/account_service_pb.ts";
import { file_keypears_v1_discovery_service } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { file_keypears_v1_federation_service } from "../../gen/keypears/v1/federation_service_pb.ts";
import { file_keypears_v1_key_set_service } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { file_keypears_v1_share_service } from "../../gen/keypears/v1/share_service_pb.ts";
import { jsonText } from "../../src/server/rpc/json-text.ts";

const MAX_DEPTH = 4;
const FILES: readonly DescFile[] = [
  file_google_rpc_error_details,
  file_keypears_v1_account_service,
  file_keypears_v1_discovery_service,
  file_keypears_v1_federation_service,
  file_keypears_v1_key_set_service,
  file_keypears_v1_share_service,
];

/** Every kind of field that proto3 has, none of which the services have all of. */
function everyKind(): DescMessage {
  // FieldDescriptorProto.Label
  const LABEL_OPTIONAL = 1;
  const LABEL_REPEATED = 3;
  const scalars = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17, 18];
  const field = scalars.flatMap((type) => [
    { name: `one_${type}`, number: type, type, label: LABEL_OPTIONAL },
    { name: `many_${type}`, number: 20 + type, type, label: LABEL_REPEATED },
    {
      name: `maybe_${type}`,
      number: 40 + type,
      type,
      label: LABEL_OPTIONAL,
      proto3Optional: true,
      oneofIndex: type,
    },
  ]);
  const map = {
    name: "named",
    number: 61,
    type: 11,
    label: LABEL_REPEATED,
    typeName: ".test.Every.NamedEntry",
  };
  const itself = { name: "itself", number: 62, type: 11, label: LABEL_OPTIONAL, typeName: ".test.Every" };
  const length = {
    name: "length",
    number: 63,
    type: 11,
    label: LABEL_OPTIONAL,
    typeName: ".google.protobuf.Duration",
  };
  const entry = {
    name: "NamedEntry",
    options: { mapEntry: true },
    field: [
      { name: "key", jsonName: "key", number: 1, type: 9, label: LABEL_OPTIONAL },
      { name: "value", jsonName: "value", number: 2, type: 12, label: LABEL_OPTIONAL },
    ],
  };
  const fields = [...field, map, itself, length].map((one) => ({
    ...one,
    jsonName: one.name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
    ...("oneofIndex" in one && { oneofIndex: scalars.indexOf(one.oneofIndex) }),
  }));
  const oneofDecl = scalars.map((type) => ({ name: `_maybe_${type}` }));
  const file = create(FileDescriptorProtoSchema, {
    name: "every.proto",
    package: "test",
    syntax: "proto3",
    dependency: ["google/protobuf/duration.proto"],
    messageType: [{ name: "Every", field: fields, nestedType: [entry], oneofDecl }],
  });
  const set = create(FileDescriptorSetSchema, { file: [file_google_protobuf_duration.proto, file] });
  return createFileRegistry(set).getMessage("test.Every") as DescMessage;
}

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.constantFrom("", "0", '"', "\u2028", "é"),
);
const scalars: Readonly<Partial<Record<ScalarType, fc.Arbitrary<unknown>>>> = {
  [ScalarType.DOUBLE]: fc.double(),
  [ScalarType.FLOAT]: fc.float(),
  [ScalarType.BOOL]: fc.boolean(),
  [ScalarType.STRING]: text,
  [ScalarType.BYTES]: fc.uint8Array({ maxLength: 100 }),
  [ScalarType.UINT32]: fc.nat(),
  [ScalarType.FIXED32]: fc.nat(),
  [ScalarType.INT64]: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  [ScalarType.SINT64]: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  [ScalarType.SFIXED64]: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  [ScalarType.UINT64]: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  [ScalarType.FIXED64]: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
};

function anyValueOf(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return messageOf(field.message, depth + 1);
  if (field.enum !== undefined)
    return fc.constantFrom(...field.enum.values.map(({ number }) => number), 9_999);
  return scalars[field.scalar ?? ScalarType.INT32] ?? fc.integer();
}

function messageOf(schema: DescMessage, depth = 0): fc.Arbitrary<Message> {
  if (schema.typeName === "google.protobuf.Duration") {
    return fc.nat().map((seconds) => create(schema, { seconds: BigInt(seconds) }));
  }
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const member of depth < MAX_DEPTH ? schema.members : []) {
    const { localName } = member;
    if (member.kind === "oneof") {
      fields[localName] = fc.oneof(
        ...member.fields.map((field) =>
          anyValueOf(field, depth).map((value) => ({ case: field.localName, value })),
        ),
      );
    } else if (member.fieldKind === "list") {
      fields[localName] = fc.array(anyValueOf(member, depth), { maxLength: 3 });
    } else if (member.fieldKind === "map") {
      fields[localName] = fc.dictionary(fc.string(), anyValueOf(member, depth), { maxKeys: 3 });
    } else {
      fields[localName] = anyValueOf(member, depth);
    }
  }
  return fc.record(fields, { requiredKeys: [] }).map((init) => create(schema, init));
}

describe("a message as JSON", () => {
  const messages = FILES.flatMap((file) => file.messages);

  it.each(messages.map((schema) => [schema.typeName, schema] as const))(
    "is the text of the library: %s",
    (_, schema) => {
      fc.assert(
        fc.property(messageOf(schema), (message) => {
          expect(jsonText(schema, message)).toBe(toJsonString(schema, message));
        }),
        { numRuns: 20 },
      );
    },
  );

  it("is so for every kind of field", { timeout: 60_000 }, () => {
    const schema = everyKind();
    fc.assert(
      fc.property(messageOf(schema, MAX_DEPTH - 2), (message) => {
        expect(jsonText(schema, message)).toBe(toJsonString(schema, message));
      }),
      { numRuns: 200 },
    );
  });

  it("may have fields that are as empty as others leave out", () => {
    const schema = everyKind();
    const empty = create(schema, {
      maybe9: "",
      maybe12: new Uint8Array(0),
      maybe8: false,
      maybe5: 0,
      one9: "0",
    } as never);
    expect(jsonText(schema, empty)).toBe(toJsonString(schema, empty));
    expect(JSON.parse(jsonText(schema, empty))).toMatchObject({ maybe9: "", maybe12: "", one9: "0" });
  });
});
