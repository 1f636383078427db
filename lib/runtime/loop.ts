/**
 * The one loop: inbox, stamp, decide, journal, perform, answer. Live daemons, simulations, crash tests and replays run it.
 *
 * Bad weather (a full disk, a read-only directory, no descriptors) never loses anything: an event whose decision cannot be
 * journaled waits, and so do the rest of a lane's effects when one cannot be performed; both are tried again each second.
 *
 * @module
 */
import { errorMessage } from "../errors.js";
import { weatherCode } from "../platform/files.js";
import type { DecisionDraft, Stamp } from "../schema/events.js";
import type { Answer, Core, Decided, PartKind, Perform, Stamped, Wake } from "./core.js";
import type { Journal, JournalEntry, Progress } from "./journal.js";
import { textOfEntry } from "./texts.js";
import { WakeQueue } from "./wake-queue.js";

export interface LoopClock {
  /** Wall and monotonic clock, milliseconds. */
  now(): { readonly atMs: number; readonly monoMs: number };
  /** Calls back once at an instant of the monotonic clock; the returned function cancels it. */
  callAt(monoMs: number, callback: () => void): () => void;
}

/** A decision that is worth a record, with all that is needed to compute it again. */
export interface DecisionEffect {
  readonly kind: "decision";
  readonly draft: DecisionDraft;
  readonly slice: Readonly<Record<string, unknown>>;
  readonly event: Readonly<Record<string, unknown>>;
  readonly policyHash: string;
}

export interface Weather {
  readonly code: string;
  readonly message: string;
  /** The effect that could not be performed, or `journal`. */
  readonly what: string;
}

export interface LoopOptions<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Policy,
> {
  readonly core: Core<Slice, Event, Effect, Policy>;
  readonly policy: Policy;
  readonly policyHash: string;
  readonly journal: Journal;
  readonly perform: Perform<Event, Effect | DecisionEffect>;
  readonly clock: LoopClock;
  /** A new id that sorts by time; every id of a decision is made from it. */
  newId(atMs: number): string;
  /** Told of a part whose wake is due, so that what is known of it can be made fresh before the deadline speaks. */
  beforeWake?(key: string): void;
  /** Told once when bad weather starts and once when it ends (null). */
  onWeather?(weather: Weather | null): void;
  /** Told of an effect that failed for another reason than the weather. */
  onFailure?(effect: { readonly kind: string }, error: unknown): void;
  readonly bootId?: string;
  /** Told of each event after it was decided upon, with the slice as it was before: a shadow policy listens here. */
  onDecided?(slice: Slice, event: Stamped<Event>, hasDecision: boolean): void;
}

/** An event in the inbox; for an answer to a journaled effect, how far that decision is carried out once this is decided. */
interface Heard<Event> {
  readonly event: Stamped<Event>;
  readonly progress: Progress | null;
}

/** What waits for a lane: a decision's effects from `next` on. */
interface Work {
  readonly seq: number;
  readonly stamp: Stamp;
  readonly effects: readonly { readonly kind: string }[];
  next: number;
  /** Whether a crash may have come after any of them. */
  readonly again: boolean;
  /** The effect that the weather stopped last, and which may have been half performed. */
  stormedAt?: number;
  /** Whether the decision's record was written before its turn; false where that was tried and may be half done. */
  recorded?: boolean | undefined;
}

/** A part of the state and what it is now; null if it is no more. */
type Change = readonly [key: string, part: unknown];

/** An object without a class of its own, which V8 would make for every worker's name. */
function byKey(changes: readonly Change[]): Readonly<Record<string, unknown>> {
  const parts: Record<string, unknown> = Object.create(null);
  for (const [key, part] of changes) parts[key] = part;
  return parts;
}

const RETRY_MS = 1000;
const NO_PARTS: ReadonlyMap<string, unknown> = new Map();
/** The number of a decision whose effects are only questions. */
const NOT_JOURNALED = -1;
const CHECKPOINT_BYTES = 8 * 1024 * 1024;
/** While a daemon starts: the start ends with a checkpoint, and one in the middle of a large fleet would be for nothing. */
const CHECKPOINT_BYTES_AT_START = 64 * 1024 * 1024;

