/** What auto-fix leaves on disk: proposals that wait, the journal of each run, and one history line for each outcome. @module */
import { z } from "zod";
import { instantSchema } from "./primitives.js";

export const RUN_PHASES = ["pending", "preparing", "applying", "verifying", "watching", "undoing", "done"] as const;
export type RunPhase = (typeof RUN_PHASES)[number];
export const VERDICTS = ["effective", "ineffective", "inconclusive"] as const;
export type FixVerdict = (typeof VERDICTS)[number];

/** One change, as people are shown it. */
const diffSchema = z.looseObject({ what: z.string(), before: z.unknown(), after: z.unknown() });

export const pendingSchema = z.looseObject({
  run_id: z.string(),
  fix_id: z.string(),
  subject: z.string(),
  scope: z.string(),
  why: z.string(),
  diff: z.array(diffSchema),
  risk: z.string(),
  undo: z.array(z.string()).optional(),
  command: z.string(),
  proposed_at: instantSchema,
  expires_at: instantSchema,
});
export type PendingRecord = z.infer<typeof pendingSchema>;

/** What a person puts into `approved/`, `rejected/` or `undo/`: the proposal that was moved, or `{}`. */
export const answerSchema = z.looseObject({ by: z.unknown().optional() });

export const runSchema = z.looseObject({
  run_id: z.string(),
  fix_id: z.string(),
  name: z.string(),
  subject: z.string(),
  scope: z.string(),
  phase: z.enum(RUN_PHASES),
  mode: z.enum(["live", "dry_run"]),
  message: z.string(),
  verdict: z.enum(VERDICTS).nullish(),
  diff: z.array(diffSchema),
  before: z.array(z.unknown()),
  undo: z.array(z.string()).optional(),
  approved_by: z.string().nullish(),
  undo_reason: z.string().nullish(),
  started_at: instantSchema,
  applied_at: instantSchema.nullish(),
  ends_at: instantSchema.nullish(),
  updated_at: instantSchema,
});
export type RunRecord = z.infer<typeof runSchema>;

export const fixHistorySchema = z.looseObject({
  run_id: z.string(),
  fix_id: z.string(),
  pattern_id: z.string().nullish(),
  scope: z.string(),
  subject: z.string(),
  result: z.enum(["success", "failure", "inconclusive", "undone", "refused"]),
  verdict: z.string().nullish(),
  mode: z.enum(["live", "dry_run"]),
  timestamp: instantSchema,
  at_ms: z.number(),
  before: z.unknown(),
  after: z.unknown(),
  message: z.string(),
});
export type FixHistory = z.infer<typeof fixHistorySchema>;
