/** What another heartbeat policy would have made of recorded silences: which it sees, when, and whom it would have ended. @module */
import {
  type ClosedSilence,
  closedSilenceIn,
  endOfRecordedSilence,
  endOfSilence,
  limitsFor,
} from "../../daemons/heartbeat-monitor/detection.js";
import { holdsOf, type Suspicion, type Watched } from "../../daemons/heartbeat-monitor/guard-backtest.js";
import type { HeartbeatPolicy } from "../../daemons/heartbeat-monitor/policy.js";
import { suspectMs } from "../../lib/domain/suspicion.js";
import type { OwnThresholds } from "../../lib/domain/thresholds.js";
import type { Backtest } from "../../lib/runtime/backtest.js";
import type { DecisionRecord } from "../../lib/schema/events.js";
import type { Policy } from "../../lib/schema/policy.js";
import { linesOfLog } from "../../lib/store/decisions.js";
import type { Layout } from "../../lib/store/layout.js";
import { type Json, readLine } from "../records.js";
import { type Both, type BothLimits, both, count, type Gaps, gapsOf, type HourOfWorker } from "./gaps.js";
import type { PolicyTimeline } from "./timeline.js";

/** Detection under the policy that was in force, and under the other. */
export interface Detection {
  /** Silences that ended with a beat. */
  readonly silences: number;
  /** How many of these were, or would have been, warned about, timed out, and long enough to be ended. */
  readonly warned: Both;
  readonly timed_out: Both;
  readonly ended: Both;
  readonly would_have_killed: readonly WouldHaveKilled[];
  /** Silent workers that were ended: how much sooner or later each would have been, in milliseconds. */
  readonly zombies: {
    readonly seen: number;
    readonly same: number;
    readonly sooner: number[];
    readonly later: number[];
    never: number;
  };
  readonly gaps: Gaps;
  readonly guard: Both & { readonly recorded: number };
}

/** A worker that was silent for long enough, and went on. */
export interface WouldHaveKilled {
  readonly worker_id: string;
  readonly at_ms: number;
  readonly after_ms: number;
  readonly silent_ms: number;
  readonly went_on_ms: number;
}

const WANTED = [
  "heartbeat_resumed",
  "worker_registered",
  "worker_exited",
  "worker_completed",
  "worker_unwatched",
  "fleet_hold_started",
];
const WANTED_TEXT = new RegExp(WANTED.map((type) => `"${type}"`).join("|"));

export class Silences {
  readonly #timeline: PolicyTimeline<never>;
  readonly #other: HeartbeatPolicy;
  readonly #backtest: Backtest;
  readonly #layout: Layout;
  readonly #sinceMs: number;
  readonly #own = new Map<string, OwnThresholds>();
  readonly #watched: Watched[] = [];
  readonly #present = new Set<string>();
  readonly #suspicions: { readonly live: Suspicion[]; readonly other: Suspicion[] } = { live: [], other: [] };
  readonly #counts = { silences: 0, warned: both(), timed_out: both(), ended: both(), holds: 0 };
  readonly #kills: WouldHaveKilled[] = [];
  readonly #zombies = { seen: 0, same: 0, sooner: [] as number[], later: [] as number[], never: 0 };

  constructor(
    layout: Layout,
    timeline: PolicyTimeline<never>,
    other: Policy<never>,
    backtest: Backtest,
    sinceMs: number,
  ) {
    this.#layout = layout;
    this.#timeline = timeline;
    this.#other = other;
    this.#backtest = backtest;
    this.#sinceMs = sinceMs;
    for (const line of linesOfLog(layout, layout.eventLog("heartbeat"))) {
      if (!WANTED_TEXT.test(line)) continue;
      const record = readLine(line, "heartbeat")?.record;
      if (record !== undefined) this.#event(record);
    }
  }

