/**
 * Runs a daemon's core on the real loop over a world in memory, with a clock that moves by hand and a crash wherever a
 * scenario wants one. Each decision is computed again from its record alone, and must come out the same.
 *
 * A crash throws the loop away in the instant after an effect was performed and before its answer arrived: the journal
 * and the world stay, as files would. A new loop resumes, and the world is scanned as a daemon's sources would do it.
 *
 * @module
 */
import type { Answer, Core, PartKind, PerformContext, Stamped } from "../../lib/runtime/core.js";
import { MemoryJournal } from "../../lib/runtime/journal.js";
import { type DecisionEffect, Loop, type LoopClock } from "../../lib/runtime/loop.js";
import { replayDecision } from "../../lib/runtime/replay.js";
import { gateEntry } from "../../lib/schema/catalogue.js";
import type { DecisionRecord, Stamp } from "../../lib/schema/events.js";
import type { Policy as InForce } from "../../lib/schema/policy.js";

interface Kind {
  readonly kind: string;
}

/** What the effects act on, and what a daemon's sources find when it starts. */
export interface World<Event, Effect> {
  perform(effect: Effect | DecisionEffect, context: PerformContext): Answer<Event>;
  /** Offers everything that the sources of a starting daemon would find. Also called for the first start. */
  scan(offer: (event: Event) => void): void;
}

export interface SimulationOptions<Slice extends object, Event extends Kind, Effect extends Kind, Policy> {
  readonly core: Core<Slice, Event, Effect, Policy>;
  readonly policy: Policy;
  /** Makes the world; it may read the time and the parts of the state. */
  world(simulation: Simulation<Slice, Event, Effect, Policy>): World<Event, Effect>;
  /** Which effects are followed by a crash, counted from 1 over the whole run. */
  readonly crashAfter?: readonly number[];
  /** Wall clock at the start; 2026-11-21T00:00:00Z unless said otherwise. */
  readonly startAtMs?: number;
}

interface Timer {
  readonly monoMs: number;
  readonly callback: () => void;
}

const START_AT_MS = Date.parse("2026-11-21T00:00:00Z");
/** A scenario that needs more timers than this in one go runs in a circle. */
const TIMERS_MAX = 100_000;

export class Simulation<Slice extends object, Event extends Kind, Effect extends Kind, Policy> {
  readonly #options: SimulationOptions<Slice, Event, Effect, Policy>;
  readonly #journal = new MemoryJournal();
  readonly #world: World<Event, Effect>;
  readonly #crashAfter: ReadonlySet<number>;
  readonly #policies = new Map<string, Policy>();
  readonly #differences: string[] = [];
  #timers: Timer[] = [];
  #loop: Loop<Slice, Event, Effect, Policy>;
  #policy: Policy;
  #crashed = false;
  #ids = 0;
  #boots = 1;
  #monoMs = 1_000_000;
  #wallAheadMs: number;
  /** Effects performed so far, repeats after a crash included. */
  performed = 0;
  /** Decisions that were computed again and came out the same. */
  replayed = 0;
  /** How often a new loop was made. */
  crashes = 0;
  /** What the loop called a failure that is not the weather. */
  readonly failures: string[] = [];
  /** Told of each event that was decided upon; a shadow listens here. */
  onDecided: (slice: Slice, event: Stamped<Event>, hasDecision: boolean) => void = () => {};
  /** Every decision as its line would be, in order. */
  readonly recorded: DecisionRecord[] = [];

  constructor(options: SimulationOptions<Slice, Event, Effect, Policy>) {
    this.#options = options;
    this.#policy = options.policy;
    this.#crashAfter = new Set(options.crashAfter ?? []);
    this.#wallAheadMs = (options.startAtMs ?? START_AT_MS) - this.#monoMs;
    this.#world = options.world(this);
    this.#loop = this.#open();
    this.#begin();
  }

  get nowMs(): number {
    return this.#monoMs + this.#wallAheadMs;
  }

  get monoMs(): number {
    return this.#monoMs;
  }

  keys(): Iterable<string> {
    return this.#loop.keys();
  }

  sliceFor(event: Event): Slice {
    return this.#loop.sliceFor(event);
  }

  /** The clock of the loop, for whatever runs beside it. */
  readonly clock: LoopClock = {
    now: () => ({ atMs: this.nowMs, monoMs: this.#monoMs }),
    callAt: (monoMs, callback) => this.#callAt(monoMs, callback),
  };

  part<T>(key: string): T | null {
    return this.#loop.part<T>(key);
  }

  partsWith<T>(kind: PartKind): ReadonlyMap<string, T> {
    return this.#loop.partsWith<T>(kind);
  }

  get idle(): boolean {
    return this.#loop.idle;
  }

  /** Gives the loop a fact, as a source would. A crash that it causes is recovered from before this returns. */
  offer(event: Event): void {
    this.#loop.offer(event);
    this.#recover();
  }

  get policy(): Policy {
    return this.#policy;
  }

  setPolicy(policy: Policy): void {
    this.#policy = policy;
    this.#loop.setPolicy(policy, this.#policyHash());
  }

  /** Steps the wall clock only, as a person or NTP would. */
  stepWall(byMs: number): void {
    this.#wallAheadMs += byMs;
  }

  /** Kills the daemon between two events and starts it again. */
  crash(): void {
    this.#crashed = true;
    this.#loop.stop();
    this.#recover();
  }

  /** Keeps the daemon from running for a while: time passes, and nobody watches. */
  absent(ms: number): void {
    this.#crashed = true;
    this.#loop.stop();
    this.#monoMs += ms;
    this.#recover();
  }

  /** Starts the host anew, as far as the loop can tell: by another boot id than the checkpoint's. */
  reboot(): void {
    this.#crashed = true;
    this.#loop.stop();
    this.#loop.checkpoint();
    this.#boots += 1;
    this.#recover();
  }

  /** Lets answers that are promises arrive. */
  async settle(): Promise<void> {
    // A crash within an answer makes a new loop, whose own answers come later.
    for (let turn = 0; turn < 100; turn++) {
      await Promise.resolve();
      this.#recover();
    }
  }

  /** Lets time pass; what is due on the way happens at its own time and in its order. */
  advance(ms: number): void {
    const untilMs = this.#monoMs + ms;
    for (let count = 0; ; count++) {
      if (count > TIMERS_MAX) throw new Error(`More than ${TIMERS_MAX} timers within ${ms} ms`);
      const next = this.#nextTimer(untilMs);
      if (next === null) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#monoMs = Math.max(this.#monoMs, next.monoMs);
      next.callback();
      this.#recover();
    }
    this.#monoMs = untilMs;
  }

  #nextTimer(untilMs: number): Timer | null {
    let first: Timer | null = null;
    for (const timer of this.#timers) {
      if (timer.monoMs <= untilMs && (first === null || timer.monoMs < first.monoMs)) first = timer;
    }
    return first;
  }

  /** Names the policy in force, so that a decision made before a change is computed again under what it was made by. */
  #policyHash(): string {
    const hash = `policy-${this.#policies.size + 1}`;
    this.#policies.set(hash, this.#policy);
    return hash;
  }

