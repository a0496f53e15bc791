/** DiscoveryService (docs/protocol.md, sections 2 and 10): what this node is, and where a domain lives. Both in bytes. */

import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type DiscoveryService,
  type GetServerInfoRequest,
  GetServerInfoResponseSchema,
  RegistrationMode,
  type ResolveDomainRequest,
  ResolveDomainResponseSchema,
} from "../../gen/keypears/v1/discovery_service_pb.ts";
import { concat, utf8 } from "../crypto/index.ts";
import type { ResolvedDomain } from "../federation/resolver.ts";
import { canonicalDomain } from "../protocol/domain.ts";
import { parseAuthorizationBody } from "../protocol/domain-authorization.ts";
import { buildDomainProof, DOMAIN_PROOF_NONCE_LENGTH } from "../protocol/domain-proof.ts";
import { callerKey, requireSession, type ServiceContext } from "./context.ts";
import { authorizedKey, readConsent } from "./domain-consents.ts";
import { answeredInBytes, type EncodedAnswer } from "./encoded-answer.ts";
import { encodedMessage } from "./encoded-message.ts";
import { serviceError } from "./errors.ts";
import { bytesField, readField } from "./fields.ts";

/** The versions of the protocol that this node speaks. */
const PROTOCOL_VERSIONS = [1];
/** The one says what time it is, the other is for the caller alone. */
const CACHE_CONTROL = "no-store";

/** Makes the service. */
export function createDiscoveryService(context: ServiceContext): ServiceImpl<typeof DiscoveryService> {
  const serverInfo = serverInfoAnswers(context);
  const { stores, clock, nodeKeys } = context;
  const apiUrlOptions = { allowInsecure: context.development };
  const domainAnswers = new WeakMap<ResolvedDomain, EncodedAnswer>();
  return {
    getServerInfo: answeredInBytes(GetServerInfoResponseSchema, (_request: GetServerInfoRequest) =>
      serverInfo(context.clock()),
    ),

    resolveDomain: answeredInBytes(
      ResolveDomainResponseSchema,
      async (request: ResolveDomainRequest, call) => {
        const { account } = requireSession(call);
        const domain = readField("domain", () => canonicalDomain(request.domain));
        await context.spend("lookup", `account:${account.id}`);
        const source = call.values.get(callerKey).connectionId;
        const resolved = await context.resolver.resolve(domain, { source });
        // The resolver answers with the same object until the document is fetched again.
        const answer = domainAnswers.get(resolved) ?? domainAnswer(resolved);
        domainAnswers.set(resolved, answer);
        return answer;
      },
    ),

    async proveDomain(request, call) {
      const domain = readField("domain", () => canonicalDomain(request.domain));
      const nonce = bytesField("nonce", request.nonce, DOMAIN_PROOF_NONCE_LENGTH);
      await context.spend("proof-source", `prefix:${call.values.get(callerKey).sourcePrefix}`);
      const record = await stores.domains.get(domain);
      if (record?.state !== "ACTIVE") {
        throw serviceError("DOMAIN_UNPROVEN", `${domain}: this node has no consent of its owner that holds`, {
          metadata: { domain },
        });
      }
      // Only what can be answered counts: nobody uses it up by asking for domains that are not here.
      await context.spend("proof", "host");
      const consent = readConsent(record);
      const terms = parseAuthorizationBody(consent.authorization.body, apiUrlOptions);
      const key = authorizedKey(terms, await nodeKeys.present());
      return { proof: buildDomainProof(consent, key, nonce, clock(), apiUrlOptions) };
    },

    async getNodeKeys(_request, call) {
      await context.spend("lookup", `prefix:${call.values.get(callerKey).sourcePrefix}`);
      const { current, next } = await nodeKeys.present();
      return {
        nodePublicKey: current.publicKey,
        nextNodePublicKey: next?.publicKey ?? new Uint8Array(),
        nextFrom: BigInt(next?.activeFrom ?? 0),
      };
    },
  };
}

/** All of the description but the time is encoded once. The time is its last field, and goes to the end of the bytes. */
function serverInfoAnswers(context: ServiceContext): (now: number) => EncodedAnswer {
  const { limits } = context;
  const lasting = create(GetServerInfoResponseSchema, {
    software: context.software,
    protocolVersions: PROTOCOL_VERSIONS,
    development: context.development,
    limits: { ...limits, maxAccountBytes: BigInt(limits.maxAccountBytes) },
    registrationMode: context.registrationOpen ? RegistrationMode.OPEN : RegistrationMode.CLOSED,
  });
  const proto = toBinary(GetServerInfoResponseSchema, lasting);
  const openJson = toJsonString(GetServerInfoResponseSchema, lasting).slice(0, -"}".length);
  const { number, jsonName } = GetServerInfoResponseSchema.field.serverTime;
  const writer = new BinaryWriter();

  return (now) => {
    const time = writer.tag(number, WireType.Varint).uint64(now).finish();
    return encodedMessage(GetServerInfoResponseSchema, concat(proto, time), {
      cacheControl: CACHE_CONTROL,
      // Less than a kilobyte, and never twice the same.
      compressible: [],
      json: () => utf8(`${openJson},"${jsonName}":"${now}"}`),
    });
  };
}

function domainAnswer(resolved: ResolvedDomain): EncodedAnswer {
  const message = create(ResolveDomainResponseSchema, {
    domain: resolved.domain,
    apiUrl: resolved.apiUrl.href,
    documentVersion: resolved.documentVersion,
    fetchedAt: BigInt(resolved.fetchedAt),
    freshUntil: BigInt(resolved.freshUntil),
    tlsGroup: resolved.tlsGroup,
    proven: resolved.proof === "proven",
  });
  return encodedMessage(ResolveDomainResponseSchema, toBinary(ResolveDomainResponseSchema, message), {
    cacheControl: CACHE_CONTROL,
    compressible: [],
  });
}
