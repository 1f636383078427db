/** The figures of `auto-fix-daemon-metrics.json`: lifetime totals, kept in the daemon's own state, and what is under way. @module */
import { confidenceOf } from "../../lib/domain/fix-confidence.js";
import type { Context } from "./rules.js";
import { HEALER_NEW, type HealerPart, type LearningPart, type RunPart } from "./state.js";

export function figuresOf(context: Context): Readonly<Record<string, unknown>> {
  const healer = context.part<HealerPart>("healer") ?? HEALER_NEW;
  const { settings } = context.policy();
  const runs = [...context.partsWith<RunPart>("run:").values()];
  return {
    dry_run: settings.dry_run,
    ...healer.totals,
    fixes_pending: runs.filter((run) => run.phase === "pending").length,
    fixes_under_way: Object.keys(healer.open).length,
    stopped_itself: healer.tripped_at_ms !== null,
    confidence: confidences(context),
  };
}

/** The lower bound of each fix that has verdicts, by `<fix>:<category>:<type>`. */
function confidences(context: Context): Readonly<Record<string, unknown>> {
  const nowMs = Date.now();
  const { min_samples } = context.policy().settings.learning;
  const found: Record<string, unknown> = {};
  for (const [name, part] of context.partsWith<LearningPart>("learning:")) {
    const score = [...context.partsWith<RunPart>("run:").values()].find((run) => run.learn === name)?.plan.score;
    if (score === undefined) continue;
    const { prior, effective, ineffective, bound } = confidenceOf(score, part.verdicts, nowMs, min_samples);
    found[name] = { prior, effective, ineffective, bound: Number(bound.toFixed(3)) };
  }
  return found;
}
