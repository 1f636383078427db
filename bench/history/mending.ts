/** auto-fix of a made-up history: it looks at what failure-pattern publishes; some of its fixes help, and some do not. @module */
import { autoFixCore } from "../../daemons/auto-fix/decide.js";
import { changesOf } from "../../daemons/auto-fix/facts.js";
import type { Effect, Event, Facts } from "../../daemons/auto-fix/messages.js";
import { factsOf } from "../../daemons/auto-fix/pattern-source.js";
import { planOfFix } from "../../daemons/auto-fix/plans.js";
import { type AutoFixSettings, autoFixPolicy } from "../../daemons/auto-fix/policy.js";
import { type MatchPart, type RunPart, refOf, type Slice } from "../../daemons/auto-fix/state.js";
import type { Answer } from "../../lib/runtime/core.js";
import type { EventRecord } from "../../lib/schema/events.js";
import type { Fix } from "../../lib/schema/fix-registry.js";
import type { PatternRecord } from "../../lib/schema/pattern.js";
import { SHIPPED_FIXES } from "../../lib/schema/shipped-fixes.js";
import { appendFixHistory, writePending, writeRun } from "../../lib/store/fix-runs.js";
import type { Layout } from "../../lib/store/layout.js";
import type { Fleet } from "./fleet.js";
import { Host } from "./host.js";
import type { SimulatedTime } from "./time.js";

/** How often a fix helps. */
const HELPS = 0.6;
/** What a template holds that fixes change. */
const TEMPLATE = {
  resources: { memory_limit_mb: 512 },
  timeouts: { task_timeout_seconds: 600 },
  processing: { batch_size: 100 },
  rate_limits: { requests_per_minute: 600 },
  heartbeat: { interval_seconds: 30, timeout_seconds: 120, zombie_threshold_seconds: 300 },
};

export interface MendingOptions {
  readonly layout: Layout;
  readonly time: SimulatedTime;
  readonly fleet: Fleet;
  readonly onReported: (record: EventRecord) => void;
}

export class Mending {
  readonly #options: MendingOptions;
  readonly host: Host<Slice, Event, Effect, AutoFixSettings>;
  readonly #patterns = new Map<string, PatternRecord>();
  readonly #seen = new Map<string, string>();
  readonly #helps = new Map<string, boolean>();
  #runs = 0;

  constructor(options: MendingOptions) {
    this.#options = options;
    this.host = new Host({
      core: autoFixCore,
      policy: autoFixPolicy,
      raw: { dry_run: false, verification: { window_seconds: 1800 } },
      layout: options.layout,
      time: options.time,
      perform: (effect) => this.#perform(effect),
      onReported: options.onReported,
    });
  }

  /** A pattern was published; it is looked at if anything about it is new that a fix would care for. */
  notice(pattern: PatternRecord): void {
    this.#patterns.set(pattern.pattern_id, pattern);
    const { total_occurrences } = pattern.frequency;
    const version = `${pattern.status}:${total_occurrences}:${pattern.confidence}:${pattern.actionable}`;
    if (this.#seen.get(pattern.pattern_id) === version) return;
    this.#seen.set(pattern.pattern_id, version);
    for (const fix of fixesFor(pattern)) this.#look(fix, pattern);
  }

  #look(fix: Fix, pattern: PatternRecord): void {
    const match = this.host.loop.part<MatchPart>(`match:${fix.fix_id}|${pattern.pattern_id}`);
    if (match === null && pattern.status !== "active") return;
    const open = match?.open_run ?? null;
    const run = open === null ? null : this.host.loop.part<RunPart>(`run:${open}`);
    if (run === null) this.host.offer(this.#consider(fix, pattern));
    else if (run.phase === "verifying" || run.phase === "watching")
      this.host.offer({ kind: "check-due", ...refOf(run) });
  }

  #consider(fix: Fix, pattern: PatternRecord): Event {
    const key = `${pattern.category}:${pattern.type}`;
    this.#runs += 1;
    const run_id = `run-${Math.floor(this.#options.time.atMs).toString(36).padStart(9, "0")}-simulate-${this.#runs.toString(36).padStart(5, "0")}`;
    const plan = planOfFix(fix);
    const scope = pattern.worker_type ?? "";
    return {
      kind: "consider",
      run_id,
      fix_id: fix.fix_id,
      subject: pattern.pattern_id,
      learn: `${fix.fix_id}:${key}`,
      plan,
      scope,
      workers: pattern.workers ?? [],
      pattern: factsOf(pattern, key),
      condition: null,
      facts: this.#facts(fix, scope),
      approved_by: null,
    };
  }

  #facts(fix: Fix, scope: string): Facts {
    const { members } = this.#options.fleet;
    const action = fix.actions.find((each) => each.type === "modify-worker-spec");
    const made = action === undefined ? [] : changesOf(action, TEMPLATE);
    const fields = typeof made === "string" ? [] : made;
    return {
      hold: null,
      component: { name: scope, is_known: true, is_valid: true },
      other_tasks: members.filter((member) => member.profile.type === scope).length - 1,
      affected: Math.min(3, members.length),
      fleet: members.length,
      diff: fields.map(({ field, before, after }) => ({ what: field, before, after })),
      fields,
      impossible: typeof made === "string" ? made : null,
      prerequisites: [],
      memory: { committed_mb: 1000, host_mb: 16_000 },
    };
  }

  #perform(effect: Effect): Answer<Event> {
    const { layout } = this.#options;
    switch (effect.kind) {
      case "prepare":
        return { kind: "prepared", ...refOf(effect), before: [{ edits: effect.run.diff }] };
      case "apply":
        this.#helps.set(effect.run_id, this.#options.fleet.chance() < HELPS);
        return { kind: "applied", ...refOf(effect), step: effect.step, note: "" };
      case "undo":
        return { kind: "undone", ...refOf(effect), step: effect.step, conflicts: [] };
      case "measure":
        return this.#measure(effect);
      case "look": {
        const pattern = this.#patterns.get(effect.subject);
        const fix = SHIPPED_FIXES.find((each) => each.fix_id === effect.fix_id);
        return pattern === undefined || fix === undefined ? undefined : this.#consider(fix, pattern);
      }
      case "write-run":
        return void writeRun(layout, effect.record);
      case "write-pending":
        return void writePending(layout, effect.record);
      case "append-history":
        return void appendFixHistory(layout, effect.record, false);
      default:
        return undefined; // Files that no daemon of this history reads.
    }
  }

  #measure(effect: Extract<Effect, { kind: "measure" }>): Event {
    const ran = this.#helps.get(effect.run_id) === true;
    const run = this.host.loop.part<RunPart>(`run:${effect.run_id}`);
    const since = run === null ? 0 : Math.max(0, this.#options.time.atMs - (run.applied_ms ?? this.#options.time.atMs));
    const exposure_seconds = (since / 1000) * 20;
    const before = { exposure_seconds: 36_000, recurrences: 40, other_failures: 2, successes: 30 };
    const expected = (exposure_seconds / before.exposure_seconds) * before.recurrences;
    const recurrences = Math.round(expected * (ran ? 0.1 : 1.1));
    const after = { exposure_seconds, recurrences, other_failures: 0, successes: ran ? Math.round(expected) : 0 };
    return { kind: "measured", ...refOf(effect), before, after, cleared: null, pattern_resolved: false };
  }
}

function fixesFor(pattern: PatternRecord): Fix[] {
  const key = `${pattern.category}:${pattern.type}`;
  return SHIPPED_FIXES.filter((fix) => fix.applies_to_patterns.includes(key));
}
