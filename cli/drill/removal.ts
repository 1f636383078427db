/** Takes the worker of a drill away again, whatever became of the drill. @module */
import { utc } from "../../lib/platform/clock.js";
import { signalIdentity } from "../../lib/platform/processes.js";
import { removeDesired, writeDesired } from "../../lib/store/desired.js";
import { isThere, unlinkIfThere } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import { attemptOf, SpecStore } from "../../lib/store/specs.js";
import { identityOfLaunch, launchOf, survivorsOf } from "../../lib/targets/attempts.js";
import { person } from "../person.js";

/** The grace time of its stop signal, and what the monitor needs around it. */
const GRACEFUL_MS = 10_000;
const FORCED_MS = 5000;
const POLL_MS = 20;
/** Nothing of it may be seen for so long: a start that was under way shows itself within it. */
const QUIET_MS = 300;

/**
 * Wants it stopped, as a person would, and sees to it that nothing of it is active, waiting or running.
 *
 * The wish comes first: nothing starts it any more. Where the monitor does not end it, it is ended here, by the identities
 * of its own launch records. Evidence, events and logs stay; they tell of the drill.
 * @returns What is left of it; empty if nothing is.
 */
export async function remove(layout: Layout, workerId: string): Promise<string[]> {
  const why = "its drill is over";
  writeDesired(layout, workerId, { state: "stopped", by: person(), why, at: utc(Date.now()) });
  if (!(await isGone(layout, workerId, GRACEFUL_MS))) {
    end(layout, workerId);
    await isGone(layout, workerId, FORCED_MS);
  }
  const left = leftOf(layout, workerId);
  if (left.length === 0) removeDesired(layout, workerId);
  return left;
}

async function isGone(layout: Layout, workerId: string, ms: number): Promise<boolean> {
  const until = performance.now() + ms;
  for (let quietSince = performance.now(); ; ) {
    unlinkIfThere(layout.queueRequest(workerId));
    const now = performance.now();
    if (leftOf(layout, workerId).length > 0) quietSince = now;
    if (now - quietSince >= QUIET_MS) return true;
    if (now >= until) return false;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function attemptsOf(layout: Layout, workerId: string): number[] {
  return Array.from({ length: new SpecStore(layout).highestAttempt(workerId) }, (_, nth) => nth + 1);
}

function leftOf(layout: Layout, workerId: string): string[] {
  const pids = attemptsOf(layout, workerId).flatMap((attempt) => survivorsOf(layout, workerId, attempt, Date.now()));
  return [
    ...(isThere(layout.activeSpec(workerId)) ? [`worker-specs/active/${workerId}.json`] : []),
    ...(isThere(layout.queueRequest(workerId)) ? [`restart/queue/${workerId}-restart.json`] : []),
    ...pids.map((pid) => `pid ${pid}`),
  ];
}

function end(layout: Layout, workerId: string): void {
  const specs = new SpecStore(layout);
  for (const attempt of attemptsOf(layout, workerId)) {
    const identity = identityOfLaunch(launchOf(layout, workerId, attempt, Date.now()));
    if (identity !== null) signalIdentity(identity, "SIGKILL", "group", { leaderGone: true });
  }
  const reading = specs.readActive(workerId, Date.now());
  if (reading.kind === "ok") specs.removeActive(workerId, attemptOf(reading.value));
}
