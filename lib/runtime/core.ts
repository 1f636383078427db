/** What a daemon's pure core looks like to the loop that runs it. @module */
import type { DecisionDraft, Stamp } from "../schema/events.js";
import type { DaemonName } from "../schema/records.js";

/** An event with the instant and the id it was given, once, when it reached the daemon. */
export type Stamped<Event> = Event & { readonly stamp: Stamp };

/** Asks for `core.wake(key)` at an instant of the monotonic clock; a later one for the same key replaces it, null cancels it. */
export interface Wake {
  readonly kind: "wake";
  readonly key: string;
  readonly atMonoMs: number | null;
}

/** What `decide` says: the slice as it is now, what to do, in order, and, if it is worth a record, why. */
export interface Decided<Slice, Effect> {
  readonly slice: Slice;
  readonly effects: readonly (Effect | Wake)[];
  readonly decision?: DecisionDraft | undefined;
}

/** What the keys of a kind of parts begin with, such as `worker:`; empty for all parts. */
export type PartKind = `${string}:` | "";

/** A part of the state that does not exist (yet, or any more) is null. */
export type Parts<Slice> = { readonly [Part in keyof Slice]: Slice[Part] };

/**
 * A daemon's thinking, without clock, I/O or chance.
 *
 * The whole state is a map of parts, such as `worker:scan-1` and `fleet`. An event reads and changes only the parts that
 * `address` names; these are the slice. The first part named is also the lane: effects of one lane are performed in order.
 */
export interface Core<
  Slice extends object,
  Event extends { readonly kind: string },
  Effect extends { readonly kind: string },
  Policy,
> {
  readonly name: DaemonName;
  address(event: Event): { readonly [Part in keyof Slice]: string };
  /** The value of a part that is not in the state. */
  blank(part: keyof Slice): Slice[keyof Slice];
  decide(slice: Slice, event: Stamped<Event>, policy: Policy): Decided<Slice, Effect>;
  wake(key: string): Event;
  /** The event that tells the core that an effect failed for another reason than bad weather. */
  failed(effect: Effect, message: string, code: string): Event | null;
  /** Kinds of event of which only the newest matters while a lane waits. */
  readonly coalesced: ReadonlySet<string>;
  /** Kinds of effect that are only questions: they are not journaled, since after a crash everything is asked anew. */
  readonly transient?: ReadonlySet<string>;
  /**
   * Kinds of effect that come before the record of their decision, where they come first: what a worker's return waits for.
   * The journal has both by then, so that a crash between them loses neither.
   */
  readonly urgent?: ReadonlySet<string>;
  /** How a shadow policy runs beside the live one; without it there is none. */
  readonly shadowing?: Shadowing<Slice, Event>;
  /** What is left of a part of the state when the host was started anew: the part itself unless said otherwise; null is nothing. */
  readonly afterReboot?: (key: string, part: unknown) => unknown;
}

/**
 * What a shadow policy sees: the live facts, and what it has spent and found out itself.
 *
 * `own` holds the parts as its last decisions left them, as far as `keeps` names them. Pure, like `decide`.
 */
export interface Shadowing<Slice extends object, Event extends { readonly kind: string }> {
  /** Whether a live event says something to a shadow at all; answers to effects that only live performed do not. */
  hears(event: Event): boolean;
  /** Not `decides`: the live policy is ahead, or the shadow has said what there is to say; its parts are kept as they are here. */
  view(live: Slice, own: Partial<Slice>, event: Stamped<Event>): { readonly slice: Slice; readonly decides: boolean };
  readonly keeps: readonly (keyof Slice)[];
  /** Kinds of effect that only ask, and so may be performed for a shadow too. */
  readonly questions: ReadonlySet<string>;
  /** Whether it is woken at the instants that it asks for itself. */
  readonly wakes: boolean;
  /** What a shadow is told of each part that is there when it begins; null for nothing. */
  greet?(key: string): Event | null;
}

/** What performing an effect gives back: nothing, events, or a promise of them. */
export type Answer<Event> = undefined | Event | readonly Event[] | Promise<undefined | Event | readonly Event[]>;

/** Performs effects. Throws an error whose code is in `WEATHER_CODES` when it should be tried again later. */
export type Perform<Event, Effect> = (effect: Effect, context: PerformContext) => Answer<Event>;

export interface PerformContext {
  /** The stamp of the decision that the effect belongs to. */
  readonly stamp: Stamp;
  /** True when the effect may have been performed before, or a part of it: before a crash, or until the weather stopped it. */
  readonly again: boolean;
}
