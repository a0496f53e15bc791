import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeliveryOutcome } from "../../gen/keypears/v1/federation_service_pb.ts";
import { RejectionReason } from "../../gen/keypears/v1/share_service_pb.ts";
import { createPerson, type Person, seal, startNode, stranger, type TestNode } from "./node.ts";
import { refusal } from "./refusal.ts";

let node: TestNode;
let alice: Person;
let bob: Person;
beforeAll(async () => {
  node = await startNode({ limits: { maxDeliveryEnvelopes: 4 } });
  alice = await createPerson(node, "alice@acme.test");
  bob = await createPerson(node, "bob@acme.test");
});
afterAll(() => node.close());

describe("a delivery", () => {
  it("of more envelopes than a request may hold is refused as a whole", async () => {
    const { envelope } = seal(node, alice, bob);
    const before = node.contents();
    const refused = await refusal(node.as().federation.deliverShares({ envelopes: Array(5).fill(envelope) }));
    expect(refused).toMatchObject({ code: "InvalidArgument", reason: "FIELD_INVALID", field: "envelopes" });
    expect(node.contents()).toBe(before);
  });

  it("for a domain that is hosted elsewhere is refused as a whole", async () => {
    const here = seal(node, alice, bob).envelope;
    const elsewhere = seal(node, alice, stranger("bob@partner.test", node)).envelope;
    const before = node.contents();
    const refused = await refusal(node.as().federation.deliverShares({ envelopes: [here, elsewhere] }));
    expect(refused).toMatchObject({ code: "FailedPrecondition", reason: "DOMAIN_NOT_HOSTED" });
    expect(node.contents()).toBe(before);
  });

  it("needs no session and answers each envelope on its own, in their order", async () => {
    const good = seal(node, alice, bob);
    const { results } = await node.as().federation.deliverShares({
      envelopes: [
        {},
        good.envelope,
        seal(node, stranger(alice.address, node), bob).envelope,
        seal(node, alice, stranger("nobody@acme.test", node)).envelope,
      ],
    });
    expect(results).toMatchObject([
      { outcome: DeliveryOutcome.REJECTED, rejectionReason: RejectionReason.MALFORMED },
      { outcome: DeliveryOutcome.ACCEPTED, shareId: good.shareId },
      { outcome: DeliveryOutcome.REJECTED, rejectionReason: RejectionReason.BAD_SIGNATURE },
      { outcome: DeliveryOutcome.REJECTED, rejectionReason: RejectionReason.UNKNOWN_RECIPIENT },
    ]);
    const again = await node.as().federation.deliverShares({ envelopes: [good.envelope] });
    expect(again.results).toMatchObject([{ outcome: DeliveryOutcome.DUPLICATE }]);
  });

  it("of nothing is answered with nothing", async () => {
    expect((await node.as().federation.deliverShares({})).results).toEqual([]);
  });
});
