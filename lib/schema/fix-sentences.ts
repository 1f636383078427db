/** A sentence for each field of what auto-fix leaves and reads. @module */
import type { DescribedRecord } from "./described.js";
import { fixHistorySchema, pendingSchema, runSchema } from "./fix-records.js";
import { under } from "./worker-sentences.js";

const OF_ALL = {
  run_id: "The run; the name of its files.",
  fix_id: "The fix, or policy-<name>.",
  subject: "What it is for: a pattern, or policy-<name>@<component>.",
  scope: "The worker type or component.",
};

const DIFF = {
  diff: "What changes.",
  ...under("diff[]", { what: "The field, or a few words.", before: "Its value before.", after: "Its value after." }),
};

export const FIX_RECORDS: readonly DescribedRecord[] = [
  {
    name: "pending-fix",
    path: "auto-fix/pending/<run_id>.json",
    title: "Proposed fix",
    description: "A fix that waits for a person. To approve it, move it to approved/; to decline it, to rejected/.",
    schema: pendingSchema,
    fields: {
      ...OF_ALL,
      ...DIFF,
      why: "The pattern or the conditions, in words.",
      risk: "How much can go wrong.",
      undo: "What becomes of each action when the fix is taken back; some cannot be undone.",
      command: "The command that approves it.",
      proposed_at: "Since when it waits.",
      expires_at: "Until when; then a person is called.",
    },
  },
  {
    name: "fix-run",
    path: "auto-fix/runs/<run_id>.json",
    title: "Run of a fix",
    description: "The journal of one fix: what stood there before, what was done, and what came of it.",
    schema: runSchema,
    fields: {
      ...OF_ALL,
      ...DIFF,
      name: "The name of the fix.",
      phase: "Where it stands. watching: it has helped, and is watched to the end of its window.",
      mode: "live, or dry_run: nothing was changed.",
      message: "One sentence.",
      verdict: "Whether it has helped.",
      before: "What each action needs to take itself back.",
      undo: "What becomes of each action when the fix is taken back; some cannot be undone.",
      approved_by: "Who approved it.",
      undo_reason: "Why it was, or is being, taken back: its verdict, failed, or person and who it was.",
      started_at: "When it was decided.",
      applied_at: "When its last action was done.",
      ends_at: "When its window ends.",
      updated_at: "When this was written.",
    },
  },
  {
    name: "fix-history",
    path: "metrics/auto-fix-history.jsonl",
    title: "Fix history line",
    description: "One outcome of a fix.",
    schema: fixHistorySchema,
    fields: {
      ...OF_ALL,
      pattern_id: "The pattern.",
      result: "success, failure, inconclusive (which is no success), undone, or refused.",
      verdict: "effective, ineffective or inconclusive; else why it was refused.",
      mode: "live, or dry_run.",
      timestamp: "When, to the second.",
      at_ms: "When, in milliseconds.",
      before: "Values before.",
      after: "Values after.",
      message: "One sentence.",
    },
  },
];
