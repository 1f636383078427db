/** Invariants of fixes: every match, proposal and application comes to an end that is written down. @module */
import type { RunPart } from "../../daemons/auto-fix/state.js";
import { readInstant } from "../../lib/schema/primitives.js";
import type { Facts } from "./facts.js";
import type { Found, Invariant } from "./finding.js";
import type { OpenFix } from "./stories.js";

export const FIX_INVARIANTS: readonly Invariant[] = [
  {
    name: "matches-have-outcomes",
    sentence: "Every fix that was matched is applied, proposed, suppressed with a reason, or in hand.",
    severity: "wrong",
    repair: "",
    check: (facts) =>
      overdue(facts, facts.stories.matched)
        .filter(({ runId }) => runOf(facts, runId) === null)
        .map(({ runId, fixId, subject }) => ({
          about: runId,
          message: `${fixId} was matched for ${subject}, and nothing followed`,
        })),
  },
  {
    name: "proposals-wait",
    sentence: "Every fix that was proposed waits in pending/ with an expiry, or has its answer.",
    severity: "wrong",
    repair: "",
    check: (facts) => {
      const answered = new Set([
        ...facts.answeredFixes.map(({ runId }) => runId),
        ...facts.pendingFixes.flatMap(({ value }) => value?.run_id ?? []),
      ]);
      return overdue(facts, facts.stories.pending)
        .filter(({ runId }) => !answered.has(runId) && runOf(facts, runId) === null)
        .map(({ runId, fixId }) => ({
          about: runId,
          message: `${fixId} was proposed; it neither waits nor has an answer`,
        }));
    },
  },
  {
    name: "proposals-expire",
    sentence: "No proposal outlives its expiry while auto-fix runs.",
    severity: "wrong",
    repair: "",
    check: ({ pendingFixes, running, startedAtMs, nowMs, outcomeMs }) =>
      pendingFixes.flatMap(({ shown, value }): Found[] => {
        const expiresAtMs = readInstant(value?.expires_at);
        if (expiresAtMs === null || !running.has("auto-fix")) return [];
        const sinceMs = Math.max(expiresAtMs, startedAtMs.get("auto-fix") ?? nowMs);
        if (nowMs - sinceMs <= outcomeMs) return [];
        return [{ about: shown, message: `expired at ${String(value?.expires_at)}, and still waits` }];
      }),
  },
  {
    name: "expiry-escalates",
    sentence: "A proposal that nobody answered in time was followed by an escalation.",
    severity: "wrong",
    repair: "",
    check: (facts) =>
      overdue(facts, facts.stories.expired).map(({ runId, fixId }) => ({
        about: runId,
        message: `${fixId} expired without an answer, and no person was told`,
      })),
  },
  {
    name: "fixes-have-verdicts",
    sentence: "Every fix that was applied has a verdict, was undone, or is still being watched.",
    severity: "wrong",
    repair: "",
    check: (facts) =>
      overdue(facts, facts.stories.applied)
        .filter(({ runId }) => runOf(facts, runId) === null)
        .filter(({ runId }) => !facts.runs.some(({ value }) => value?.run_id === runId && value.phase !== "done"))
        .map(({ runId, fixId }) => ({
          about: runId,
          message: `${fixId} was applied, and nobody says whether it helped`,
        })),
  },
  {
    name: "runs-have-history",
    sentence: "A run that was applied and is over has a line in the fix history.",
    severity: "wrong",
    repair: "",
    check: ({ runs, runsInHistory, nowMs, outcomeMs }) =>
      runs.flatMap(({ shown, value }): Found[] => {
        const isOver = value?.phase === "done" && value.mode === "live" && value.applied_at != null;
        if (!isOver || runsInHistory.has(value.run_id)) return [];
        if (nowMs - (readInstant(value.updated_at) ?? 0) <= outcomeMs) return [];
        return [{ about: shown, message: "is done, and metrics/auto-fix-history.jsonl has no line of it" }];
      }),
  },
  {
    name: "fix-places",
    sentence: "A fix waits in one of pending, approved, rejected.",
    severity: "warning",
    repair: "",
    check: ({ answeredFixes }) => {
      const places = new Map<string, string[]>();
      for (const { runId, place, shown } of answeredFixes)
        if (place !== "undo") places.set(runId, [...(places.get(runId) ?? []), shown]);
      return [...places].flatMap(([runId, shown]) =>
        shown.length < 2 ? [] : [{ about: runId, message: `is in ${shown.join(" and in ")}` }],
      );
    },
  },
  {
    name: "patterns-are-considered",
    sentence: "While auto-fix runs, it has considered every known fix for every active pattern.",
    severity: "wrong",
    repair: "",
    check: (facts) => {
      const parts = facts.states.get("auto-fix")?.parts;
      if (!facts.running.has("auto-fix") || parts == null) return [];
      const startedAtMs = facts.startedAtMs.get("auto-fix") ?? facts.nowMs;
      return facts.patterns.open
        .filter(({ sinceMs }) => facts.nowMs - Math.max(sinceMs, startedAtMs) > facts.outcomeMs)
        .flatMap(({ patternId, fixes }) =>
          fixes
            .filter((fix) => !parts.has(`match:${fix}|${patternId}`))
            .map((fix) => ({ about: patternId, message: `is active, and ${fix} was never considered for it` })),
        );
    },
  },
];

function overdue({ nowMs, outcomeMs }: Facts, open: ReadonlyMap<string, OpenFix>): OpenFix[] {
  return [...open.values()].filter(({ atMs }) => nowMs - atMs > outcomeMs);
}

/** A run that auto-fix has in hand, or goes on with at its next start. */
function runOf(facts: Facts, runId: string): RunPart | null {
  return (facts.states.get("auto-fix")?.parts?.get(`run:${runId}`) as RunPart | undefined) ?? null;
}
