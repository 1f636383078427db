/** The queue of requests: each file is read with the facts of its gates, and offered as one event. @module */
import { statSync } from "node:fs";
import { relative } from "node:path";
import { systemCode } from "../../lib/errors.js";
import { weatherCode } from "../../lib/platform/files.js";
import { type DeathNotes, Rush } from "../../lib/platform/rush.js";
import { type Watch, watchDirectory } from "../../lib/platform/watching.js";
import type { DaemonContext, Source } from "../../lib/runtime/daemon.js";
import { Shelter } from "../../lib/runtime/shelter.js";
import type { RestartGate } from "../../lib/schema/catalogue.js";
import { show } from "../../lib/schema/problems.js";
import { quickCheckOf } from "../../lib/schema/quick.js";
import { launchRecordSchema, type RestartRequest, restartRequestSchema } from "../../lib/schema/records.js";
import { workerSpecSchema } from "../../lib/schema/worker-spec.js";
import type { Mailbox } from "../../lib/store/mailbox.js";
import { MAX_BYTES, readRecord, UNFINISHED_MS } from "../../lib/store/records.js";
import { FactReader, type Found } from "./facts.js";
import type { Event, Facts, Subject } from "./messages.js";
import { accountedFor, adoptOrphans } from "./orphans.js";
import { fillPlaces } from "./places.js";
import { isMadeLater, namedSubject, requestOf } from "./request-file.js";
import type { RestartSettings } from "./settings.js";
import type { FleetPart, WorkerPart } from "./state.js";

export type Context = DaemonContext<Event, RestartSettings>;

/** Requests left by dead claimers are looked for once what the journal knows is resumed. */
const ORPHANS_AFTER_MS = 1000;
/** And again after so long, where the folders could not be read. */
const ORPHANS_AGAIN_MS = 30_000;
/** A request that could not be read is looked at again after so long, and at once when its file changes. */
const UNREAD_MS = 2000;
/** What is said not to work. */
const LOOKING = "looking at the queue";

/** A request as it was read, and which version of its file that was. */
export interface ReadRequest {
  readonly version: string;
  readonly record: object;
}

/** Another type than the worker's own is the only sign of a wrong id, and nobody must be ended for a slip. */
function whyMistaken({ worker_type }: RestartRequest, { base }: Found): string | null {
  if (worker_type == null || base.worker_type == null || worker_type === base.worker_type) return null;
  return `worker_type must be ${show(base.worker_type)}, as its spec says, got ${show(worker_type)}`;
}

/** Gates that open when the old attempt's spec goes. */
export const SPEC_GATES: ReadonlySet<string> = new Set<RestartGate>(["running", "survivors"]);

export class QueueSource implements Source {
  readonly name = "queue";
  readonly scanEverySeconds = 30;
  readonly #context: Context;
  readonly #mailbox: Mailbox;
  readonly reader: FactReader;
  /** The version of each file that was looked at last. */
  readonly #seen = new Map<string, string>();
  /** The request that was read last under each name. */
  readonly #read = new Map<string, ReadRequest>();
  /** What the latest look at a request found, for its start. */
  readonly #found = new Map<string, Found>();
  /** What is to be done later, by what it is about: never twice for one request. */
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** Requests of which something is asked that takes its time. */
  readonly #asking = new Set<string>();
  /** Requests that could not be read, and the code that was said of them. */
  readonly #unread = new Map<string, string>();
  /** What was said of the times of requests. */
  readonly #odd = new Map<string, string>();
  /** Called when a request begins to wait for an active spec to go. */
  onWaitsForSpec: () => void = () => {};
  #watch: Watch | null = null;
  readonly #deaths: DeathNotes;
  /** Against a lack of descriptors, permissions or a queue. */
  readonly #shelter: Shelter;

