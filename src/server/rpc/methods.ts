/**
 * The methods of the registered services, by path: unary ones with their implementation, for the short road, and streams
 * with a handler of the RPC library, for the long one.
 */

import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  createConnectRouter,
  createMethodImplSpec,
  createServiceImplSpec,
  type MethodImplSpec,
} from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { type EncodedMethod, encodedMethodOf } from "../../services/encoded-answer.ts";
import type { MethodKind } from "./wire-format.ts";

/** What methods of both kinds have. */
interface MethodBase {
  /** "package.Service/Method". */
  readonly name: string;
  readonly desc: DescMethod;
  readonly allowedMethods: readonly string[];
}

/** A method with one message each way. */
export interface UnaryMethod extends MethodBase {
  readonly kind: "unary";
  readonly implementation: Extract<MethodImplSpec, { kind: "unary" }>["impl"];
  /** The same in bytes, if it answers in bytes. */
  readonly encoded: EncodedMethod<unknown> | undefined;
}

/** A method with a stream. */
export interface StreamMethod extends MethodBase {
  readonly kind: Exclude<MethodKind, "unary">;
  readonly handler: UniversalHandler;
}

export type Method = UnaryMethod | StreamMethod;

/**
 * Registers services.
 *
 * @param options of the RPC library, for streams.
 * @returns methods by path, "/package.Service/Method".
 */
export function registerMethods(
  register: (router: ConnectRouter) => void,
  options: ConnectRouterOptions,
): ReadonlyMap<string, Method> {
  const methods = new Map<string, Method>();
  const streams = createConnectRouter(options);

  const add = (spec: MethodImplSpec, implementation: unknown) => {
    const { method } = spec;
    const name = `${method.parent.typeName}/${method.name}`;
    if (spec.kind === "unary") {
      const safe = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
      methods.set(`/${name}`, {
        name,
        desc: method,
        kind: "unary",
        allowedMethods: safe ? ["POST", "GET"] : ["POST"],
        implementation: spec.impl,
        encoded: encodedMethodOf(implementation),
      });
    } else {
      streams.rpc(method, spec.impl as never);
      const handler = streams.handlers.at(-1) as UniversalHandler;
      methods.set(`/${name}`, { name, desc: method, kind: spec.kind, allowedMethods: ["POST"], handler });
    }
  };
  const router: ConnectRouter = {
    handlers: streams.handlers,
    service(service: DescService, implementation) {
      const { methods: specs } = createServiceImplSpec(service, implementation);
      for (const [localName, spec] of Object.entries(specs)) {
        add(spec, (implementation as Record<string, unknown>)[localName]);
      }
      return router;
    },
    rpc(method, implementation) {
      add(createMethodImplSpec(method, implementation), implementation);
      return router;
    },
  };
  register(router);
  return methods;
}
