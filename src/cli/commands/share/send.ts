/** `keypears share send` */

import { setTimeout as delay } from "node:timers/promises";
import { toJson } from "@bufbuild/protobuf";
import { DeliveryStatusSchema } from "../../../../gen/keypears/v1/share_service_pb.ts";
import type { Account } from "../../../client/account.ts";
import type { DeliveryStatus, SentShare, ShareContent } from "../../../client/shares.ts";
import { DELIVERY_WINDOW_MS } from "../../../protocol/limits.ts";
import { withAccount } from "../../account.ts";
import { type CommandContext, note, printResult, type Run } from "../../context.ts";
import { type Delivery, describeDelivery, isFinal, readDelivery, remedyFor } from "../../delivery.ts";
import { parseDuration, showTime } from "../../duration.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError } from "../../failure.ts";
import type { JsonDelivery } from "../../node-shares.ts";
import { withProgress } from "../../progress.ts";
import { SHOWN_DIGITS } from "../../share-id.ts";
import { visible, visibleAddress } from "../../visible.ts";
import { DOTENV, readContent, variableNames } from "./content.ts";

const WAIT_MS = 5_000;
const POLL_MS = 100;
/** Rejections that pass when the share is sealed again, to the keys and with the stamp of now. */
const WORTH_ANOTHER_TRY: ReadonlySet<string | null> = new Set(["KEY_RETIRED", "STAMP_REQUIRED"]);

/** Sends a share, and waits a moment for its delivery. */
export const run: Run = async (context, [to, fields], options) => {
  const { parseAddress } = await import("../../../protocol/address.ts");
  const recipient = parseAddress(String(to)).canonical;
  const expires = options.expires;
  const expiresAt =
    typeof expires === "string" ? Date.now() + parseDuration("--expires", expires, "365d") : undefined;
  const content = await readContent(context, Array.isArray(fields) ? fields.map(String) : [], options);

  const { sent, delivery } = await withAccount(context, async (account) => {
    const label = `sealing for ${recipient}`;
    let share = await withProgress(context, label, (work) =>
      account.shares.send(recipient, content, { ...work, ...(expiresAt !== undefined && { expiresAt }) }),
    );
    let state = await settle(context, account, share, options.wait !== false);
    if (state.state === "rejected" && WORTH_ANOTHER_TRY.has(state.rejectionReason)) {
      const { shareId } = share;
      share = await withProgress(context, label, (work) => account.shares.sendAgain(shareId, work));
      state = await settle(context, account, share, options.wait !== false);
    }
    return { sent: share, delivery: state };
  });

  const id = Buffer.from(sent.shareId).toString("hex");
  if (delivery.state === "rejected" || delivery.state === "failed" || delivery.state === "cancelled") {
    const message = `the share ${id.slice(0, SHOWN_DIGITS)} was not delivered: ${describeDelivery(delivery)}`;
    const reason = delivery.rejectionReason ?? `SHARE_${delivery.state.toUpperCase()}`;
    throw new CliError(reason, EXIT.refused, message, remedyFor(delivery));
  }
  const shown = await visibleAddress(sent.recipient);
  if (sent.standing === "new") {
    note(context, `first share to ${shown}: compare this fingerprint with theirs (keypears keys show)`);
    note(context, `  ${sent.recipientFingerprint}`);
  }
  const until = Math.min(expiresAt ?? Number.POSITIVE_INFINITY, Date.now() + DELIVERY_WINDOW_MS);
  printResult(
    context,
    {
      id,
      recipient: sent.recipient,
      delivery,
      standing: sent.standing,
      recipientFingerprint: sent.recipientFingerprint,
      expiresAt: expiresAt ?? null,
      content: outline(content),
    },
    [
      `${id.slice(0, SHOWN_DIGITS)}  ${describe(content)} to ${shown}: ${describeDelivery(delivery, until)}`,
      ...(expiresAt === undefined ? [] : [`  ends ${showTime(expiresAt)}`]),
    ].join("\n"),
  );
};

/** Waits for the delivery's end, for a few seconds and if that is wanted. */
async function settle(
  { signal }: CommandContext,
  account: Account,
  { shareId, delivery }: SentShare,
  wait: boolean,
): Promise<Delivery> {
  let current = fromMessage(delivery ?? (await account.shares.status(shareId)));
  const until = Date.now() + WAIT_MS;
  while (wait && !isFinal(current) && Date.now() < until) {
    await delay(POLL_MS, undefined, { signal });
    current = fromMessage(await account.shares.status(shareId));
  }
  return current;
}

function fromMessage(status: DeliveryStatus): Delivery {
  return readDelivery(toJson(DeliveryStatusSchema, status) as JsonDelivery);
}

/** What was sent, without its secrets. */
function outline(content: ShareContent): Record<string, unknown> {
  switch (content.kind) {
    case "text":
      return { kind: "text" };
    case "secret":
      return { kind: "secret", name: content.name, fields: content.fields.map(({ name }) => name) };
    case "file":
      return {
        kind: "file",
        name: content.name,
        mediaType: content.mediaType,
        bytes: content.content.length,
        ...(content.mediaType === DOTENV && { variables: variableNames(content.content) }),
      };
  }
}

function describe(content: ShareContent): string {
  switch (content.kind) {
    case "text":
      return "a text";
    case "secret":
      return content.fields.map(({ name }) => visible(name)).join(", ");
    case "file": {
      const names =
        content.mediaType === DOTENV ? ` (${variableNames(content.content).map(visible).join(", ")})` : "";
      return `${visible(content.name)}${names}, ${content.content.length} bytes,`;
    }
  }
}
