// Runs in the browser: what src/protocol/address.ts makes of every address vector there.

import { parseAddress } from "../../src/protocol/address.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import vectors from "../protocol/address-vectors.json" with { type: "json" };
import { loneSurrogates } from "../protocol/lone-surrogates.ts";

export interface AddressOutcome {
  readonly name: string;
  readonly canonical?: string;
  readonly error?: string;
  readonly message?: string;
}

export default function run(): AddressOutcome[] {
  return [...vectors.refused, ...loneSurrogates, ...vectors.accepted].map(({ name, input }) => {
    try {
      return { name, canonical: parseAddress(input).canonical };
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return { name, error: error.reason, message: error.message };
    }
  });
}
