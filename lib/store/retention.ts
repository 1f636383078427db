/**
 * Lets go of what is over: each daemon of what it owns, a bounded number of entries at a call, never anything active.
 *
 * A kill in the middle leaves less to do the next time: every step is one rename or one unlink. After each look at an entry
 * it yields, because a large fleet leaves tens of thousands of them, and deaths must not wait for all.
 * @module
 */
import { lstatSync, rmdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { FileGone, systemCode } from "../errors.js";
import { ensureDirectory, moveExclusive } from "../platform/files.js";
import { EVENT_LOGS } from "../schema/catalogue.js";
import type { DaemonName } from "../schema/records.js";
import { readAttemptName } from "../schema/worker-spec.js";
import { partsOf } from "./archives.js";
import { isThere, jsonNamesIn, namesIn, unlinkIfThere } from "./entries.js";
import { readHolds } from "./holds.js";
import type { Layout } from "./layout.js";
import { orphanedIndexes } from "./log-index.js";
import { attemptOf, SpecStore } from "./specs.js";

/** For how long things are kept. */
export interface RetentionLimits {
  /** Zombies, before they go to `archived/`. */
  readonly zombieHours: number;
  /** Archived, completed and failed specs. */
  readonly specDays: number;
  /** Launch and exit records, and beats, of attempts that are over. */
  readonly attemptHours: number;
  /** Requests that are done, failed or rejected. */
  readonly requestDays: number;
  /** Holds that are over, whoever made them. One that cannot be read stays: nobody knows what it was meant to hold. */
  readonly holdDays: number;
  /** Rotated logs. */
  readonly logDays: number;
  /** Rotated samples: the newest so many are kept, since a large fleet fills one in an hour. */
  readonly sampleLogs: number;
  /** Entries that one call removes or moves at most. */
  readonly entriesMax: number;
}

export const DEFAULT_RETENTION: RetentionLimits = {
  zombieHours: 72,
  specDays: 30,
  attemptHours: 72,
  requestDays: 30,
  holdDays: 7,
  logDays: 30,
  sampleLogs: 8,
  entriesMax: 2000,
};

export interface Expired {
  /** Entries removed or moved to `archived/`. */
  readonly removed: number;
  /** One line for each folder: what and how many. */
  readonly why: readonly string[];
  /** Whether the bound was reached and there is more to do. */
  readonly more: boolean;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A temporary file that is older was left by a killed writer. */
const TEMPORARY_MS = HOUR_MS;

/** Expires what one daemon owns, step by step. */
export function* expiring(
  layout: Layout,
  daemon: DaemonName,
  limits: Partial<RetentionLimits>,
  nowMs: number,
): Steps<Expired> {
  const sweep = new Sweep(layout, { ...DEFAULT_RETENTION, ...limits }, nowMs);
  for (const log of logsOf(layout, daemon)) yield* sweep.logArchives(log);
  if (daemon === "heartbeat-monitor") {
    const { activeDir, zombieDir, completedDir, failedDir, launchesDir, exitsDir, heartbeatsDir, desiredDir } = layout;
    yield* sweep.temporaries([
      activeDir,
      zombieDir,
      completedDir,
      failedDir,
      launchesDir,
      exitsDir,
      heartbeatsDir,
      desiredDir,
      layout.holdsDir,
    ]);
    yield* sweep.temporaries([
      layout.coordination,
      layout.metricsDir,
      layout.stateDir,
      layout.runDir,
      dirname(activeDir),
    ]);
    yield* sweep.olderSamples();
    yield* sweep.indexes();
    yield* sweep.zombies();
    yield* sweep.oldSpecs();
    yield* sweep.attempts();
    yield* sweep.beats();
    yield* sweep.holds();
  }
  if (daemon === "worker-restart") {
    yield* sweep.temporaries([layout.queueDir, layout.claimedDir, layout.doneDir, layout.failedRequestsDir]);
    yield* sweep.temporaries([dirname(layout.queueDir), layout.rejectedDir, layout.breakersDir]);
    yield* sweep.requests();
  }
  if (daemon === "auto-fix") yield* sweep.notifications();
  return sweep.result();
}

/** Every log of heald that is rotated into the archive, each under its owner. */
export function logsOf(layout: Layout, daemon: DaemonName): string[] {
  const own: Readonly<Record<DaemonName, readonly string[]>> = {
    "heartbeat-monitor": [
      ...(["heartbeat", "zombie-cleanup", "daemon"] as const).map((log) => join(layout.eventsDir, EVENT_LOGS[log])),
      layout.samples,
    ],
    "worker-restart": [layout.eventLog("worker-restart"), layout.history],
    "failure-pattern": [layout.eventLog("failure-pattern"), join(layout.patternsDir, "failure-patterns.jsonl")],
    "auto-fix": [layout.eventLog("auto-fix"), layout.fixHistory, layout.notificationsLog],
  };
  return [...own[daemon], layout.decisions(daemon)];
}

/** Work that yields after each step. */
type Steps<T> = Generator<undefined, T>;

class Sweep {
  readonly #layout: Layout;
  readonly #limits: RetentionLimits;
  readonly #nowMs: number;
  readonly #why: string[] = [];
  #removed = 0;

  constructor(layout: Layout, limits: RetentionLimits, nowMs: number) {
    this.#layout = layout;
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  result(): Expired {
    return { removed: this.#removed, why: this.#why, more: this.#removed >= this.#limits.entriesMax };
  }

  *logArchives(log: string): Steps<void> {
    const old = yield* this.#olderOf(partsOf(log, this.#layout.archiveDir), this.#limits.logDays * DAY_MS);
    yield* this.#each("rotated logs", old, unlinkIfThere);
  }

  /** An index goes after its log: whoever finds it without knows that there is nothing to find. */
  *indexes(): Steps<void> {
    yield* this.#each("indexes of logs that are gone", orphanedIndexes(this.#layout.archiveDir), unlinkIfThere);
  }

  *olderSamples(): Steps<void> {
    const rotated = partsOf(this.#layout.samples, this.#layout.archiveDir);
    yield* this.#each("rotated samples", rotated.slice(0, -this.#limits.sampleLogs), unlinkIfThere);
  }

  /** Evidence goes to a folder of its day, where it can still be found. */
  *zombies(): Steps<void> {
    const { zombieDir, archivedDir } = this.#layout;
    const old = yield* this.#oldIn(zombieDir, this.#limits.zombieHours * HOUR_MS);
    yield* this.#each("zombies archived", old, (path, name) => {
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat === undefined) return false;
      const folder = join(archivedDir, new Date(stat.mtimeMs).toISOString().slice(0, 10));
      ensureDirectory(folder);
      return moveIfThere(path, join(folder, name));
    });
  }

  /** A worker that waits for its restart keeps its evidence: its spec is made again from it. */
  *oldSpecs(): Steps<void> {
    const days = namesIn(this.#layout.archivedDir).map((day) => join(this.#layout.archivedDir, day));
    for (const folder of [...days, this.#layout.completedDir, this.#layout.failedDir]) {
      const old = yield* this.#oldIn(folder, this.#limits.specDays * DAY_MS);
      if (old.length === 0) continue;
      const waiting = new Set(namesIn(this.#layout.queueDir).map((name) => name.replace(/-restart\.json$/, "")));
      const isKept = (path: string): boolean => waiting.has(readAttemptName(basename(path))?.workerId ?? "");
      yield* this.#each("old specs", old, (path) => !isKept(path) && unlinkIfThere(path));
    }
    for (const folder of days) removeIfEmpty(folder);
  }

  /** Launch and exit records are proof that an attempt was started: they stay as long as it may be asked for. */
  *attempts(): Steps<void> {
    const specs = new SpecStore(this.#layout);
    const isOver = (path: string): boolean => {
      const named = readAttemptName(basename(path));
      return named !== null && !this.#isActive(specs, named.workerId, named.attempt);
    };
    for (const folder of [this.#layout.launchesDir, this.#layout.exitsDir]) {
      const old = yield* this.#oldIn(folder, this.#limits.attemptHours * HOUR_MS);
      const remove = (path: string): boolean => isOver(path) && unlinkIfThere(path);
      yield* this.#each("records of attempts that are over", old, remove);
    }
  }

  /** A spec that cannot be read may be any attempt's. */
  #isActive(specs: SpecStore, workerId: string, attempt: number): boolean {
    const reading = specs.readActive(workerId, this.#nowMs);
    if (reading.kind === "absent") return false;
    return reading.kind !== "ok" || attemptOf(reading.value) === attempt;
  }

  *beats(): Steps<void> {
    const old = yield* this.#oldIn(this.#layout.heartbeatsDir, this.#limits.attemptHours * HOUR_MS);
    const isOrphaned = (path: string): boolean => !isThere(join(this.#layout.activeDir, basename(path)));
    yield* this.#each("beats of workers that are gone", old, (path) => isOrphaned(path) && unlinkIfThere(path));
  }

  /** The monitor says that a hold is over, and reads them each time that it looks at anything: it was said long ago. */
  *holds(): Steps<void> {
    const over = readHolds(this.#layout, this.#nowMs).filter(
      (hold) => hold.unreadable === undefined && this.#nowMs - hold.expiresAtMs > this.#limits.holdDays * DAY_MS,
    );
    const paths = over.map(({ name }) => join(this.#layout.holdsDir, name));
    yield* this.#each("holds that are over", paths, unlinkIfThere);
  }

  *requests(): Steps<void> {
    for (const folder of [this.#layout.doneDir, this.#layout.failedRequestsDir, this.#layout.rejectedDir]) {
      const paths = namesIn(folder).map((name) => join(folder, name));
      const old = yield* this.#olderOf(paths, this.#limits.requestDays * DAY_MS);
      yield* this.#each("old requests", old, unlinkIfThere);
    }
  }

  /** Notices that were delivered or given up, and acknowledgements of nothing that is known. */
  *notifications(): Steps<void> {
    const { notifyQueueDir, notifySentDir, notifyFailedDir, acknowledgementsDir } = this.#layout;
    yield* this.temporaries([notifyQueueDir, notifySentDir, notifyFailedDir, acknowledgementsDir]);
    for (const folder of [notifySentDir, notifyFailedDir, acknowledgementsDir]) {
      const old = yield* this.#oldIn(folder, this.#limits.requestDays * DAY_MS);
      yield* this.#each("old notices", old, unlinkIfThere);
    }
  }

  /** What killed writers left: names that begin with a dot, which no reader picks up. */
  *temporaries(folders: readonly string[]): Steps<void> {
    for (const folder of folders) {
      const names = namesIn(folder).filter((name) => name.startsWith(".") && name.endsWith(".tmp"));
      const left = yield* this.#olderOf(
        names.map((name) => join(folder, name)),
        TEMPORARY_MS,
      );
      yield* this.#each("temporary files", left, unlinkIfThere);
    }
  }

  #oldIn(folder: string, ageMs: number): Steps<string[]> {
    return this.#olderOf(
      jsonNamesIn(folder).map((name) => join(folder, name)),
      ageMs,
    );
  }

  *#olderOf(paths: readonly string[], ageMs: number): Steps<string[]> {
    const older: string[] = [];
    for (const path of paths) {
      if (this.#isOlder(path, ageMs)) older.push(path);
      yield;
    }
    return older;
  }

  #isOlder(path: string, ageMs: number): boolean {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    return stat !== undefined && !stat.isDirectory() && this.#nowMs - stat.mtimeMs > ageMs;
  }

  *#each(what: string, paths: readonly string[], act: (path: string, name: string) => boolean): Steps<void> {
    let count = 0;
    for (const path of paths) {
      if (this.#removed >= this.#limits.entriesMax) break;
      const isDone = act(path, basename(path));
      yield;
      if (!isDone) continue;
      count++;
      this.#removed++;
    }
    if (count > 0) this.#why.push(`${what}: ${count}`);
  }
}

/** False if it is gone, or if the archive has another of its name: evidence is never overwritten and never thrown away. */
function moveIfThere(from: string, to: string): boolean {
  try {
    return moveExclusive(from, to);
  } catch (error) {
    if (error instanceof FileGone) return false;
    throw error;
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!["ENOTEMPTY", "ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) throw error;
  }
}
