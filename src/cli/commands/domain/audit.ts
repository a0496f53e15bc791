/** `keypears domain audit` */

import { fromBase64, toHex } from "../../../crypto/index.ts";
import { readAuditRecord, requireAuditOrder } from "../../../protocol/audit-record.ts";
import { ProtocolError } from "../../../protocol/errors.ts";
import { printResult, type Run } from "../../context.ts";
import { showTime } from "../../duration.ts";
import { EXIT } from "../../exit-codes.ts";
import { CliError, usageError } from "../../failure.ts";
import { withOwnNode } from "../../node-call.ts";
import { visible } from "../../visible.ts";
import { domainArgument, listAll } from "./hosted.ts";

/** keypears.v1.AuditRecord in JSON. */
interface JsonAuditRecord {
  readonly body: string;
  readonly hash: string;
}

const HASH = /^[0-9a-f]{64}$/;

/**
 * Prints the log of a domain, oldest first, and verifies that each record follows the one before. With the hash of a record
 * that was seen earlier, also that this one is still among them: a node could have written the log anew.
 */
export const run: Run = async (context, [text], options) => {
  const domain = domainArgument(text);
  const seen = options.seen === undefined ? undefined : String(options.seen).toLowerCase();
  if (seen !== undefined && !HASH.test(seen)) throw usageError("--seen must be a hash of 64 hex digits");
  const newestFirst = await withOwnNode(context, (node) =>
    listAll<JsonAuditRecord>(node, "ListAuditRecords", "records", { domain }),
  );
  const records = verified(
    domain,
    newestFirst.toReversed().map(({ body, hash }) => ({ body: fromBase64(body), hash: fromBase64(hash) })),
  );
  if (seen !== undefined && !records.some(({ hash }) => toHex(hash) === seen)) {
    throw broken("audit log: the record with the hash that you saw is not in it any more");
  }
  const last = records.at(-1);
  const lines = records.map(({ body: { sequence, time, actor, action, subject } }) =>
    [
      String(sequence).padStart(6),
      showTime(Number(time)),
      action,
      visible(subject),
      actor === "" ? "by the node" : `by ${visible(actor)}`,
    ].join("  "),
  );
  lines.push(`${records.length} records, each follows the one before`);
  if (last) lines.push(`the last one's hash, to be given to --seen later: ${toHex(last.hash)}`);
  printResult(
    context,
    {
      domain,
      verified: true,
      lastHash: last ? toHex(last.hash) : null,
      records: records.map(({ body, hash }) => ({
        sequence: Number(body.sequence),
        time: Number(body.time),
        actor: body.actor,
        action: body.action,
        subject: body.subject,
        hash: toHex(hash),
      })),
    },
    lines.join("\n"),
  );
};

/** Records in their order, read and held against each other. */
function verified(
  domain: string,
  records: readonly { readonly body: Uint8Array; readonly hash: Uint8Array }[],
) {
  try {
    const read = records.map(({ body, hash }) => ({ body: readAuditRecord({ body, hash }, domain), hash }));
    for (const [index, { body }] of read.entries()) requireAuditOrder(read[index - 1], body);
    return read;
  } catch (error) {
    if (error instanceof ProtocolError) throw broken(error.message);
    throw error;
  }
}

function broken(message: string): CliError {
  return new CliError(
    "AUDIT_LOG_BROKEN",
    EXIT.mismatch,
    message,
    "keep what you have, and ask the node's operator",
  );
}
