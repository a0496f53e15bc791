/**
 * Messages in their two encodings, protobuf and JSON (ProtoJSON). What a stranger's bytes have wrong is told without
 * repeating any of them.
 */

import {
  create,
  type DescMessage,
  fromBinary,
  fromJsonString,
  type Message,
  type MessageInitShape,
  type Registry,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import { fromUtf8 } from "../../crypto/bytes.ts";
import { fieldError } from "../../services/errors.ts";
import { malformedMessage } from "./errors.ts";
import { jsonText } from "./json-text.ts";

/**
 * The message in its bytes.
 *
 * @param registry types that an Any in JSON may hold.
 * @throws ConnectError MESSAGE_INVALID or FIELD_INVALID.
 */
export function decodeMessage(
  schema: DescMessage,
  bytes: Uint8Array,
  json: boolean,
  registry: Registry | undefined,
): Message {
  return json ? decodeJson(schema, bytes, registry) : decodeBinary(schema, bytes);
}

/** A message as bytes, or as text where it is JSON. It may be given by its fields alone. */
export function encodeMessage(
  schema: DescMessage,
  message: MessageInitShape<DescMessage>,
  json: boolean,
  registry: Registry | undefined,
): Uint8Array | string {
  const whole = create(schema, message);
  if (!json) return toBinary(schema, whole);
  return Buffer.from(
    registry === undefined ? jsonText(schema, whole) : toJsonString(schema, whole, { registry }),
  );
}

// What the decoders say can quote the message, so their words stay here. They throw nothing but what is wrong with bytes.
function decodeBinary(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(schema, bytes);
  } catch {
    throw malformedMessage(`the message is no protobuf encoding of ${schema.typeName}`);
  }
}

function decodeJson(schema: DescMessage, bytes: Uint8Array, registry: Registry | undefined): Message {
  try {
    return fromJsonString(schema, fromUtf8(bytes), {
      ignoreUnknownFields: true,
      ...(registry && { registry }),
    });
  } catch (error) {
    const problem = `not what the JSON encoding of ${schema.typeName} has there`;
    const field = fieldOf(error);
    if (field !== undefined) throw fieldError(field, problem);
    throw malformedMessage(`the message is no JSON encoding of ${schema.typeName}`);
  }
}

/** The name of the field that a decoder of JSON could not read. */
function fieldOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return /^cannot decode field [\w.]+\.(\w+) from JSON/.exec(error.message)?.[1];
}
