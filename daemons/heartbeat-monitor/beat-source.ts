/** Beats: one file for each worker, read when it changes; the folder's readability is watched too. @module */
import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { systemCode } from "../../lib/errors.js";
import { now } from "../../lib/platform/clock.js";
import { weatherCode } from "../../lib/platform/files.js";
import { type Watch, watchDirectory } from "../../lib/platform/watching.js";
import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { isId, readInstant } from "../../lib/schema/primitives.js";
import type { Beat } from "../../lib/schema/records.js";
import { numbersOf } from "../../lib/schema/samples.js";
import { readBeat, whyRefused } from "../../lib/store/beats.js";
import type { Bad } from "../../lib/store/records.js";
import { arrivedAtMs } from "./arrival.js";
import { BeatRefusals, withoutFigures } from "./beat-refusals.js";
import { BeatRounds } from "./beat-rounds.js";
import type { BeatFacts, Event, FleetPart, WorkerPart } from "./facts.js";
import { GapBook, type HourOfGaps } from "./gap-book.js";
import type { HeartbeatSettings } from "./policy.js";
import { beatFacts } from "./read-facts.js";
import { Shelter } from "./shelter.js";

const SCAN_EVERY_SECONDS = 30;
/** A beat that is being written in place is looked at again after this long. */
const LOOK_AGAIN_MS = 500;

export interface ReportedNumbers {
  readonly attempt: number | null;
  readonly numbers: Readonly<Record<string, number>>;
}

/** What tells one beat file from the next. */
interface Version {
  readonly ino: number;
  readonly mtimeMs: number;
  readonly size: number;
}

/** What tells one refused file from the next: what a link was put in the place of has its times. */
interface RefusedVersion extends Version {
  readonly ctimeMs: number;
}

/** What was last delivered of a worker. */
interface Seen extends Version {
  /** When the file was last looked at, and was this one. */
  lookedMonoMs: number;
}

export class BeatSource implements Source {
  readonly name = "heartbeats";
  readonly scanEverySeconds = SCAN_EVERY_SECONDS;
  readonly #context: DaemonContext<Event, HeartbeatSettings>;
  readonly #shelter: Shelter;
  readonly #seen = new Map<string, Seen>();
  #watch: Watch | null = null;
  #started = false;
  #trouble = "";
  readonly #rounds: BeatRounds;
  /** The numbers of each worker's latest beat, where it had any. */
  readonly #numbers = new Map<string, ReportedNumbers>();
  /** The beat of each worker that was refused last: it is not read again and again. */
  readonly #refused = new Map<string, RefusedVersion>();
  readonly #refusals = new BeatRefusals();
  readonly gaps = new GapBook(Date.now());
  received = 0;

  constructor(context: DaemonContext<Event, HeartbeatSettings>) {
    this.#context = context;
    this.#shelter = new Shelter(context);
    this.#rounds = new BeatRounds(context, (workerId) => this.#offerFresh(workerId));
  }

  start(): void {
    this.#follow();
    this.#started = true;
    this.scan();
  }

  stop(): void {
    this.#rounds.stop();
    this.#watch?.close();
  }

