/** Words that auto-fix shares with its files. Types only. @module */
export type { FixVerdict, RunPhase } from "../../lib/schema/fix-records.js";
export type { Risk } from "../../lib/schema/fix-registry.js";
