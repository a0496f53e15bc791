/**
 * A message that is encoded already, as an answer in bytes: its protobuf is at hand, and everything else that callers may ask
 * for (JSON, gzip, entity tags) is made of it when the first of them asks, and kept.
 */

import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { type DescMessage, fromBinary, toJsonString } from "@bufbuild/protobuf";
import { primitives, toHex, utf8 } from "../crypto/index.ts";
import type { EncodedAnswer, MessageEncoding } from "./encoded-answer.ts";

/** An encoded message. */
export interface EncodedMessage extends EncodedAnswer {
  /** Bytes of everything that was made so far. */
  readonly heldBytes: number;
}

/** What is to be known of a message beside its bytes. */
export interface EncodedMessageOptions {
  /** See {@link EncodedAnswer.cacheControl}. */
  readonly cacheControl: string;
  /** The encodings that gzip makes shorter, as far as can be told. In the others it is not even tried. */
  readonly compressible: readonly MessageEncoding[];
  /** Makes the JSON where that is easier than to decode the protobuf. Has to be what protobuf-es would make. */
  readonly json?: () => Uint8Array;
  /** Told whenever more bytes are held than before. */
  readonly onGrowth?: () => void;
}

/** Shorter answers fit in one packet as they are. */
const MIN_GZIP_BYTES = 1_024;
/** Gzip has to save a tenth to be worth the caller's work. */
const MAX_GZIP_SHARE = 0.9;
/** 128 bits. Who spends 2^64 hashes on two key sets with one tag deceives only those who ask for that one address. */
const ENTITY_TAG_HASH_LENGTH = 16;

const gzipAside = promisify(gzip);

/** Makes an answer of an encoded message, whose bytes must not change any more. */
export function encodedMessage(
  schema: DescMessage,
  proto: Uint8Array,
  options: EncodedMessageOptions,
): EncodedMessage {
  let heldBytes = proto.length;
  const held = (bytes: Uint8Array): Uint8Array => {
    heldBytes += bytes.length;
    options.onGrowth?.();
    return bytes;
  };
  const makeJson = options.json ?? (() => utf8(toJsonString(schema, fromBinary(schema, proto))));
  const bytes = { proto: () => proto, json: once(() => held(makeJson())) };

  const form = (encoding: MessageEncoding) => ({
    gzip: once(async () => {
      const shorter = options.compressible.includes(encoding) && (await compressed(bytes[encoding]()));
      return shorter ? held(shorter) : undefined;
    }),
    entityTag: once(() => entityTagOf(bytes[encoding]())),
  });
  const forms = { proto: form("proto"), json: form("json") };
  return {
    bytes: (encoding) => bytes[encoding](),
    gzip: (encoding) => forms[encoding].gzip(),
    entityTag: (encoding) => forms[encoding].entityTag(),
    cacheControl: options.cacheControl,
    get heldBytes() {
      return heldBytes;
    },
  };
}

async function compressed(bytes: Uint8Array): Promise<Uint8Array | undefined> {
  if (bytes.length < MIN_GZIP_BYTES) return undefined;
  const shorter = await gzipAside(bytes);
  // A copy: what zlib gives back may be the start of a far larger buffer.
  return shorter.length <= bytes.length * MAX_GZIP_SHARE ? new Uint8Array(shorter) : undefined;
}

function entityTagOf(bytes: Uint8Array): string {
  return `"${toHex(primitives().blake3.hash(bytes, ENTITY_TAG_HASH_LENGTH))}"`;
}

function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
