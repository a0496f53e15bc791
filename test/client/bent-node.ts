// A node that lies: a real one, some of whose answers are bent on their way to the client.

import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import type { Environment } from "../../src/client/index.ts";

type Answering = (request: unknown, honest: () => Promise<unknown>) => Promise<unknown>;

/** What is bent, by name of the method; filled and emptied while the client runs. */
export type Bends = Map<string, Answering>;

/** Bends the answers of one method. `honest` asks the real node. */
export function bend<Input extends DescMessage, Output extends DescMessage>(
  bends: Bends,
  method: DescMethodUnary<Input, Output>,
  answer: (
    request: MessageInitShape<Input>,
    honest: () => Promise<MessageShape<Output>>,
  ) => Promise<MessageInitShape<Output>>,
): void {
  bends.set(method.name, answer as Answering);
}

/** An environment in which the node at `apiUrl` answers as `bends` says. */
export function bentEnvironment(env: Environment, bends: Bends, apiUrl: string): Environment {
  return {
    ...env,
    transport(url, token) {
      const real = env.transport(url, token);
      if (url !== apiUrl) return real;
      const unary: Transport["unary"] = async (method, signal, timeoutMs, header, input, values) => {
        const honest = () => real.unary(method, signal, timeoutMs, header, input, values);
        const answer = bends.get(method.name);
        if (answer === undefined) return honest();
        const bent = await answer(input, async () => (await honest()).message);
        return {
          stream: false,
          service: method.parent,
          method,
          header: new Headers(),
          trailer: new Headers(),
          message: create(method.output, bent as MessageInitShape<typeof method.output>),
        };
      };
      return { unary, stream: real.stream.bind(real) };
    },
  };
}
