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

/** The gates of a fix, in the fixed order in which they are asked, each with its sentence. */
export const FIX_GATES = {
  enabled: "auto-fix is enabled, and so is the fix",
  dry_run: "whether anything is changed, or only decided and written down",
  hold: "no hold forbids fixes",
  component: "the component is known and named validly",
  category: "the category of the fix is enabled",
  confidence: "the pattern's classification is sure enough",
  occurrences: "the pattern has occurred often enough",
  fresh: "the pattern is active and was seen lately",
  prerequisites: "what the fix itself requires is so",
  precondition: "what is to be changed is there, and as it was proposed",
  cooldown: "the same fix was not applied to the same subject a moment ago",
  limit_fix: "the fix was not applied too often",
  limit_target: "the worker type or component was not fixed too often within a day",
  limit_worker_type: "the worker type was not fixed more often than the policy has for it",
  limit_category: "the category was not used too often",
  limit_hour: "there were not too many fixes within an hour",
  limit_day: "there were not too many fixes within a day",
  concurrency: "not too many fixes are under way",
  blast_radius: "not too large a part of the fleet is touched within an hour",
  memory_commit: "the memory limits of all workers fit into the host",
  breaker: "the healer's own fixes have helped",
  turn: "no fix that goes nearer to the cause is still to be tried on the same target",
  in_window: "no other fix is being verified on the same target",
  safety_band: "the fix is trusted enough",
  approval: "nobody needs to be asked, or a person has approved",
  quiet_moment: "what a forecast has planned meets a quiet moment, or cannot wait for one any longer",
} as const;
export type FixGate = keyof typeof FIX_GATES;
