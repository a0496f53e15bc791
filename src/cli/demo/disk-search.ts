/** Looks for secrets in files as a thief of the disk would: raw, in hex and in base64, in every file of a folder. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** A secret to look for. */
export interface Needle {
  /** What it is, for the report; never the secret itself. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A secret that was found. */
export interface Finding {
  readonly needle: string;
  readonly file: string;
}

/** A shorter run of bytes can stand anywhere by chance. */
const MIN_NEEDLE_BYTES = 6;

/** Searches every file below `folder` for every needle in each of its spellings. */
export async function searchDisk(folder: string, needles: readonly Needle[]): Promise<Finding[]> {
  const spelled = needles
    .filter(({ bytes }) => bytes.length >= MIN_NEEDLE_BYTES)
    .flatMap(({ name, bytes }) => spellings(Buffer.from(bytes)).map((spelling) => ({ name, spelling })));
  const findings: Finding[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const content = await readFile(join(entry.parentPath, entry.name));
    for (const { name, spelling } of spelled) {
      if (content.includes(spelling)) findings.push({ needle: name, file: entry.name });
    }
  }
  return findings;
}

/** Base64 depends on where in a group of three a byte falls, so the part that does not is looked for at each offset. */
function spellings(bytes: Buffer): Buffer[] {
  const hex = bytes.toString("hex");
  const base64 = [0, 1, 2].flatMap((offset) => {
    const whole = Buffer.concat([Buffer.alloc(offset), bytes]).subarray(offset === 0 ? 0 : 3);
    const inner = whole.subarray(0, whole.length - (whole.length % 3));
    return inner.length < MIN_NEEDLE_BYTES ? [] : [inner.toString("base64"), inner.toString("base64url")];
  });
  return [bytes, ...[hex, hex.toUpperCase(), ...base64].map((text) => Buffer.from(text))];
}
