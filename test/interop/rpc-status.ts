// google.rpc.Status, as gRPC puts it into grpc-status-details-bin: read here by its field numbers, so that what the node
// writes is not read by what wrote it.

import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";

/** A decoded status. */
export interface RpcStatus {
  readonly code: number;
  readonly message: string;
  readonly details: readonly Any[];
}

/** Decodes a status (google/rpc/status.proto: code = 1, message = 2, details = 3). */
export function decodeStatus(bytes: Uint8Array): RpcStatus {
  const reader = new BinaryReader(bytes);
  let code = 0;
  let message = "";
  const details: Any[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) code = reader.int32();
    else if (field === 2) message = reader.string();
    else if (field === 3) details.push(fromBinary(AnySchema, reader.bytes()));
    else reader.skip(wireType);
  }
  return { code, message, details };
}

/** The details of one type. */
export function detailsOf<Desc extends DescMessage>(
  { details }: RpcStatus,
  schema: Desc,
): MessageShape<Desc>[] {
  return details
    .filter(({ typeUrl }) => typeUrl === `type.googleapis.com/${schema.typeName}`)
    .map(({ value }) => fromBinary(schema, value));
}
