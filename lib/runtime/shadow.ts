/**
 * A shadow policy: the same core, asked of the same facts, with accounts of its own and without any effect.
 *
 * It decides after the live policy has, on the live slice in which its own accounts stand in the place of the live ones.
 * Its questions (looks) are performed, nothing else is. What it keeps is in memory: after a start it begins with the live
 * accounts. An error of any kind ends the shadow and is the shadow's alone.
 *
 * @module
 */
import type { Stamp } from "../schema/events.js";
import type { Answer, Core, Shadowing, Stamped, Wake } from "./core.js";
import type { DecisionEffect, LoopClock } from "./loop.js";
import { WakeQueue } from "./wake-queue.js";

export interface ShadowOptions<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Policy,
> {
  readonly core: Core<Slice, Event, Effect, Policy>;
  readonly shadowing: Shadowing<Slice, Event>;
  readonly policy: Policy;
  readonly policyHash: string;
  readonly clock: LoopClock;
  newId(atMs: number): string;
  /** The live parts that an event is about, as they are now. */
  sliceFor(event: Event): Slice;
  /** Performs a question. */
  ask(effect: Effect): Answer<Event>;
  beforeWake(key: string): void;
  write(decision: DecisionEffect, stamp: Stamp): void;
  /** Told once; nothing is decided after it. */
  failed(error: unknown): void;
}

/** What a shadow has cost and said since it began. */
export interface ShadowFigures {
  events: number;
  decisions: number;
  busy_ms: number;
}

/** So many subjects are remembered with what was said of them last. */
const SAID_MAX = 10_000;

export class Shadow<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Policy,
> {
  readonly #options: ShadowOptions<Slice, Event, Effect, Policy>;
  readonly #own = new Map<string, unknown>();
  readonly #said = new Map<string, string>();
  readonly #wakes: WakeQueue;
  readonly #inbox: { readonly event: Stamped<Event>; readonly live: Slice | null; readonly besideLive: boolean }[] = [];
  #deciding = false;
  #ended = false;
  readonly figures: ShadowFigures = { events: 0, decisions: 0, busy_ms: 0 };

  constructor(options: ShadowOptions<Slice, Event, Effect, Policy>) {
    this.#options = options;
    this.#wakes = new WakeQueue(options.clock, (key) => this.#due(key));
  }

  /** Hears what the live loop has decided upon. `live` is the slice that it decided on. */
  heard(live: Slice, event: Stamped<Event>, besideLive: boolean): void {
    this.#guarded(() => {
      if (this.#options.shadowing.hears(event)) this.#inbox.push({ event, live, besideLive });
    });
  }

  /** Tells a shadow that begins of what is there already. */
  greet(keys: Iterable<string>): void {
    for (const key of keys) this.#guarded(() => this.#hear(this.#options.shadowing.greet?.(key) ?? null));
  }

  close(): void {
    this.#ended = true;
    this.#wakes.close();
  }

  #due(key: string): void {
    this.#guarded(() => {
      this.#options.beforeWake(key);
      this.#hear(this.#options.core.wake(key));
    });
  }

  #hear(event: Event | null): void {
    if (event !== null) this.#inbox.push({ event: this.#stamped(event), live: null, besideLive: false });
  }

  #stamped(event: Event): Stamped<Event> {
    const { atMs, monoMs } = this.#options.clock.now();
    const id = this.#options.newId(atMs);
    return { ...event, stamp: { id, atMs: Math.round(atMs), monoMs: Math.round(monoMs * 1000) / 1000 } };
  }

  /** Whatever goes wrong in a shadow ends the shadow, and nothing else. */
  #guarded(hear: () => void): void {
    if (this.#ended) return;
    const from = this.#deciding ? null : performance.now();
    try {
      hear();
      if (from === null) return;
      this.#deciding = true;
      for (let next = this.#inbox.shift(); next !== undefined && !this.#ended; next = this.#inbox.shift())
        this.#decide(next.live ?? this.#options.sliceFor(next.event), next.event, next.besideLive);
      this.#deciding = false;
    } catch (error) {
      this.close();
      this.#options.failed(error);
    }
    if (from !== null) this.figures.busy_ms += performance.now() - from;
  }

  #decide(live: Slice, event: Stamped<Event>, besideLive: boolean): void {
    const { core, shadowing, policy, policyHash } = this.#options;
    this.figures.events += 1;
    const address = core.address(event);
    const view = shadowing.view(live, this.#ownAt(address), event);
    if (!view.decides) return this.#keep(address, view.slice);
    const { slice, effects, decision } = core.decide(view.slice, event, policy);
    this.#keep(address, slice);
    for (const effect of effects) this.#follow(effect);
    if (decision === undefined) return;
    const saying = `${decision.verdict}|${decision.reason}|${decision.incident_id ?? ""}`;
    // Where the live policy is silent, its state does not remember for us what was said already.
    if (!besideLive && this.#said.get(decision.subject) === saying) return;
    this.#remember(decision.subject, saying);
    this.figures.decisions += 1;
    const recorded = {
      slice: view.slice as Record<string, unknown>,
      event: event as Record<string, unknown>,
      policyHash,
    };
    this.#options.write({ kind: "decision", draft: { ...decision, mode: "shadow" }, ...recorded }, event.stamp);
  }

  #ownAt(address: { readonly [Part in keyof Slice]: string }): Partial<Slice> {
    const own: Partial<Slice> = {};
    for (const part of this.#options.shadowing.keeps) {
      const kept = this.#own.get(address[part]);
      if (kept !== undefined) own[part] = kept as Slice[typeof part];
    }
    return own;
  }

  #keep(address: { readonly [Part in keyof Slice]: string }, slice: Slice): void {
    for (const part of this.#options.shadowing.keeps) {
      const key = address[part];
      if (key === undefined) continue;
      if (slice[part] === null || slice[part] === undefined) this.#own.delete(key);
      else this.#own.set(key, slice[part]);
    }
  }

  #follow(effect: Effect | Wake): void {
    const { shadowing } = this.#options;
    if (effect.kind === "wake") {
      const { key, atMonoMs } = effect as Wake;
      if (shadowing.wakes) this.#wakes.set(key, atMonoMs);
    } else if (shadowing.questions.has(effect.kind)) {
      const answer = this.#options.ask(effect as Effect);
      if (answer instanceof Promise) answer.then((late) => this.#answered(late)).catch(this.#unanswered);
      else this.#answered(answer);
    }
  }

  /** A question that could not be answered is asked again with the next wake or the next fact. */
  readonly #unanswered = (): void => {};

  #answered(answer: undefined | Event | readonly Event[]): void {
    if (answer === undefined) return;
    const events = Array.isArray(answer) ? (answer as readonly Event[]) : [answer as Event];
    this.#guarded(() => {
      for (const event of events) this.#hear(event);
    });
  }

  #remember(subject: string, saying: string): void {
    this.#said.delete(subject);
    this.#said.set(subject, saying);
    if (this.#said.size > SAID_MAX) this.#said.delete(this.#said.keys().next().value as string);
  }
}
