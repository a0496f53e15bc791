/** Loaded before the tool by tests: writes the URLs of all modules that it loads to the file in RECORDED_MODULES. */

import { writeFileSync } from "node:fs";
import { registerHooks } from "node:module";

const urls: string[] = [];
registerHooks({
  load(url, context, next) {
    urls.push(url);
    return next(url, context);
  },
});
process.on("exit", () => writeFileSync(process.env.RECORDED_MODULES ?? "", urls.join("\n")));
