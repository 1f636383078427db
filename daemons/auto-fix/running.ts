/**
 * One run after its gates: the before-image, the steps, the window, the verdict, and the way back.
 *
 * Every answer is taken only in the phase that waits for it, so that one that comes twice changes nothing.
 *
 * @module
 */
import { VERDICTS_MAX } from "../../lib/domain/fix-confidence.js";
import { type Judged, judge, type VerdictCriteria, verdictGates } from "../../lib/domain/fix-verdict.js";
import type { Gate } from "../../lib/schema/events.js";
import { ACTIONS } from "../../lib/schema/fix-actions.js";
import { DECLINED_MS, wakeKey } from "./consider.js";
import type { Act, Of, Step } from "./messages.js";
import type { AutoFixSettings } from "./policy.js";
import { counted, type HealerPart, isUndoneByPerson, type RunPart, refOf, type Slice } from "./state.js";
import { diffWords, historyRecord, Telling, writeRun } from "./telling.js";
import type { FixVerdict } from "./words.js";

type Running = Slice & { readonly run: RunPart };

const CHECK_MS_MIN = 250;
/** What is watched closely is looked at so many times as often. */
const WATCHED = 4;

/** What stands there is written down, and synced; now it may be changed. */
export function onPrepared(slice: Running, event: Of<"prepared">): Step {
  if (slice.run.phase !== "preparing") return same(slice);
  const run: RunPart = { ...slice.run, phase: "applying", before: event.before, step: 0 };
  return {
    slice: { ...slice, run },
    effects: [writeRun(run, event.stamp.atMs), { kind: "apply", ...refOf(run), run, step: 0 }],
  };
}

export function onApplied(slice: Running, event: Of<"applied">, settings: AutoFixSettings): Step {
  const { run } = slice;
  if (run.phase !== "applying" || event.step !== run.step) return same(slice);
  const next = run.step + 1;
  if (next < run.plan.actions.length) {
    const stepped: RunPart = { ...run, step: next };
    return { slice: { ...slice, run: stepped }, effects: [{ kind: "apply", ...refOf(run), run: stepped, step: next }] };
  }
  return allApplied(slice, event, settings);
}

/** The last step is done: the window opens, and one attempt is tried at once where none would start by itself. */
function allApplied(slice: Running, event: Of<"applied">, settings: AutoFixSettings): Step {
  const { stamp } = event;
  const telling = new Telling(stamp);
  const windowSeconds = slice.run.plan.window_seconds ?? settings.verification.window_seconds;
  const run: RunPart = {
    ...slice.run,
    phase: "verifying",
    step: slice.run.plan.actions.length,
    applied_ms: stamp.atMs,
    ends_ms: stamp.atMs + windowSeconds * 1000,
  };
  const said = `${run.message}; watched${run.is_watched === true ? " closely" : ""} for ${windowSeconds} s`;
  const calls = run.plan.actions.filter((action) => action.type === "alert-oncall" || action.type === "quarantine");
  return {
    slice: { ...slice, run, healer: counted(slice.healer, "fixes_applied") },
    effects: [
      writeRun(run, stamp.atMs),
      telling.ofRun("fix_applied", run, said, "applied", {
        diff: run.diff,
        note: event.note,
        approved_by: run.approved_by,
      }),
      ...calls.map((action) =>
        telling.escalation(
          run,
          run.why,
          [run.message],
          action.type === "alert-oncall"
            ? (action.note ?? "look whether this is enough")
            : "look at the task and its evidence",
          `heald fix show ${run.run_id}`,
        ),
      ),
      ...(isOfPattern(run) ? [trialOf(run, "trial")] : []),
      ...(rolls(run) ? [trialOf(run, "rolling")] : []),
      checkWake(run, stamp.monoMs, stamp.atMs, settings),
    ],
    decision: {
      subject: run.subject,
      verdict: "applied",
      reason: "applied",
      message: said.slice(0, 160),
      gates: [],
    },
  };
}

