/** Loads the records of the home, each as its value or as the sentence that says why it cannot be read. @module */
import { basename, dirname, join } from "node:path";
import { hostName, pidNamespace } from "../../lib/platform/clock.js";
import { type PendingRecord, pendingSchema, type RunRecord, runSchema } from "../../lib/schema/fix-records.js";
import { acknowledgementSchema, deliverySchema } from "../../lib/schema/notification-records.js";
import {
  type BreakerRecord,
  beatSchema,
  breakerRecordSchema,
  daemonIdentitySchema,
  desiredSchema,
  exitRecordSchema,
  type HoldRecord,
  holdSchema,
  launchRecordSchema,
  ownerSchema,
  restartRequestSchema,
  type TokenBudget,
  tokenBudgetSchema,
} from "../../lib/schema/records.js";
import { readAttemptName, workerSpecSchema } from "../../lib/schema/worker-spec.js";
import { FIX_FOLDERS } from "../../lib/store/fix-runs.js";
import type { Layout } from "../../lib/store/layout.js";
import { claimOf, filedName } from "../../lib/store/mailbox.js";
import { MAX_BYTES, readRecord, type SchemaOf } from "../../lib/store/records.js";
import { attemptOf } from "../../lib/store/specs.js";
import { shownIn } from "./entries.js";
import type {
  AttemptFact,
  BreakerFact,
  Entry,
  RecordFact,
  RequestFact,
  RequestPlace,
  SpecFact,
  SpecPlace,
} from "./facts.js";
import { problemOf } from "./log-scan.js";

/** Reads one record, whatever stands in its place; null if nothing does. */
export function loadRecord<T>(
  layout: Layout,
  path: string,
  schema: SchemaOf<T>,
  maxBytes: number,
): RecordFact<T> | null {
  const about = { path, shown: shownIn(layout, path), name: basename(path) };
  try {
    const reading = readRecord(path, schema, { maxBytes, nowMs: 0, mayBeUnfinished: false });
    if (reading.kind === "absent") return null;
    if (reading.kind === "ok") return { ...about, value: reading.value, problem: null, mtimeMs: reading.mtimeMs };
    const why =
      reading.kind === "bad" ? reading.sentence.replace(/^Cannot read record "[^"]*": /, "") : "it is not complete";
    return { ...about, value: null, problem: why, mtimeMs: reading.kind === "bad" ? (reading.mtimeMs ?? 0) : 0 };
  } catch (error) {
    return { ...about, value: null, problem: problemOf(error), mtimeMs: 0 };
  }
}

/** The entries of the home by the folder that they are in. */
export class Folders {
  readonly #layout: Layout;
  readonly #byFolder = new Map<string, Entry[]>();

  constructor(layout: Layout, entries: readonly Entry[]) {
    this.#layout = layout;
    for (const entry of entries) {
      const folder = dirname(entry.path);
      const known = this.#byFolder.get(folder);
      if (known === undefined) this.#byFolder.set(folder, [entry]);
      else known.push(entry);
    }
  }

  /** What is in a folder and is meant to be read. */
  in(folder: string): readonly Entry[] {
    return (this.#byFolder.get(folder) ?? []).filter(
      ({ path, kind }) => kind !== "folder" && !basename(path).startsWith("."),
    );
  }

  jsonIn(folder: string): readonly Entry[] {
    return this.in(folder).filter(({ path }) => path.endsWith(".json"));
  }

