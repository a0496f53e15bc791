import { gunzipSync } from "node:zlib";
import { create, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KeySetResultSchema } from "../../gen/keypears/v1/key_set_service_pb.ts";
import { fromUtf8, randomBytes, utf8 } from "../../src/crypto/index.ts";
import { type EncodedMessageOptions, encodedMessage } from "../../src/services/encoded-message.ts";

const OPTIONS: EncodedMessageOptions = { cacheControl: "no-cache", compressible: ["proto", "json"] };

function withBody(body: Uint8Array): MessageInitShape<typeof KeySetResultSchema> {
  return { result: { case: "published", value: { keySet: { body }, activeNumber: 7, supersededAt: 9n } } };
}

function encoded(init: MessageInitShape<typeof KeySetResultSchema>, options = OPTIONS) {
  const message = create(KeySetResultSchema, init);
  const proto = toBinary(KeySetResultSchema, message);
  return { message, proto, answer: encodedMessage(KeySetResultSchema, proto, options) };
}

describe("an encoded message", () => {
  it("is the bytes that it was made of, and the JSON that the message would be", () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(bytes, fc.string({ unit: "binary" }), fc.boolean(), (body, text, fails) => {
        const failure = {
          result: { case: "error", value: { reason: "X", message: text.toWellFormed() } },
        } as const;
        const { message, proto, answer } = encoded(fails ? failure : withBody(body));
        expect(answer.bytes("proto")).toEqual(proto);
        expect(fromUtf8(answer.bytes("json"))).toBe(toJsonString(KeySetResultSchema, message));
      }),
    );
  });

  it("makes everything once", async () => {
    let made = 0;
    const json = () => {
      made += 1;
      return utf8(JSON.stringify("x".repeat(2_000)));
    };
    const { answer } = encoded(withBody(new Uint8Array(2_000)), { ...OPTIONS, json });
    expect(answer.bytes("json")).toBe(answer.bytes("json"));
    expect(await answer.gzip("json")).toBe(await answer.gzip("json"));
    expect(made).toBe(1);
  });

  it("says how many bytes it holds, each time that there are more", async () => {
    const told: number[] = [];
    const onGrowth = () => told.push(answer.heldBytes);
    const { answer, proto } = encoded(withBody(new Uint8Array(2_000)), { ...OPTIONS, onGrowth });
    expect(answer.heldBytes).toBe(proto.length);
    const json = answer.bytes("json").length;
    const gzip = (await answer.gzip("json"))?.length ?? 0;
    answer.entityTag("json");
    answer.bytes("proto");
    expect(told).toEqual([proto.length + json, proto.length + json + gzip]);
  });
});

describe("gzip of an encoded message", () => {
  it("gives back the same", async () => {
    const { answer } = encoded(withBody(new Uint8Array(2_000)));
    for (const encoding of ["proto", "json"] as const) {
      const shorter = await answer.gzip(encoding);
      expect(shorter && new Uint8Array(gunzipSync(shorter))).toEqual(answer.bytes(encoding));
    }
  });

  it("holds no more memory than its own bytes", async () => {
    const shorter = await encoded(withBody(new Uint8Array(2_000))).answer.gzip("proto");
    expect(shorter?.buffer.byteLength).toBe(shorter?.length);
  });

  it("is not made of what is short, what it would hardly shorten, and what it is told not to try", async () => {
    expect(await encoded(withBody(new Uint8Array(900))).answer.gzip("proto")).toBeUndefined();
    expect(await encoded(withBody(randomBytes(4_000))).answer.gzip("proto")).toBeUndefined();
    expect(await encoded(withBody(randomBytes(4_000))).answer.gzip("json")).toBeDefined();
    const { answer } = encoded(withBody(new Uint8Array(4_000)), { ...OPTIONS, compressible: ["proto"] });
    expect(await answer.gzip("json")).toBeUndefined();
    expect(await answer.gzip("proto")).toBeDefined();
  });
});

describe("the entity tag of an encoded message", () => {
  it("is a strong one, the same for the same bytes alone", () => {
    const body = randomBytes(100);
    const tag = encoded(withBody(body)).answer.entityTag("proto");
    expect(tag).toMatch(/^"[0-9a-f]{32}"$/);
    expect(encoded(withBody(body)).answer.entityTag("proto")).toBe(tag);
    expect(encoded(withBody(body)).answer.entityTag("json")).not.toBe(tag);
    expect(encoded(withBody(randomBytes(100))).answer.entityTag("proto")).not.toBe(tag);
  });
});
