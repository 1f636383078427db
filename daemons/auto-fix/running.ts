/**
 * One run after its gates: the before-image, the steps, the window, the verdict, and the way back. Here is what they share;
 * each has a file of its own: `applying`, `judging`, `undoing`; `answers` where a person does not approve; `resuming` after a start.
 *
 * Every answer is taken only in the phase that waits for it, so that one that comes twice changes nothing.
 *
 * @module
 */
import { wakeKey } from "./consider.js";
import type { Act, Step } from "./messages.js";
import type { AutoFixSettings } from "./policy.js";
import { type RunPart, refOf, type Slice } from "./state.js";
import { writeRun } from "./telling.js";

export type Running = Slice & { readonly run: RunPart };

const CHECK_MS_MIN = 250;
/** What is watched closely is looked at so many times as often. */
const WATCHED = 4;

/** One attempt that may pass an open breaker and spent retries; all that wait; or those that run, one after another. */
export const trialOf = (run: RunPart, reason: "trial" | "released" | "rolling"): Act => ({
  kind: "trial",
  ...refOf(run),
  scope: run.scope,
  workers: run.workers,
  reason,
});

/** Whether it reaches the workers that run, and not only the next attempts. */
export const rolls = (run: RunPart): boolean =>
  run.plan.actions.some((action) => action.type === "modify-worker-spec" && action.apply_to_running === "rolling");

export const isOfPattern = (run: RunPart): boolean => run.pattern_id !== null;

export function checkWake(run: RunPart, monoMs: number, nowMs: number, settings: AutoFixSettings): Act {
  const intervalMs = settings.verification.check_interval_seconds * 1000;
  const everyMs = Math.max(CHECK_MS_MIN, run.is_watched === true ? intervalMs / WATCHED : intervalMs);
  const leftMs = Math.max(CHECK_MS_MIN, (run.ends_ms ?? nowMs) - nowMs);
  return { kind: "wake", key: wakeKey("check", run), atMonoMs: monoMs + Math.min(everyMs, leftMs) };
}

/** The run is over. It stays for `undo` until it is forgotten. */
export function finish(
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

export const same = (slice: Slice): Step => ({ slice, effects: [] });
