/** A run from its before-image to its window: the steps are made, and taken back where one cannot be. @module */
import { DECLINED_MS } from "./consider.js";
import type { Act, Of, Step } from "./messages.js";
import type { AutoFixSettings } from "./policy.js";
import { checkWake, finish, isOfPattern, type Running, rolls, same, trialOf } from "./running.js";
import { counted, type RunPart, refOf } from "./state.js";
import { historyRecord, Telling, writeRun } from "./telling.js";
import { undoFrom } from "./undoing.js";

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
