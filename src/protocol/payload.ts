/**
 * What a share says (docs/protocol.md, section 6.2): a secret with typed fields, text, or a file, as bytes before padding and
 * encryption.
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  FileItemSchema,
  SecretItemSchema,
  type SharePayload,
  SharePayloadSchema,
  TextItemSchema,
} from "../../gen/keypears/v1/envelope_pb.ts";
import { ProtocolError } from "./errors.ts";

/**
 * Longest encoded payload, in bytes: one less than the longest padded length (Padmé) whose envelope, with the longest
 * addresses, stays within 256 KiB.
 */
export const MAX_PAYLOAD_BYTES = 253_951;

/** What a share can hold, as an application gives and gets it. */
export type ShareContent =
  | { readonly kind: "secret"; readonly name: string; readonly fields: readonly SecretFieldContent[] }
  | { readonly kind: "text"; readonly text: string }
  | {
      readonly kind: "file";
      /** File name without any folder. A receiver does not trust it as a path. */
      readonly name: string;
      /** RFC 6838. */
      readonly mediaType: string;
      readonly content: Uint8Array;
    };

/** One field of a secret. */
export interface SecretFieldContent {
  readonly name: string;
  readonly value: string;
}

/**
 * The encoded payload.
 *
 * @throws ProtocolError PAYLOAD_TOO_LARGE above {@link MAX_PAYLOAD_BYTES}; PAYLOAD_INVALID for text that is not well-formed.
 */
export function encodePayload(content: ShareContent): Uint8Array {
  requireWellFormed(content);
  const bytes = toBinary(SharePayloadSchema, toMessage(content));
  if (bytes.length > MAX_PAYLOAD_BYTES) {
    const message = `content is ${bytes.length} bytes when encoded; a share holds at most ${MAX_PAYLOAD_BYTES}`;
    throw new ProtocolError("PAYLOAD_TOO_LARGE", message, { field: "payload" });
  }
  return bytes;
}

/**
 * The content of an encoded payload.
 *
 * @throws ProtocolError PAYLOAD_INVALID when it is none, or of a kind that this version does not know.
 */
export function decodePayload(bytes: Uint8Array): ShareContent {
  let payload: SharePayload;
  try {
    payload = fromBinary(SharePayloadSchema, bytes);
  } catch {
    // The decoder's own message could quote what was decrypted.
    throw new ProtocolError("PAYLOAD_INVALID", "the share's content is malformed", { field: "payload" });
  }
  const { content } = payload;
  switch (content.case) {
    case "secret":
      return {
        kind: "secret",
        name: content.value.name,
        fields: content.value.fields.map(({ name, value }) => ({ name, value })),
      };
    case "text":
      return { kind: "text", text: content.value.text };
    case "file":
      return {
        kind: "file",
        name: content.value.name,
        mediaType: content.value.mediaType,
        content: content.value.content,
      };
    default:
      throw new ProtocolError(
        "PAYLOAD_INVALID",
        "the share's content is of a kind that this version does not know",
        {
          field: "payload",
        },
      );
  }
}

function toMessage(content: ShareContent): SharePayload {
  switch (content.kind) {
    case "secret": {
      const value = create(SecretItemSchema, {
        name: content.name,
        fields: content.fields.map((field) => ({ ...field })),
      });
      return create(SharePayloadSchema, { content: { case: "secret", value } });
    }
    case "text":
      return create(SharePayloadSchema, {
        content: { case: "text", value: create(TextItemSchema, { text: content.text }) },
      });
    case "file": {
      const { name, mediaType, content: bytes } = content;
      return create(SharePayloadSchema, {
        content: { case: "file", value: create(FileItemSchema, { name, mediaType, content: bytes }) },
      });
    }
  }
}

/** Protobuf strings are UTF-8, which cannot hold a lone surrogate: replacing it would change the secret silently. */
function requireWellFormed(content: ShareContent): void {
  const texts =
    content.kind === "secret"
      ? [content.name, ...content.fields.flatMap(({ name, value }) => [name, value])]
      : content.kind === "text"
        ? [content.text]
        : [content.name, content.mediaType];
  if (!texts.every((text) => text.isWellFormed())) {
    throw new ProtocolError(
      "PAYLOAD_INVALID",
      "the content holds a lone surrogate, which UTF-8 cannot express",
      {
        field: "payload",
      },
    );
  }
}
