/** Processes that heald leaves as they are: of an attempt whose spec a person took away, and adopted without --may-signal. @module */
import { Refused } from "../lib/errors.js";
import type { WorkerSpecRecord } from "../lib/schema/worker-spec.js";
import type { Layout } from "../lib/store/layout.js";
import { recordsBackward } from "../lib/store/log-search.js";
import { SpecStore } from "../lib/store/specs.js";
import { adoptedOf, isAttemptAlive, launchOf, survivorsOf } from "../lib/targets/attempts.js";

/** The last attempt of a worker, which has left a launch or an exit and no spec anywhere. */
export interface Unwatched {
  readonly attempt: number;
  /** What of it runs: its program alone, or what that left in its session. */
  readonly pids: readonly number[];
  /** Whether its program runs, so that it can be adopted. */
  readonly isAlive: boolean;
}

/** Looks at the launch record too; null if the last attempt has a spec, active or filed, or there never was one. */
export function unwatchedOf(layout: Layout, workerId: string, nowMs: number): Unwatched | null {
  const specs = new SpecStore(layout);
  if (specs.readActive(workerId, nowMs).kind !== "absent") return null;
  const attempt = specs.highestAttempt(workerId);
  // Evidence is filed before the active spec goes, and kept for longer than launches are.
  if (attempt === 0 || specs.highestFiled(workerId) >= attempt) return null;
  return {
    attempt,
    pids: survivorsOf(layout, workerId, attempt, nowMs),
    isAlive: isAttemptAlive(layout, workerId, attempt, nowMs) === true,
  };
}

/** `runs as pid 4711`, or what is left of it. */
export function runsAs({ pids, isAlive }: Unwatched): string {
  return isAlive
    ? `runs as pid ${pids.join(", ")}`
    : `has left ${pids.length === 1 ? "pid" : "pids"} ${pids.join(", ")}`;
}

/** What a person can do about it; heald itself signals nothing that is not watched. */
export function remedyOf({ pids, isAlive }: Unwatched, workerId: string): string {
  const kill = `kill ${pids.join(" ")} ends it`;
  return isAlive ? `${kill}, heald adopt --pid ${pids[0]} --id ${workerId} has it watched again` : kill;
}

/** What a person who wants a worker ended should know of a process that heald must not signal; empty of all others. */
export function untouchableRemark(spec: WorkerSpecRecord): string {
  const adopted = adoptedOf(spec);
  if (adopted === null || adopted.maySignal) return "";
  return ` (it was adopted without --may-signal: nobody but you ends pid ${adopted.identity.pid})`;
}

/** A second attempt must not run beside it. @throws {Refused} If something of it runs. */
export function refuseUnwatched(layout: Layout, workerId: string, deed: string): void {
  const found = unwatchedOf(layout, workerId, Date.now());
  if (found === null || found.pids.length === 0) return;
  throw new Refused(
    `Refused to ${deed} ${workerId}: its attempt ${found.attempt} ${runsAs(found)}, and nobody watches it, since its spec was removed; ${remedyOf(found, workerId)}`,
  );
}

/** What is still written of a worker of which no spec is left: by its launcher, or by the monitor. */
export function rememberedOf(
  layout: Layout,
  workerId: string,
): { readonly worker_type?: string; readonly task_id?: string } {
  const attempt = new SpecStore(layout).highestAttempt(workerId);
  const launch: Json | null = attempt === 0 ? null : launchOf(layout, workerId, attempt, Date.now());
  if (typeof launch?.worker_type === "string") return namesIn(launch, launch.worker_type);
  const sought = { field: "worker_id", value: workerId } as const;
  const span = { fromMs: 0, untilMs: Number.POSITIVE_INFINITY };
  for (const record of recordsBackward(layout, layout.eventLog("heartbeat"), sought, span))
    if (typeof record.worker_type === "string") return namesIn(record, record.worker_type);
  return {};
}

type Json = Readonly<Record<string, unknown>>;

const namesIn = ({ task_id }: Json, worker_type: string) => ({
  worker_type,
  ...(typeof task_id === "string" ? { task_id } : {}),
});
