/** Templates, proposals and outcomes in memory for the scenarios of auto-fix; no file, no process. @module */
import { autoFixCore } from "../../daemons/auto-fix/decide.js";
import type { ConditionFacts, Effect, Event, Facts, PatternFacts, Rival } from "../../daemons/auto-fix/messages.js";
import { fixIdOfPolicy, planOfFix, planOfPolicy, subjectOfPolicy } from "../../daemons/auto-fix/plans.js";
import { type AutoFixSettings, readAutoFixPolicy } from "../../daemons/auto-fix/policy.js";
import { signOf } from "../../daemons/auto-fix/signs.js";
import {
  type CallPart,
  type CallsPart,
  HEALER_NEW,
  type HealerPart,
  type MatchPart,
  type Plan,
  type RunPart,
  refOf,
  type Slice,
} from "../../daemons/auto-fix/state.js";
import type { Counted } from "../../lib/domain/fix-verdict.js";
import { type FollowedLog, followedKey } from "../../lib/domain/followed-log.js";
import type { Answer, PerformContext } from "../../lib/runtime/core.js";
import type { DecisionEffect } from "../../lib/runtime/loop.js";
import type { EventLog } from "../../lib/schema/catalogue.js";
import { EVENTS, type EventType } from "../../lib/schema/catalogue.js";
import { type EventRecord, makeEvent } from "../../lib/schema/events.js";
import type { Fix } from "../../lib/schema/fix-registry.js";
import type { Healing } from "../../lib/schema/healing-policies.js";
import type { Policy } from "../../lib/schema/policy.js";
import { SHIPPED_FIXES } from "../../lib/schema/shipped-fixes.js";
import { Simulation, type World } from "./simulation.js";

export type FixSimulation = Simulation<Slice, Event, Effect, Policy<AutoFixSettings>>;

export interface WorldPattern {
  readonly pattern_id: string;
  readonly key: string;
  readonly scope: string;
  is_active: boolean;
  confidence: number;
  total: number;
  last_seen_ms: number;
}

interface WorldPolicy {
  readonly policy: Healing;
  readonly planned: ConditionFacts["planned"];
  readonly before: readonly string[];
}

/** So few that a scenario has several batches. */
const LINES_IN_A_BATCH = 3;

const QUIET: Counted = { exposure_seconds: 0, recurrences: 0, other_failures: 0, successes: 0 };

export class FixWorld implements World<Event, Effect> {
  readonly patterns = new Map<string, WorldPattern>();
  /** `type|field` → value. */
  readonly templates = new Map<string, unknown>([["scan-worker|resources.memory_limit_mb", 512]]);
  readonly runs = new Map<string, { phase: string; before: readonly unknown[]; message: string; verdict: unknown }>();
  readonly pending = new Set<string>();
  readonly refused = new Map<string, string>();
  readonly events: { id: string; type: string; reason: string | undefined; message: string }[] = [];
  readonly history = new Map<string, string>();
  readonly decisions: {
    id: string;
    verdict: string;
    mode: string;
    gates: readonly { gate: string; passed: boolean }[];
  }[] = [];
  readonly trials: string[] = [];
  /** How often a template was really changed. */
  writes = 0;
  before: Counted = { exposure_seconds: 3600, recurrences: 6, other_failures: 0, successes: 0 };
  after: Counted = QUIET;
  facts: Partial<Facts> = {};
  fix: Fix = SHIPPED_FIXES[0] as Fix;
  failsToApply = false;
  /** The step that cannot be made, and how often each was made or taken back: `apply 0`, `undo 1`. */
  failsAtStep: number | null = null;
  readonly steps: string[] = [];
  rivals: readonly Rival[] = [];
  /** A healing policy whose conditions hold, by its subject. */
  readonly policies = new Map<string, WorldPolicy>();
  cleared: boolean | null = null;
  /** Whether the change is brought to workers that run, and whether the first of them is well with it. */
  rolls: "no" | "well" | "ill" = "no";
  /** What other daemons have written, by their logs. */
  readonly logs = new Map<EventLog, EventRecord[]>();
  /** Escalations, and their ends, as they were told. */
  readonly told: EventRecord[] = [];
  readonly #inHand = new Set<EventLog>();
  #lines = 0;
  #runs = 0;
  #lastStep = "";
  readonly #simulation: FixSimulation;

  constructor(simulation: FixSimulation) {
    this.#simulation = simulation;
  }

