/**
 * Carries out a plan. Each repair is one step that a crash leaves undone or done, looks first whether it is still wanted,
 * and may be done again.
 *
 * @module
 */
import { closeSync, constants, fchmodSync, fstatSync, lstatSync, openSync, readSync, writeSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { indexOf } from "../../daemons/failure-pattern/library.js";
import type { PatternPart } from "../../daemons/failure-pattern/state.js";
import { heartbeatPolicy } from "../../daemons/heartbeat-monitor/policy.js";
import { type StatusContext, StatusFile } from "../../daemons/heartbeat-monitor/status.js";
import { breakerRecord } from "../../daemons/worker-restart/breakers.js";
import { accountedFor, adoptOrphans } from "../../daemons/worker-restart/orphans.js";
import { breakerAt } from "../../lib/domain/breaker.js";
import { FileGone, HealdError, systemCode } from "../../lib/errors.js";
import { createExclusive, ensureDirectory, moveExclusive, replaceFile } from "../../lib/platform/files.js";
import { acquireSingle, type Held } from "../../lib/platform/locks.js";
import { identityOf } from "../../lib/platform/processes.js";
import type { DaemonName } from "../../lib/schema/records.js";
import { lineOf, unlinkIfThere } from "../../lib/store/entries.js";
import { FORMAT } from "../../lib/store/home.js";
import type { Layout } from "../../lib/store/layout.js";
import { Mailbox } from "../../lib/store/mailbox.js";
import { writePrometheus } from "../../lib/store/metrics.js";
import { packageVersion } from "../../lib/store/package-version.js";
import { PatternStore } from "../../lib/store/patterns.js";
import { readPolicyFile } from "../policies.js";
import { ASIDE } from "./entries.js";
import type { Facts } from "./facts.js";
import type { Repair } from "./finding.js";
import { loadState } from "./load-state.js";
import type { Planned } from "./plan.js";

export interface Done {
  readonly planned: Planned;
  /** `done`; `not_needed`: somebody else was faster; `skipped`: its daemon runs; `failed`: the host refused. */
  readonly outcome: "done" | "not_needed" | "skipped" | "failed";
  readonly message: string;
}

/** Carries out a plan in its order, and says of each repair what became of it. */
export async function carryOut(layout: Layout, plan: readonly Planned[], facts: Facts): Promise<Done[]> {
  const done: Done[] = [];
  for (const owner of new Set(plan.map((planned) => planned.owner))) {
    const lock = owner === null ? null : await lockOf(layout, owner);
    try {
      for (const planned of plan.filter((each) => each.owner === owner))
        done.push(owner !== null && lock === null ? skipped(planned) : await carriedOut(layout, planned, facts));
    } finally {
      lock?.release();
    }
  }
  return done;
}

/** The daemon's own lock: it cannot start while we hold it. Null if it runs. */
async function lockOf(layout: Layout, daemon: DaemonName): Promise<Held | null> {
  const identity = identityOf(process.pid);
  if (identity === null) throw new Error(`Cannot find this process (${process.pid}) in /proc`);
  ensureDirectory(layout.runDir);
  const lock = await acquireSingle(layout.lockFile(daemon), identity);
  return "heldBy" in lock ? null : lock;
}

function skipped(planned: Planned): Done {
  const message = `${planned.owner} runs: stop it first (heald daemons stop ${planned.owner})`;
  return { planned, outcome: "skipped", message };
}

async function carriedOut(layout: Layout, planned: Planned, facts: Facts): Promise<Done> {
  try {
    const isDone = await repairOne(layout, planned.repair, facts);
    return { planned, outcome: isDone ? "done" : "not_needed", message: isDone ? "" : "it is not needed any more" };
  } catch (error) {
    if (error instanceof FileGone) return { planned, outcome: "not_needed", message: "it is gone" };
    const code = systemCode(error);
    if (!(error instanceof HealdError) && code === null) throw error;
    return {
      planned,
      outcome: "failed",
      message: error instanceof HealdError ? error.message : `refused by the host: ${code}`,
    };
  }
}

function repairOne(layout: Layout, repair: Repair, facts: Facts): boolean | Promise<boolean> {
  switch (repair.kind) {
    case "close-line":
      return closeLine(repair.path, repair.size);
    case "set-aside":
      return setAside(layout, repair);
    case "set-mode":
      return setMode(repair.path, repair.mode);
    case "remove-temporary":
      return unlinkIfThere(repair.path);
    case "put-back":
      return putBack(layout, repair.path);
    case "write-version":
      return createExclusive(layout.version, `${JSON.stringify({ format: FORMAT, heald: packageVersion() })}\n`);
    case "rebuild-status":
      return rebuildStatus(layout);
    case "rebuild-prometheus":
      writePrometheus(layout);
      return true;
    case "rebuild-pattern-index":
      return rebuildPatternIndex(layout);
    case "rebuild-breaker":
      return rebuildBreaker(layout, repair.worker_type, facts);
  }
}

/** One byte, appended: a record that somebody appends at the same time is not harmed; it costs an empty line. */
function closeLine(path: string, size: number): boolean {
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const descriptor = openSync(path, flags);
  try {
    const stat = fstatSync(descriptor);
    const last = Buffer.alloc(1);
    // Grown since: its writer is at work, and closes the line itself.
    if (!stat.isFile() || stat.size !== size || readSync(descriptor, last, 0, 1, size - 1) !== 1) return false;
    if (last[0] === 0x0a) return false;
    writeSync(descriptor, "\n");
    return true;
  } finally {
    closeSync(descriptor);
  }
}

/** Moves a file to the same place below `aside/`, under a free name; never over another. */
function setAside(layout: Layout, { path, inode, mtimeMs }: Extract<Repair, { kind: "set-aside" }>): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.ino !== inode || stat.mtimeMs !== mtimeMs) return false;
  const target = join(layout.coordination, ASIDE, relative(layout.coordination, path));
  ensureDirectory(dirname(target));
  for (let number = 1; ; number++) {
    if (moveExclusive(path, number === 1 ? target : `${target}.${number}`)) return true;
  }
}

