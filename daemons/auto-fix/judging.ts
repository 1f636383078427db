/** The window of a run: it is measured, and its verdict is learnt from, told and followed. @module */
import { VERDICTS_MAX } from "../../lib/domain/fix-confidence.js";
import { type Judged, judge, type VerdictCriteria, verdictGates } from "../../lib/domain/fix-verdict.js";
import type { Gate } from "../../lib/schema/events.js";
import type { Act, Of, Step } from "./messages.js";
import type { AutoFixSettings } from "./policy.js";
import { checkWake, finish, isOfPattern, type Running, same, trialOf } from "./running.js";
import { counted, type HealerPart, type RunPart, refOf, type Slice } from "./state.js";
import { historyRecord, Telling, writeRun } from "./telling.js";
import { canUndo, undoFrom } from "./undoing.js";
import type { FixVerdict } from "./words.js";

export function onCheckDue(slice: Running): Step {
  if (slice.run.phase !== "verifying" && slice.run.phase !== "watching") return same(slice);
  return { slice, effects: [{ kind: "measure", ...refOf(slice.run) }] };
}

export function onMeasured(slice: Running, event: Of<"measured">, settings: AutoFixSettings): Step {
  const { run } = slice;
  if (run.phase !== "verifying" && run.phase !== "watching") return same(slice);
  const { stamp } = event;
  const atEnd = stamp.atMs >= (run.ends_ms ?? 0);
  const judged = isOfPattern(run) ? judgePattern(run, event, settings, atEnd) : judgeCondition(run, event, atEnd);
  const wake = checkWake(run, stamp.monoMs, stamp.atMs, settings);
  if (run.phase === "watching") {
    // What had looked effective is turned around by a recurrence within its window.
    if (judged.verdict === "ineffective") return conclude(slice, judged, event, settings, true);
    return atEnd ? finish(slice, [], stamp.atMs) : { slice, effects: [wake] };
  }
  if (judged.verdict === "inconclusive" && !atEnd) {
    // A request that came to its gate only after the fix is let through now.
    const untried = isOfPattern(run) && event.after.exposure_seconds === 0;
    return { slice, effects: untried ? [trialOf(run, "trial"), wake] : [wake] };
  }
  return conclude(slice, judged, event, settings, false);
}

function criteriaOf(run: RunPart, settings: AutoFixSettings): VerdictCriteria {
  const { min_decrease, min_success_rate, new_failures_max } = run.plan.criteria;
  return {
    min_decrease,
    new_failures_max,
    min_success_rate: min_success_rate ?? settings.verification.min_success_rate,
  };
}

function judgePattern(run: RunPart, event: Of<"measured">, settings: AutoFixSettings, atEnd: boolean): Judged {
  return judge(event.before, event.after, criteriaOf(run, settings), atEnd);
}

/** What was measured, as the gates of the verdict. */
function gatesOf(run: RunPart, event: Of<"measured">, settings: AutoFixSettings): readonly Gate[] {
  if (!isOfPattern(run))
    return [{ gate: "clear_conditions", value: event.cleared, threshold: true, passed: event.cleared === true }];
  const atEnd = event.stamp.atMs >= (run.ends_ms ?? 0);
  return verdictGates(event.before, event.after, criteriaOf(run, settings), atEnd);
}

function judgeCondition(run: RunPart, event: Of<"measured">, atEnd: boolean): Judged {
  const of = (verdict: FixVerdict, reason: Judged["reason"]): Judged => ({
    verdict,
    reason,
    expected: 0,
    success_rate: null,
  });
  // A call to a person proves nothing about the component.
  if (run.plan.actions.every((action) => action.type === "alert-oncall" || action.type === "ask-person"))
    return of("inconclusive", "too_few_samples");
  if (event.cleared === true) return of("effective", "fell");
  if (event.cleared === false && atEnd) return of("ineffective", "no_better");
  return of("inconclusive", "too_few_samples");
}

const RESULTS = { effective: "success", ineffective: "failure", inconclusive: "inconclusive" } as const;

