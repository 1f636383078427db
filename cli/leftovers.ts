/** Ends what an attempt left running that is a zombie on the books, by the identities of its own launch record. @module */

import { utc } from "../lib/platform/clock.js";
import { newEventIdBase } from "../lib/platform/ids.js";
import {
  descendantsOf,
  groupMembers,
  hasGroupMembers,
  type Identity,
  identityOf,
  presenceOf,
  readStat,
  type SignalOutcome,
  signalIdentity,
} from "../lib/platform/processes.js";
import type { EventType } from "../lib/schema/catalogue.js";
import { makeEvent } from "../lib/schema/events.js";
import { launchRecordSchema } from "../lib/schema/records.js";
import { stopSignalOf } from "../lib/schema/stop-signals.js";
import { readAttemptName, type WorkerSpecRecord, workerSpecSchema } from "../lib/schema/worker-spec.js";
import { namesIn } from "../lib/store/entries.js";
import type { Hold } from "../lib/store/holds.js";
import type { Layout } from "../lib/store/layout.js";
import { EventLogWriter } from "../lib/store/logs.js";
import { MAX_BYTES, readRecord } from "../lib/store/records.js";
import { identityIn } from "./identities.js";
import { person } from "./person.js";

const GRACE_SECONDS = 30;
const KILL_MS = 5000;
const POLL_MS = 25;

/** An attempt in `zombie/`, and the processes of it that are still there. */
export interface Leftover {
  readonly workerId: string;
  readonly attempt: number;
  readonly spec: WorkerSpecRecord;
  /** The program as it was launched; null if no launch record names it: then nothing may be signalled. */
  readonly identity: Identity | null;
  readonly alive: readonly number[];
}

/** The attempts in `zombie/`, of one worker or of all, in order. */
export function zombies(layout: Layout, workerId?: string): Leftover[] {
  return namesIn(layout.zombieDir)
    .flatMap((name) => readAttemptName(name) ?? [])
    .filter((found) => workerId === undefined || found.workerId === workerId)
    .sort((a, b) => a.workerId.localeCompare(b.workerId) || a.attempt - b.attempt)
    .flatMap((found) => {
      const path = layout.zombieSpec(found.workerId, found.attempt);
      const reading = readRecord(path, workerSpecSchema, { maxBytes: MAX_BYTES.spec, nowMs: Date.now() });
      if (reading.kind !== "ok") return [];
      const launch = readRecord(layout.launch(found.workerId, found.attempt), launchRecordSchema, {
        maxBytes: 65_536,
        nowMs: Date.now(),
      });
      const identity = launch.kind === "ok" ? identityIn(launch.value) : null;
      return [{ ...found, spec: reading.value, identity, alive: identity === null ? [] : aliveOf(identity) }];
    });
}

/** The program, its group, and what it started elsewhere. */
function aliveOf(identity: Identity): number[] {
  const presence = presenceOf(identity);
  if (presence === "reused" || presence === "other_boot" || presence === "other_host" || presence === "other_namespace")
    return [];
  const stat = presence === "same" ? readStat(identity.pid) : null;
  const tree = stat === null ? [] : [identity.pid, ...descendantsOf(stat).map(({ pid }) => pid)];
  const group = hasGroupMembers(identity.pid)
    ? groupMembers(identity.pid).filter(({ session }) => session === identity.pid)
    : [];
  return [...new Set([...tree, ...group.map(({ pid }) => pid)])];
}

export type Ended =
  | { readonly kind: "ended"; readonly processes: number }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "left"; readonly pids: readonly number[] };

/**
 * Ends one attempt's processes: its stop signal, its grace time, SIGKILL. Each signal checks the identity again.
 *
 * Each line in the log names the person who ordered it, and the hold that was passed over by name, if there was one.
 */
