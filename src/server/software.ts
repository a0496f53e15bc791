/** What this program calls itself towards others. */

import { readFileSync } from "node:fs";

const { name, version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

/** Name and version, such as "keypears-node/0.1.0". */
export const SOFTWARE = `${name}/${version}`;