/** The verdict: learnt from, told, and followed. */
function conclude(
  slice: Running,
  judged: Judged,
  event: Of<"measured">,
  settings: AutoFixSettings,
  isTurned: boolean,
): Step {
  const { verdict } = judged;
  const { stamp } = event;
  const telling = new Telling(stamp);
  const run: RunPart = { ...slice.run, verdict };
  const message = `${run.plan.name} for ${run.scope} is ${verdict}${isTurned ? " after all" : ""}: ${reasonWords(judged)}`;
  const news: Act[] = [
    telling.ofRun("fix_verified", run, message, isTurned ? "recurred" : judged.reason, {
      verdict,
      expected: Number(judged.expected.toFixed(2)),
      success_rate: judged.success_rate,
    }),
    historyRecord(run, RESULTS[verdict], stamp, message, verdict),
  ];
  const learnt: Running = {
    ...slice,
    run,
    learning: learn(slice, run, verdict, stamp.atMs),
    healer: judgedBy(slice.healer, run, verdict, stamp.atMs, settings, isTurned),
    match: {
      ...slice.match,
      ineffective:
        verdict === "ineffective" ? slice.match.ineffective + 1 : verdict === "effective" ? 0 : slice.match.ineffective,
      told_given_up: verdict === "effective" ? false : slice.match.told_given_up,
    },
  };
  const trips = learnt.healer.tripped_at_ms !== null && slice.healer.tripped_at_ms === null;
  const tripped = (): Act[] => (trips ? [brake(telling, run, settings)] : []);
  const gates = gatesOf(slice.run, event, settings);
  const decision = { subject: run.subject, verdict, reason: judged.reason, message: message.slice(0, 160), gates };
  const undoes =
    (verdict === "ineffective" && run.plan.undo_on_ineffective && settings.undo.on_ineffective) ||
    (verdict === "inconclusive" && run.plan.on_inconclusive === "undo");
  if (undoes && canUndo(run))
    return { ...undoFrom(learnt, run.plan.actions.length - 1, verdict, [...news, ...tripped()], stamp.atMs), decision };
  if (verdict !== "effective")
    return { ...finish(learnt, [...news, ...tripped(), ...nextRung(telling, learnt, verdict)], stamp.atMs), decision };
  // The window goes on: a recurrence in it turns the verdict around. Those that wait for the same are let go now.
  const watching: RunPart = { ...run, phase: "watching" };
  const resolved = telling.ofRun("escalation_resolved", run, `${run.scope}: ${run.plan.name} has helped`, "effective");
  return {
    slice: { ...learnt, run: watching },
    effects: [
      writeRun(watching, stamp.atMs),
      ...news,
      ...(slice.match.told_given_up ? [resolved] : []),
      // After what is over: both are told of one incident.
      ...tripped(),
      ...(isOfPattern(run) ? [trialOf(run, "released")] : []),
      checkWake(watching, stamp.monoMs, stamp.atMs, settings),
    ],
    decision,
  };
}

function reasonWords({ reason, expected, success_rate }: Judged): string {
  switch (reason) {
    case "fell":
      return expected > 0
        ? `about ${Math.round(expected)} failures were to be expected, and they stayed away`
        : "its clear conditions hold";
    case "no_better":
      return "the failures go on";
    case "worse":
      return "there are more failures than before";
    case "new_failures":
      return "failures of another kind have come";
    case "too_few_samples":
      return "too little has happened since to tell";
    case "success_rate":
      return `only ${Math.round((success_rate ?? 0) * 100)} % of the attempts succeed`;
  }
}

/** Inconclusive is never success, and teaches nothing. One run has one verdict: the last. */
function learn(slice: Running, run: RunPart, verdict: FixVerdict, nowMs: number): Slice["learning"] {
  if (verdict === "inconclusive") return slice.learning;
  const others = slice.learning.verdicts.filter((each) => each.run_id !== run.run_id);
  const one = { run_id: run.run_id, effective: verdict === "effective", at_ms: nowMs };
  return { verdicts: [...others, one].slice(-VERDICTS_MAX) };
}

/** The brake counts a fix once too: one that is turned around did not help. */
function judgedBy(
  healer: HealerPart,
  run: RunPart,
  verdict: FixVerdict,
  nowMs: number,
  settings: AutoFixSettings,
  isTurned: boolean,
): HealerPart {
  const { window_fixes, ineffective_fraction } = settings.breaker;
  const others = healer.verdicts.filter((each) => each.run_id !== run.run_id);
  const verdicts = [...others, { run_id: run.run_id, verdict, at_ms: nowMs }].slice(-Math.max(20, window_fixes));
  const last = verdicts.slice(-window_fixes);
  const bad = last.filter((each) => each.verdict === "ineffective").length;
  const trips = last.length >= window_fixes && bad / last.length >= ineffective_fraction;
  const known = healer.open[run.run_id];
  const open = known === undefined ? healer.open : { ...healer.open, [run.run_id]: { ...known, is_judged: true } };
  const next = { ...healer, verdicts, open, tripped_at_ms: healer.tripped_at_ms ?? (trips ? nowMs : null) };
  const turned = isTurned
    ? { ...next, totals: { ...next.totals, fixes_effective: Math.max(0, next.totals.fixes_effective - 1) } }
    : next;
  return counted(turned, `fixes_${verdict}`);
}

function brake(telling: Telling, run: RunPart, settings: AutoFixSettings): Act {
  return telling.escalation(
    run,
    "auto-fix has stopped itself",
    [`of its last ${settings.breaker.window_fixes} fixes too many did not help`],
    "look at heald fixes, and let it go on when you know why",
    "heald fix resume",
  );
}

/** What did not help and cannot be undone: the next policy of the ladder is asked with the next sample, a person at its end. */
function nextRung(telling: Telling, slice: Running, verdict: FixVerdict): Act[] {
  const { run } = slice;
  if (verdict !== "ineffective") return [];
  return [
    telling.escalation(
      run,
      run.why,
      [`${run.message}: ${verdict}`],
      "it cannot be undone; look yourself",
      `heald fix show ${run.run_id}`,
    ),
  ].slice(isOfPattern(run) ? 0 : 1);
}
