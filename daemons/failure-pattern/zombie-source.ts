/**
 * Looks through `worker-specs/zombie/` for dead attempts of which no event tells: the log was cut, or lost.
 *
 * Every death has its event, so this finds nothing on most days. It waits until the events have been read.
 * @module
 */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../lib/platform/log.js";
import type { Source } from "../../lib/runtime/daemon.js";
import { Shelter } from "../../lib/runtime/shelter.js";
import { readInstant } from "../../lib/schema/primitives.js";
import { readAttemptName } from "../../lib/schema/worker-spec.js";
import { jsonNamesIn } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import { isForbidden } from "../../lib/store/records.js";
import { readRemains } from "./evidence.js";
import type { Gatherer } from "./gatherer.js";
import type { Event } from "./messages.js";
import { type Sighting, typeOfWorker } from "./sightings.js";
import type { ZombiesPart } from "./state.js";

const SCAN_EVERY_SECONDS = 20;
/** An event follows the record within this time, or never. */
const SETTLED_MS = 60_000;
/** No more than are remembered as counted. */
const FILES_MAX = 2000;

interface Host {
  readonly layout: Layout;
  readonly log: Pick<Log, "warn" | "info">;
  part<T>(key: string): T | null;
  offer(event: Event): void;
}

export class ZombieSource implements Source {
  readonly name = "zombies without an event";
  readonly scanEverySeconds = SCAN_EVERY_SECONDS;
  readonly #host: Host;
  readonly #gatherer: Gatherer;
  readonly #isCaughtUp: () => boolean;
  readonly #shelter: Shelter;

  constructor(host: Host, gatherer: Gatherer, isCaughtUp: () => boolean) {
    this.#host = host;
    this.#shelter = new Shelter(host.log);
    this.#gatherer = gatherer;
    this.#isCaughtUp = isCaughtUp;
  }

  /** The first look comes when the logs have been read. */
  start(): void {}

  stop(): void {}

  /** In bad weather nothing is found this time. The next scan looks at the same files again. */
  scan(): void {
    this.#shelter.run("looking for zombies without an event", () => {
      if (this.#isCaughtUp()) this.#look();
    });
  }

  #look(): void {
    const through = this.#host.part<ZombiesPart>("zombies")?.through_ms ?? 0;
    const until = Date.now() - SETTLED_MS;
    const files = jsonNamesIn(this.#host.layout.zombieDir)
      .map((name) => ({ name, mtimeMs: mtimeOf(join(this.#host.layout.zombieDir, name)) }))
      .filter(({ mtimeMs }) => mtimeMs > through && mtimeMs <= until)
      .sort((a, b) => a.mtimeMs - b.mtimeMs)
      .slice(-FILES_MAX);
    const last = files.at(-1);
    if (last === undefined) return;
    const sightings = files.flatMap(({ name, mtimeMs }) => this.#sightingOf(name, mtimeMs) ?? []);
    this.#host.offer({ kind: "zombies-found", sightings, through_ms: last.mtimeMs });
  }

  #sightingOf(name: string, mtimeMs: number): Sighting | null {
    const named = readAttemptName(name);
    if (named === null || this.#gatherer.hasSeen(named.workerId, named.attempt)) return null;
    const { workerId, attempt } = named;
    const remains = this.#remainsOf(workerId, attempt);
    if (remains === null || remains.words.reason === null) return null;
    return {
      kind: "ended",
      event_id: `zombie-${workerId}.attempt-${attempt}`,
      event_type: "worker_exited",
      at_ms: Math.round(readInstant(remains.endedAt) ?? mtimeMs),
      worker_id: workerId,
      worker_type: remains.workerType ?? typeOfWorker(workerId),
      task_id: remains.taskId,
      attempt,
      incident_id: remains.incidentId,
      reason: remains.words.reason,
      error: null,
      fingerprint: null,
      evidence: remains.words.evidence,
      exit_code: remains.words.exit_code,
      signal: remains.words.signal,
      ran_ms: null,
      error_code: null,
      cause: null,
      weight: 1,
      from_file: true,
    };
  }
  /** Null for what we may not read: one record of another user's must not hide the others. */
  #remainsOf(workerId: string, attempt: number): ReturnType<typeof readRemains> {
    try {
      return readRemains(this.#host.layout, workerId, attempt);
    } catch (error) {
      if (isForbidden(error)) return null;
      throw error;
    }
  }
}

function mtimeOf(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
}
