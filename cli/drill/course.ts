/** The course of a drill: its steps in their order, each waited for within one bound. @module */
import { signalIdentity } from "../../lib/platform/processes.js";
import { BEATS_BEFORE_HANG, type DrillKind } from "./practice-worker.js";
import type { Trace, Traces } from "./traces.js";

const POLL_MS = 10;

export interface StepDone {
  readonly step: string;
  /** Milliseconds since the step before. */
  readonly took_ms: number;
  /** Milliseconds since the crash or the last beat; null before it. */
  readonly since_ms: number | null;
  readonly what: string;
}

export interface Missing {
  readonly step: string;
  readonly why: string;
  readonly look_at: string;
}

export interface Course {
  readonly steps: readonly StepDone[];
  /** The step that did not come; null if all did. */
  readonly missing: Missing | null;
}

interface Step {
  readonly name: string;
  /** Null until it has come. */
  readonly look: () => Trace | null;
  /** What to look at if it does not come. */
  readonly lookAt: string;
  /** The harm itself: time counts from here. */
  readonly isHarm?: boolean;
}

/** The steps from the start of a worker to its replacement. */
export function stepsOf(kind: DrillKind, workerId: string, traces: Traces): readonly Step[] {
  const why = `heald why ${workerId}`;
  const harm: Step =
    kind === "crash"
      ? { name: "crashed", look: () => crash(traces, workerId), lookAt: `heald logs ${workerId}`, isHarm: true }
      : {
          name: "hung",
          look: () => traces.silent(workerId, BEATS_BEFORE_HANG),
          lookAt: `heald logs ${workerId}`,
          isHarm: true,
        };
  const event = kind === "crash" ? "worker_exited" : "zombie_detected";
  return [
    { name: "started", look: () => traces.launched(workerId, 1), lookAt: `heald logs ${workerId}` },
    {
      name: "watched",
      look: () => traces.watched(workerId, 1),
      lookAt: "agents/logs/system/heartbeat-monitor-daemon.log",
    },
    harm,
    { name: "detected", look: () => traces.event(event, workerId, 1), lookAt: why },
    { name: "evidence", look: () => traces.evidence(workerId, 1), lookAt: why },
    { name: "requested", look: () => traces.requested(workerId), lookAt: `heald status, and ${why}` },
    { name: "replaced", look: () => traces.launched(workerId, 2), lookAt: why },
    { name: "well", look: () => traces.watched(workerId, 2), lookAt: `heald logs ${workerId} --attempt 2` },
  ];
}

/** Ends the program of attempt 1 as the kernel would, by the identity of its own launch record. */
function crash(traces: Traces, workerId: string): Trace | null {
  const launched = traces.launched(workerId, 1);
  if (launched === null) return null;
  const atMs = Date.now();
  const { answer } = signalIdentity(launched.identity, "SIGKILL", "main");
  return answer === "sent" ? { atMs, what: `SIGKILL was sent to pid ${launched.identity.pid}` } : null;
}

/** Waits for each step in turn, and tells of it at once. */
export async function run(
  steps: readonly Step[],
  bounds: { readonly beganAtMs: number; readonly timeoutMs: number; readonly stopped: () => boolean },
  tell: (done: StepDone) => void,
): Promise<Course> {
  const until = performance.now() + bounds.timeoutMs;
  const done: StepDone[] = [];
  let beforeMs = bounds.beganAtMs;
  let harmMs: number | null = null;
  for (const step of steps) {
    const trace = await seen(step, until, bounds.stopped);
    if (trace === null) {
      const why = bounds.stopped() ? "the drill was stopped" : `not within ${bounds.timeoutMs / 1000} s`;
      return { steps: done, missing: { step: step.name, why, look_at: step.lookAt } };
    }
    // Of two files that were written at once, the clock of the file system may tell the later one first.
    const atMs = step.isHarm ? trace.atMs : Math.max(trace.atMs, beforeMs);
    if (step.isHarm) harmMs = atMs;
    const since = harmMs === null ? null : Math.round(atMs - harmMs);
    const row = {
      step: step.name,
      took_ms: Math.max(0, Math.round(atMs - beforeMs)),
      since_ms: since,
      what: trace.what,
    };
    done.push(row);
    tell(row);
    beforeMs = atMs;
  }
  return { steps: done, missing: null };
}

async function seen(step: Step, until: number, stopped: () => boolean): Promise<Trace | null> {
  while (!stopped()) {
    const trace = step.look();
    if (trace !== null) return trace;
    if (performance.now() >= until) return null;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return null;
}