  records<T>(folder: string, schema: SchemaOf<T>, maxBytes: number): RecordFact<T>[] {
    return this.jsonIn(folder).flatMap(({ path }) => loadRecord(this.#layout, path, schema, maxBytes) ?? []);
  }
}

export function loadSpecs(layout: Layout, folders: Folders, entries: readonly Entry[]): SpecFact[] {
  const days = entries.filter(({ path, kind }) => kind === "folder" && dirname(path) === layout.archivedDir);
  const places: (readonly [SpecPlace, string])[] = [
    ["active", layout.activeDir],
    ["zombie", layout.zombieDir],
    ["completed", layout.completedDir],
    ["failed", layout.failedDir],
    ...days.map(({ path }) => ["archived", path] as const),
  ];
  return places.flatMap(([place, folder]) =>
    folders.records(folder, workerSpecSchema, MAX_BYTES.spec).map((fact) => {
      if (place === "active") {
        const attempt = fact.value === null ? null : attemptOf(fact.value);
        return { ...fact, place, workerId: fact.name.slice(0, -".json".length), attempt };
      }
      return { ...fact, place, ...named(fact.name) };
    }),
  );
}

export function loadAttempts(layout: Layout, folders: Folders) {
  const withName = <T>(fact: RecordFact<T>): AttemptFact<T> => ({ ...fact, ...named(fact.name) });
  return {
    launches: folders.records(layout.launchesDir, launchRecordSchema, MAX_BYTES.request).map(withName),
    exits: folders.records(layout.exitsDir, exitRecordSchema, MAX_BYTES.request).map(withName),
  };
}

function named(name: string): { readonly workerId: string | null; readonly attempt: number | null } {
  return readAttemptName(name) ?? { workerId: null, attempt: null };
}

export function loadRequests(layout: Layout, folders: Folders, isOurs: boolean): RequestFact[] {
  const places: (readonly [RequestPlace, string])[] = [
    ["queue", layout.queueDir],
    ["claimed", layout.claimedDir],
    ["done", layout.doneDir],
    ["failed", layout.failedRequestsDir],
    ["rejected", layout.rejectedDir],
  ];
  return places.flatMap(([place, folder]) =>
    folders.in(folder).map((entry): RequestFact => {
      const name = basename(entry.path);
      const claim = claimOf(name);
      const isRead = (place === "queue" || place === "claimed") && name.endsWith(".json");
      const read = isRead ? loadRecord(layout, entry.path, restartRequestSchema, MAX_BYTES.request) : null;
      return {
        path: entry.path,
        shown: entry.shown,
        name,
        place,
        inode: entry.inode,
        filedAs: filedName(name),
        claimedAtMs: claim?.atMs ?? null,
        claimerAlive: claim === null || !isOurs ? null : claim.isAlive,
        value: read?.value ?? null,
        problem: read?.problem ?? null,
      };
    }),
  );
}

export function loadHolds(layout: Layout, folders: Folders): RecordFact<HoldRecord>[] {
  return folders.in(layout.holdsDir).flatMap(({ path, size, shown, mtimeMs }): readonly RecordFact<HoldRecord>[] => {
    if (path.endsWith("~")) return [];
    // `touch holds/all` is a hold.
    if (size === 0) return [{ path, shown, name: basename(path), value: {}, problem: null, mtimeMs }];
    return [loadRecord(layout, path, holdSchema, MAX_BYTES.hold) ?? []].flat();
  });
}

export function loadBreakers(layout: Layout, folders: Folders): BreakerFact[] {
  return folders
    .records<BreakerRecord>(layout.breakersDir, breakerRecordSchema, MAX_BYTES.breaker)
    .map((fact) => ({ ...fact, workerType: fact.name.slice(0, -".json".length) }));
}

export function loadBudget(layout: Layout): RecordFact<TokenBudget> | null {
  return loadRecord(layout, layout.tokenBudget, tokenBudgetSchema, MAX_BYTES.budget);
}

export function loadFixes(layout: Layout, folders: Folders) {
  const at = (name: string): string => join(layout.autoFixDir, name);
  return {
    pendingFixes: folders.records<PendingRecord>(at("pending"), pendingSchema, MAX_BYTES.request),
    runs: folders.records<RunRecord>(at("runs"), runSchema, MAX_BYTES.spec),
    answeredFixes: FIX_FOLDERS.filter((place) => place !== "runs").flatMap((place) =>
      folders
        .jsonIn(at(place))
        .map(({ path, shown }) => ({ shown, place, runId: basename(path).slice(0, -".json".length) })),
    ),
  };
}

/** Records that no invariant asks about but this one: they can be read. */
export function loadOthers(layout: Layout, folders: Folders): RecordFact<unknown>[] {
  const runFiles = folders.jsonIn(layout.runDir).filter(({ path }) => path !== layout.owner);
  return [
    ...folders.records(layout.desiredDir, desiredSchema, MAX_BYTES.request),
    ...folders.records(layout.heartbeatsDir, beatSchema, MAX_BYTES.beat),
    ...folders.records(layout.acknowledgementsDir, acknowledgementSchema, MAX_BYTES.request),
    ...[layout.notifyQueueDir, layout.notifyFailedDir].flatMap((folder) =>
      folders.records(folder, deliverySchema, MAX_BYTES.request),
    ),
    ...runFiles.flatMap(({ path }) => loadRecord<unknown>(layout, path, daemonIdentitySchema, MAX_BYTES.request) ?? []),
    ...[loadRecord<unknown>(layout, layout.owner, ownerSchema, MAX_BYTES.request) ?? []].flat(),
  ].filter(({ problem }) => problem !== null);
}

/** Whether pids in this home mean anything to us. */
export function isOurs(layout: Layout): boolean {
  const owner = loadRecord(layout, layout.owner, ownerSchema, MAX_BYTES.request)?.value;
  return owner === null || owner === undefined || (owner.host === hostName() && owner.pid_ns === pidNamespace());
}