/** One attempt that may pass an open breaker and spent retries; all that wait; or those that run, one after another. */
const trialOf = (run: RunPart, reason: "trial" | "released" | "rolling"): Act => ({
  kind: "trial",
  ...refOf(run),
  scope: run.scope,
  workers: run.workers,
  reason,
});

/** Whether it reaches the workers that run, and not only the next attempts. */
const rolls = (run: RunPart): boolean =>
  run.plan.actions.some((action) => action.type === "modify-worker-spec" && action.apply_to_running === "rolling");

const isOfPattern = (run: RunPart): boolean => run.pattern_id !== null;

function checkWake(run: RunPart, monoMs: number, nowMs: number, settings: AutoFixSettings): Act {
  const intervalMs = settings.verification.check_interval_seconds * 1000;
  const everyMs = Math.max(CHECK_MS_MIN, run.is_watched === true ? intervalMs / WATCHED : intervalMs);
  const leftMs = Math.max(CHECK_MS_MIN, (run.ends_ms ?? nowMs) - nowMs);
  return { kind: "wake", key: wakeKey("check", run), atMonoMs: monoMs + Math.min(everyMs, leftMs) };
}

/** A step could not be made: those before it are taken back, and the fix counts as failed, not as ineffective. */
export function onApplyFailed(slice: Running, event: Of<"apply-failed">): Step {
  const { run } = slice;
  if ((run.phase !== "applying" && run.phase !== "preparing") || event.step !== run.step) return same(slice);
  const { stamp } = event;
  const telling = new Telling(stamp);
  const message = `${run.plan.name} could not be applied to ${run.scope}: ${event.message}`;
  const failed: RunPart = { ...run, message: message.slice(0, 300) };
  const news: Act[] = [
    telling.ofRun("fix_failed", failed, message, "failed", { step: event.step, problem: event.message }),
    historyRecord(failed, "failure", stamp, message, "failed"),
    telling.escalation(
      failed,
      run.why,
      [message],
      "apply it by hand, or change what stands in its way",
      `heald fix show ${run.run_id}`,
    ),
  ];
  const healer = counted(slice.healer, "fixes_failed");
  if (run.step > 0) return undoFrom({ ...slice, run: failed, healer }, run.step - 1, "failed", news, stamp.atMs);
  return finish({ ...slice, run: failed, healer }, news, stamp.atMs, { declinedMs: DECLINED_MS / 24 });
}

