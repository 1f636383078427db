/** The way back of a run: its steps are taken back, the last first, because of its verdict or because a person wants it. @module */
import { ACTIONS } from "../../lib/schema/fix-actions.js";
import { DECLINED_MS } from "./consider.js";
import type { Act, Of, Step } from "./messages.js";
import { finish, type Running, rolls, same, trialOf } from "./running.js";
import { counted, isUndoneByPerson, type RunPart, refOf, type Slice } from "./state.js";
import { diffWords, historyRecord, Telling, writeRun } from "./telling.js";

export const canUndo = (run: RunPart): boolean => run.plan.actions.some((action) => ACTIONS[action.type].canUndo);

/** Takes the steps back, the last first. */
export function undoFrom(
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