export class Loop<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Policy,
> {
  readonly #options: LoopOptions<Slice, Event, Effect, Policy>;
  readonly #core: Core<Slice, Event, Effect, Policy>;
  readonly #parts: Map<string, unknown>;
  /** The same parts once more, by the kind before the colon and the name behind it. */
  readonly #byKind = new Map<string, Map<string, unknown>>();
  readonly #lanes = new Map<string, Work[]>();
  readonly #inFlight = new Set<string>();
  readonly #parked = new Map<string, Heard<Event>[]>();
  readonly #inbox: Heard<Event>[] = [];
  readonly #wakes: WakeQueue;
  #policy: Policy;
  #policyHash: string;
  #seq: number;
  /** Decisions that are carried out, but whose answers may still be waiting to be decided upon. */
  #performed: { readonly lane: string; readonly work: Work }[] = [];
  /** Decisions that are carried out, answers and all; the journal is told with its next line. */
  #finished: number[] = [];
  #draining = false;
  #resumed = false;
  #stopped = false;
  #cancelRetry: (() => void) | null = null;
  #weather: Weather | null = null;

  constructor(options: LoopOptions<Slice, Event, Effect, Policy>) {
    this.#options = options;
    this.#core = options.core;
    this.#policy = options.policy;
    this.#policyHash = options.policyHash;
    const recovered = options.journal.recover();
    this.faults = recovered.faults;
    this.recoveredBootId = recovered.boot_id;
    this.#parts = recovered.parts;
    const rebooted = recovered.boot_id !== null && options.bootId !== undefined && recovered.boot_id !== options.bootId;
    if (rebooted && this.#core.afterReboot) {
      for (const [key, part] of [...this.#parts]) this.#setPart(key, this.#core.afterReboot(key, part));
    }
    for (const [key, part] of this.#parts) this.#index(key, part);
    this.#seq = recovered.seq;
    this.#wakes = new WakeQueue(options.clock, (key) => {
      options.beforeWake?.(key);
      this.offer(this.#core.wake(key));
    });
    for (const entry of recovered.pending) this.#resume(entry);
  }

  /** What could not be read at the start, one sentence each. */
  readonly faults: readonly string[];
  /** The boot that the checkpoint was written in; null if there was none. */
  readonly recoveredBootId: string | null;

  /** Resumes what a crash interrupted. Called once, when the world may be touched. */
  resume(): void {
    this.#resumed = true;
    for (const lane of [...this.#lanes.keys()]) this.#runLane(lane);
    this.#drain();
  }

  /** Gives the loop a fact. It is decided upon at once, unless the loop is in the middle of another. */
  offer(event: Event): void {
    this.#hear(event, null);
  }

  /**
   * Decides upon an event that may come, and forgets it: nothing is changed, written or done, and nobody is told.
   *
   * Only so that code and data are at hand when it comes.
   */
  rehearse(event: Event): void {
    if (this.#draining || this.#stopped) return;
    const { atMs, monoMs } = this.#options.clock.now();
    const stamp = { id: "rehearsed", atMs: Math.round(atMs), monoMs };
    const stamped = { ...event, stamp };
    const address = this.#core.address(stamped);
    const slice = this.#sliceAt(address);
    const decided = this.#core.decide(slice, stamped, this.#policy);
    const parts = byKey(this.#changes(address, slice, decided.slice));
    const effects = this.#durable(slice, stamped, decided);
    textOfEntry({ seq: this.#seq, lane: laneOf(address), stamp, parts, effects });
  }

  #hear(event: Event, progress: Progress | null): void {
    if (this.#stopped) return;
    const { atMs, monoMs } = this.#options.clock.now();
    const stamp = { id: this.#options.newId(atMs), atMs: Math.round(atMs), monoMs: Math.round(monoMs * 1000) / 1000 };
    this.#inbox.push({ event: { ...event, stamp }, progress });
    if (!this.#draining) this.#drain();
  }

  /** Puts another policy in force. The caller offers an event for whatever should be looked at again. */
  setPolicy(policy: Policy, hash: string): void {
    this.#policy = policy;
    this.#policyHash = hash;
  }

  get policy(): Policy {
    return this.#policy;
  }

  /** A part of the state, for showing; null if it is not there. */
  part<T>(key: string): T | null {
    return (this.#parts.get(key) as T | undefined) ?? null;
  }

  /** The parts that an event is about, as they are now. */
  sliceFor(event: Event): Slice {
    return this.#sliceAt(this.#core.address(event));
  }

  keys(): Iterable<string> {
    return this.#parts.keys();
  }

  /** Every part of a kind, such as `worker:`, for showing; all parts by their keys where it is empty. */
  partsWith<T>(kind: PartKind): ReadonlyMap<string, T> {
    const parts = kind === "" ? this.#parts : (this.#byKind.get(kind) ?? NO_PARTS);
    return parts as ReadonlyMap<string, T>;
  }

  /** Whether everything decided is also done. */
  get idle(): boolean {
    return this.#inbox.length === 0 && this.#lanes.size === 0 && this.#parked.size === 0;
  }

  get weather(): Weather | null {
    return this.#weather;
  }

  /** When a wake is due, on the monotonic clock; null if there is none. For showing. */
  wakeOf(key: string): number | null {
    return this.#wakes.dueOf(key);
  }

  /** Stops deciding. What is in hand stays in the journal and is finished by the next start. */
  stop(): void {
    this.#stopped = true;
    this.#cancelRetry?.();
    this.#wakes.close();
  }

  /** Writes everything into the checkpoint, so that the next start need not read the journal. */
  checkpoint(): void {
    const pending: JournalEntry[] = [];
    const keep = (lane: string, work: Work, performed: number): void => {
      if (work.seq === NOT_JOURNALED) return;
      pending.push({ seq: work.seq, lane, stamp: work.stamp, parts: {}, effects: work.effects, performed });
    };
    // What is done but whose answer was not decided upon is done again, so that the answer comes again.
    for (const { lane, work } of this.#performed) keep(lane, work, 0);
    for (const [lane, works] of this.#lanes) for (const work of works) keep(lane, work, work.next);
    this.#options.journal.checkpoint({
      seq: this.#seq,
      boot_id: this.#options.bootId ?? "",
      parts: Object.fromEntries(this.#parts),
      pending,
    });
    this.#performed = [];
    this.#finished = [];
  }

  #drain(): void {
    this.#draining = true;
    try {
      for (let heard = this.#inbox.shift(); heard !== undefined && !this.#stopped; heard = this.#inbox.shift()) {
        this.#step(heard);
      }
      // Only now is no answer on its way: a crash must find either the work or what came of it.
      if (this.#inbox.length === 0 && this.#parked.size === 0) this.#settlePerformed();
    } finally {
      this.#draining = false;
    }
    const limit = this.#resumed ? CHECKPOINT_BYTES : CHECKPOINT_BYTES_AT_START;
    if (this.#options.journal.bytes > limit) this.#guarded("checkpoint", () => this.checkpoint());
  }

  #settlePerformed(): void {
    for (const { work } of this.#performed.splice(0)) this.#finished.push(work.seq);
  }

  #step(heard: Heard<Event>): void {
    const { event } = heard;
    const address = this.#core.address(event);
    const lane = laneOf(address);
    if (this.#parked.has(lane)) return this.#park(lane, heard);
    const slice = this.#sliceAt(address);
    const decided = this.#core.decide(slice, event, this.#policy);
    const changed = this.#changes(address, slice, decided.slice);
    const effects = this.#durable(slice, event, decided);
    // An answer comes once: what it changed is kept even where nothing follows from it.
    const isNews = heard.progress !== null && changed.length > 0;
    const lasting = isNews || effects.some((effect) => !this.#core.transient?.has(effect.kind));
    if (lasting) {
      const progress = heard.progress === null ? {} : { progress: heard.progress };
      const parts = byKey(changed);
      const entry = { seq: this.#seq + 1, lane, stamp: event.stamp, parts, effects, ...progress };
      if (!this.#guarded("journal", () => this.#journal(entry))) return this.#park(lane, heard);
      this.#seq = entry.seq;
    }
    if (effects.length > 0)
      this.#enqueue(lane, {
        seq: lasting ? this.#seq : NOT_JOURNALED,
        stamp: event.stamp,
        effects,
        next: 0,
        again: false,
      });
    for (const [key, part] of changed) this.#setPart(key, part);
    for (const effect of decided.effects) if (isWake(effect)) this.#wakes.set(effect.key, effect.atMonoMs);
    if (effects.length > 0) this.#runLane(lane);
    this.#options.onDecided?.(slice, event, decided.decision !== undefined);
  }

  #journal(entry: JournalEntry): void {
    const done = this.#finished;
    this.#options.journal.append(done.length === 0 ? entry : { ...entry, done });
    this.#finished = [];
  }

  #sliceAt(address: { readonly [Part in keyof Slice]: string }): Slice {
    const slice: Partial<Slice> = {};
    for (const part of Object.keys(address) as (keyof Slice)[]) {
      const known = this.#parts.get(address[part]);
      slice[part] =
        known === undefined ? (this.#core.blank(part) as Slice[typeof part]) : (known as Slice[typeof part]);
    }
    return slice as Slice;
  }

  #setPart(key: string, part: unknown): void {
    if (part === null) this.#parts.delete(key);
    else this.#parts.set(key, part);
    this.#index(key, part);
  }

  #index(key: string, part: unknown): void {
    const end = key.indexOf(":") + 1;
    if (end === 0) return;
    const kind = key.slice(0, end);
    let parts = this.#byKind.get(kind);
    if (parts === undefined) {
      if (part === null) return;
      parts = new Map();
      this.#byKind.set(kind, parts);
    }
    if (part === null) parts.delete(key.slice(end));
    else parts.set(key.slice(end), part);
  }

  /** Pairs and no object: one with a worker's name for a key is of a class of its own to V8, made anew for each beat. */
  #changes(address: { readonly [Part in keyof Slice]: string }, before: Slice, after: Slice): Change[] {
    const changed: Change[] = [];
    for (const part of Object.keys(address) as (keyof Slice)[])
      if (after[part] !== before[part]) changed.push([address[part], after[part]]);
    return changed;
  }

  #durable(slice: Slice, event: Stamped<Event>, decided: Decided<Slice, Effect>): { readonly kind: string }[] {
    const effects: { readonly kind: string }[] = decided.effects.filter((effect) => !isWake(effect));
    if (decided.decision === undefined) return effects;
    const recorded = {
      slice: slice as Record<string, unknown>,
      event: event as Record<string, unknown>,
      policyHash: this.#policyHash,
    };
    const record = { kind: "decision", draft: decided.decision, ...recorded } as DecisionEffect;
    const nth = effects.findIndex(({ kind }) => this.#core.urgent?.has(kind) !== true);
    effects.splice(nth === -1 ? effects.length : nth, 0, record);
    return effects;
  }

  #enqueue(lane: string, work: Work): void {
    const works = this.#lanes.get(lane);
    if (works) works.push(work);
    else this.#lanes.set(lane, [work]);
  }

  #resume(entry: JournalEntry): void {
    this.#enqueue(entry.lane, {
      seq: entry.seq,
      stamp: entry.stamp,
      effects: entry.effects,
      next: entry.performed ?? 0,
      again: true,
    });
  }

  /** Performs a lane's effects in order, until it is empty, waits for an answer, or is stopped by the weather. */
  #runLane(lane: string): void {
    if (this.#inFlight.has(lane)) return;
    const works = this.#lanes.get(lane);
    while (works && works.length > 0 && !this.#stopped) {
      const work = works[0] as Work;
      if (work.next >= work.effects.length) {
        works.shift();
        if (work.seq !== NOT_JOURNALED) this.#performed.push({ lane, work });
        continue;
      }
      const effect = work.effects[work.next] as Effect | DecisionEffect;
      const answer = this.#attempt(effect, work);
      if (answer === STORM) return;
      if (answer instanceof Promise) return this.#await(lane, work, effect, answer);
      work.next += 1;
      this.#accept(answer, work);
    }
    if (works?.length === 0) this.#lanes.delete(lane);
  }

  #attempt(effect: Effect | DecisionEffect, work: Work): Answer<Event> | typeof STORM {
    if (effect.kind === "decision" && work.recorded === true) return undefined;
    try {
      const isHalfRecorded = effect.kind === "decision" && work.recorded === false;
      const again = work.again || isHalfRecorded || work.stormedAt === work.next;
      return this.#options.perform(effect, { stamp: work.stamp, again });
    } catch (error) {
      return this.#failed(effect, error, work);
    }
  }

  #await(
    lane: string,
    work: Work,
    effect: Effect | DecisionEffect,
    answer: Promise<undefined | Event | readonly Event[]>,
  ): void {
    this.#inFlight.add(lane);
    const proceed = (result: undefined | Event | readonly Event[] | typeof STORM): void => {
      this.#inFlight.delete(lane);
      if (result === STORM) return;
      work.next += 1;
      this.#accept(result, work);
      this.#runLane(lane);
    };
    answer.then(proceed, (error: unknown) => proceed(this.#failed(effect, error, work)));
  }

  /** Bad weather is waited out; anything else becomes an event for the core. */
  #failed(effect: Effect | DecisionEffect, error: unknown, work: Work): Event | undefined | typeof STORM {
    const code = weatherCode(error);
    if (code !== null) {
      work.stormedAt = work.next;
      if (this.#core.urgent?.has(effect.kind) === true) this.#recordEarly(work);
      this.#storm({ code, message: errorMessage(error), what: effect.kind });
      return STORM;
    }
    this.#options.onFailure?.(effect, error);
    if (effect.kind === "decision") return undefined;
    const code2 = (error as { code?: unknown } | null)?.code;
    return (
      this.#core.failed(effect as Effect, errorMessage(error), typeof code2 === "string" ? code2 : "unknown") ??
      undefined
    );
  }

  /** What is urgent waits for better weather: whoever wonders meanwhile finds the record of its decision all the same. */
  #recordEarly(work: Work): void {
    const record = work.effects.slice(work.next).find(({ kind }) => kind === "decision");
    if (record === undefined || work.recorded === true) return;
    try {
      const again = work.again || work.recorded === false;
      work.recorded = false;
      this.#options.perform(record as DecisionEffect, { stamp: work.stamp, again });
      work.recorded = true;
    } catch (error) {
      // It cannot be written either: it comes in its turn, and what is wrong with its log is said then.
      if (weatherCode(error) === null) work.recorded = undefined;
    }
  }

  #accept(answer: undefined | Event | readonly Event[], work: Work): void {
    if (answer === undefined || answer === null) return;
    const answers = Array.isArray(answer) ? (answer as readonly Event[]) : [answer as Event];
    for (const [nth, event] of answers.entries()) {
      // The last answer's line in the journal also says that its effect is done: the two cannot be torn apart.
      const last = nth === answers.length - 1;
      this.#hear(event, work.seq === NOT_JOURNALED ? null : { seq: work.seq, next: last ? work.next : work.next - 1 });
    }
  }

  #park(lane: string, heard: Heard<Event>): void {
    const waiting = this.#parked.get(lane) ?? [];
    const last = waiting.at(-1);
    const { kind } = heard.event;
    if (last && last.event.kind === kind && this.#core.coalesced.has(kind)) waiting.pop();
    waiting.push(heard);
    this.#parked.set(lane, waiting);
  }

  #guarded(what: string, action: () => void): boolean {
    try {
      action();
      return true;
    } catch (error) {
      const code = weatherCode(error);
      if (code === null) throw error;
      this.#storm({ code, message: errorMessage(error), what });
      return false;
    }
  }

  #storm(weather: Weather): void {
    if (this.#weather === null) {
      this.#weather = weather;
      this.#options.onWeather?.(weather);
    }
    this.#cancelRetry ??= this.#options.clock.callAt(this.#options.clock.now().monoMs + RETRY_MS, () => this.#retry());
  }

  #retry(): void {
    this.#cancelRetry = null;
    if (this.#stopped) return;
    for (const lane of [...this.#lanes.keys()]) this.#runLane(lane);
    const parked = [...this.#parked.values()].flat();
    this.#parked.clear();
    this.#inbox.unshift(...parked);
    if (!this.#draining) this.#drain();
    if (this.#cancelRetry === null && this.#weather !== null) {
      this.#weather = null;
      this.#options.onWeather?.(null);
    }
  }
}

const STORM = Symbol("bad weather");

function laneOf(address: object): string {
  return String(Object.values(address)[0]);
}

function isWake(effect: { readonly kind: string }): effect is Wake {
  return effect.kind === "wake";
}
