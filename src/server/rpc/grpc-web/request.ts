/** gRPC-Web: the one message in a request's body, as in gRPC. */

export { openEnvelope as openBody } from "../envelope.ts";
