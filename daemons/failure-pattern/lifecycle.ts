/** When a pattern becomes active, changes and is over, and when it is published. Pure. @module */

import { findingsIn, type HistoryOptions } from "../../lib/domain/statistics/history.js";
import { compareLevels, severityOf } from "../../lib/domain/statistics/severity.js";
import type { Zone } from "../../lib/domain/statistics/time-of-day.js";
import { zoneOffsetHours } from "../../lib/domain/statistics/zones.js";
import type { Decided, Stamped, Wake } from "../../lib/runtime/core.js";
import type { EventType } from "../../lib/schema/catalogue.js";
import { type DecisionDraft, type Gate, makeEvent } from "../../lib/schema/events.js";
import { type Policy, settingsFor } from "../../lib/schema/policy.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { addFailures, blankPattern, removeRecovered } from "./counting.js";
import type { Effect, Event } from "./messages.js";
import type { FailurePatternSettings } from "./policy.js";
import { confidenceOf, findingOptions, meanGapSeconds, rateOf, recordOf, sentenceOf, windowCount } from "./record.js";
import { type PatternPart, patternKey, type Slice } from "./state.js";

type PatternSlice = Pick<Slice, "pattern">;
type PatternEvent = Stamped<
  Extract<Event, { kind: "counted" | "recovered" | "pattern-due" | "policy-changed" | "lag-known" | "forget" }>
>;
type Decision = Decided<PatternSlice, Effect>;

const HOUR_MS = 3_600_000;
/** A pattern that fails all the time is published no more often. */
const PUBLISH_EVERY_MS = 5000;
/** How soon one asks again whether everything has been read. */
const ASK_AGAIN_MS = 5000;
/** Quiet for so many mean gaps is over. */
const GAPS_OF_QUIET = 6;
/** A timer does not reach further. */
const WAKE_MS_MAX = 7 * 24 * HOUR_MS;

/** Applies what happened to one pattern. */
export function onPattern(slice: PatternSlice, event: PatternEvent, policy: Policy<FailurePatternSettings>): Decision {
  const before = slice.pattern ?? null;
  if (event.kind === "forget") return { slice: { pattern: null }, effects: before === null ? [] : [noWake(before)] };
  if (event.kind === "counted") {
    const turn = new Turn(before, event, settingsFor(policy, event.worker_type));
    turn.count(event);
    return turn.done();
  }
  if (before === null) return { slice, effects: [] };
  const turn = new Turn(before, event, settingsFor(policy, before.worker_type));
  if (event.kind === "recovered") turn.pattern = removeRecovered(before, event.workers);
  else if (event.kind === "pattern-due") turn.due();
  else if (event.kind === "policy-changed") turn.publishAnew();
  else turn.lagKnown(event.caught_up);
  return turn.done();
}

/** For how long a pattern must be quiet to be over: longer than its own rhythm, at least an hour, at most the window. */
export function quietMs(pattern: PatternPart, settings: FailurePatternSettings): number {
  const windowMs = settings.detection.time_window_hours * HOUR_MS;
  const gapMs = (meanGapSeconds(pattern) ?? Number.POSITIVE_INFINITY) * 1000;
  return Math.min(windowMs, Math.max(HOUR_MS, GAPS_OF_QUIET * gapMs));
}

class Turn {
  pattern: PatternPart;
  readonly #before: PatternPart | null;
  readonly #event: PatternEvent;
  readonly #settings: FailurePatternSettings;
  readonly #effects: (Effect | Wake)[] = [];
  #decision: DecisionDraft | undefined;
  #reports = 0;
  #isUrgent = false;
  #asks = false;

  constructor(before: PatternPart | null, event: PatternEvent, settings: FailurePatternSettings) {
    this.#before = before;
    this.pattern = before as PatternPart;
    this.#event = event;
    this.#settings = settings;
  }