function setMode(path: string, mode: number): boolean {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if ((fstatSync(descriptor).mode & 0o7777) === mode) return false;
    fchmodSync(descriptor, mode);
    return true;
  } finally {
    closeSync(descriptor);
  }
}

/** As worker-restart does it at its start, under its lock. */
function putBack(layout: Layout, path: string): boolean {
  const { claimedDir: claimed, doneDir: done, failedRequestsDir: failed, rejectedDir: rejected } = layout;
  const mailbox = new Mailbox(layout.queueDir, { claimed, done, failed, rejected });
  adoptOrphans(mailbox, accountedFor(loadState(layout, "worker-restart").parts ?? []));
  return lstatSync(path, { throwIfNoEntry: false }) === undefined;
}

async function rebuildStatus(layout: Layout): Promise<boolean> {
  const parts = loadState(layout, "heartbeat-monitor").parts;
  if (parts === null) return false;
  const outcome = await readPolicyFile(heartbeatPolicy.name, layout.config(heartbeatPolicy.name));
  const defaults = { settings: heartbeatPolicy.complete({}), overrides: {} };
  const policy = (outcome.kind === "good" ? outcome.policy : defaults) as ReturnType<StatusContext["policy"]>;
  const context: StatusContext = {
    layout,
    policy: () => policy,
    part: <T>(key: string) => (parts.get(key) as T | undefined) ?? null,
    // Nobody runs who would look at anybody.
    wakeOf: () => null,
    partsWith: <T>(prefix: string) =>
      new Map(
        [...parts].flatMap(([key, part]) =>
          key.startsWith(prefix) ? [[key.slice(prefix.length), part as T] as const] : [],
        ),
      ),
  };
  new StatusFile(context).write();
  return true;
}

function rebuildPatternIndex(layout: Layout): boolean {
  const parts = loadState(layout, "failure-pattern").parts;
  if (parts === null) return false;
  const patterns = [...parts].flatMap(([key, part]) => (key.startsWith("pattern:") ? [part as PatternPart] : []));
  const published = patterns.filter(({ status }) => status !== "candidate");
  const store = new PatternStore(layout);
  store.writeIndex(indexOf(published, Date.now()));
  store.close();
  return true;
}

/** worker-restart, at its start, makes the same of the same lines and writes it over this one. */
function rebuildBreaker(layout: Layout, workerType: string, facts: Facts): boolean {
  const history = facts.breakerHistory.get(workerType);
  if (history === undefined || facts.breakerPolicy === null) return false;
  if (lstatSync(layout.breaker(workerType), { throwIfNoEntry: false }) !== undefined) return false;
  const state = breakerAt(history.all, Date.now(), facts.breakerPolicy(workerType));
  replaceFile(layout.breaker(workerType), lineOf(breakerRecord(workerType, state)));
  return true;
}
