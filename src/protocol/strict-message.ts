/**
 * Strict decoding of signed bodies (docs/protocol.md, conventions). Protobuf allows many encodings of one message; a signed
 * body has exactly one: every field known, none repeated that is not a list, ascending field order, defaults left out.
 */

import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { ProtocolError } from "./errors.ts";

/**
 * The message in `bytes`, which must be its one canonical encoding.
 *
 * @throws ProtocolError with `reason` when the bytes are no such message, or another encoding of one. `what` names the
 *   body in the error's text.
 */
export function decodeCanonical<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
  reason: string,
  what: string,
): MessageShape<Desc> {
  let message: MessageShape<Desc>;
  try {
    // Unknown fields are dropped here, so that one in the bytes makes the re-encoding differ.
    message = fromBinary(schema, bytes, { readUnknownFields: false });
  } catch (cause) {
    throw new ProtocolError(reason, `${what} is no valid protobuf message`, { cause });
  }
  if (!sameBytes(toBinary(schema, message), bytes)) {
    throw new ProtocolError(reason, `${what} is not in canonical encoding`);
  }
  return message;
}

/** Whether two public byte strings are the same. Not for secrets. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  // A loop, since a call for each byte of a header costs more than decoding it.
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}
