/**
 * The worker specs: `active/` as a projection that the monitor merges into while people edit it, and the immutable
 * evidence in `zombie/`, `completed/` and `failed/`.
 *
 * Each change is one rename, one link or one unlink, so that a kill between any two system calls leaves the old state
 * or the new. A person's edit that lands while we merge is read again and kept.
 * @module
 */
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { FileRefused, systemCode } from "../errors.js";
import { createExclusive, FILE_MODE, readSmall, replaceFileIf, type SmallStat } from "../platform/files.js";
import { isId } from "../schema/primitives.js";
import { show } from "../schema/problems.js";
import { attemptName, readAttemptName, type WorkerSpecRecord, workerSpecSchema } from "../schema/worker-spec.js";
import { isThere, namesIn, textOf, unlinkIfThere } from "./entries.js";
import type { Layout } from "./layout.js";
import { type Forbidden, MAX_BYTES, type Reading, type ReadOptions, readRecord, refuse } from "./records.js";

/** The blocks of a spec that the monitor may write, merged one level deep. A field that is undefined is removed. */
export interface SpecPatch {
  readonly status?: string;
  readonly heartbeat?: Readonly<Record<string, unknown>>;
  readonly execution?: Readonly<Record<string, unknown>>;
  readonly restart?: Readonly<Record<string, unknown>>;
}

/**
 * What became of a merge: `gone` (removed, or not readable any more), `other_attempt` (the file belongs to another
 * attempt), `changed` (somebody wrote it again and again; try later).
 */
export type MergeOutcome = "merged" | "gone" | "other_attempt" | "changed";

const MERGE_TRIES = 3;
const PATCHED_BLOCKS = ["heartbeat", "execution", "restart"] as const;

type Json = Record<string, unknown>;

/** Typed reads and writes of `worker-specs/`. */
export class SpecStore {
  readonly #layout: Layout;
  /** The version of an active spec that was read last. */
  #lastRead: (Version & { readonly workerId: string; readonly attempt: number }) | null = null;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** The ids of all active specs by their file names, sorted. Files with another kind of name: {@link listBadNames}. */
  listActive(): string[] {
    return this.#activeNames()
      .map((name) => name.slice(0, -".json".length))
      .filter(isId)
      .sort();
  }

  /** File names in `active/` that end in `.json` and are no ids: they are never read. */
  listBadNames(): string[] {
    return this.#activeNames()
      .filter((name) => !isId(name.slice(0, -".json".length)))
      .sort();
  }

  #activeNames(): string[] {
    return namesIn(this.#layout.activeDir).filter((name) => name.endsWith(".json") && !name.startsWith("."));
  }

  /** Reads one active spec. One whose `worker_id` is not its file name is bad: two files would claim one worker. */
  readActive(workerId: string, nowMs: number, forbidden: Forbidden = {}): Reading<WorkerSpecRecord> {
    const path = this.#layout.activeSpec(workerId);
    const options: ReadOptions = {
      maxBytes: MAX_BYTES.spec,
      nowMs,
      what: "worker spec",
      root: this.#layout.coordination,
      isFleeting: true,
      ...forbidden,
    };
    const reading = readRecord(path, workerSpecSchema, options);
    if (reading.kind !== "ok") return reading;
    if (reading.value.worker_id === workerId) {
      const { ino, mtimeMs, size } = reading;
      this.#lastRead = { workerId, attempt: attemptOf(reading.value), ino, mtimeMs, size };
      return reading;
    }
    const message = `must be the file's name ${show(workerId)}, got ${show(reading.value.worker_id)}`;
    const bad = refuse(path, options, "wrong_field", [{ field: "worker_id", message }]);
    return { ...bad, mtimeMs: reading.mtimeMs, ino: reading.ino };
  }

