/** Ends the old attempt of a worker for which a person asked with force: its stop signal, its grace, then SIGKILL. @module */

import { leadsNoGroup, signalIdentity } from "../../lib/platform/processes.js";
import { stopSignalOf, whyNoStopSignal } from "../../lib/schema/stop-signals.js";
import { attemptOf, type SpecStore } from "../../lib/store/specs.js";
import { adoptedOf, identityOfLaunch, launchedAtMs, launchOf } from "../../lib/targets/attempts.js";
import type { Effect } from "./messages.js";
import type { Context } from "./queue-source.js";

type EndOld = Extract<Effect, { kind: "end-old" }>;

/** The signal is not repeated at every look: only right after the wish, and when the grace is over. */
const FIRST_MS = 900;
/** A program that was launched a moment ago may not have been itself yet, and deaf to signals: it is told twice. */
const TWICE_MS = 2500;
const YOUNG_MS = 1000;
const GRACE_SECONDS = 30;

/**
 * Only the process of a launch record of ours is ever signalled, or one that was adopted with the word that it may be; and
 * only if it is that process still.
 */
export function endOldAttempt(context: Context, specs: SpecStore, effect: EndOld): void {
  const { worker_id, attempt, since_ms, waited_ms = 0 } = effect;
  const nowMs = Date.now();
  const launch = launchOf(context.layout, worker_id, attempt, nowMs);
  const isYoung = launch !== null && since_ms - (launchedAtMs(launch) ?? 0) < YOUNG_MS;
  const reading = specs.readActive(worker_id, nowMs);
  const spec = reading.kind === "ok" && attemptOf(reading.value) === attempt ? reading.value : null;
  const adopted = spec === null ? null : adoptedOf(spec);
  const identity = identityOfLaunch(launch) ?? (adopted?.maySignal ? adopted.identity : null);
  const stop = spec?.launch?.stop;
  const overdue = waited_ms >= (stop?.grace_seconds ?? GRACE_SECONDS) * 1000;
  if (identity === null || (!overdue && waited_ms > (isYoung ? TWICE_MS : FIRST_MS))) return;
  const signal = overdue ? "SIGKILL" : stopSignalOf(stop?.signal);
  const problem = overdue || !stop?.signal || waited_ms > 0 ? null : whyNoStopSignal(stop.signal);
  if (problem !== null)
    context.log.warn({ worker_id, attempt }, `launch.stop.signal of ${worker_id} ${problem}; ${signal} is sent`);
  // An adopted one may live in the group of its shell or of its supervisor, which is nobody's to signal.
  const reach = leadsNoGroup(identity) ? "main" : overdue ? "group" : (stop?.scope ?? "main");
  const outcome = signalIdentity(identity, signal, reach);
  context.log.info(
    { worker_id, attempt, signal, answer: outcome.answer, why: outcome.why },
    `${worker_id} is ended for its restart`,
  );
}
