/** The two answers that all servers give, from the folder that a server's program is told. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { KeySetView } from "../../gen/keypears/v1/key_set_pb.ts";
import {
  type GetKeySetRequest,
  type GetKeySetResponse,
  GetKeySetResponseSchema,
} from "../../gen/keypears/v1/key_set_service_pb.ts";

/** The bytes of a file in a folder. */
export function readBytes(folder: string, name: string): Uint8Array {
  return readFileSync(join(folder, name));
}

/** What answers a request with the message that it asks for. */
export function readAnswers(folder: string): (request: Pick<GetKeySetRequest, "view">) => GetKeySetResponse {
  const body = fromBinary(GetKeySetResponseSchema, readBytes(folder, "body.bin"));
  const full = fromBinary(GetKeySetResponseSchema, readBytes(folder, "full.bin"));
  return ({ view }) => (view === KeySetView.BODY ? body : full);
}
