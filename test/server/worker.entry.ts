// A worker whose streams look for news themselves so rarely that a test would not see it: what they tell, hints told them.

import { runWorker } from "../../src/server/workers/worker.ts";

runWorker({ watchPollMs: 3_600_000 });