  #open(): Loop<Slice, Event, Effect, Policy> {
    return new Loop<Slice, Event, Effect, Policy>({
      core: this.#options.core,
      policy: this.#policy,
      policyHash: this.#policyHash(),
      journal: this.#journal,
      clock: {
        now: () => ({ atMs: this.nowMs, monoMs: this.#monoMs }),
        callAt: (monoMs, callback) => this.#callAt(monoMs, callback),
      },
      newId: (atMs) => this.#newId(atMs),
      bootId: `boot-${this.#boots}`,
      perform: (effect, context) => this.#perform(effect, context),
      onDecided: (slice, event, hasDecision) => this.onDecided(slice, event, hasDecision),
      onFailure: (effect, error) => {
        this.failures.push(`${effect.kind}: ${error instanceof Error ? error.stack : String(error)}`);
      },
    });
  }

  #perform(effect: Effect | DecisionEffect, context: PerformContext): Answer<Event> {
    if (effect.kind === "decision") {
      this.#replay(effect as DecisionEffect);
      this.recorded.push(recordOf(effect as DecisionEffect, context.stamp));
    }
    const answer = this.#world.perform(effect, context);
    this.performed += 1;
    if (!this.#crashAfter.has(this.performed)) return answer;
    this.#crashed = true;
    this.#loop.stop();
    // The answer is lost with the process: the lane never hears of it.
    return new Promise<undefined>(() => {});
  }

  /** Every decision of every scenario is computed again from its record, which a crash may have sent through the journal. */
  #replay(effect: DecisionEffect): void {
    const { draft, slice, event } = JSON.parse(JSON.stringify(effect)) as DecisionEffect;
    const record = { ...draft, message: draft.message.slice(0, 160), mode: draft.mode ?? "live", slice, event };
    const policy = this.#policies.get(effect.policyHash) as InForce<unknown>;
    const difference = replayDecision(this.#options.core as never, record as never, policy);
    this.replayed += 1;
    for (const { gate } of draft.gates)
      if (gateEntry(this.#options.core.name, gate) === null) this.#differences.push(`gate ${gate} is in no catalogue`);
    if (difference !== null) this.#differences.push(JSON.stringify({ difference, record }));
  }

  #recover(): void {
    const [difference] = this.#differences;
    if (difference !== undefined) throw new Error(`A decision comes out otherwise than it was made: ${difference}`);
    while (this.#crashed) {
      this.#crashed = false;
      this.crashes += 1;
      this.#timers = [];
      this.#loop = this.#open();
      this.#begin();
    }
  }

  /** The order of a real start: the sources read everything, then what was interrupted is resumed. */
  #begin(): void {
    this.#world.scan((event) => this.#loop.offer(event));
    this.#loop.resume();
    this.#recover();
  }

  #callAt(monoMs: number, callback: () => void): () => void {
    const timer = { monoMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  #newId(atMs: number): string {
    this.#ids += 1;
    return `${Math.floor(atMs).toString(36).padStart(9, "0")}-simulate-${String(this.#ids).padStart(6, "0")}`;
  }
}

/**
 * Runs a scenario as it is, and once more with a crash after each of its effects, and compares how each run ended.
 *
 * @param run Runs the whole scenario with the crashes given, and returns how often effects were performed and its end.
 * @param compare Called for each run with a crash: expects its end to be the same.
 */
export async function withEveryCrash<End>(
  run: (crashAfter: readonly number[]) => Promise<{ readonly performed: number; readonly end: End }>,
  compare: (end: End, expected: End, crashAfter: number) => void,
): Promise<End> {
  const calm = await run([]);
  for (let effect = 1; effect <= calm.performed; effect++) {
    const { end } = await run([effect]);
    compare(end, calm.end, effect);
  }
  return calm.end;
}

/** A decision as it comes back from its line in the log. */
export function recordOf(effect: DecisionEffect, stamp: Stamp): DecisionRecord {
  const { draft, slice, event, policyHash } = effect;
  return JSON.parse(
    JSON.stringify({
      ...draft,
      decision_id: stamp.id,
      daemon: "simulated",
      timestamp: new Date(stamp.atMs).toISOString(),
      at_ms: Math.round(stamp.atMs),
      slice,
      event,
      policy_hash: policyHash,
      mode: draft.mode ?? "live",
    }),
  ) as DecisionRecord;
}