  constructor(
    context: Context,
    mailbox: Mailbox,
    host: () => NonNullable<Facts["host"]>,
    deaths: DeathNotes = new Rush(),
  ) {
    this.#deaths = deaths;
    this.#context = context;
    this.#mailbox = mailbox;
    this.#shelter = new Shelter(context.log, (error) =>
      systemCode(error) === "ENOENT" ? "ENOENT" : weatherCode(error),
    );
    this.reader = new FactReader(context.layout, host);
  }

  start(): void {
    const { log, layout } = this.#context;
    // The first death need not wait for them to be made.
    for (const schema of [restartRequestSchema, workerSpecSchema, launchRecordSchema]) quickCheckOf(schema);
    this.#watch = watchDirectory(
      layout.queueDir,
      (name) => (name === null ? this.scan() : this.#shelter.run(LOOKING, () => this.#hint(name))),
      (error) => log.warn({ cause: String(error) }, "the queue cannot be watched; it is looked at every 30 s"),
    );
    this.#shelter.run(LOOKING, () => {
      for (const [workerId, part] of this.#waiting()) this.#offerGone(workerId, part);
    });
    this.scan();
    this.#later("orphans", ORPHANS_AFTER_MS, () => this.#adoptOrphans());
  }

  /** Looks at what is new, and at what is nobody's: it came while its worker was being started for another request. */
  scan(): void {
    this.#shelter.run(LOOKING, () => {
      const names = new Set(Array.from(this.#waiting(), ([, { waiting }]) => waiting?.name));
      for (const name of this.#mailbox.list())
        if (this.#seen.has(name) && !names.has(name) && !this.#isUnderWay(name)) this.#offer(name);
        else this.#hint(name);
    });
  }

  /** Whether its look is still to come, or to be answered. */
  #isUnderWay(name: string): boolean {
    return this.#asking.has(name) || this.#timers.has(name);
  }

  stop(): void {
    this.#watch?.close();
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  /** Looks at all requests that wait; after a change of a hold, a wish, a template or the policy. */
  lookAtWaiting(filter: (part: WorkerPart) => boolean = () => true): void {
    for (const [, part] of this.#waiting()) if (part.waiting && filter(part)) this.#offer(part.waiting.name);
  }

  /** Looks at those that are next for the places that are free among the starts under way. */
  fillPlaces(): void {
    const parts = this.#context.partsWith<WorkerPart>("worker:").values();
    const fleet = this.#context.part<FleetPart>("fleet");
    fillPlaces(parts, fleet, this.#context.policy(), Date.now(), (name) => {
      // What is asked already, or cannot be read for now, comes by itself.
      if (this.#isUnderWay(name)) return false;
      this.#offer(name);
      return !this.#timers.has(name);
    });
  }

  /** Reads one request; null if it is gone, or not finished yet (then it is looked at again by itself). */
  look(name: string, nowMs = Date.now()): Event | null | Promise<Event | null> {
    const path = this.#mailbox.pathOf(name);
    const reading = readRecord(path, restartRequestSchema, {
      maxBytes: MAX_BYTES.request,
      nowMs,
      what: "request",
      root: this.#context.layout.coordination,
      isFleeting: true,
      isThere: true,
    });
    if (reading.kind === "absent") return null;
    if (reading.kind === "unfinished") {
      this.#later(name, UNFINISHED_MS, () => this.#offer(name));
      return null;
    }
    if (reading.kind === "bad") return { kind: "request-unreadable", name, why: reading.sentence };
    const version = versionOf(reading);
    this.#seen.set(name, version);
    this.#read.set(name, { version, record: reading.value });
    const request = requestOf(reading.value, reading.mtimeMs);
    const found = this.reader.find(namedSubject(reading.value), request.attempt, nowMs);
    const mistaken = whyMistaken(reading.value, found);
    if (mistaken !== null)
      return { kind: "request-unreadable", name, why: `Cannot read request ${JSON.stringify(path)}: ${mistaken}` };
    this.#noteTime(name, reading.value, reading.mtimeMs);
    this.#found.set(name, found);
    const facts = this.reader.read(found, request, this.#otherOf(found.subject.worker_id, name), nowMs);
    const eventOf = (known: Awaited<typeof facts>): Event => ({
      kind: "request",
      ...found.subject,
      name,
      request,
      facts: known,
    });
    return facts instanceof Promise ? facts.then(eventOf) : eventOf(facts);
  }

  /** A request that claims to be of the future would never expire: that is said once for each name and time. */
  #noteTime(name: string, record: RestartRequest, mtimeMs: number): void {
    if (!isMadeLater(record.created_at, mtimeMs)) return void this.#odd.delete(name);
    const problem = `created_at must not be in the future, got ${show(record.created_at)}`;
    if (this.#odd.get(name) === problem) return;
    const message = `Request "${name}": ${problem}; it counts as made when its file was written`;
    const path = this.#mailbox.pathOf(name);
    const content = { message, reason: "wrong_field", data: { path, problem } };
    const subject = { worker_id: record.worker_id };
    const isSaid = this.#shelter.run("writing news", () =>
      this.#context.reporter.news("record_refused", content, subject),
    );
    if (isSaid) this.#odd.set(name, problem);
  }

  /** What the latest look found; looked for anew where there was none, as after a crash. */
  foundFor(name: string, subject: Subject, endedAttempt: number): Found & { readonly why?: string | null } {
    return this.#found.get(name) ?? this.reader.find(subject, endedAttempt, Date.now());
  }

  /** Hands over the request that was read last under a name, to whoever claims it. */
  take(name: string): ReadRequest | null {
    const read = this.#read.get(name) ?? null;
    this.#read.delete(name);
    return read;
  }

  /** Our own writing is no news. */
  wrote(name: string): void {
    const stat = statSync(this.#mailbox.pathOf(name), { throwIfNoEntry: false });
    if (stat !== undefined) this.#seen.set(name, versionOf(stat));
  }

  /** Looks whether the files of those changed that wait for exactly that. */
  pollFiles(): void {
    this.lookAtWaiting(({ waiting }) => {
      if (waiting?.gate !== "exit_class") return false;
      const found = this.#found.get(waiting.name);
      return found === undefined || this.reader.filesOf(found) !== waiting.files;
    });
  }

  /** The files of those that wait for a change of them. */
  waitedFor(): string[] {
    const paths: string[] = [];
    for (const [, { waiting }] of this.#waiting())
      if (waiting?.gate === "exit_class") paths.push(...(this.#found.get(waiting.name)?.files ?? []));
    return paths;
  }

  /** Whether a request waits for what its worker's old spec still stands for. */
  waitsForSpec(): boolean {
    for (const [, { waiting }] of this.#waiting()) if (SPEC_GATES.has(waiting?.gate ?? "")) return true;
    return false;
  }

  *#waiting(): Generator<readonly [string, WorkerPart]> {
    for (const [workerId, part] of [...this.#context.partsWith<WorkerPart>("worker:")])
      if (part.waiting) yield [workerId, part];
  }

  #offerGone(workerId: string, part: WorkerPart): void {
    const { waiting, worker_type, task_id } = part;
    if (waiting === null || this.#isThere(waiting.name)) return;
    this.#context.offer({ kind: "request-gone", worker_id: workerId, worker_type, task_id, name: waiting.name });
  }

  #otherOf(workerId: string, name: string): string | null {
    const waiting = this.#context.part<WorkerPart>(`worker:${workerId}`)?.waiting ?? null;
    if (waiting === null || waiting.name === name) return null;
    return this.#isThere(waiting.name) ? waiting.name : null;
  }

  /** Whether a request waits; also where that cannot be told, for what waits must not be forgotten by mistake. */
  #isThere(name: string): boolean {
    try {
      return statSync(this.#mailbox.pathOf(name), { throwIfNoEntry: false }) !== undefined;
    } catch (error) {
      if (weatherCode(error) === null) throw error;
      return true;
    }
  }

  /** A hint says that something happened to a file; the same version is not looked at twice. */
  #hint(name: string): void {
    if (!name.endsWith(".json") || name.startsWith(".")) return;
    const seen = this.#seen.get(name);
    if (seen === undefined) {
      this.#deaths.died();
      return this.#offer(name);
    }
    const stat = statSync(this.#mailbox.pathOf(name), { throwIfNoEntry: false });
    if (stat === undefined) this.#gone(name);
    else if (seen !== versionOf(stat)) this.#offer(name);
  }

  /** A request is in the queue no more: we have claimed it, or somebody took it back while it waited. */
  #gone(name: string): void {
    const known = this.#found.get(name)?.subject.worker_id;
    this.#seen.delete(name);
    this.#read.delete(name);
    this.#found.delete(name);
    this.#unread.delete(name);
    this.#odd.delete(name);
    if (known === undefined) {
      for (const [workerId, part] of this.#waiting()) if (part.waiting?.name === name) this.#offerGone(workerId, part);
      return;
    }
    const part = this.#context.part<WorkerPart>(`worker:${known}`);
    if (part?.waiting?.name === name) this.#offerGone(known, part);
  }

  #offer(name: string): void {
    const give = (event: Event | null): void => {
      this.#asking.delete(name);
      this.#unread.delete(name);
      if (event !== null) this.#context.offer(event);
      else if (!this.#isThere(name)) this.#gone(name);
    };
    const put = (error: unknown): void => {
      this.#asking.delete(name);
      this.#sayUnread(name, error);
      this.#later(name, UNREAD_MS, () => this.#offer(name));
    };
    try {
      const event = this.look(name);
      if (!(event instanceof Promise)) return give(event);
      this.#asking.add(name);
      event.then(give, put);
    } catch (error) {
      if (weatherCode(error) === null) throw error;
      put(error);
    }
  }

  /** Once for each reason. What a person has to mend is news; a host that is short of something says so where it must write. */
  #sayUnread(name: string, error: unknown): void {
    const code = weatherCode(error) ?? "unknown";
    if (this.#unread.get(name) === code) return;
    this.#unread.set(name, code);
    const { log, layout, reporter } = this.#context;
    log.warn({ name, code, cause: String(error) }, "a request could not be read just now; it is tried again");
    if (code !== "EACCES" && code !== "EPERM") return;
    const path = pathOf(error) ?? this.#mailbox.pathOf(name);
    const problem = `${JSON.stringify(relative(layout.coordination, path))} may not be read (${code})`;
    const content = { message: `Request "${name}" waits: ${problem}`, reason: code, data: { path, problem } };
    // What cannot be written now is said by the next look.
    if (!this.#shelter.run("writing news", () => reporter.news("record_refused", content))) this.#unread.delete(name);
  }

  /** One timer for each: a scan that finds the same again must not begin a chain of its own. */
  #later(what: string, ms: number, action: () => void): void {
    if (this.#timers.has(what)) return;
    const timer = setTimeout(() => {
      this.#timers.delete(what);
      action();
    }, ms);
    this.#timers.set(what, timer);
  }

  /** Claimed requests of dead claimers that no attempt on probation and no start in hand accounts for wait again. */
  #adoptOrphans(): void {
    const parts = [...this.#context.partsWith<WorkerPart>("")];
    const isDone = this.#shelter.run("looking for requests of killed daemons", () => {
      for (const name of adoptOrphans(this.#mailbox, accountedFor(parts)))
        this.#context.log.info({ name }, "a request that a killed daemon had claimed waits again");
    });
    if (!isDone) this.#later("orphans", ORPHANS_AGAIN_MS, () => this.#adoptOrphans());
  }
}

/** The file that an error of the system is about: a request's facts stand in many. */
function pathOf(error: unknown): string | null {
  const path = (error as { path?: unknown } | null)?.path;
  return typeof path === "string" ? path : null;
}

/** The number, time and length of a file: they stay with it when it is moved. */
export function versionOf(stat: { readonly ino: number; readonly mtimeMs: number; readonly size: number }): string {
  return `${stat.ino}:${stat.mtimeMs}:${stat.size}`;
}
