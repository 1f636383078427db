/** The gates about the fix and its subject: whether it is meant, possible, and called for. Pure. @module */
import type { FixGate } from "../../lib/schema/catalogue.js";
import { type AskGate, appliedTo, at, own, pass } from "./gate-question.js";
import type { Slice } from "./state.js";

const HOUR_MS = 3_600_000;

type SubjectGate = Extract<
  FixGate,
  | "enabled"
  | "dry_run"
  | "host"
  | "hold"
  | "component"
  | "category"
  | "confidence"
  | "occurrences"
  | "fresh"
  | "prerequisites"
  | "precondition"
>;

export const SUBJECT_GATES: Readonly<Record<SubjectGate, AskGate>> = {
  enabled: ({ event, settings }) =>
    at(settings.enabled && event.plan.enabled, true, settings.enabled && event.plan.enabled, "it is switched off"),
  // Asked for the record: a dry run goes on to the end.
  dry_run: ({ settings }) => pass(settings.dry_run),
  host: ({ event }) => {
    const { host } = event.facts;
    return at(host, "not stopping", host !== "stopping", "the host is shutting down");
  },
  hold: ({ event }) => {
    const { hold } = event.facts;
    if (hold === null) return pass("none", "none");
    return at(
      hold.name,
      "none",
      false,
      `the hold "${hold.name}" forbids it${hold.why ? `: ${hold.why}` : ""}`,
      hold.until_ms,
    );
  },
  component: ({ event }) => {
    const { name, is_known, is_valid } = event.facts.component;
    return at(
      name,
      "known",
      is_known && is_valid,
      is_valid ? "no worker or template of it is known" : "its name is no id",
    );
  },
  category: ({ event, settings }) => {
    const category = own(settings.categories, event.plan.category);
    const why = category?.reason ?? `fixes of ${event.plan.category} are switched off`;
    return at(event.plan.category, "enabled", category?.enabled !== false, why);
  },
  confidence: ({ event, settings }) => {
    if (event.pattern === null) return pass();
    const wanted = Math.max(settings.min_confidence_threshold, event.plan.min_confidence);
    return at(
      event.pattern.confidence,
      wanted,
      event.pattern.confidence >= wanted,
      "the classification is not sure enough",
    );
  },
  occurrences: ({ event, settings }) => {
    if (event.pattern === null) return pass();
    const wanted = event.plan.min_occurrences || settings.min_pattern_occurrences;
    return at(
      event.pattern.occurrences,
      wanted,
      event.pattern.occurrences >= wanted,
      "it has not occurred often enough",
    );
  },
  fresh: (question) => {
    const { event, settings, nowMs } = question;
    const { pattern, condition } = event;
    if (condition !== null) return at(condition.holds, true, condition.holds === true, "its conditions do not hold");
    if (pattern === null) return pass();
    // What was fixed and has not come back since needs no second fix.
    const known = Math.max(0, ...appliedTo(question).map((each) => each.occurrences));
    if (pattern.total <= known) return at(pattern.total, known + 1, false, "it was not seen since the fix was applied");
    const age = (nowMs - pattern.last_seen_ms) / HOUR_MS;
    const value = { active: pattern.is_active, hours: Number(age.toFixed(2)) };
    const threshold = { active: true, hours: settings.max_pattern_age_hours };
    return at(
      value,
      threshold,
      pattern.is_active && age <= settings.max_pattern_age_hours,
      "it is over, long ago, or not sure enough for failure-pattern's policy",
    );
  },
  prerequisites: ({ slice, event, settings }) => {
    const missing = event.facts.prerequisites.filter((each) => !each.met).map((each) => each.what);
    const before =
      event.condition === null ? [] : turnsBefore(slice, event.condition.component, event.condition.before);
    const tried = settings.undo.max_attempts;
    const rungs = event.condition === null ? [] : triedOn(slice, event.condition.component);
    const isTried = event.condition !== null && rungs.includes(event.condition.policy);
    const all = [
      ...missing,
      ...(isTried ? ["it was tried, and its conditions still hold"] : []),
      ...before.map((name) => `${name} comes first`),
      ...(tried > 0 && slice.match.ineffective >= tried ? [`${slice.match.ineffective} runs did not help`] : []),
    ];
    return at(all, [], all.length === 0, all.join("; "));
  },
  precondition: ({ slice, event }) => {
    const { impossible, diff } = event.facts;
    if (impossible !== null) return at(impossible, "possible", false, impossible);
    const { run } = slice;
    const changed = run?.phase === "pending" && JSON.stringify(run.diff) !== JSON.stringify(diff);
    return at(diff, run?.diff ?? diff, !changed, "what is to be changed is not any more as it was proposed");
  },
};

/** Rungs of the ladder that come before this one and were not tried yet. */
function turnsBefore(slice: Slice, component: string, before: readonly string[]): readonly string[] {
  const tried = triedOn(slice, component);
  return before.filter((name) => !tried.includes(name));
}

const triedOn = (slice: Slice, component: string): readonly string[] => own(slice.healer.ladders, component) ?? [];
