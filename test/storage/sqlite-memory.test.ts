import { memoryBackend } from "./fixtures.ts";
import { describeStorage } from "./suite.ts";

describeStorage("SQLite in memory", memoryBackend);
