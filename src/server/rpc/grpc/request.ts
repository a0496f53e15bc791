/** gRPC: the one message in a request's body ("Request → … *Length-Prefixed-Message EOS" in PROTOCOL-HTTP2.md). */

export { openEnvelope as openBody } from "../envelope.ts";
