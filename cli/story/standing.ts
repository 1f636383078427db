/** What is so with a worker now, and why nothing is done about it, where nothing is. @module */
import { join } from "node:path";
import { BEATS_REFUSED } from "../../daemons/heartbeat-monitor/refused-beats.js";
import { WORKER_STATES } from "../../lib/schema/catalogue.js";
import { readInstant } from "../../lib/schema/primitives.js";
import { statusOf, type WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import { isThere } from "../../lib/store/entries.js";
import { type Hold, heldBy, readHolds } from "../../lib/store/holds.js";
import type { Layout } from "../../lib/store/layout.js";
import { SpecStore } from "../../lib/store/specs.js";
import { type QueueRow, readWorker, type WorkerRow } from "../fleet.js";
import { type DaemonState, daemonStates } from "../running.js";
import { localTime, span } from "../times.js";
import { remedyOf as remedyOfUnwatched, runsAs, type Unwatched, unwatchedOf } from "../unwatched.js";
import { gatesOf, remedyOfWait } from "./gates.js";
import type { Step } from "./steps.js";

export interface Waits {
  readonly gate: string | null;
  readonly reason: string | null;
  readonly next_at: string | number | null;
  readonly remedy: string | null;
}

export interface Standing {
  readonly state: string;
  readonly attempt: number | null;
  readonly pid: number | null;
  readonly since: string | number | null;
  /** Whether there is an active spec, so that the monitor watches it. */
  readonly is_watched: boolean;
  readonly desired: string | null;
  readonly holds: readonly { readonly name: string; readonly acts: readonly string[]; readonly until_ms: number }[];
  /** The request that waits; null if none does. */
  readonly waits: Waits | null;
  /** What is true now and what follows from it, one sentence each; the one that decides first. */
  readonly reasons: readonly string[];
}

/**
 * Looks at the files of one worker, and at nothing that grows with the fleet.
 *
 * @param steps Its story: the gate at which a request waits is told as it was recorded.
 */
export function standingOf(layout: Layout, workerId: string, steps: readonly Step[], nowMs: number): Standing {
  const { row, waits, fleet_held } = readWorker(layout, workerId, nowMs);
  const specs = new SpecStore(layout);
  const reading = specs.readActive(workerId, nowMs);
  const spec = reading.kind === "ok" ? reading.value : specs.latestEvidence(workerId);
  const type = row?.worker_type ?? spec?.worker_type ?? "";
  const holds = holdsOn(layout, workerId, type, spec, nowMs);
  const waiting = waits === null ? null : { ...waits, remedy: remedyOf(waits, steps, workerId, type) };
  const is_watched = reading.kind === "ok";
  const unwatched = unwatchedOf(layout, workerId, nowMs);
  const sight: Sight = {
    nowMs,
    row,
    is_watched,
    spec,
    unwatched,
    holds,
    waits: waiting,
    daemons: daemonStates(layout),
    fleet_held,
    steps,
  };
  return {
    state: row?.state ?? (unwatched !== null ? "unwatched" : spec === null ? "unknown" : statusOf(spec)),
    attempt: row?.attempt ?? unwatched?.attempt ?? spec?.attempt ?? null,
    pid: row?.pid ?? (unwatched?.isAlive ? (unwatched.pids[0] ?? null) : null),
    since: row?.since ?? null,
    is_watched,
    desired: row?.desired ?? null,
    holds: holds.map(({ name, acts, expiresAtMs }) => ({ name, acts, until_ms: expiresAtMs })),
    waits: waiting,
    reasons: reasonsOf(layout, workerId, sight),
  };
}

interface Sight {
  readonly nowMs: number;
  readonly row: WorkerRow | null;
  /** Whether there is an active spec. */
  readonly is_watched: boolean;
  readonly spec: WorkerSpecRecord | null;
  readonly unwatched: Unwatched | null;
  readonly holds: readonly Hold[];
  readonly waits: Waits | null;
  readonly daemons: readonly DaemonState[];
  readonly fleet_held: boolean;
  readonly steps: readonly Step[];
}

function reasonsOf(layout: Layout, workerId: string, sight: Sight): string[] {
  const { row, spec, waits } = sight;
  const own =
    waits !== null
      ? [ofWait(waits, sight.nowMs)]
      : row !== null && sight.is_watched
        ? ofActive(row, spec, sight.nowMs)
        : ofNoSpec(layout, workerId, sight);
  return [
    ...ofDaemons(sight),
    ...(row?.desired != null && row.desired !== "running"
      ? [`a person wants it ${row.desired}: it is not kept alive until heald retry ${workerId}`]
      : []),
    ...sight.holds.map((hold) => ofHold(hold, sight.nowMs)),
    ...(sight.fleet_held
      ? ["many workers look dead at once: nobody who is silent is ended until that is understood (heald status)"]
      : []),
    ...own,
  ];
}

function ofDaemons({ daemons, waits, is_watched }: Sight): string[] {
  const problem = (name: string): string | null => {
    const state = daemons.find((each) => each.name === name);
    if (state?.running && !state.stopped) return null;
    return state?.running ? `${name} is stopped by a signal` : `${name} does not run (heald daemons start ${name})`;
  };
  const monitor = problem("heartbeat-monitor");
  const restart = problem("worker-restart");
  return [
    ...(monitor === null ? [] : [`${monitor}: nothing is watched, and nothing that is silent is noticed`]),
    ...(restart === null || (waits === null && is_watched) ? [] : [`${restart}: requests to restart wait`]),
  ];
}

function ofHold(hold: Hold, nowMs: number): string {
  const why = hold.why === "" ? "" : ` (${hold.why})`;
  const until = `${localTime(hold.expiresAtMs, nowMs)}, in ${span(hold.expiresAtMs - nowMs)}`;
  const acts = hold.acts.join(", ");
  return `the hold ${hold.name} forbids ${acts}${why} until ${until}: heald hold rm ${hold.name}`;
}

/** A worker that is watched. */
function ofActive(row: WorkerRow, spec: WorkerSpecRecord | null, nowMs: number): string[] {
  const mode = spec?.heartbeat?.mode ?? null;
  const seen = readInstant(row.last_seen);
  const beat = seen === null ? "" : `, the last beat ${span(nowMs - seen)} ago`;
  const next = readInstant(row.next_at);
  // status.json says it in the place of the verdict, which is on a silence that is none.
  const refused = row.why.startsWith(BEATS_REFUSED) ? `; ${row.why}` : "";
  const due = next !== null && next > nowMs ? `; the next look is at ${localTime(next, nowMs)}` : "";
  switch (row.state) {
    case "healthy":
      if (mode === "none") return ["it has no beats: its process alone is watched, and runs; there is nothing to do"];
      if (mode === "optional" && seen === null)
        return [`it need not beat: its process alone is watched, and runs; there is nothing to do${refused}`];
      return [`it beats in time${beat}: there is nothing to do`];
    case "starting":
      return [`it was started and has its grace time${due}${refused}`];
    case "paused":
      return [`its process is stopped or frozen and is left alone: kill -CONT ${row.pid ?? "<pid>"} lets it go on`];
    case "debugged":
      return ["a debugger holds its process: it is never restarted"];
    case "unknown":
      return [row.why === "" ? WORKER_STATES.unknown : row.why];
    default: {
      const sentence = Object.hasOwn(WORKER_STATES, row.state)
        ? (WORKER_STATES as Readonly<Record<string, string>>)[row.state]
        : row.state;
      const plain = `${sentence?.replace(/\.$/, "")}`.toLowerCase();
      return [`${plain}${beat}${due}${refused}`];
    }
  }
}

/** A worker of which there is no active spec. */
function ofNoSpec(layout: Layout, workerId: string, { spec, unwatched, steps }: Sight): string[] {
  if (unwatched !== null) return [ofUnwatched(workerId, unwatched)];
  if (steps.findLast((step) => step.log === "heartbeat")?.record.event_type === "worker_unwatched")
    return ["a person removed its spec: it is left as it is and no longer watched"];
  if (spec === null) return ["there is no spec of it: it is not watched, and nothing is done about it"];
  const attempt = spec.attempt ?? 1;
  if (isThere(join(layout.failedDir, `${workerId}.attempt-${attempt}.json`)))
    return [`it was given up: a person has to say so before it is started again (heald retry ${workerId})`];
  const status = statusOf(spec);
  if (status === "completed") return ["it finished its work: there is nothing to do"];
  if (status === "cancelled") return [`a person had it stopped: heald retry ${workerId} starts it again`];
  if (status === "zombie")
    return [`its attempt ${attempt} ended, and no restart waits for it: heald retry ${workerId} asks for one`];
  return ["its spec was removed by a person: it is left as it is and no longer watched"];
}

function ofUnwatched(workerId: string, unwatched: Unwatched): string {
  const so = "a person removed its spec: it is left as it is and no longer watched";
  if (unwatched.pids.length === 0)
    return `${so}; its process is gone: heald retry ${workerId} starts attempt ${unwatched.attempt + 1}`;
  return `${so}; attempt ${unwatched.attempt} ${runsAs(unwatched)}: ${remedyOfUnwatched(unwatched, workerId)}`;
}

function ofWait({ gate, reason, next_at, remedy }: Waits, nowMs: number): string {
  const next = readInstant(next_at);
  const at =
    next === null
      ? ""
      : next <= nowMs
        ? "; it is looked at now"
        : `; it is looked at again at ${timeWords(next, nowMs)}`;
  const why = reason === null ? "" : `: ${reason}`;
  if (gate === null) return `a restart waits in the queue${why}${at}`;
  return `a restart waits at the gate ${gate}${why}${at}${remedy === null ? "" : `; it needs ${remedy}`}`;
}

const timeWords = (atMs: number, nowMs: number): string => `${localTime(atMs, nowMs)}, in ${span(atMs - nowMs)}`;

function remedyOf({ gate }: QueueRow, steps: readonly Step[], workerId: string, type: string): string | null {
  if (gate === null) return null;
  const recorded = steps
    .filter((step) => step.kind === "decision" && step.log === "worker-restart")
    .findLast((step) => gatesOf(step).some((each) => !each.passed));
  const failed = recorded === undefined ? undefined : gatesOf(recorded).find((each) => !each.passed);
  return failed?.gate === gate ? failed.remedy : remedyOfWait(gate, workerId, type);
}

function holdsOn(layout: Layout, worker_id: string, worker_type: string, spec: WorkerSpecRecord | null, nowMs: number) {
  const subject = { worker_id, worker_type, task_id: spec?.task_id ?? undefined };
  return readHolds(layout, nowMs).filter((hold) =>
    hold.acts.some((act) => heldBy([hold], act, subject, nowMs) !== null),
  );
}