  /** A recorded ending of a silent worker: would it have come sooner, or later? */
  hear(record: DecisionRecord, live: Policy<never>): void {
    const worker = record.slice.worker as { spec: { worker_type: string; own: OwnThresholds } } | null;
    if (record.verdict !== "zombie" || worker === null) return;
    const { worker_type, own } = worker.spec;
    this.#own.set(record.subject, own);
    const was = endOfRecordedSilence(record, live);
    if (was === undefined || was.endsMs === null) return;
    const { endsMs = null } = endOfRecordedSilence(record, this.#other) ?? {};
    this.#zombies.seen += 1;
    const startMs = record.at_ms - was.silentMs;
    const facts = { worker_type, own, first: false, local_health: 0 };
    this.#suspect(facts, startMs, record.at_ms, endsMs === null ? record.at_ms : startMs + endsMs);
    if (endsMs === null) this.#zombies.never += 1;
    else if (endsMs === was.endsMs) this.#zombies.same += 1;
    else this.#shifted(record, worker_type, endsMs, endsMs - was.endsMs);
  }

  #shifted(record: DecisionRecord, worker_type: string, endsMs: number, byMs: number): void {
    const { subject, verdict, reason } = record;
    this.#zombies[byMs < 0 ? "sooner" : "later"].push(Math.abs(byMs));
    if (!this.#backtest.isJudged(subject, record.at_ms)) return;
    const at_ms = record.at_ms + Math.min(0, byMs);
    const other = `${verdict} (${reason}) after ${seconds(endsMs)} s of silence`;
    const live = `${verdict} (${reason}) after ${seconds(endsMs - byMs)} s of silence`;
    this.#backtest.divergeAt({
      subject,
      worker_type,
      at_ms,
      kind: "time",
      live,
      other,
      later_ms: byMs,
      decision_id: record.decision_id,
    });
    this.#backtest.noteChange({
      change: byMs < 0 ? "sooner" : "later",
      act: "kill",
      subject,
      at_ms,
      by_ms: Math.abs(byMs),
    });
  }

  detection(): Detection {
    const { silences, warned, timed_out, ended, holds } = this.#counts;
    const guardOf = (which: "live" | "other"): number =>
      holdsOf(
        this.#suspicions[which],
        this.#watched,
        (atMs) => (which === "live" ? this.#liveAt(atMs) : this.#other).settings.mass_failure,
      ).filter((atMs) => atMs >= this.#sinceMs).length;
    return {
      ...{ silences, warned, timed_out, ended },
      would_have_killed: this.#kills,
      zombies: this.#zombies,
      gaps: gapsOf(this.#layout, this.#sinceMs, (gaps) => this.#limitsOf(gaps)),
      guard: { live: guardOf("live"), other: guardOf("other"), recorded: holds },
    };
  }

  #event(record: Json): void {
    const { worker_id, worker_type, at_ms, event_type } = record;
    if (typeof at_ms !== "number") return;
    if (event_type === "fleet_hold_started") {
      if (at_ms >= this.#sinceMs) this.#counts.holds += 1;
      return;
    }
    if (typeof worker_id !== "string" || typeof worker_type !== "string") return;
    if (event_type === "heartbeat_resumed") return this.#closed(record);
    const isHere = event_type === "worker_registered";
    if (isHere === this.#present.has(worker_id)) return;
    if (isHere) this.#present.add(worker_id);
    else this.#present.delete(worker_id);
    this.#watched.push({ worker_type, at_ms, change: isHere ? 1 : -1 });
  }

  #closed(record: Json): void {
    const silence = closedSilenceIn(record);
    if (silence === null || silence.at_ms < this.#sinceMs) return;
    this.#own.set(silence.worker_id, silence.own);
    const live = this.#liveAt(silence.at_ms);
    const { silent_ms } = silence;
    this.#counts.silences += 1;
    const [was, would] = [limitsFor(live, silence), limitsFor(this.#other, silence)];
    count(this.#counts.warned, silent_ms >= was.warningMs, silent_ms >= would.warningMs);
    count(this.#counts.timed_out, silent_ms >= was.timeoutMs, silent_ms >= would.timeoutMs);
    const [endsLive, endsOther] = [endOfSilence(live, silence), endOfSilence(this.#other, silence)];
    const isEndedLive = endsLive !== null && silent_ms >= endsLive;
    const isEndedOther = endsOther !== null && silent_ms >= endsOther;
    count(this.#counts.ended, isEndedLive, isEndedOther);
    this.#suspect(silence, silence.at_ms - silent_ms, silence.at_ms, silence.at_ms);
    if (isEndedOther && !isEndedLive) this.#wouldKill(silence, endsOther);
  }

  #wouldKill(silence: ClosedSilence, after_ms: number): void {
    const { worker_id, worker_type, silent_ms } = silence;
    const at_ms = silence.at_ms - silent_ms + after_ms;
    this.#kills.push({ worker_id, at_ms, after_ms, silent_ms, went_on_ms: silence.at_ms });
    if (!this.#backtest.isJudged(worker_id, at_ms)) return;
    const live = `left alone; it beat again after ${seconds(silent_ms)} s`;
    const other = `zombie after ${seconds(after_ms)} s of silence`;
    this.#backtest.divergeAt({
      subject: worker_id,
      worker_type,
      at_ms,
      kind: "earlier",
      live,
      other,
      later_ms: null,
      decision_id: null,
    });
    this.#backtest.noteChange({ change: "added", act: "kill", subject: worker_id, at_ms, by_ms: null });
  }

  #suspect(
    facts: Pick<ClosedSilence, "worker_type" | "own" | "first" | "local_health">,
    startMs: number,
    endMs: number,
    otherEndMs: number,
  ): void {
    const add = (into: Suspicion[], policy: HeartbeatPolicy, to_ms: number): void => {
      const from_ms = startMs + suspectMs(limitsFor(policy, facts));
      if (from_ms < to_ms) into.push({ worker_type: facts.worker_type, from_ms, to_ms });
    };
    add(this.#suspicions.live, this.#liveAt(startMs), endMs);
    add(this.#suspicions.other, this.#other, otherEndMs);
  }

  #limitsOf({ worker_id, worker_type, at_ms }: HourOfWorker): BothLimits {
    const facts = { worker_type, own: this.#own.get(worker_id) ?? {}, first: false, local_health: 0 };
    return { live: limitsFor(this.#liveAt(at_ms), facts), other: limitsFor(this.#other, facts) };
  }

  #liveAt(atMs: number): HeartbeatPolicy {
    return this.#timeline.at(atMs);
  }
}

const seconds = (ms: number): number => Math.round(ms / 100) / 10;