/** A worker was not well with the change: it is taken back before more of them have it. */
export function onRollFailed(slice: Running, event: Of<"roll-failed">): Step {
  const { run } = slice;
  const { stamp } = event;
  const telling = new Telling(stamp);
  const message = `${run.plan.name} for ${run.scope}: ${event.message}`;
  const isOpen = run.phase === "verifying" || run.phase === "watching";
  const failed: RunPart = { ...run, message: message.slice(0, 300) };
  const news: Act[] = [
    ...(isOpen ? [telling.ofRun("fix_failed", failed, message, "roll_stopped", { problem: event.message })] : []),
    telling.escalation(failed, run.why, [message], "look why the worker is not well", `heald fix show ${run.run_id}`),
  ];
  if (!isOpen) return { slice, effects: news };
  news.push(historyRecord(failed, "failure", stamp, message, "failed"));
  const healer = counted(slice.healer, "fixes_failed");
  return undoFrom({ ...slice, run: failed, healer }, run.plan.actions.length - 1, "roll_stopped", news, stamp.atMs);
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

export const canUndo = (run: RunPart): boolean => run.plan.actions.some((action) => ACTIONS[action.type].canUndo);

/** Takes the steps back, the last first. */
function undoFrom(
  slice: Running,
  step: number,
  reason: string,
  before: readonly Act[],
  nowMs: number,
): Step & { slice: Slice } {
  const run: RunPart = { ...slice.run, phase: "undoing", step, undo_reason: reason };
  return {
    slice: { ...slice, run },
    effects: [writeRun(run, nowMs), ...before, { kind: "undo", ...refOf(run), run, step }],
  };
}

export function onUndone(slice: Running, event: Of<"undone">): Step {
  const { run } = slice;
  if (run.phase !== "undoing" || event.step !== run.step) return same(slice);
  const { stamp } = event;
  const conflicts = [...run.conflicts, ...event.conflicts];
  if (run.step > 0) {
    const stepped: RunPart = { ...run, conflicts, step: run.step - 1 };
    return {
      slice: { ...slice, run: stepped },
      effects: [{ kind: "undo", ...refOf(run), run: stepped, step: stepped.step }],
    };
  }
  const telling = new Telling(stamp);
  const ended: RunPart = { ...run, conflicts };
  const what = run.diff.length === 0 ? "" : ` (${diffWords(run.diff)})`;
  const rest = conflicts.length === 0 ? what : ", but for what somebody else has changed since";
  const message = `${run.plan.name} for ${run.scope} is undone${rest}`;
  const news: Act[] = [
    telling.ofRun("fix_undone", ended, message, run.undo_reason ?? "undone", { diff: run.diff, conflicts }),
    historyRecord(ended, "undone", stamp, message),
  ];
  if (conflicts.length > 0) {
    const seen = `Changed by somebody else since the fix: ${conflicts.join("; ")}`;
    news.push(
      telling.ofRun("undo_conflict", ended, `Left as it is. ${seen}`, "conflict", { conflicts }),
      telling.escalation(ended, seen, [message], "decide which value is right", `heald fix show ${run.run_id}`),
    );
  }
  // Those that run with the change get what stands there now.
  if (rolls(ended) && ended.applied_ms !== null) news.push(trialOf(ended, "rolling"));
  // What a person has taken back is not done again at the next look.
  const more = isUndoneByPerson(run) ? { declinedMs: DECLINED_MS } : {};
  return finish({ ...slice, run: ended, healer: counted(slice.healer, "fixes_undone") }, news, stamp.atMs, more);
}

/** A person wants a fix taken back, whatever became of it. */
export function onUndoAsked(slice: Running, event: Of<"undo-asked">): Step {
  const { run } = slice;
  const { stamp } = event;
  const refuse = (why: string): Step => ({
    slice,
    effects: [{ kind: "refuse-answer", folder: "undo", run_id: run.run_id, why }],
  });
  if (run.phase === "undoing") return same(slice);
  if (run.applied_ms === null || run.phase === "applying" || run.phase === "preparing")
    return refuse("it is not applied");
  if (run.undo_reason !== null) return refuse("it is undone already");
  if (!canUndo(run)) return refuse("nothing of what it did can be undone");
  const ended = { ...slice, run: { ...run, conflicts: [] } };
  return undoFrom(ended, run.plan.actions.length - 1, personsWord(event.by), [], stamp.atMs);
}

/** `heald fix undo` says "person:ann" of itself, a file by hand says "ann", or nothing but whose it is. */
const personsWord = (by: string): string => (by.startsWith("person:") ? by : `person:${by}`);

export function onCheckDue(slice: Running): Step {
  if (slice.run.phase !== "verifying" && slice.run.phase !== "watching") return same(slice);
  return { slice, effects: [{ kind: "measure", ...refOf(slice.run) }] };
}

/** Nobody has answered in time: that is an escalation, not a consent. */
export function onExpireDue(slice: Running, event: Of<"expire-due">): Step {
  const { run } = slice;
  if (run.phase !== "pending") return same(slice);
  const { stamp } = event;
  if (run.expires_ms !== null && stamp.atMs < run.expires_ms - 1) {
    const wake: Act = {
      kind: "wake",
      key: wakeKey("expire", run),
      atMonoMs: stamp.monoMs + (run.expires_ms - stamp.atMs),
    };
    return { slice, effects: [wake] };
  }
  const telling = new Telling(stamp);
  const message = `Nobody has answered: ${run.message}`;
  const news: Act[] = [
    telling.ofRun("fix_expired", run, message, "expired"),
    telling.escalation(
      run,
      run.why,
      [message],
      "look, and apply it by hand or propose it anew",
      `heald fix show ${run.run_id}`,
    ),
    historyRecord(run, "refused", stamp, message, "expired"),
    { kind: "remove-pending", run_id: run.run_id },
  ];
  return finish({ ...slice, run: { ...run, message } }, news, stamp.atMs, { declinedMs: DECLINED_MS });
}

export function onDeclined(slice: Running, event: Of<"declined">): Step {
  const { run } = slice;
  if (run.phase !== "pending") return same(slice);
  const telling = new Telling(event.stamp);
  const message = `${event.by} rejected ${run.message}`;
  const news: Act[] = [
    telling.ofRun("fix_rejected", run, message, "rejected", { by: event.by }),
    historyRecord(run, "refused", event.stamp, message, "rejected"),
    { kind: "remove-pending", run_id: run.run_id },
    { kind: "wake", key: wakeKey("expire", run), atMonoMs: null },
  ];
  return finish({ ...slice, run: { ...run, message } }, news, event.stamp.atMs, { declinedMs: DECLINED_MS });
}

/** Nothing is changed; it may be proposed anew as soon as there is a reason again. */
export function onWithdrawn(slice: Running, event: Of<"withdrawn">): Step {
  const { run } = slice;
  if (run.phase !== "pending") return same(slice);
  const { stamp, why } = event;
  const message = `${run.message}: approved, and not applied because ${why}`;
  const news: Act[] = [
    { kind: "refuse-answer", folder: "approved", run_id: run.run_id, why },
    new Telling(stamp).ofRun("fix_rejected", run, message, "gone", { by: "auto-fix" }),
    historyRecord(run, "refused", stamp, message, "gone"),
    { kind: "remove-pending", run_id: run.run_id },
    { kind: "wake", key: wakeKey("expire", run), atMonoMs: null },
  ];
  return finish({ ...slice, run: { ...run, message } }, news, stamp.atMs);
}

/** After a start of the daemon: wakes and answers on their way are not kept, so what is open is taken up again. */
export function onResume(slice: Running, event: Of<"resume">): Step {
  const { run } = slice;
  const ref = refOf(run);
  const step = { slice };
  switch (run.phase) {
    case "pending":
      return onExpireDue(slice, { ...event, kind: "expire-due" });
    case "preparing":
      return { ...step, effects: [{ kind: "prepare", ...ref, run }] };
    case "applying":
      return { ...step, effects: [{ kind: "apply", ...ref, run, step: run.step }] };
    case "undoing":
      return { ...step, effects: [{ kind: "undo", ...ref, run, step: run.step }] };
    case "verifying":
    case "watching":
      return { ...step, effects: [{ kind: "measure", ...ref }] };
    case "done":
      return same(slice);
  }
}

/** The run is over. It stays for `undo` until it is forgotten. */
function finish(
  slice: Running,
  news: readonly Act[],
  nowMs: number,
  more: { readonly declinedMs?: number } = {},
): Step & { slice: Slice } {
  const run: RunPart = { ...slice.run, phase: "done", ends_ms: slice.run.ends_ms ?? nowMs };
  const { [run.run_id]: _closed, ...open } = slice.healer.open;
  const declined = more.declinedMs === undefined ? slice.match.declined_until_ms : nowMs + more.declinedMs;
  return {
    slice: {
      ...slice,
      run,
      healer: { ...slice.healer, open },
      match: { ...slice.match, open_run: null, gate: null, declined_until_ms: declined, touched_ms: nowMs },
    },
    effects: [writeRun(run, nowMs), ...news, { kind: "look", ...refOf(run) }],
  };
}

const same = (slice: Slice): Step => ({ slice, effects: [] });