  /** Another daemon writes an event, so many milliseconds ago. It is read with `read`. */
  write(
    type: EventType,
    subject: Readonly<Record<string, unknown>> = {},
    more: { readonly reason?: string; readonly data?: Readonly<Record<string, unknown>>; readonly agoMs?: number } = {},
  ): void {
    const { reason, data = {}, agoMs = 0 } = more;
    this.#lines += 1;
    const stamp = { id: `other-${this.#lines}`, atMs: this.#simulation.nowMs - agoMs, monoMs: 0 };
    const { log } = EVENTS[type];
    const record = makeEvent(stamp, 0, "another", type, subject, { message: `${type} it is`, reason, data });
    this.logs.set(log, [...(this.logs.get(log) ?? []), record]);
  }

  /** Reads on until everything written has been read and decided upon. */
  read(order: readonly EventLog[] = [...this.logs.keys()]): void {
    for (let turn = 0; turn < 1000; turn++) {
      const before = order.map((log) => this.#place(log)).join();
      for (const log of order) this.#pump(log, (event) => this.#simulation.offer(event));
      if (order.map((log) => this.#place(log)).join() === before && this.#simulation.idle) return;
    }
    throw new Error("The logs are never read to their end");
  }

  /** The log comes again from its start, as after a truncation. */
  readAgain(log: EventLog): void {
    const lines = this.logs.get(log) ?? [];
    this.#simulation.offer(this.#batch(log, lines, 0, lines.length, "truncated"));
  }

  calls(): CallPart[] {
    return [...this.#simulation.partsWith<CallPart>("call:").values()];
  }

  #place(log: EventLog): number {
    return this.#simulation.part<FollowedLog>(followedKey(log))?.checkpoint.offset ?? 0;
  }

  #pump(log: EventLog, offer: (event: Event) => void): void {
    const lines = this.logs.get(log) ?? [];
    const from = this.#place(log);
    if (this.#inHand.has(log) || from >= lines.length) return;
    this.#inHand.add(log);
    offer(this.#batch(log, lines, from, LINES_IN_A_BATCH));
  }

  #batch(log: EventLog, lines: readonly EventRecord[], from: number, count: number, gap?: string): Event {
    const read = lines.slice(from, from + count);
    const picked = read.flatMap((line) => signOf({ ...line }) ?? []);
    const checkpoint = { inode: 1, birth_ms: 0, offset: from + read.length, head_hash: "" };
    const found = { events: read.length, unreadable: 0, checkpoint, picked };
    return { kind: "lines-read", log, ...found, ...(gap === undefined ? {} : { gap }) };
  }

  /** A pattern is published, or published again. */
  publish(id: string, more: Partial<WorldPattern> = {}): void {
    const known = this.patterns.get(id);
    this.patterns.set(id, {
      pattern_id: id,
      key: "resource:out_of_memory",
      scope: "scan-worker",
      is_active: true,
      confidence: 0.99,
      total: (known?.total ?? 3) + 1,
      ...more,
      last_seen_ms: more.last_seen_ms ?? this.#simulation.nowMs,
    });
    this.look(id);
  }

  look(id: string): void {
    const event = this.consider(id, null);
    if (event !== null) this.#simulation.offer(event);
  }

  consider(id: string, approved: { run: RunPart; by: string } | null, fixId = this.fix.fix_id): Event | null {
    const pattern = this.patterns.get(id);
    if (pattern === undefined) return null;
    const { pattern_id, key, scope, is_active, confidence, total, last_seen_ms } = pattern;
    const field = "resources.memory_limit_mb";
    const before = this.templates.get(`${scope}|${field}`) ?? null;
    const after = typeof before === "number" ? Math.round(before * 1.5) : null;
    const fields = before === null ? [] : [{ field, before, after }];
    const facts: Facts = {
      hold: null,
      component: { name: scope, is_known: true, is_valid: true },
      other_tasks: 0,
      affected: 1,
      fleet: 10,
      diff: fields.map((each) => ({ what: each.field, before: each.before, after: each.after })),
      fields,
      impossible: before === null ? "resources.memory_limit_mb has no number to begin from" : null,
      prerequisites: [],
      memory: { committed_mb: 1000, host_mb: 16_000 },
      host: "running",
      ...this.facts,
    };
    const seen: PatternFacts = {
      ...{ pattern_id, key, is_active, confidence, total, last_seen_ms },
      occurrences: total,
      message: `${scope} runs out of memory`,
      root_cause: "",
    };
    const ref =
      approved === null
        ? { run_id: `run-${++this.#runs}`, fix_id: fixId, subject: id, learn: `${fixId}:${key}` }
        : refOf(approved.run);
    return {
      kind: "consider",
      ...ref,
      plan: this.#plan(),
      scope,
      workers: ["scan-1"],
      pattern: seen,
      condition: null,
      facts,
      rivals: this.rivals,
      approved_by: approved?.by ?? null,
    };
  }

  /** The conditions of a policy hold, or still hold. */
  holds(policy: Healing, planned: ConditionFacts["planned"] = null, before: readonly string[] = []): string {
    const [component = ""] = policy.components;
    const subject = subjectOfPolicy(policy, component);
    this.policies.set(subject, { policy, planned, before });
    this.#simulation.offer(this.considerPolicy(subject, null));
    return subject;
  }

  considerPolicy(subject: string, approved: { run: RunPart; by: string } | null): Event {
    const { policy, planned, before } = this.policies.get(subject) as WorldPolicy;
    const [component = ""] = policy.components;
    const fix_id = fixIdOfPolicy(policy);
    const ref =
      approved === null
        ? { run_id: `run-${++this.#runs}`, fix_id, subject, learn: `${fix_id}:${component}` }
        : refOf(approved.run);
    const facts: Facts = {
      hold: null,
      component: { name: component, is_known: true, is_valid: true },
      ...{ other_tasks: 0, affected: 1, fleet: 10, diff: [], fields: [], impossible: null, prerequisites: [] },
      memory: null,
      host: "running",
      ...this.facts,
    };
    const condition = { policy: policy.name, component, answers: [], holds: true, planned, before };
    const plan = planOfPolicy(policy);
    return {
      kind: "consider",
      ...ref,
      ...{ plan, scope: component, workers: [], pattern: null, condition, facts, approved_by: approved?.by ?? null },
    };
  }

  /** What `mv pending/x approved/` does. */
  approve(runId: string, by = "ann"): void {
    const run = this.run(runId);
    const of = run !== null && this.policies.has(run.subject) ? "considerPolicy" : "consider";
    const event = run === null ? null : this[of](run.subject, { run, by });
    if (event !== null) this.#simulation.offer(event);
  }

  run(runId: string): RunPart | null {
    return this.#simulation.part<RunPart>(`run:${runId}`);
  }

  match(id: string): MatchPart | null {
    return this.#simulation.part<MatchPart>(`match:${this.fix.fix_id}|${id}`);
  }

  healer(): HealerPart {
    return this.#simulation.part<HealerPart>("healer") ?? HEALER_NEW;
  }

  /** As the sources of a starting daemon do it. */
  scan(offer: (event: Event) => void): void {
    this.#inHand.clear();
    if (this.#simulation?.part<CallsPart>("calls") == null) offer({ kind: "calls-begin" });
    for (const log of this.logs.keys()) this.#pump(log, offer);
    for (const run of [...this.#simulation.partsWith<RunPart>("run:").values()])
      if (run.phase !== "done") offer({ kind: "resume", ...refOf(run) });
    for (const id of this.patterns.keys()) {
      const event = this.consider(id, null);
      if (event !== null) offer(event);
    }
    for (const subject of this.policies.keys()) {
      const { fix_id } = this.considerPolicy(subject, null) as { fix_id: string };
      const match = this.#simulation.part<MatchPart>(`match:${fix_id}|${subject}`);
      if ((match?.open_run ?? null) === null) offer(this.considerPolicy(subject, null));
    }
  }

  perform(effect: Effect | DecisionEffect, context: PerformContext): Answer<Event> {
    switch (effect.kind) {
      case "decision": {
        const { verdict, gates, mode = "live" } = (effect as DecisionEffect).draft;
        if (!this.decisions.some((each) => each.id === context.stamp.id))
          this.decisions.push({ id: context.stamp.id, verdict, mode, gates });
        return undefined;
      }
      case "report": {
        const { event_id: id, event_type: type, reason, message } = effect.record;
        if (this.events.some((each) => each.id === id)) return undefined;
        if (numberOf(this.events.at(-1)?.id, madeBy(id)) > numberOf(id, madeBy(id)))
          throw new Error(`${type} is written after an event of the same decision with a later number`);
        this.events.push({ id, type, reason, message });
        if (type.startsWith("escalation_")) this.told.push(effect.record);
        return undefined;
      }
      case "read-on":
        this.#inHand.delete(effect.log);
        return undefined;
      case "take-sign":
        return { kind: "sign-seen", sign: effect.sign };
      case "prepare":
        return { kind: "prepared", ...refOf(effect), before: [{ edits: effect.run.diff }] };
      case "apply": {
        if (this.failsToApply || effect.step === this.failsAtStep) throw new Error("somebody else has changed it");
        this.#step(effect.run_id, `apply ${effect.step}`);
        for (const { what, after } of effect.run.diff) this.#write(`${effect.run.scope}|${what}`, after);
        return { kind: "applied", ...refOf(effect), step: effect.step, note: "" };
      }
      case "undo": {
        const conflicts: string[] = [];
        this.#step(effect.run_id, `undo ${effect.step}`);
        for (const { what, before, after } of effect.run.diff) {
          const key = `${effect.run.scope}|${what}`;
          const now = this.templates.get(key);
          if (now === after) this.#write(key, before);
          else if (now !== before) conflicts.push(what);
        }
        return { kind: "undone", ...refOf(effect), step: effect.step, conflicts };
      }
      case "measure":
        return {
          kind: "measured",
          ...refOf(effect),
          before: this.before,
          after: this.after,
          cleared: this.cleared,
          pattern_resolved: false,
        };
      case "look":
        if (this.policies.has(effect.subject)) return this.considerPolicy(effect.subject, null);
        return this.consider(effect.subject, null, effect.fix_id) ?? undefined;
      case "trial":
        // The old value is what they were well with.
        if (effect.reason === "rolling" && this.rolls === "ill" && this.writes % 2 === 1)
          // Without a stack, which differs with the crash before it.
          throw Object.assign(new Error("scan-1 did not come back well"), { stack: "" });
        if (!this.trials.includes(`${effect.run_id} ${effect.reason}`))
          this.trials.push(`${effect.run_id} ${effect.reason}`);
        return undefined;
      case "write-run": {
        const { run_id, phase, before, message, verdict } = effect.record;
        this.runs.set(run_id, { phase, before, message, verdict });
        return undefined;
      }
      case "write-pending":
        this.pending.add(effect.record.run_id);
        return undefined;
      case "remove-pending":
        this.pending.delete(effect.run_id);
        return undefined;
      case "refuse-answer":
        this.refused.set(effect.run_id, effect.why);
        return undefined;
      case "append-history":
        this.history.set(
          effect.record.history_id,
          `${effect.record.result} ${effect.record.verdict} ${effect.record.mode}`,
        );
        return undefined;
    }
  }

  /** A step may be made again when a crash came before its answer: it is the same step then. */
  #step(runId: string, name: string): void {
    if (this.#lastStep === `${runId} ${name}`) return;
    this.#lastStep = `${runId} ${name}`;
    this.steps.push(name);
  }

  #plan(): Plan {
    const plan = planOfFix(this.fix);
    if (this.rolls === "no") return plan;
    const actions = plan.actions.map((action) =>
      action.type === "modify-worker-spec" ? { ...action, apply_to_running: "rolling" as const } : action,
    );
    return { ...plan, actions };
  }

  #write(key: string, value: unknown): void {
    if (this.templates.get(key) === value) return;
    this.templates.set(key, value);
    this.writes += 1;
  }
}

export interface Fixing {
  readonly simulation: FixSimulation;
  readonly world: FixWorld;
}

const SHORT = {
  dry_run: false,
  cooldown_seconds: 60,
  verification: { window_seconds: 600, check_interval_seconds: 60 },
  limits: { per_fix: { min_seconds_between: 0, max_per_day: 100 } },
};

/** Makes a healer under a policy as a person would write it. */
export function policyOf(policy: Readonly<Record<string, unknown>>): Policy<AutoFixSettings> {
  const read = readAutoFixPolicy({ ...SHORT, ...policy });
  if (!read.ok) throw new Error(`The scenario's policy is wrong: ${JSON.stringify(read.problems)}`);
  return read.value.policy;
}

export function makeFixing(policy: Readonly<Record<string, unknown>> = {}, crashAfter: readonly number[] = []): Fixing {
  const made: { world?: FixWorld } = {};
  const simulation: FixSimulation = new Simulation({
    core: autoFixCore,
    policy: policyOf(policy),
    crashAfter,
    world: (of) => {
      made.world = new FixWorld(of as FixSimulation);
      return made.world;
    },
  });
  return { simulation, world: made.world as FixWorld };
}

/** How a scenario ended, without the ids and instants in which a run with a crash may differ. */
export function endOf({ world, simulation }: Fixing) {
  return {
    limit: world.templates.get("scan-worker|resources.memory_limit_mb"),
    writes: world.writes,
    phases: [...world.runs.values()].map(({ phase, verdict }) => `${phase} ${verdict ?? ""}`).sort(),
    events: world.events.map(({ type, reason }) => `${type} ${reason ?? ""}`).sort(),
    history: [...world.history.values()].sort(),
    pending: world.pending.size,
    refused: [...world.refused.values()],
    trials: world.trials.length,
    steps: world.steps,
    totals: world.healer().totals,
    open: Object.keys(world.healer().open).length,
    // Without the stack, which tells from where the loop was called.
    failures: simulation.failures.map((failure) => failure.split("\n")[0]),
  };
}

const madeBy = (eventId: string): string => eventId.slice(0, eventId.lastIndexOf("-"));

/** Which of the events of a decision it is; -1 if it is of another one. */
function numberOf(eventId: string | undefined, decision: string): number {
  return eventId !== undefined && madeBy(eventId) === decision ? Number(eventId.slice(decision.length + 1)) : -1;
}
