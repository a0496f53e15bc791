// Calls with @grpc/grpc-js, gRPC's own client for Node, of methods that descriptors of the generated code describe.

import {
  create,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type CallOptions, type Client, Metadata } from "@grpc/grpc-js";

/** What @grpc/grpc-js has to know of a method. */
export function codecOf<M extends DescMethod>(method: M) {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    encode: (message: MessageInitShape<M["input"]>) =>
      Buffer.from(toBinary(method.input, create(method.input, message))),
    // Copied, so that bytes in the message are no Buffers.
    decode: (bytes: Buffer) => fromBinary(method.output, Uint8Array.from(bytes)) as MessageShape<M["output"]>,
  };
}

/** Calls a unary method. Rejects with a ServiceError. */
export function callUnary<M extends DescMethod>(
  client: Client,
  method: M,
  request: MessageInitShape<M["input"]>,
  options: CallOptions = {},
): Promise<MessageShape<M["output"]>> {
  const { path, encode, decode } = codecOf(method);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, encode, decode, request, new Metadata(), options, (error, answer) => {
      if (error !== null) reject(error);
      else if (answer !== undefined) resolve(answer);
    });
  });
}