  #follow(): void {
    this.#watch = watchDirectory(
      this.#context.layout.heartbeatsDir,
      (name) => (name === null ? this.scan() : this.#hint(name)),
      (error) => this.#inTrouble(systemCode(error) ?? "unknown"),
    );
  }

  /** Reads every beat that differs from what was delivered. */
  scan(): void {
    for (const name of this.#listed()) this.#hint(name);
  }

  /** The beats themselves are left to the rounds, where there are rounds. */
  scanInTurn(): void {
    if (this.#rounds.running) this.#listed();
    else this.scan();
  }

  /** What is in the folder; what is not any more is forgotten. */
  #listed(): readonly string[] {
    const names = this.#list();
    if (names === null) return [];
    const present = new Set(names);
    for (const known of [this.#seen, this.#refused])
      for (const workerId of known.keys()) if (!present.has(`${workerId}.json`)) known.delete(workerId);
    return names;
  }

  /** Whether the folder can be read at all; asked once a second, since silence may be ours. */
  check(): void {
    try {
      accessSync(this.#context.layout.heartbeatsDir, constants.R_OK | constants.X_OK);
    } catch (error) {
      return this.#inTrouble(systemCode(error) ?? "unknown");
    }
    if (this.#trouble !== "") this.scan();
    this.#chooseWay();
  }

  /** Notifications for a few beats, rounds for many. */
  #chooseWay(): void {
    const inRounds = this.#rounds.areWorthwhile(this.received);
    if (inRounds === this.#rounds.running) return;
    this.#context.log.info({ in_rounds: inRounds }, `beats are looked at ${inRounds ? "in rounds" : "as they come"}`);
    if (inRounds) {
      this.#rounds.start();
      this.#watch?.close();
      return;
    }
    this.#follow();
    this.scan();
    this.#rounds.stop();
  }

  /** A worker is watched from now on: what it has beaten so far counts from the time of its file. At the start all are read. */
  greet(workerId: string): void {
    if (!this.#started) return;
    this.#seen.delete(workerId);
    this.#refused.delete(workerId);
    this.#hint(`${workerId}.json`);
  }

  /** A deadline of the worker is about to speak: a beat that nobody has noticed yet is heard first. */
  readAgain(workerId: string): void {
    this.#offerFresh(workerId);
  }

  /** The worker's beat, if it is another than the one delivered last; null also where it cannot be read, which is said. */
  freshBeatOf(workerId: string): BeatFacts | null {
    try {
      return this.#readFresh(workerId);
    } catch (error) {
      this.#failed(workerId, error);
      return null;
    }
  }

  #readFresh(workerId: string): BeatFacts | null {
    const path = this.#context.layout.heartbeat(workerId);
    const stat = statSync(path, { throwIfNoEntry: false });
    const known = this.#seen.get(workerId);
    if (stat === undefined) return null;
    if (known !== undefined && isSame(known, stat)) {
      known.lookedMonoMs = now().monoMs;
      return null;
    }
    const refused = this.#refused.get(workerId);
    if (refused !== undefined && isSame(refused, stat) && refused.ctimeMs === stat.ctimeMs) return null;
    const nowMs = Date.now();
    const reading = readBeat(this.#context.layout, workerId, { nowMs, isFleeting: true, isThere: true });
    if (reading.kind === "absent") return null;
    if (reading.kind === "unfinished") {
      setTimeout(() => this.#hint(`${workerId}.json`), LOOK_AGAIN_MS).unref();
      return null;
    }
    if (reading.kind === "bad") {
      this.#refuse(workerId, reading, Math.max(0, nowMs - stat.mtimeMs), stat);
      return null;
    }
    const { value, fault } = reading;
    if (fault === undefined) this.#refusals.recover(workerId);
    else this.#say(workerId, fault.code, fault.sentence);
    const key = keyOf(reading);
    const { ino, mtimeMs, size } = reading;
    this.#seen.set(workerId, { ino, mtimeMs, size, lookedMonoMs: now().monoMs });
    this.received += 1;
    // A file seen changing arrives now, whatever its time says; of one seen for the first time its age is all that is known.
    const ageMs = Math.max(0, nowMs - reading.mtimeMs);
    this.#noteNumbers(workerId, value);
    if (known === undefined) {
      this.#noteGap(workerId, value, ageMs, null);
      return beatFacts(value, key, ageMs);
    }
    // In a round it was not seen arriving, but not before the look that did not find it: within that, the file's time is
    // believed, and of its times the one at which it was put in its place, which may be long after it was written.
    const placedMs = stat.ino === reading.ino ? Math.max(stat.ctimeMs, reading.mtimeMs) : nowMs;
    const arrivedMs = arrivedAtMs(placedMs, readInstant(value.timestamp), nowMs);
    const agoMs = Math.min(this.#rounds.sinceMs(known.lookedMonoMs), nowMs - arrivedMs);
    // A gap that is as long as a stall of our own says nothing about the worker.
    const watchedFrom = this.#context.part<FleetPart>("fleet")?.trust_from_mono_ms ?? null;
    this.#noteGap(workerId, value, agoMs, watchedFrom);
    return { ...beatFacts(value, key, 0), ago_ms: agoMs };
  }

  #noteNumbers(workerId: string, { attempt, metrics }: Beat): void {
    const numbers = metrics ? numbersOf(metrics) : {};
    if (Object.keys(numbers).length === 0) this.#numbers.delete(workerId);
    else this.#numbers.set(workerId, { attempt: attempt ?? null, numbers });
  }

  #noteGap(workerId: string, { attempt, sequence }: Beat, agoMs: number, watchedFromMonoMs: number | null): void {
    const arrivedMonoMs = now().monoMs - agoMs;
    // A beat need not name its attempt; the time between two attempts is no gap all the same.
    const known = attempt ?? this.#context.part<WorkerPart>(`worker:${workerId}`)?.spec.attempt ?? null;
    const beat = { attempt: known, sequence: sequence ?? null, arrivedMonoMs, watchedFromMonoMs };
    this.gaps.note(workerId, beat);
  }

  metricsOf(workerId: string): ReportedNumbers | null {
    return this.#numbers.get(workerId) ?? null;
  }

  /** Lets go of what is known of workers that are gone; what was counted of their gaps is given back. */
  forgetOthers(present: ReadonlySet<string>): HourOfGaps[] {
    for (const workerId of this.#numbers.keys()) if (!present.has(workerId)) this.#numbers.delete(workerId);
    return this.gaps.forgetOthers(present);
  }

  #hint(name: string): void {
    if (!name.endsWith(".json") || name.startsWith(".")) return;
    const workerId = name.slice(0, -".json".length);
    if (isId(workerId)) this.#offerFresh(workerId);
  }

  #offerFresh(workerId: string): void {
    const beat = this.freshBeatOf(workerId);
    if (beat !== null) this.#context.offer({ kind: "beat", worker_id: workerId, beat });
  }

  /** One file that may not be read is its owner's fault; everything else is the folder's, the disk's or our own. */
  #failed(workerId: string, error: unknown): void {
    const code = weatherCode(error);
    if (code === null) throw error;
    if (code !== "EACCES" && code !== "EPERM") return this.#inTrouble(code);
    const problem = `it may not be read (${code})`;
    const sentence = `Cannot read heartbeat "heartbeats/${workerId}.json": ${problem}`;
    const mtimeMs = statSync(this.#context.layout.heartbeat(workerId), { throwIfNoEntry: false })?.mtimeMs;
    const ageMs = mtimeMs === undefined ? 0 : Math.max(0, Date.now() - mtimeMs);
    this.#refuse(workerId, { code, sentence, problems: [{ field: "", message: problem }] }, ageMs);
  }

  /** A beat that does not count: it is not read again, and its worker's silence is told along with it. */
  #refuse(workerId: string, bad: Omit<Bad, "kind">, ageMs: number, version?: RefusedVersion): void {
    const isSaid = this.#say(workerId, bad.code, bad.sentence, version !== undefined);
    const known = this.#context.part<WorkerPart>(`worker:${workerId}`)?.beats_refused ?? null;
    const why = whyRefused(bad);
    if (known === null || withoutFigures(known) !== withoutFigures(why))
      this.#context.offer({ kind: "beats_refused", worker_id: workerId, why, age_ms: ageMs });
    if (!isSaid || version === undefined) return;
    const { ino, mtimeMs, ctimeMs, size } = version;
    this.#refused.set(workerId, { ino, mtimeMs, ctimeMs, size });
  }

  /**
   * Says once what is wrong with a worker's beats.
   *
   * @param isCounted Whether each time is another beat; of a file that may not be read that is not known.
   * @returns False where it cannot be written just now: then it is said at the next time that they are read.
   */
  #say(workerId: string, code: string, sentence: string, isCounted = true): boolean {
    const beats = this.#refusals.hear(workerId, code, sentence, now().monoMs);
    if (beats === 0 || this.#tell(workerId, code, sentence, isCounted ? beats : 1)) return true;
    this.#refusals.forget(workerId);
    return false;
  }

  #tell(workerId: string, code: string, sentence: string, beats: number): boolean {
    const message = beats === 1 ? sentence : `${sentence} (${beats} beats)`;
    const data = { path: this.#context.layout.heartbeat(workerId), problem: sentence, beats };
    return this.#shelter.news("record_refused", { message, reason: code, data }, { worker_id: workerId });
  }

  #list(): string[] | null {
    try {
      const names = readdirSync(this.#context.layout.heartbeatsDir);
      if (this.#trouble !== "") this.#clear();
      return names;
    } catch (error) {
      this.#inTrouble(systemCode(error) ?? "unknown");
      return null;
    }
  }

  #inTrouble(code: string): void {
    if (this.#trouble === code) return;
    this.#trouble = code;
    this.#context.offer({ kind: "unreadable", what: "heartbeats/", code });
  }

  #clear(): void {
    this.#trouble = "";
    this.#context.offer({ kind: "unreadable", what: "heartbeats/", code: "" });
  }
}

function isSame(one: Version, other: Version): boolean {
  return one.ino === other.ino && one.mtimeMs === other.mtimeMs && one.size === other.size;
}

function keyOf({ ino, mtimeMs, size }: Version): string {
  return `${ino}:${mtimeMs}:${size}`;
}
