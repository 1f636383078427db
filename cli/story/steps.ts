/** The steps of a story: what one is, in which order they stand, and how the newest of several logs are gathered. @module */
import { EVENT_LOGS, type EventLog } from "../../lib/schema/catalogue.js";
import type { DAEMONS } from "../../lib/schema/records.js";
import type { Layout } from "../../lib/store/layout.js";
import { type LogJson, timeOf } from "../../lib/store/log-file.js";
import type { Span } from "../../lib/store/log-search.js";

/** What an id can be of. */
export type Topic = "worker" | "incident" | "decision" | "event" | "run" | "pattern" | "fix" | "other";

export type StepKind = "event" | "decision" | "outcome";

/** One thing that was seen, decided or done. */
export interface Step {
  readonly kind: StepKind;
  readonly atMs: number;
  /** The event log, the daemon that decided, or the history. */
  readonly log: string;
  readonly record: LogJson;
}

export interface Story {
  readonly topic: Topic;
  readonly id: string;
  /** The one worker that it is about; null where there is none, or several. */
  readonly worker_id: string | null;
  /** Oldest first. */
  readonly steps: readonly Step[];
  /** Whether there is more before the first step. */
  readonly is_cut: boolean;
}

export interface Question {
  readonly layout: Layout;
  readonly id: string;
  /** So many steps at most, the newest. */
  readonly limit: number;
  /** Whether what was only thought (dry runs and shadows) is left out. */
  readonly only_live: boolean;
}

/** A log in which steps are looked for. */
export interface Log {
  readonly kind: StepKind;
  readonly name: string;
  readonly path: string;
}

export const ALL_LOGS = Object.keys(EVENT_LOGS) as EventLog[];

/** The newest steps of several logs, each of which is read back no further than can matter. */
export class Collector {
  readonly found: Step[] = [];
  readonly #limit: number;
  readonly #isWanted: (record: LogJson) => boolean;
  #fromMs = 0;
  #untilMs = Number.POSITIVE_INFINITY;
  #isCut = false;

  constructor({ limit, only_live }: Question, isWanted: (record: LogJson) => boolean = () => true) {
    this.#limit = limit;
    this.#isWanted = (record) => !(only_live && isThought(record)) && isWanted(record);
  }

  /** Nothing before it can be among the newest steps. */
  get fromMs(): number {
    return this.#fromMs;
  }

  get span(): Span {
    return { fromMs: this.#fromMs, untilMs: this.#untilMs };
  }

  /** The story does not go on for longer. */
  finish(untilMs: number): void {
    this.#untilMs = untilMs;
  }

  /** The story does not go back further. */
  begin(fromMs: number): void {
    this.#fromMs = Math.max(this.#fromMs, fromMs);
  }

  /** Takes records, the newest first, as long as they matter. */
  take(log: Log, records: Iterable<LogJson>): void {
    for (const record of records) if (!this.add(log, record)) return;
  }

  /** Returns whether older ones of the same log may still matter. */
  add({ kind, name }: Log, record: LogJson): boolean {
    const atMs = timeOf(record) ?? 0;
    if (atMs < this.#fromMs) return false;
    if (!this.#isWanted(record)) return true;
    this.found.push({ kind, atMs, log: name, record });
    if (this.found.length <= this.#limit) return true;
    this.#isCut = true;
    this.found.sort(byTime);
    this.found.splice(0, this.found.length - this.#limit);
    this.begin((this.found[0] as Step).atMs);
    return atMs >= this.#fromMs;
  }

  story(topic: Topic, id: string, worker_id: string | null): Story | null {
    if (this.found.length === 0 && topic !== "worker") return null;
    return { topic, id, worker_id, steps: this.found.sort(byTime), is_cut: this.#isCut };
  }
}

/** Only thought, not done: a dry run's decision or a shadow's. */
export function isThought(record: LogJson): boolean {
  const mode = record.mode ?? dataOf(record).mode;
  return mode === "dry_run" || mode === "shadow";
}

/** In the order of time; what was decided comes before what it led to, in the order in which that was written. */
function byTime(a: Step, b: Step): number {
  if (a.atMs !== b.atMs) return a.atMs - b.atMs;
  const [first, second] = [placeOf(a.record), placeOf(b.record)];
  if (first.made_by !== second.made_by) return first.made_by < second.made_by ? -1 : 1;
  return first.nth - second.nth;
}

/** The decision's id is the beginning of the ids of its events, which are numbered. */
function placeOf(record: LogJson): { readonly made_by: string; readonly nth: number } {
  const id = idOf(record) ?? "";
  const numbered = /^(0[0-9a-z]{8}-[0-9a-z]+-[0-9a-z]+)-(\d+)$/.exec(id);
  return numbered === null ? { made_by: id, nth: -1 } : { made_by: numbered[1] as string, nth: Number(numbered[2]) };
}

export function idOf(record: LogJson): string | null {
  return textIn(record, "decision_id") ?? textIn(record, "event_id") ?? textIn(record, "history_id");
}

export function textIn(record: LogJson, field: string): string | null {
  const value = record[field];
  return typeof value === "string" ? value : null;
}

export const dataOf = (record: LogJson): LogJson => objectIn(record.data);
export const eventOf = (record: LogJson): LogJson => objectIn(record.event);

function objectIn(value: unknown): LogJson {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as LogJson) : {};
}

export function eventLogs(layout: Layout, logs: readonly EventLog[]): Log[] {
  return logs.map((log) => ({ kind: "event", name: log, path: layout.eventLog(log) }));
}

export function decisionLogs(layout: Layout, daemons: readonly (typeof DAEMONS)[number][]): Log[] {
  return daemons.map((daemon) => ({ kind: "decision", name: daemon, path: layout.decisions(daemon) }));
}

export const historyLog = (layout: Layout): Log => ({ kind: "outcome", name: "history", path: layout.history });
