/** A run that waits for a person, and is not approved: nobody answers, they say no, or it cannot be applied any more. @module */
import { DECLINED_MS, wakeKey } from "./consider.js";
import type { Act, Of, Step } from "./messages.js";
import { finish, type Running, same } from "./running.js";
import { historyRecord, Telling } from "./telling.js";

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
