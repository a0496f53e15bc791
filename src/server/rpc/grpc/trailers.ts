/** gRPC: how a call ended, as trailers ("Status", "Status-Message" and "Status-Details" in PROTOCOL-HTTP2.md). */

import type { OutgoingHttpHeaders } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { ConnectError } from "@connectrpc/connect";
import { utf8 } from "../../../crypto/bytes.ts";
import type { HeaderList } from "../../exchange.ts";
import { metadataList } from "../metadata.ts";

const OK: HeaderList = ["grpc-status", "0"];
const OK_RECORD: OutgoingHttpHeaders = { "grpc-status": "0" };
const TYPE_URL = "type.googleapis.com/";
// Everything but what may stand as it is: %x20-%x24 and %x26-%x7E.
const ENCODED = /[^\x20-\x24\x26-\x7e]/u;

/** Trailers of a call that went well. */
export function okTrailers(trailer: Headers | undefined): HeaderList {
  return trailer === undefined ? OK : [...OK, ...metadataList(trailer)];
}

/** Trailers of a call that failed. `allowed` is a reserved name that the error's metadata may have. */
export function errorTrailers(
  error: ConnectError,
  trailer: Headers | undefined,
  allowed: string,
): HeaderList {
  const list = [
    "grpc-status",
    String(error.code),
    "grpc-message",
    percentEncode(error.rawMessage),
    ...metadataList(trailer),
    ...metadataList(error.metadata, "", allowed),
  ];
  if (error.details.length > 0) {
    list.push(
      "grpc-status-details-bin",
      Buffer.from(encodeStatus(error)).toString("base64").replace(/=+$/, ""),
    );
  }
  return list;
}

/** Trailers as node:http and node:http2 take them. Values of the same name go out one after the other. */
export function toRecord(list: HeaderList): OutgoingHttpHeaders {
  if (list === OK) return OK_RECORD;
  const record: Record<string, string[]> = {};
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] ?? "";
    const values = record[name] ?? [];
    values.push(list[at + 1] ?? "");
    record[name] = values;
  }
  return record;
}

/** "Percent-Encoded" of a status message: its UTF-8, with %XX for all but printable ASCII, and for "%". */
export function percentEncode(message: string): string {
  if (!ENCODED.test(message)) return message;
  let encoded = "";
  for (const byte of utf8(message.toWellFormed())) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/** google.rpc.Status: `int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3;` */
function encodeStatus({ code, rawMessage, details }: ConnectError): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Varint).int32(code);
  if (rawMessage !== "") writer.tag(2, WireType.LengthDelimited).string(rawMessage);
  for (const detail of details) {
    const [type, value] =
      "desc" in detail
        ? [detail.desc.typeName, toBinary(detail.desc, create(detail.desc, detail.value))]
        : [detail.type, detail.value];
    writer.tag(3, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(TYPE_URL + type);
    if (value.length > 0) writer.tag(2, WireType.LengthDelimited).bytes(value);
    writer.join();
  }
  return writer.finish();
}
