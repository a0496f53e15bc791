/** Looking a key set up in storage: every address once, so that no answer is at hand from the time before. */

import { randomInt } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { KeySetView } from "../../gen/keypears/v1/key_set_pb.ts";
import { GetKeySetRequestSchema } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { fillAccounts, filledAddress } from "./accounts.ts";
import type { Call, Operation } from "./operation.ts";

/** Over 1,000 and 1,000,000 accounts. */
export const getKeySet: Operation = {
  name: "get-key-set",
  stored: "accounts",
  few: 1_000,
  many: 1_000_000,
  warmUpCalls: 3_000,
  fill: fillAccounts,
  calls: (count, times) => Array.from(distinct(times, count), lookUp),
};

function lookUp(number: number): Call {
  const request = create(GetKeySetRequestSchema, { address: filledAddress(number), view: KeySetView.BODY });
  return {
    path: "/keypears.v1.KeySetService/GetKeySet",
    message: toBinary(GetKeySetRequestSchema, request),
  };
}

/** So many different numbers from 1 to `count`, in no order. */
function distinct(wanted: number, count: number): Iterable<number> {
  const numbers = new Set<number>();
  while (numbers.size < wanted) numbers.add(randomInt(1, count + 1));
  return numbers;
}