export async function endLeftover(layout: Layout, leftover: Leftover, passedHold: Hold | null): Promise<Ended> {
  const { identity, spec } = leftover;
  if (identity === null || leftover.alive.length === 0) return { kind: "ended", processes: 0 };
  const journal = new CleanupLog(layout, leftover, passedHold);
  const passing = passedHold === null ? "" : `, over the hold ${JSON.stringify(passedHold.name.slice(0, 60))}`;
  journal.write("zombie_cleanup_started", `What attempt ${leftover.attempt} left running is ended by hand${passing}`, {
    pids: leftover.alive,
  });
  const children = leftover.alive.flatMap((pid) => (pid === identity.pid ? [] : (identityOf(pid) ?? [])));
  const graceMs = Math.min(spec.launch?.stop?.grace_seconds ?? GRACE_SECONDS, GRACE_SECONDS) * 1000;
  const signal = stopSignalOf(spec.launch?.stop?.signal);
  const first = signalAll(identity, children, signal);
  if (first.answer === "refused") return journal.failed({ kind: "refused", why: first.why ?? "not allowed" });
  if (!(await isGone(identity, children, graceMs))) signalAll(identity, children, "SIGKILL");
  if (!(await isGone(identity, children, KILL_MS))) return journal.failed({ kind: "left", pids: aliveOf(identity) });
  journal.write("zombie_process_terminated", `${leftover.alive.length} processes were ended`, { pids: leftover.alive });
  journal.write("zombie_cleanup_completed", `Nothing of attempt ${leftover.attempt} is left`, {});
  journal.close();
  return { kind: "ended", processes: leftover.alive.length };
}

function signalAll(identity: Identity, children: readonly Identity[], signal: NodeJS.Signals): SignalOutcome {
  const outcome = signalIdentity(identity, signal, "group", { leaderGone: true });
  if (outcome.answer !== "refused") for (const child of children) signalIdentity(child, signal, "main");
  return outcome;
}

async function isGone(identity: Identity, children: readonly Identity[], ms: number): Promise<boolean> {
  const until = performance.now() + ms;
  for (;;) {
    const isLeft = aliveOf(identity).length > 0 || children.some((child) => presenceOf(child) === "same");
    if (!isLeft || performance.now() >= until) return !isLeft;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** The lines of one cleanup in the zombie-cleanup log, under the incident that the evidence carries. */
class CleanupLog {
  readonly #writer: EventLogWriter;
  readonly #leftover: Leftover;
  readonly #order: Readonly<Record<string, unknown>>;
  #nth = 0;
  readonly #stamp: { readonly id: string; readonly atMs: number; readonly monoMs: number };

  constructor(layout: Layout, leftover: Leftover, passedHold: Hold | null) {
    const atMs = Date.now();
    this.#leftover = leftover;
    const override = passedHold && { gate: "holds", hold: passedHold.name, by: passedHold.by, why: passedHold.why };
    this.#order = { by: person(), with: "heald cleanup", ...(override === null ? {} : { override }) };
    this.#stamp = { id: newEventIdBase(atMs), atMs, monoMs: 0 };
    this.#writer = new EventLogWriter(layout.eventLog("zombie-cleanup"), {
      maxBytes: Number.MAX_SAFE_INTEGER,
      archiveDir: layout.archiveDir,
      owner: false,
    });
  }

  write(type: EventType, message: string, data: Record<string, unknown>): void {
    const { workerId, attempt, spec } = this.#leftover;
    const words = spec.last_words as { incident_id?: unknown } | undefined;
    const incident = [spec.incident_id, words?.incident_id].find((value) => typeof value === "string");
    const subject = {
      worker_id: workerId,
      worker_type: spec.worker_type ?? undefined,
      task_id: spec.task_id ?? undefined,
      attempt,
      incident_id: incident as string | undefined,
    };
    const content = { message, reason: "cleanup", data: { ...data, ...this.#order, at: utc(Date.now()) } };
    this.#writer.append({
      ...makeEvent({ ...this.#stamp, atMs: Date.now() }, this.#nth, "cleanup", type, subject, content),
    });
    this.#nth += 1;
  }

  failed<T extends Ended>(outcome: T): T {
    const data =
      outcome.kind === "refused" ? { why: outcome.why } : outcome.kind === "left" ? { pids: outcome.pids } : {};
    this.write("zombie_cleanup_failed", `Attempt ${this.#leftover.attempt} could not be ended by hand`, data);
    this.close();
    return outcome;
  }

  close(): void {
    this.#writer.close();
  }
}
