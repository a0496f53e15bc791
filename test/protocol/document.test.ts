import { readFileSync } from "node:fs";
import { type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { AccountService } from "../../gen/keypears/v1/account_service_pb.ts";
import { file_keypears_v1_audit } from "../../gen/keypears/v1/audit_pb.ts";
import { file_keypears_v1_contact_book } from "../../gen/keypears/v1/contact_book_pb.ts";
import { DiscoveryService, ServerLimitsSchema } from "../../gen/keypears/v1/discovery_service_pb.ts";
import { file_keypears_v1_domain } from "../../gen/keypears/v1/domain_pb.ts";
import { DomainService } from "../../gen/keypears/v1/domain_service_pb.ts";
import { file_keypears_v1_envelope } from "../../gen/keypears/v1/envelope_pb.ts";
import {
  DeliveryOutcome,
  DeliveryOutcomeSchema,
  FederationService,
} from "../../gen/keypears/v1/federation_service_pb.ts";
import { HashService } from "../../gen/keypears/v1/hash_service_pb.ts";
import { file_keypears_v1_key_set } from "../../gen/keypears/v1/key_set_pb.ts";
import { KeySetService } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { RejectionReasonSchema, ShareService } from "../../gen/keypears/v1/share_service_pb.ts";
import { loadConfig } from "../../src/config.ts";
import { CHALLENGE_LIFETIME_MS } from "../../src/crypto/challenge.ts";
import { DERIVATION_CONTEXT, SEALING_LABEL, SIGNATURE_CONTEXT } from "../../src/crypto/contexts.ts";
import * as stamp from "../../src/crypto/stamp.ts";
import { DOMAIN_CHECKS } from "../../src/protocol/domain-check.ts";
import * as limits from "../../src/protocol/limits.ts";
import { MAX_PAYLOAD_BYTES } from "../../src/protocol/payload.ts";
import { REASONS } from "../../src/protocol/reasons.ts";
import { SERVICES } from "../../src/services/index.ts";

const document = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");

/** The text of a section, from its heading to the next one of the same or a higher rank. */
function section(heading: string): string {
  const start = document.indexOf(`\n${heading}\n`);
  if (start < 0) throw new Error(`the document has no section ${heading}`);
  const rank = heading.indexOf(" ");
  const rest = document.slice(start + heading.length + 2);
  const end = rest.search(new RegExp(`^#{1,${rank}} `, "m"));
  return end < 0 ? rest : rest.slice(0, end);
}

/** The rows of tables whose first cell is code, as cells without backticks. */
function rows(text: string): string[][] {
  return [...text.matchAll(/^ *\| (`[^|]+.*) \|$/gm)].map(([, row = ""]) =>
    row.split(/ *(?<!\\)\| */).map((cell) => cell.replaceAll("`", "").trim()),
  );
}

/** The numbers in section 10 whose names match. */
function listedLimits(names: RegExp): Record<string, number> {
  const listed = rows(section("## 10 Limits")).filter(([name = ""]) => names.test(name));
  return Object.fromEntries(
    listed.map(([name, value = ""]) => [name, Number(value.replace(/ .*/, "").replaceAll(",", ""))]),
  );
}

/** How a method's kind is written behind its name. */
const KINDS = {
  unary: "",
  server_streaming: " (server stream)",
  client_streaming: " (client stream)",
  bidi_streaming: " (streams both ways)",
};

describe("the protocol document", () => {
  it("lists every reason of an error with its code, and no other", () => {
    const listed = rows(section("## 9 Errors")).map(([reason, code]) => [reason, code]);
    expect(Object.fromEntries(listed)).toEqual(REASONS);
    expect(listed).toHaveLength(Object.keys(REASONS).length);
  });

  it("lists every reason for which an envelope is rejected, with its number", () => {
    const listed = rows(section("### 6.3 Delivery")).filter(([name]) =>
      name?.startsWith("REJECTION_REASON_"),
    );
    const known = RejectionReasonSchema.values.filter((value) => value.number !== 0);
    expect(listed.map(([name, number]) => [name, Number(number)])).toEqual(
      known.map((value) => [value.name, value.number]),
    );
  });

  it("lists every outcome of a delivery, with its number", () => {
    const text = section("### 6.3 Delivery");
    for (const { name, number } of DeliveryOutcomeSchema.values) {
      if (number !== DeliveryOutcome.UNSPECIFIED) expect(text).toContain(`\`${name}\` (${number})`);
    }
  });

  it("lists every context string that is in use, and no other", () => {
    const listed = rows(section("### Context strings")).map(([string]) => string);
    const used = [SIGNATURE_CONTEXT, SEALING_LABEL, DERIVATION_CONTEXT].flatMap((each) =>
      Object.values(each),
    );
    expect(listed.toSorted()).toEqual(used.toSorted());
  });

  it("names every limit with the value that the code has", () => {
    expect(listedLimits(/^[A-Z]/)).toEqual({ ...limits });
    expect(document).toContain(MAX_PAYLOAD_BYTES.toLocaleString("en-US"));
    expect(document).toContain(`lasts ${CHALLENGE_LIFETIME_MS / 60_000} minutes`);
  });

  it("names every limit that a node tells, with the value that it has where the operator sets none", () => {
    const defaults = loadConfig({ flags: { domain: "acme.example", database: "sqlite:node.sqlite" } }).limits;
    const told = ServerLimitsSchema.fields.map(({ name, localName }) => [
      name,
      defaults[localName as keyof typeof defaults],
    ]);
    expect(listedLimits(/^[a-z]/)).toEqual(Object.fromEntries(told));
  });

  it("gives the messages that are hashed, signed or sealed with the fields that they have", () => {
    const declared = new Map(
      [
        file_keypears_v1_domain,
        file_keypears_v1_audit,
        file_keypears_v1_key_set,
        file_keypears_v1_envelope,
        file_keypears_v1_contact_book,
      ].flatMap((file) => file.messages.map((message) => [message.name, fieldsOf(message)] as const)),
    );
    const shown = [...document.matchAll(/^message (\w+) \{\n(.*?)^\}/gms)].map(([, name = "", body = ""]) => {
      const fields = [...body.matchAll(/^ +(?:(repeated) )?(\w+) (\w+) = (\d+);/gm)];
      return [
        name,
        fields.map(([, list, type, field, number]) => [field, Number(number), type, list === "repeated"]),
      ];
    });
    expect(shown.map(([name]) => name).toSorted()).toEqual(
      [...declared.keys()].filter((name) => name !== "SealedKeySet").toSorted(),
    );
    for (const [name, fields] of shown) expect([name, fields]).toEqual([name, declared.get(name as string)]);
  });

  it("lists every method of the standard services", () => {
    const standard = SERVICES.filter(({ typeName }) => !typeName.startsWith("keypears."));
    const known = standard.flatMap(({ typeName, methods }) =>
      methods.map(({ name, methodKind }) => `${typeName}/${name}${KINDS[methodKind]}`),
    );
    expect(
      rows(section("### Standard services"))
        .map(([name]) => name)
        .toSorted(),
    ).toEqual(known.toSorted());
  });

  it("lists every method, whether it can be called by GET, and whether it takes a request id", () => {
    const services = [
      DiscoveryService,
      KeySetService,
      AccountService,
      ShareService,
      DomainService,
      FederationService,
      HashService,
    ];
    const known = services.flatMap((service) =>
      service.methods.map((method) => [
        `${service.name}/${method.name}${KINDS[method.methodKind]}`,
        method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS ? "GET" : "",
        method.input.fields.some(({ name }) => name === "request_id") ? "yes" : "",
      ]),
    );
    const listed = rows(section("## 11 Calls")).filter(([name]) => name?.includes("Service/"));
    expect(listed.map(([name, , get, requestId]) => [name, get, requestId])).toEqual(known);
  });

  it("links only to headings that there are", () => {
    const slugs = [...document.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    );
    for (const [, slug] of document.matchAll(/\]\(#([^)]*)\)/g)) expect(slugs).toContain(slug);
  });
});

describe("the table of checks", () => {
  it("has those that the code makes, in their order", () => {
    const checks = rows(section("### 2.1 Who may host a domain")).map(([name]) => name);
    expect(checks).toEqual([...DOMAIN_CHECKS]);
  });
});

describe("the table of limits", () => {
  it("agrees with the crypto layer, which keeps its own copy of what it checks", () => {
    expect(limits.DEFAULT_STAMP_DIFFICULTY).toBe(stamp.DEFAULT_STAMP_DIFFICULTY);
    expect(limits.MAX_STAMP_DIFFICULTY).toBe(stamp.MAX_STAMP_DIFFICULTY);
  });
});

/** Name, number, type and whether it is a list, of each field. */
function fieldsOf(message: DescMessage) {
  return message.fields.map((field) => {
    const type =
      field.message?.name ??
      field.enum?.name ??
      (field.scalar === undefined ? "?" : ScalarType[field.scalar].toLowerCase());
    return [field.name, field.number, type, field.fieldKind === "list"];
  });
}
