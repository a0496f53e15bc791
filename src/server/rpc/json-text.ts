/**
 * Messages as JSON text (https://protobuf.dev/programming-guides/json), the same text as protobuf-es's `toJsonString` writes, several
 * times faster: without a tree in between, and with Buffer's base64 in place of a loop in JavaScript, which for a large field
 * would keep the node from everything else. Types with a form of their own (google.protobuf.*) are left to protobuf-es.
 */

import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
  toJsonString,
} from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";

/** Text of a value, as it stands in JSON. */
type WriteValue = (value: never) => string;
/** Text of a field with its name, "" for one that is not set. */
type WriteField = (message: Readonly<Record<string, unknown>>) => string;

const writers = new WeakMap<DescMessage, (message: Message) => string>();

/**
 * The JSON text of a message.
 *
 * @throws Error for a value that has no JSON form, such as a duration out of range.
 */
export function jsonText(schema: DescMessage, message: Message): string {
  return writerOf(schema)(message);
}

function writerOf(schema: DescMessage): (message: Message) => string {
  const known = writers.get(schema);
  if (known !== undefined) return known;
  if (schema.typeName.startsWith("google.protobuf.")) return (message) => toJsonString(schema, message);
  const fields: WriteField[] = [];
  const writer = (message: Message) => {
    let text = "";
    for (const write of fields) {
      const field = write(message as unknown as Readonly<Record<string, unknown>>);
      if (field !== "") text += text === "" ? field : `,${field}`;
    }
    return `{${text}}`;
  };
  // Before its fields are looked at, which may hold messages of the same type.
  writers.set(schema, writer);
  const inOrder = schema.fields.toSorted((a, b) => a.number - b.number);
  for (const field of inOrder) fields.push(fieldWriter(field));
  return writer;
}

function fieldWriter(field: DescField): WriteField {
  const { localName, oneof } = field;
  const name = `${JSON.stringify(field.jsonName)}:`;
  const write = valueWriter(field) as (value: unknown) => string;
  if (oneof !== undefined) {
    return (message) => {
      const { case: set, value } = message[oneof.localName] as { case?: string; value?: unknown };
      return set === localName ? name + write(value) : "";
    };
  }
  if (field.fieldKind === "list") {
    return (message) => {
      const items = message[localName] as readonly unknown[];
      return items.length === 0 ? "" : `${name}[${items.map(write).join(",")}]`;
    };
  }
  if (field.fieldKind === "map") {
    return (message) => {
      const entries = Object.entries(message[localName] as Readonly<Record<string, unknown>>);
      if (entries.length === 0) return "";
      return `${name}{${entries.map(([key, value]) => `${JSON.stringify(key)}:${write(value)}`).join(",")}}`;
    };
  }
  const isSet =
    field.presence === FeatureSet_FieldPresence.IMPLICIT
      ? implicitlySet(field)
      : (value: unknown, message: object) => value !== undefined && Object.hasOwn(message, localName);
  return (message) => {
    const value = message[localName];
    return isSet(value, message) ? name + write(value) : "";
  };
}

/** Whether a field without presence differs from its zero value. */
function implicitlySet(field: DescField & { fieldKind: "scalar" | "enum" | "message" }) {
  if (field.fieldKind === "enum") {
    const zero = field.enum.values[0]?.number;
    return (value: unknown) => value !== zero;
  }
  switch (field.scalar) {
    case ScalarType.BYTES:
      return (value: unknown) => (value as Uint8Array).length > 0;
    case ScalarType.STRING:
      return (value: unknown) => value !== "";
    case ScalarType.BOOL:
      return (value: unknown) => value !== false;
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return (value: unknown) => !Object.is(value, 0);
    default:
      // Integers of 64 bits may be strings.
      return (value: unknown) => value !== 0 && value !== 0n && value !== "0";
  }
}

/** The writer of a field's value, or of each in a list or a map. */
function valueWriter(field: DescField): WriteValue {
  if (field.message !== undefined) {
    const { message } = field;
    return (value: Message) => writerOf(message)(value);
  }
  if (field.enum !== undefined) return enumWriter(field.enum);
  switch (field.scalar) {
    case ScalarType.BYTES:
      return (value: Uint8Array) =>
        `"${Buffer.from(value.buffer, value.byteOffset, value.length).toString("base64")}"`;
    case ScalarType.STRING:
      return (value: string) => JSON.stringify(value);
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return (value: number) => (Number.isFinite(value) ? JSON.stringify(value) : `"${value}"`);
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return (value: bigint | string | number) => `"${value}"`;
    default:
      return (value: number | boolean) => String(value);
  }
}

function enumWriter(desc: DescEnum): WriteValue {
  if (desc.typeName === "google.protobuf.NullValue") return () => "null";
  return (value: number) => {
    const name = desc.value[value]?.jsonName;
    // A value that this node does not know goes out as its number.
    return name === undefined ? String(value) : JSON.stringify(name);
  };
}
