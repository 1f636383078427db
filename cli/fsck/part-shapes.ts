/** Whether the parts of a daemon's state have what the invariants read of them: a checkpoint may hold anything. @module */
import type { DaemonName } from "../../lib/schema/records.js";
import type { Json } from "./log-scan.js";

type Shape = (part: Json) => boolean;

const text = (value: unknown): boolean => typeof value === "string";
const number = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value);
const nullOr =
  (is: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    value === null || is(value);

/** By daemon and by the kind of part, which is what stands before its first colon. */
const SHAPES: Readonly<Record<DaemonName, Readonly<Record<string, Shape>>>> = {
  "heartbeat-monitor": {
    fleet: (part) =>
      has(part, {
        guard: (guard) => has(guard, { state: text }),
        cleanups: Array.isArray,
        holds: (holds) => Array.isArray(holds) && holds.every((hold) => has(hold, { expires_at_ms: number })),
      }),
    worker: ({ worker_id, spec, state, state_since_at_ms, process, last_beat, ending }) =>
      text(worker_id) &&
      text(state) &&
      number(state_since_at_ms) &&
      has(spec, { attempt: number, worker_type: text }) &&
      nullOr((known) => has(known, { identity: isObject }))(process) &&
      nullOr((beat) => has(beat, { arrived_at_ms: number }))(last_beat) &&
      nullOr(isObject)(ending),
  },
  "worker-restart": {
    worker: ({ run, waiting }) =>
      nullOr((each) => has(each, { claimed: text }))(run) &&
      nullOr((each) => has(each, { name: text, phase: text }))(waiting),
    type: ({ breaker, read_to }) =>
      has(breaker, { state: text, outcomes: Array.isArray, leases: Array.isArray }) &&
      nullOr((place) => has(place, { file: text, offset: number }))(read_to),
    task: ({ quarantined_at_ms }) => nullOr(number)(quarantined_at_ms),
  },
  "failure-pattern": {
    pattern: (part) => has(part, { status: text, category: text, type: text, worker_type: text, severity: text }),
    log: ({ checkpoint }) => has(checkpoint, { inode: number, offset: number }),
  },
  "auto-fix": {
    run: (part) => has(part, { phase: text }),
    call: (part) => has(part, { subject: text, incident_id: text, troubles: Array.isArray }),
    calls: (part) => has(part, { since_ms: number, open: Array.isArray, ended: isObject }),
    log: ({ checkpoint }) => has(checkpoint, { inode: number, offset: number }),
  },
};

/** The first part that is not as its daemon writes it; null if there is none. */
export function oddPart(daemon: DaemonName, parts: ReadonlyMap<string, unknown>): string | null {
  for (const [key, part] of parts) {
    const shape = SHAPES[daemon][key.split(":", 1)[0] ?? key];
    if (shape !== undefined && !(isObject(part) && shape(part))) return key;
  }
  return null;
}

function has(value: unknown, fields: Readonly<Record<string, (field: unknown) => boolean>>): boolean {
  return isObject(value) && Object.entries(fields).every(([name, is]) => is(value[name]));
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
