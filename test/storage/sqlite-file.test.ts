import { fileBackend } from "./fixtures.ts";
import { describeStorage } from "./suite.ts";

describeStorage("SQLite in a file", fileBackend);