  get #nowMs(): number {
    return this.#event.stamp.atMs;
  }

  #set(changes: Partial<PatternPart>): void {
    this.pattern = { ...this.pattern, ...changes };
  }

  count(event: Extract<PatternEvent, { kind: "counted" }>): void {
    const options = historyOptions(this.#settings);
    this.pattern = addFailures(this.#before ?? blankPattern(event), event, event.stamp.atMs, options);
    // Of a pattern that returns, the weight it had before says nothing.
    this.#weigh(this.#before?.status !== "active");
    this.#detect(event.occurrences.map((each) => each.at_ms));
    this.#tellOfForecast();
  }

  /**
   * From the frequency threshold on it is a pattern: asked at each failure of the batch, since a backlog comes in one.
   * What is long over is published, and nobody is alarmed by it.
   */
  #detect(instants: readonly number[]): void {
    const { pattern } = this;
    if (pattern.status === "active" || !this.#settings.enabled) return;
    const threshold = this.#settings.detection.frequency_threshold;
    const met = instants
      .map((atMs) => ({ atMs, found: windowCount(pattern, atMs, this.#settings) }))
      .findLast(({ found }) => found >= threshold);
    if (met === undefined) return;
    const since = pattern.history.recent.find(
      (each) => each > pattern.history.last_ms - quietMs(pattern, this.#settings),
    );
    const isPast = this.#nowMs - met.atMs >= this.#settings.detection.time_window_hours * HOUR_MS;
    if (isPast || this.#isQuiet())
      return this.#set({ status: "resolved", active_since_ms: since ?? pattern.history.first_ms });
    const again = pattern.status === "resolved";
    this.#set({ status: "active", active_since_ms: since ?? pattern.history.last_ms });
    this.#edge("pattern_detected", again ? "returned" : "frequency", [
      gate("frequency_threshold", met.found, threshold, true),
      gate("confidence_threshold", confidenceOf(this.pattern), this.#settings.detection.confidence_threshold),
    ]);
  }

  /** While it is active it only gets worse: an incident does not become harmless between two failures. */
  #weigh(canFall: boolean): void {
    const { pattern } = this;
    const usual = this.#settings.failure_categories[pattern.category]?.default_severity ?? "medium";
    const open = Object.values(pattern.open);
    const severity = severityOf(usual, {
      workers: Math.max(1, pattern.workers.length),
      ratePerHour: rateOf(pattern, this.#nowMs, this.#settings),
      open: open.length,
      unrecoveredMs: open.length === 0 ? 0 : Math.max(0, this.#nowMs - Math.min(...open)),
    });
    const order = compareLevels(severity, pattern.severity);
    if (order === 0 || (order < 0 && !canFall)) return;
    const was = pattern.severity;
    this.#set({ severity, is_dirty: true });
    if (pattern.status === "active" && this.#before?.status === "active")
      this.#edge("pattern_changed", "severity", [gate("severity", severity, was, true)]);
  }

  /** Its time has come: what is not published yet is, and one asks whether it is over. */
  due(): void {
    if (this.pattern.status === "active" && this.#isQuiet()) {
      this.#asks = true;
      this.#effects.push({ kind: "ask-lag", pattern_id: this.pattern.pattern_id });
    }
    this.#isUrgent = this.pattern.is_dirty;
  }

  /** Other thresholds, another snapshot. */
  publishAnew(): void {
    this.#set({ is_dirty: true });
    this.#isUrgent = true;
  }

  /** Quiet counts only when everything that was written has been read. */
  lagKnown(caughtUp: boolean): void {
    if (this.pattern.status !== "active" || !this.#isQuiet()) return;
    if (!caughtUp) {
      this.#asks = true;
      return;
    }
    const quiet = this.#nowMs - this.pattern.history.last_ms;
    this.#set({ status: "resolved", open: {}, is_forecast: false });
    this.#edge("pattern_resolved", "quiet", [
      gate("quiet_seconds", Math.round(quiet / 1000), Math.round(quietMs(this.pattern, this.#settings) / 1000), true),
    ]);
  }

  done(): Decision {
    const mono = this.#event.stamp.monoMs;
    const isPublic = this.pattern.status !== "candidate" && this.#settings.enabled;
    const lastMono = this.pattern.published_mono_ms;
    // The monotonic clock of an earlier boot says nothing.
    const isTime = lastMono === null || lastMono > mono || mono - lastMono >= PUBLISH_EVERY_MS;
    if (isPublic && this.pattern.is_dirty && (this.#isUrgent || isTime)) {
      this.#set({ is_dirty: false, published_mono_ms: mono });
      this.#effects.push({ kind: "publish", record: recordOf(this.pattern, this.#nowMs, this.#settings) });
    }
    this.#arm(isPublic);
    return { slice: { pattern: this.pattern }, effects: this.#effects, decision: this.#decision };
  }

  /** Told of when it begins to be good enough, and silently withdrawn when it no longer is. */
  #tellOfForecast(): void {
    const { pattern } = this;
    const isOn = pattern.status === "active" && this.#settings.prediction.enabled;
    const forecast = isOn ? findingsIn(pattern.history, this.#nowMs, findingOptions(this.#settings)).forecast : null;
    if ((forecast !== null) === pattern.is_forecast) return;
    this.#set({ is_forecast: forecast !== null });
    if (forecast !== null)
      this.#edge("pattern_forecast", "skill", [
        gate("brier_skill", forecast.skill, 0, true),
        gate("prediction_confidence", forecast.chance, this.#settings.prediction.confidence_threshold),
      ]);
  }

  #arm(isPublic: boolean): void {
    const { stamp } = this.#event;
    const { pattern } = this;
    const waits: number[] = [];
    if (isPublic && pattern.is_dirty) waits.push(PUBLISH_EVERY_MS);
    if (pattern.status === "active")
      waits.push(
        this.#asks
          ? ASK_AGAIN_MS
          : Math.max(0, pattern.history.last_ms + quietMs(pattern, this.#settings) - stamp.atMs),
      );
    if (waits.length === 0) return;
    const atMonoMs = stamp.monoMs + Math.min(WAKE_MS_MAX, ...waits);
    this.#effects.push({ kind: "wake", key: patternKey(pattern.pattern_id), atMonoMs });
  }

  #isQuiet(): boolean {
    return this.#nowMs - this.pattern.history.last_ms >= quietMs(this.pattern, this.#settings);
  }

  /** Something that is worth an event, a decision record and a snapshot at once. */
  #edge(type: EventType, reason: string, gates: readonly Gate[]): void {
    this.#set({ is_dirty: true });
    this.#isUrgent = true;
    const { pattern } = this;
    const message = sentenceOf(pattern, this.#nowMs, this.#settings);
    const { pattern_id, category, severity, status } = pattern;
    const data = {
      ...{ pattern_id, category, type: pattern.type, status, severity, confidence: confidenceOf(pattern) },
      total_occurrences: pattern.history.total,
      window_occurrences: windowCount(pattern, this.#nowMs, this.#settings),
      last_seen: writeInstant(pattern.history.last_ms),
    };
    const content = { message, reason, data };
    const subject = { worker_type: pattern.worker_type };
    const record = makeEvent(this.#event.stamp, this.#reports++, "failure-pattern", type, subject, content);
    this.#effects.push({ kind: "report", record });
    this.#decision = { subject: pattern_id, verdict: type.replace("pattern_", ""), reason, message, gates };
  }
}

function historyOptions(settings: FailurePatternSettings): HistoryOptions {
  const { prediction, temporal_analysis } = settings;
  return {
    horizonMs: prediction.horizon_minutes * 60_000,
    gapsMin: prediction.minimum_similar_samples,
    level: temporal_analysis.clustering_significance,
    ...(temporal_analysis.time_zones.length === 0 ? {} : { zones: temporal_analysis.time_zones.map(zoneNamed) }),
  };
}

function zoneNamed(name: string): Zone {
  return { name, offsetHours: name === "UTC" ? () => 0 : (atMs) => zoneOffsetHours(name, atMs) };
}

function gate(name: string, value: unknown, threshold: unknown, passed?: boolean): Gate {
  return { gate: name, value, threshold, passed: passed ?? Number(value) >= Number(threshold) };
}

function noWake(pattern: PatternPart): Wake {
  return { kind: "wake", key: patternKey(pattern.pattern_id), atMonoMs: null };
}
