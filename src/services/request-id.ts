/**
 * Request ids (AIP-155). A repeated request gets the first answer again, also when it would be refused by now because its
 * first run changed what it depends on: the active number, the password. The same id for anything else is refused.
 */

import { clone, type DescMethodUnary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { primitives } from "../crypto/index.ts";
import type { RequestKey } from "../storage/stores.ts";
import { fieldError, serviceError } from "./errors.ts";

/** Version 4 and the variant of RFC 9562 §5.4, in lower case. */
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * The key of a request. One without an id gets an id of its own and is never taken for a repetition.
 *
 * @param credentials names of the fields that hold login keys: not even their hash is stored.
 * @throws ConnectError FIELD_INVALID for an id that is no UUID version 4.
 */
export function requestKey<Method extends DescMethodUnary>(
  method: Method,
  request: MessageShape<Method["input"]> & { readonly requestId: string },
  credentials: readonly (keyof MessageShape<Method["input"]>)[] = [],
): RequestKey {
  const id = request.requestId === "" ? crypto.randomUUID() : request.requestId.toLowerCase();
  if (!UUID_V4.test(id)) throw fieldError("request_id", "must be a UUID version 4, or empty");
  const bare = clone<Method["input"]>(method.input, request);
  Object.assign(bare, { requestId: id });
  for (const field of credentials) Object.assign(bare, { [field]: new Uint8Array() });
  // Fields of a later version of the contract mean nothing here, and what means nothing makes no difference.
  const encoded = toBinary(method.input, bare, { writeUnknownFields: false });
  return { id, method: method.name, fingerprint: primitives().blake3.hash(encoded) };
}

/** INVALID_ARGUMENT with REQUEST_ID_REUSED. */
export function requestIdReused(): ConnectError {
  const message = "request_id: was used for another request, draw a new one";
  return serviceError("REQUEST_ID_REUSED", message, { field: "request_id" });
}