  /**
   * Creates an active spec; false if there is one already.
   *
   * @param options.sync Whether it must outlive a power loss, which costs milliseconds.
   */
  createActive(record: WorkerSpecRecord, options: { readonly sync?: boolean } = {}): boolean {
    const draftFolder = dirname(this.#layout.activeDir);
    return createExclusive(this.#layout.activeSpec(record.worker_id), textOf(record), { ...options, draftFolder });
  }

  /**
   * Merges what the monitor knows into an active spec, and keeps everything else: unknown fields, the order of keys, and
   * whatever a person wrote meanwhile.
   */
  mergeActive(workerId: string, attempt: number, patch: SpecPatch): MergeOutcome {
    const path = this.#layout.activeSpec(workerId);
    for (let tries = 0; tries < MERGE_TRIES; tries++) {
      const found = readObject(path, { isThere: true });
      if (found === null) return "gone";
      if (attemptOf(found.json) !== attempt) return "other_attempt";
      const text = textOf(merge(found.json, patch));
      if (text === found.text || replaceUnchanged(path, text, found.stat)) return "merged";
    }
    return "changed";
  }

  /** Files a dead or hung attempt as evidence; false if it is there already. */
  fileZombie(record: WorkerSpecRecord, attempt: number): boolean {
    return createExclusive(this.#layout.zombieSpec(record.worker_id, attempt), textOf(record));
  }

  /** Files a finished attempt; false if it is there already. */
  fileCompleted(record: WorkerSpecRecord, attempt: number): boolean {
    return createExclusive(this.#layout.completedSpec(record.worker_id, attempt), textOf(record));
  }

  /** Reads the record of an attempt that finished its work, or that a person had stopped (`cancelled`). */
  readCompleted(workerId: string, attempt: number, nowMs: number): Reading<WorkerSpecRecord> {
    const root = this.#layout.coordination;
    const options: ReadOptions = { maxBytes: MAX_BYTES.spec, nowMs, what: "worker spec", root };
    return readRecord(this.#layout.completedSpec(workerId, attempt), workerSpecSchema, options);
  }

  /** Files a worker that was given up; false if it is there already. */
  fileFailed(record: WorkerSpecRecord, attempt: number): boolean {
    return createExclusive(this.#layout.failedSpec(record.worker_id, attempt), textOf(record));
  }

  /** Removes an active spec if it is still that attempt's; false if it is another's, gone, or cannot be read. */
  removeActive(workerId: string, attempt: number): boolean {
    const path = this.#layout.activeSpec(workerId);
    // Mostly it was read a moment ago, to be kept as evidence.
    const known = this.#lastRead;
    this.#lastRead = null;
    if (known?.workerId === workerId && known.attempt === attempt && isUnchanged(path, known))
      return unlinkIfThere(path);
    const found = readObject(path);
    if (found === null || attemptOf(found.json) !== attempt || !isUnchanged(path, found.stat)) return false;
    return unlinkIfThere(path);
  }

  /** The newest attempt's record among the evidence that can be read: from it a spec can be made again. */
  latestEvidence(workerId: string): WorkerSpecRecord | null {
    const candidates = this.#evidenceFolders()
      .flatMap((folder) => attemptsIn(folder, workerId).map((attempt) => ({ folder, attempt })))
      .sort((a, b) => b.attempt - a.attempt);
    for (const { folder, attempt } of candidates) {
      const path = join(folder, `${attemptName(workerId, attempt)}.json`);
      const reading = readRecord(path, workerSpecSchema, { maxBytes: MAX_BYTES.spec, nowMs: 0 });
      if (reading.kind === "ok" && reading.value.worker_id === workerId) return reading.value;
    }
    return null;
  }

  /** Whether an attempt has left any trace beside an active spec: it must not be started again. */
  hasTrace(workerId: string, attempt: number): boolean {
    return [
      this.#layout.launch(workerId, attempt),
      this.#layout.exit(workerId, attempt),
      this.#layout.zombieSpec(workerId, attempt),
      this.#layout.completedSpec(workerId, attempt),
      this.#layout.failedSpec(workerId, attempt),
    ].some(isThere);
  }

  /** The highest attempt of a worker of which there is any trace, archived ones included; 0 if there is none. */
  highestAttempt(workerId: string): number {
    const layout = this.#layout;
    let highest = 0;
    for (const folder of [layout.launchesDir, layout.exitsDir, ...this.#evidenceFolders()]) {
      for (const attempt of attemptsIn(folder, workerId)) highest = Math.max(highest, attempt);
    }
    const active = readObject(layout.activeSpec(workerId));
    return active === null ? highest : Math.max(highest, attemptOf(active.json));
  }

  /** The highest attempt of which evidence was filed, archived or not, also what cannot be read; 0 if there is none. */
  highestFiled(workerId: string): number {
    return Math.max(0, ...this.#evidenceFolders().flatMap((folder) => attemptsIn(folder, workerId)));
  }

  #evidenceFolders(): string[] {
    const { zombieDir, completedDir, failedDir, archivedDir } = this.#layout;
    return [zombieDir, completedDir, failedDir, ...namesIn(archivedDir).map((day) => join(archivedDir, day))];
  }
}

/** The attempt of a record; hand-written ones without a number are the first. */
export function attemptOf(record: { readonly attempt?: unknown }): number {
  return typeof record.attempt === "number" ? record.attempt : 1;
}

function attemptsIn(folder: string, workerId: string): number[] {
  const prefix = `${workerId}.attempt-`;
  return namesIn(folder)
    .filter((name) => name.startsWith(prefix))
    .flatMap((name) => readAttemptName(name)?.attempt ?? []);
}

/** Reads a spec as it stands, without the schema: a merge must keep what the schema does not know. `isThere` where it nearly always is. */
function readObject(
  path: string,
  options: Pick<ReadOptions, "isThere"> = {},
): { readonly json: Json; readonly text: string; readonly stat: SmallStat } | null {
  try {
    const file = readSmall(path, { maxBytes: MAX_BYTES.spec, ...options });
    if (file === null) return null;
    const json: unknown = JSON.parse(file.text);
    return isObject(json) ? { json, text: file.text, stat: file.stat } : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof FileRefused) return null;
    throw error;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function merge(json: Json, patch: SpecPatch): Json {
  const merged = { ...json };
  if (patch.status !== undefined) merged.status = patch.status;
  for (const block of PATCHED_BLOCKS) {
    const change = patch[block];
    if (change === undefined) continue;
    const before = merged[block];
    merged[block] = { ...(isObject(before) ? before : {}), ...change };
  }
  return merged;
}

/**
 * Replaces a file if it is still the version that was read.
 *
 * The last look comes right before the rename; what lands within those few microseconds cannot be told apart.
 */
function replaceUnchanged(path: string, text: string, stat: SmallStat, folder = join(dirname(path), "..")): boolean {
  // Beside the specs' folder and not in it: each change in a watched folder wakes everybody who watches it.
  const mode = stat.mode & 0o777 & ~0o007 || FILE_MODE;
  // Written by root, it would no longer be the person's own who made it.
  const owner = process.geteuid?.() === 0 && stat.uid !== 0 ? { owner: { uid: stat.uid, gid: stat.gid } } : {};
  try {
    return replaceFileIf(path, text, () => isUnchanged(path, stat), { mode, draftFolder: folder, ...owner });
  } catch (error) {
    // The specs' folder is on a file system of its own.
    if (systemCode(error) === "EXDEV" && folder !== dirname(path))
      return replaceUnchanged(path, text, stat, dirname(path));
    throw error;
  }
}

/** What tells one version of a file from another. */
type Version = Pick<SmallStat, "ino" | "mtimeMs" | "size">;

function isUnchanged(path: string, read: Version): boolean {
  const now = statSync(path, { throwIfNoEntry: false });
  return now !== undefined && now.ino === read.ino && now.mtimeMs === read.mtimeMs && now.size === read.size;
}
