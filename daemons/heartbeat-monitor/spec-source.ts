/** Specs, launches, exits, desired states and holds: the folders in which a worker's life is written. @module */
import { existsSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { now } from "../../lib/platform/clock.js";
import { answerCode, weatherCode } from "../../lib/platform/files.js";
import { watchDirectoryAtLeisure } from "../../lib/platform/leisure.js";
import { isAlive, isCorpse, readStat } from "../../lib/platform/processes.js";
import { type Watch, watchDirectory } from "../../lib/platform/watching.js";
import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { piecemeal } from "../../lib/runtime/piecemeal.js";
import { Shelter as PlainShelter } from "../../lib/runtime/shelter.js";
import type { RestartGate } from "../../lib/schema/catalogue.js";
import { isId } from "../../lib/schema/primitives.js";
import {
  type ExitRecord,
  exitRecordSchema,
  launchRecordSchema,
  restartRequestSchema,
} from "../../lib/schema/records.js";
import { readAttemptName, type WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import { listDesired, readDesiredRecord } from "../../lib/store/desired.js";
import { namesIn } from "../../lib/store/entries.js";
import { type Bad, MAX_BYTES, type Reading, readRecord } from "../../lib/store/records.js";
import { SpecStore } from "../../lib/store/specs.js";
import type { Event, ExitFacts, FleetPart, RemainsFacts, WorkerPart } from "./facts.js";
import { monitoredCount } from "./fleet.js";
import { HoldReader } from "./hold-reader.js";
import { oddWordsIn } from "./odd-words.js";
import type { HeartbeatSettings } from "./policy.js";
import { exitFacts, processOf, specFacts } from "./read-facts.js";
import type { Remains } from "./remains.js";
import { Shelter } from "./shelter.js";

const SCAN_EVERY_SECONDS = 10;
/** A scan of a large fleet costs more and comes less often; the watch is the one that is quick. */
const SCAN_MS_PER_WORKER = 60;
const SCAN_MS_MAX = 60_000;
/** Every so many scans each spec is read whatever its time says. */
const SCANS_BETWEEN_FULL = 30;
const LOOK_AGAIN_MS = 250;
/** The last gate of a restart: all others are passed, and worker-restart ends what is left of the old attempt. */
const ENDS_OLD_GATE: RestartGate = "survivors";
const UNFINISHED_MS = 2000;
/** Editors remove a file before they write it anew: a spec is gone only when it stays away for this long. */
const GONE_MS = 500;

/** The files are of many owners: one that we may not open is said, and the others are read all the same. */
const ONE_BY_ONE = { refusesForbidden: true };

/** What a scan found in two folders when it began. What came since is hinted at: the watches stand before anything is read. */
interface Listed {
  readonly desired: ReadonlySet<string> | null;
  readonly exits: ReadonlySet<string> | null;
}

interface Scan extends Listed {
  readonly workerIds: readonly string[];
}

const READING_SPECS = "reading worker-specs/active/";

export class SpecSource implements Source {
  readonly name = "specs";
  readonly scanEverySeconds = SCAN_EVERY_SECONDS;
  readonly #context: DaemonContext<Event, HeartbeatSettings>;
  readonly #remains: Remains;
  readonly #specs: SpecStore;
  readonly #shelter: Shelter;
  /** For the pieces of a scan, which come from the loop itself: whatever the system answers, the next scan looks again. */
  readonly #pieceShelter: PlainShelter;
  readonly #watches: Watch[] = [];
  /** The version of each spec that was delivered or written last. */
  readonly #seen = new Map<string, string>();
  readonly #again = new Map<string, NodeJS.Timeout>();
  /** Workers that are watched, and whose beats nobody was told to read yet. */
  readonly #unmet = new Set<string>();
  /** What was said of words in a worker's spec that mean nothing. */
  readonly #oddWords = new Map<string, string>();
  /** Called when a worker is watched from now on. */
  onMet: (workerId: string) => void = () => {};
  /** Called when a person wants something else of a worker than before. */
  onWish: () => void = () => {};
  #scans = 0;
  /** A scan goes on piece by piece. */
  #scanning = false;
  #stopped = false;
  #scannedMonoMs = 0;
  readonly #holds: HoldReader;

  constructor(context: DaemonContext<Event, HeartbeatSettings>, remains: Remains) {
    this.#context = context;
    this.#remains = remains;
    this.#specs = new SpecStore(context.layout);
    this.#shelter = new Shelter(context);
    this.#pieceShelter = new PlainShelter(context.log, answerCode);
    this.#holds = new HoldReader(context, this.#shelter);
  }

  start(): void {
    const { layout } = this.#context;
    this.#follow(layout.holdsDir, () => this.#holds.read());
    this.#follow(layout.desiredDir, (name) => (name === null ? this.#scanWishes() : this.#onDesired(name)));
    this.#follow(
      layout.activeDir,
      (name) => (name === null ? this.scan() : this.#onSpec(name)),
      (path, onHint, onError) =>
        watchDirectoryAtLeisure(path, onHint, onError, { isNews: (name) => !this.#isOwnWrite(name) }),
    );
    this.#follow(
      layout.launchesDir,
      (name) => (name === null ? this.scan() : this.#onLaunch(name)),
      watchDirectoryAtLeisure,
    );
    this.#follow(layout.exitsDir, (name) => (name === null ? this.scan() : this.#onExit(name)));
    this.scan();
  }

  stop(): void {
    this.#stopped = true;
    this.#holds.stop();
    for (const watch of this.#watches) watch.close();
    for (const timer of this.#again.values()) clearTimeout(timer);
  }

  /** Every active spec with its launch and exit, every name that is no spec, and every worker whose spec is gone. */
  scan(): void {
    this.#scan(() => {
      this.#shelter.run(READING_SPECS, () => {
        const scan = this.#beginScan();
        for (const workerId of scan.workerIds) this.#readSpec(workerId, scan);
        this.#endScan(scan);
      });
      this.#scanWishes();
    });
  }

  /** The holds, which are few, each time; the specs of a large fleet not, and then piece by piece. */
  scanInTurn(): void {
    const fleet = this.#context.part<FleetPart>("fleet");
    const everyMs = Math.min(SCAN_MS_MAX, (fleet === null ? 0 : monitoredCount(fleet)) * SCAN_MS_PER_WORKER);
    // Half a scan's time of slack: a timer that is a moment early must not put it off to the next.
    const isDue = now().monoMs - this.#scannedMonoMs >= everyMs - SCAN_EVERY_SECONDS * 500;
    if (isDue && !this.#scanning) this.#scan(() => this.#readInPieces());
    else this.#holds.read();
  }

  #scan(readSpecs: () => void): void {
    // Holds first: what they forbid must not be begun by what follows.
    this.#holds.read();
    this.#scannedMonoMs = now().monoMs;
    readSpecs();
  }

  /** Last: of a worker that was not met yet a wish is nobody's. */
  #scanWishes(): void {
    this.#shelter.run("reading desired/", () => this.#scanDesired());
  }

  #readInPieces(): void {
    let scan: Scan = { workerIds: [], desired: null, exits: null };
    const isListed = this.#shelter.run("listing worker-specs/active/", () => {
      scan = this.#beginScan();
    });
    if (!isListed) return this.#scanWishes();
    this.#scanning = true;
    piecemeal(scan.workerIds, {
      each: (workerId) => this.#readSpec(workerId, scan),
      done: () => {
        this.#scanning = false;
        this.#endScan(scan);
        this.#pieceShelter.worked(READING_SPECS);
        this.#scanWishes();
      },
      within: (piece) => !this.#stopped && this.#pieceShelter.runPiece(READING_SPECS, piece),
      givenUp: () => {
        this.#scanning = false;
        if (!this.#stopped) this.#scanWishes();
      },
    });
  }

  #beginScan(): Scan {
    // An edit in the very instant of the monitor's own write could pass for that write; it does not for long.
    if (this.#scans++ % SCANS_BETWEEN_FULL === 0) this.#seen.clear();
    const { layout } = this.#context;
    return {
      desired: listOf(layout.desiredDir),
      exits: listOf(layout.exitsDir),
      workerIds: this.#specs.listActive(),
    };
  }

  /** Names that are no specs, and workers whose spec is gone; who came since the scan began is only looked at once more. */
  #endScan({ workerIds }: Scan): void {
    const present = new Set(workerIds);
    for (const name of this.#specs.listBadNames())
      this.#refuse(join(this.#context.layout.activeDir, name), {
        code: "name",
        sentence: `Cannot read worker spec "worker-specs/active/${name}": its name is not a usable id`,
      });
    for (const workerId of this.#context.partsWith<WorkerPart>("worker:").keys()) {
      if (!present.has(workerId)) this.#onAbsent(workerId);
    }
  }

  /** The exit record of an attempt, if there is one that can be read. */
  exitOf(workerId: string, attempt: number): ExitFacts | null {
    const reading = this.#readExitRecord(workerId, attempt);
    return reading.kind === "ok"
      ? exitFacts(reading.value, reading.mtimeMs, this.isRestartForced(workerId, attempt))
      : null;
  }

  /**
   * Whether worker-restart is ending this very attempt for a request with force: it says so in the request before it does.
   *
   * While such a request waits for anything else, the attempt lives as before, and its end is its own.
   */
  isRestartForced(workerId: string, attempt: number): boolean {
    const path = this.#context.layout.queueRequest(workerId);
    // Of one that may not be read worker-restart tells, to whom it is addressed.
    const options = { maxBytes: MAX_BYTES.request, nowMs: Date.now(), what: "request", ...ONE_BY_ONE };
    const reading = readRecord(path, restartRequestSchema, options);
    if (reading.kind !== "ok" || reading.value.force !== true) return false;
    return reading.value.deferred?.gate === ENDS_OLD_GATE && (reading.value.attempt ?? attempt) === attempt;
  }

  #readExitRecord(workerId: string, attempt: number, isThere = false): Reading<ExitRecord> {
    const path = this.#context.layout.exit(workerId, attempt);
    const reading = readRecord(path, exitRecordSchema, {
      maxBytes: MAX_BYTES.request,
      nowMs: Date.now(),
      what: "exit record",
      isFleeting: true,
      isThere,
      ...ONE_BY_ONE,
    });
    if (reading.kind === "bad") this.#refuse(path, reading);
    return reading;
  }

  #follow(path: string, onHint: (name: string | null) => void, watch = watchDirectory): void {
    this.#watches.push(
      watch(
        path,
        (name) => this.#shelter.run(`reading "${path}"`, () => onHint(name)),
        (error) =>
          this.#context.log.warn(
            { path, cause: String(error) },
            `cannot watch "${path}"; the scan every ${SCAN_EVERY_SECONDS} s goes on`,
          ),
      ),
    );
  }

  /** Whether a spec stands as it was read or written here last: the folder tells of the monitor's own hand too. */
  #isOwnWrite(name: string): boolean {
    const seen = this.#seen.get(name.slice(0, -".json".length));
    if (seen === undefined) return false;
    try {
      const stat = statSync(join(this.#context.layout.activeDir, name), { throwIfNoEntry: false });
      return stat !== undefined && keyOf(stat) === seen;
    } catch (error) {
      // Then it is news, and whoever reads the spec says what is wrong with it.
      if (weatherCode(error) === null) throw error;
      return false;
    }
  }

  #onSpec(name: string): void {
    if (!name.endsWith(".json")) return;
    const workerId = name.slice(0, -".json".length);
    if (isId(workerId)) this.#readSpec(workerId);
    else this.scan();
  }

  #readSpec(workerId: string, listed?: Listed): void {
    const path = this.#context.layout.activeSpec(workerId);
    const seen = this.#seen.get(workerId);
    const stat = seen === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && seen === keyOf(stat)) return this.#readRest(workerId, listed);
    const reading = this.#specs.readActive(workerId, Date.now(), ONE_BY_ONE);
    if (reading.kind === "absent") return this.#onAbsent(workerId);
    if (reading.kind === "unfinished")
      return this.#later(`spec:${workerId}`, UNFINISHED_MS, () => this.#readSpec(workerId));
    if (reading.kind === "bad") return this.#refuse(path, reading);
    this.#seen.set(workerId, keyOf(reading));
    this.#noteOddWords(workerId, reading.value);
    const known = this.#context.part<WorkerPart>(`worker:${workerId}`);
    if (known === null) this.#unmet.add(workerId);
    // One that is being stopped, or is to be, might be ended in the next step: a wish that was taken back is heard of before.
    else if (known.desired !== "running") this.#readDesired(workerId);
    this.#context.offer({ kind: "spec", worker_id: workerId, spec: specFacts(reading.value) });
    const { layout } = this.#context;
    if (mayBe(listed?.desired, layout.desired(workerId))) this.#readDesired(workerId);
    this.#readRest(workerId, listed);
  }

  /** Said once for each worker, and not for each version: the monitor itself writes its spec again and again. */
  #noteOddWords(workerId: string, spec: WorkerSpecRecord): void {
    const odd = oddWordsIn(spec);
    const text = odd.join("; ");
    if (text === (this.#oddWords.get(workerId) ?? "")) return;
    if (text === "") return void this.#oddWords.delete(workerId);
    const path = this.#context.layout.activeSpec(workerId);
    const message = `Spec of ${workerId}: ${text}`;
    const content = { message, reason: "wrong_field", data: { path, problem: text } };
    if (this.#shelter.news("record_refused", content, { worker_id: workerId })) this.#oddWords.set(workerId, text);
  }

  #onAbsent(workerId: string): void {
    this.#seen.delete(workerId);
    this.#oddWords.delete(workerId);
    this.#unmet.delete(workerId);
    const worker = this.#context.part<WorkerPart>(`worker:${workerId}`);
    if (worker === null) return;
    const gone = (): void => this.#context.offer({ kind: "spec", worker_id: workerId, spec: null });
    if (worker.ending?.phase === "filing") return gone();
    this.#later(`gone:${workerId}`, GONE_MS, () => {
      if (existsSync(this.#context.layout.activeSpec(workerId))) this.#readSpec(workerId);
      else gone();
    });
  }

  /** A new attempt may have been launched, and may have ended, before its spec was read. */
  #readRest(workerId: string, listed?: Listed): void {
    const worker = this.#context.part<WorkerPart>(`worker:${workerId}`);
    const hasEnded = worker === null || worker.ending !== null;
    if (!hasEnded && worker.process === null && worker.spec.has_launch) this.#readLaunch(workerId, worker.spec.attempt);
    // Only when its launch is known can a beat that names no attempt be told from an earlier attempt's; after its exit is
    // known it is not heard any more.
    if (this.#unmet.delete(workerId)) this.onMet(workerId);
    if (hasEnded) return;
    const path = this.#context.layout.exit(workerId, worker.spec.attempt);
    if (mayBe(listed?.exits, path)) this.#readExit(workerId, worker.spec.attempt);
  }

  /** Notes what the monitor itself has just written, so that its own hand is not taken for news. */
  noteOwnWrite(workerId: string): void {
    const stat = statSync(this.#context.layout.activeSpec(workerId), { throwIfNoEntry: false });
    if (stat !== undefined) this.#seen.set(workerId, keyOf(stat));
  }

  #onLaunch(name: string): void {
    const found = readAttemptName(name);
    if (found) this.#readLaunch(found.workerId, found.attempt);
  }

  #readLaunch(workerId: string, attempt: number): void {
    const worker = this.#context.part<WorkerPart>(`worker:${workerId}`);
    if (worker === null || worker.spec.attempt !== attempt || worker.process !== null) return;
    const path = this.#context.layout.launch(workerId, attempt);
    const reading = readRecord(path, launchRecordSchema, {
      maxBytes: MAX_BYTES.request,
      nowMs: Date.now(),
      what: "launch record",
      ...ONE_BY_ONE,
    });
    if (reading.kind === "absent") return;
    if (reading.kind === "unfinished")
      return this.#later(path, LOOK_AGAIN_MS, () => this.#readLaunch(workerId, attempt));
    // It may well be alive: nothing is concluded from what we are kept from reading.
    if (reading.kind === "bad" && isClosed(reading)) return this.#refuse(path, reading);
    if (reading.kind === "bad") {
      // Older than a launcher needs for one write: it died in its first microseconds, and the claim with it.
      return this.#context.offer({
        kind: "launch",
        worker_id: workerId,
        attempt,
        process: null,
        launcher_alive: false,
      });
    }
    const process = processOf(reading.value);
    const alive = launcherLives(reading.value.launcher_pid, reading.value.launcher_start_time);
    this.#context.offer({
      kind: "launch",
      worker_id: workerId,
      attempt,
      process,
      launcher_alive: alive || Date.now() - reading.mtimeMs < UNFINISHED_MS,
    });
    if (process === null) this.#later(path, LOOK_AGAIN_MS, () => this.#readLaunch(workerId, attempt));
  }

  #onExit(name: string): void {
    const found = readAttemptName(name);
    if (found) this.#readExit(found.workerId, found.attempt, true);
  }

  #readExit(workerId: string, attempt: number, isThere = false): void {
    const worker = this.#context.part<WorkerPart>(`worker:${workerId}`);
    if (worker === null || worker.spec.attempt !== attempt) return;
    const reading = this.#readExitRecord(workerId, attempt, isThere);
    if (reading.kind === "unfinished")
      return this.#later(this.#context.layout.exit(workerId, attempt), LOOK_AGAIN_MS, () =>
        this.#readExit(workerId, attempt),
      );
    if (reading.kind !== "ok") return;
    // Launches are told at leisure, exits at once: the end of a short life must not be told before its beginning.
    if (worker.process === null && worker.spec.has_launch)
      this.#shelter.run("reading launches/", () => this.#readLaunch(workerId, attempt));
    const exit = exitFacts(reading.value, reading.mtimeMs, this.isRestartForced(workerId, attempt));
    this.#context.offer({ kind: "exit", worker_id: workerId, attempt, exit, ...this.#remainsOf(workerId, attempt) });
  }

  /** Looked at along with the exit, where it is known whose they are. */
  #remainsOf(workerId: string, attempt: number): { readonly remains?: RemainsFacts } {
    const worker = this.#context.part<WorkerPart>(`worker:${workerId}`);
    if (worker === null || worker.process === null || worker.ending !== null) return {};
    try {
      return { remains: this.#remains.look(workerId, attempt, worker.process) };
    } catch (error) {
      // Then the ending looks for itself, and tells of what is in the way.
      if (answerCode(error) === null) throw error;
      return {};
    }
  }

  #onDesired(name: string): void {
    const workerId = name.replace(/\.json$/, "");
    if (name.endsWith(".json") && isId(workerId)) this.#readDesired(workerId);
  }

  #scanDesired(): void {
    for (const workerId of listDesired(this.#context.layout)) this.#readDesired(workerId);
    // A wish that was taken back while nobody watched leaves no file to tell of it.
    for (const [workerId, worker] of [...this.#context.partsWith<WorkerPart>("worker:")])
      if (worker.desired !== "running") this.#readDesired(workerId);
  }

  #readDesired(workerId: string): void {
    const worker = this.#context.part<WorkerPart>(`worker:${workerId}`);
    if (worker === null) return;
    const { layout } = this.#context;
    const path = layout.desired(workerId);
    const wish: ReturnType<typeof readDesiredRecord> = existsSync(path)
      ? readDesiredRecord(layout, workerId, Date.now(), ONE_BY_ONE)
      : { kind: "absent" };
    if (wish.kind === "unfinished")
      return this.#later(`desired:${workerId}`, UNFINISHED_MS, () => this.#readDesired(workerId));
    if (wish.kind === "bad") this.#refuse(path, wish);
    // A wish is there, and we are kept from reading it: what was known before holds on.
    if (wish.kind === "bad" && isClosed(wish)) return;
    const desired = wish.kind === "ok" ? wish.value.state : "running";
    if (desired === worker.desired) return;
    this.#context.offer({ kind: "desired", worker_id: workerId, desired });
    this.onWish();
  }

  #later(key: string, afterMs: number, action: () => void): void {
    if (this.#again.has(key)) return;
    this.#again.set(
      key,
      setTimeout(() => {
        this.#again.delete(key);
        this.#shelter.run("looking again", action);
      }, afterMs),
    );
  }

  #refuse(path: string, { code, sentence, mtimeMs = 0, ino = 0 }: Omit<Bad, "kind" | "problems">): void {
    this.#shelter.refuse(path, { mtimeMs, ino }, code, sentence);
  }
}

/** Whether the permissions of the file are all that is wrong with it. */
export function isClosed({ code }: Bad): boolean {
  return code === "EACCES" || code === "EPERM";
}

/** False also for one that has ended and only waits to be reaped. */
export function launcherLives(pid: number | null | undefined, startTime: number | null | undefined): boolean {
  const stat = pid && isAlive(pid) ? readStat(pid) : null;
  if (stat === null || isCorpse(stat)) return false;
  return startTime === null || startTime === undefined || stat.start_time === startTime;
}

/** Null for a folder that cannot be listed just now: its files are looked for one by one then. */
function listOf(folder: string): ReadonlySet<string> | null {
  try {
    return new Set(namesIn(folder));
  } catch (error) {
    if (weatherCode(error) === null) throw error;
    return null;
  }
}

/** Whether a file need be looked for: not where a list of its folder is at hand and does not name it. */
function mayBe(listed: ReadonlySet<string> | null | undefined, path: string): boolean {
  return listed === undefined || listed === null || listed.has(basename(path));
}

function keyOf(stat: { readonly ino: number; readonly mtimeMs: number; readonly size: number }): string {
  return `${stat.ino}:${stat.mtimeMs}:${stat.size}`;
}
