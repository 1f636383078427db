/**
 * Reads everything that the gates of one fix need, in one go, so that its decision can be computed again from it.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { changeOf } from "../../lib/domain/field-change.js";
import { silencesOf } from "../../lib/domain/thresholds.js";
import { readTail } from "../../lib/platform/files.js";
import { hostMemoryMb } from "../../lib/platform/memory-of-host.js";
import { type AllowedCommands, whyNotAllowed } from "../../lib/schema/allowed-commands.js";
import { ACTIONS, type ActionOf, type FixAction } from "../../lib/schema/fix-actions.js";
import type { PatternRecord } from "../../lib/schema/pattern.js";
import { isId, readInstant } from "../../lib/schema/primitives.js";
import type { Template, WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import { jsonNamesIn } from "../../lib/store/entries.js";
import { givenHeartbeatOf } from "../../lib/store/heartbeat-policy.js";
import { type Hold, heldBy, readHolds } from "../../lib/store/holds.js";
import type { Layout } from "../../lib/store/layout.js";
import { SpecStore } from "../../lib/store/specs.js";
import { scalarOf, valueAt } from "../../lib/store/template-edit.js";
import { TemplateStore } from "../../lib/store/templates.js";
import { whyNoQuarantine, whyNotOpen } from "./impossible.js";
import type { Facts } from "./messages.js";
import { wantedOf, whyNotScaled } from "./scaling.js";
import type { Diff, Plan } from "./state.js";

const DAY_MS = 86_400_000;
const LOG_TAIL_BYTES = 512 * 1024;

export interface Prerequisites {
  readonly same_task?: boolean | undefined;
  readonly came_back?: boolean | undefined;
  readonly quiet_seconds?: number | undefined;
}

interface Fleet {
  readonly specs: readonly WorkerSpecRecord[];
  readonly waiting: readonly string[];
}

interface FieldDiff {
  readonly field: string;
  readonly before: unknown;
  readonly after: unknown;
}

export class FactReader {
  readonly #layout: Layout;
  readonly #specs: SpecStore;
  readonly #templates: TemplateStore;
  readonly #allowed: () => AllowedCommands;
  readonly #host: () => NonNullable<Facts["host"]>;
  #read: { readonly nowMs: number; readonly fleet: Fleet } | null = null;

  constructor(layout: Layout, allowed: () => AllowedCommands, host: () => NonNullable<Facts["host"]>) {
    this.#layout = layout;
    this.#specs = new SpecStore(layout);
    this.#templates = new TemplateStore(layout);
    this.#allowed = allowed;
    this.#host = host;
  }

  read(plan: Plan, scope: string, pattern: PatternRecord | null, prerequisites: Prerequisites, nowMs: number): Facts {
    const fleet = this.#fleet(nowMs);
    const isValid = isId(scope);
    const template = isValid ? this.#templates.resolve(scope, nowMs) : null;
    const typed = fleet.specs.filter((spec) => spec.worker_type === scope);
    const waiting = this.#waitingOf(fleet, pattern);
    // A worker that waits for its restart has no active spec, and is not unknown for that.
    const isKnown =
      template?.kind === "ok" ||
      typed.length + waiting > 0 ||
      plan.target !== "process" ||
      plan.actions.every(needsNoTemplate);
    const isWorker = fleet.specs.some((spec) => spec.worker_id === scope) && plan.actions.every(isOfOneWorker);
    const { fields, diff, impossible } = this.#changes(
      plan,
      scope,
      pattern,
      template?.kind === "ok" ? template.template : null,
      fleet.specs,
      nowMs,
    );
    const bad = template?.kind === "bad" ? template.sentence : null;
    const hold = this.#holdOn(plan, scope, namedWorkers(plan, scope, pattern, fleet.specs), fleet.specs, nowMs);
    return {
      host: this.#host(),
      hold: hold === null ? null : { name: hold.name, why: hold.why, until_ms: hold.expiresAtMs },
      component: { name: scope, is_valid: isValid, is_known: isKnown || isWorker },
      affected: affected(plan, typed.length, waiting),
      fleet: fleet.specs.length + fleet.waiting.length,
      other_tasks: otherTasks(typed, pattern),
      diff,
      fields,
      impossible: impossible ?? bad,
      prerequisites: this.#prerequisites(scope, pattern, prerequisites, nowMs),
      memory: memoryOf(fields, scope, fleet.specs, typed.length),
    };
  }

  /** A hold on the type, on the target, or on a worker that the fix would touch by name. */
  #holdOn(
    plan: Plan,
    scope: string,
    workers: Iterable<string>,
    specs: readonly WorkerSpecRecord[],
    nowMs: number,
  ): Hold | null {
    const holds = readHolds(this.#layout, nowMs);
    const of = { worker_type: scope, target: plan.target_name ?? undefined };
    const onType = heldBy(holds, "fix", of, nowMs);
    if (onType !== null) return onType;
    for (const worker_id of workers) {
      const spec = specs.find((each) => each.worker_id === worker_id);
      const worker = { worker_id, worker_type: spec?.worker_type ?? scope, task_id: spec?.task_id ?? undefined };
      const onWorker = heldBy(holds, "fix", { ...of, ...worker }, nowMs);
      if (onWorker !== null) return onWorker;
    }
    return null;
  }

  /** Ids of workers that have a request waiting in the queue. */
  waiting(): string[] {
    return jsonNamesIn(this.#layout.queueDir)
      .filter((name) => name.endsWith("-restart.json"))
      .map((name) => name.slice(0, -"-restart.json".length))
      .filter(isId);
  }

  /** Read once for all that is asked of the same instant: a fix, and those that may go before it. */
  #fleet(nowMs: number): Fleet {
    if (this.#read?.nowMs === nowMs) return this.#read.fleet;
    const specs = this.#specs.listActive().flatMap((id) => {
      // The monitor says which of them may not be read: here it is one worker of whom nothing is known.
      const reading = this.#specs.readActive(id, nowMs, { refusesForbidden: true });
      return reading.kind === "ok" ? [reading.value] : [];
    });
    const fleet = { specs, waiting: this.waiting() };
    this.#read = { nowMs, fleet };
    return fleet;
  }

  #waitingOf(fleet: Fleet, pattern: PatternRecord | null): number {
    const workers = pattern?.workers ?? [];
    return fleet.waiting.filter((id) => workers.includes(id)).length;
  }

  #changes(
    plan: Plan,
    scope: string,
    pattern: PatternRecord | null,
    template: Template | null,
    specs: readonly WorkerSpecRecord[],
    nowMs: number,
  ): { fields: FieldDiff[]; diff: Diff[]; impossible: string | null } {
    const fields: FieldDiff[] = [];
    const diff: Diff[] = [];
    let impossible: string | null = null;
    for (const action of plan.actions) {
      if (action.type === "modify-worker-spec") {
        const made = changesOf(action, template ?? {}, this.#inForce(scope, template, nowMs));
        if (typeof made === "string") impossible ??= made;
        else fields.push(...made);
      } else {
        impossible ??= this.#whyImpossible(action, scope, pattern, specs);
        diff.push(wordsOf(action, scope, pattern));
      }
    }
    const changed = fields.map(({ field, before, after }) => ({ what: field, before, after }));
    return { fields, diff: [...changed, ...diff], impossible };
  }

  /** What workers of a type are judged by, in the fields in which their template may say so: the policy's, where it is silent. */
  #inForce(scope: string, template: Template | null, nowMs: number): Readonly<Record<string, number>> {
    const given = givenHeartbeatOf(this.#layout, scope, nowMs);
    const { intervalMs, timeoutMs, zombieMs } = silencesOf(given, template?.heartbeat ?? {});
    return {
      "heartbeat.interval_seconds": intervalMs / 1000,
      "heartbeat.timeout_seconds": timeoutMs / 1000,
      "heartbeat.zombie_threshold_seconds": zombieMs / 1000,
    };
  }

  #whyImpossible(
    action: FixAction,
    scope: string,
    pattern: PatternRecord | null,
    specs: readonly WorkerSpecRecord[],
  ): string | null {
    const typed = specs.filter((spec) => spec.worker_type === scope);
    switch (action.type) {
      case "restart-worker":
        return pattern !== null || specs.some((spec) => spec.worker_id === scope)
          ? null
          : whyNotOne(scope, typed.length);
      case "scale-up":
      case "scale-down":
        return whyNotScaled(action, scope, wantedOf(this.#layout, typed, Date.now()));
      case "run-command":
        return whyNotAllowed(this.#allowed(), action.command, argumentsOf(action, scope, pattern));
      case "quarantine":
        return whyNoQuarantine(this.#layout, pattern, Date.now());
      case "enable-circuit-breaker":
        return action.state === "half-open" && isId(scope) ? whyNotOpen(this.#layout, scope, Date.now()) : null;
      case "clean-state":
        return (pattern?.workers?.length ?? 0) > 0 ? null : "no worker is known";
      default:
        return null;
    }
  }

  #prerequisites(
    scope: string,
    pattern: PatternRecord | null,
    wanted: Prerequisites,
    nowMs: number,
  ): Facts["prerequisites"] {
    const found: { what: string; value: unknown; met: boolean }[] = [];
    if (wanted.same_task === true) {
      const tasks = pattern?.tasks ?? [];
      const workers = pattern?.workers ?? [];
      const value = { tasks: tasks.length, workers: workers.length };
      found.push({
        what: "one task that several workers failed at",
        value,
        met: tasks.length === 1 && workers.length > 1,
      });
    }
    if (wanted.came_back === true) {
      const value = this.#cameBack(scope, nowMs);
      found.push({ what: "workers that came back by themselves", value, met: value > 0 });
    }
    if (wanted.quiet_seconds !== undefined) {
      const lastMs = readInstant(pattern?.frequency.last_seen ?? null) ?? 0;
      const value = Math.round((nowMs - lastMs) / 1000);
      found.push({ what: `${wanted.quiet_seconds} s without a failure`, value, met: value >= wanted.quiet_seconds });
    }
    return found;
  }

  /** How often a worker of the type beat again after trouble, within a day. */
  #cameBack(scope: string, nowMs: number): number {
    const tail = readTail(this.#layout.eventLog("heartbeat"), LOG_TAIL_BYTES);
    return tail.split("\n").filter((line) => {
      if (!line.includes('"heartbeat_resumed"') || !line.includes(scope)) return false;
      try {
        const event = JSON.parse(line) as { event_type?: unknown; worker_type?: unknown; at_ms?: unknown };
        return (
          event.event_type === "heartbeat_resumed" &&
          event.worker_type === scope &&
          Number(event.at_ms) > nowMs - DAY_MS
        );
      } catch {
        return false; // Cut by the limit, or torn.
      }
    }).length;
  }
}

/** A metric tells of a component, not of one of its workers. */
function whyNotOne(scope: string, count: number): string | null {
  if (count === 1) return null;
  if (count === 0) return `no worker of ${scope} is active`;
  return `${count} workers of ${scope} run, and nothing says which is meant: use restart-service, or name a worker`;
}

/** The workers that a plan touches by name: the one that its scope is, whose state is moved, and who is restarted. */
function namedWorkers(
  { actions }: Plan,
  scope: string,
  pattern: PatternRecord | null,
  specs: readonly WorkerSpecRecord[],
): Set<string> {
  const failed = pattern?.workers ?? [];
  const typed = specs.filter((spec) => spec.worker_type === scope);
  const named: (string | undefined)[] = [scope];
  if (actions.some(({ type }) => type === "clean-state")) named.push(failed.at(-1));
  if (actions.some(({ type }) => type === "restart-worker")) named.push(lastRunning(failed, typed)?.worker_id);
  return new Set(named.filter((id) => id !== undefined));
}

/** Of the workers in which a pattern was seen, the latest last, the last that runs. */
export function lastRunning(
  workers: readonly string[],
  running: readonly WorkerSpecRecord[],
): WorkerSpecRecord | undefined {
  const last = workers.findLast((id) => running.some(({ worker_id }) => worker_id === id));
  return running.find(({ worker_id }) => worker_id === last);
}

const isOfOneWorker = (action: FixAction): boolean => action.type === "restart-worker" || needsNoTemplate(action);

function needsNoTemplate(action: FixAction): boolean {
  return [
    "ask-person",
    "alert-oncall",
    "free-disk",
    "run-command",
    "fallback-mode",
    "quarantine",
    "clean-state",
  ].includes(action.type);
}

/**
 * The fields that change, or why they cannot. Several values that belong together keep their proportion.
 *
 * @param inForce What counts for a field of which the template says nothing; `default_value` where nothing is known here either.
 */
export function changesOf(
  action: ActionOf<"modify-worker-spec">,
  template: Readonly<Record<string, unknown>>,
  inForce: Readonly<Record<string, number>> = {},
): FieldDiff[] | string {
  const found = action.changes.map((change) => {
    const names = [change.field, ...(change.or_fields ?? [])];
    const field = names.find((name) => scalarOf(valueAt(template, name)) !== null) ?? change.field;
    const counts = Object.hasOwn(inForce, field) ? inForce[field] : change.default_value;
    return { change: { ...change, field }, field, before: scalarOf(valueAt(template, field)) ?? counts ?? null };
  });
  const multiplied = found.filter(({ change }) => change.operation === "multiply");
  const factor = multiplied.length < 2 ? null : commonFactor(multiplied);
  const fields: FieldDiff[] = [];
  const whys: string[] = [];
  for (const { change, field, before } of found) {
    const isPart = factor !== null && change.operation === "multiply";
    // Rounded to whole seconds, an interval of 1 s would double where its thresholds grow by half.
    const own = isPart ? { ...change, value: factor, keeps_fraction: field.endsWith("_seconds") } : change;
    const changed = changeOf(before, own);
    if (changed.kind === "impossible") return changed.why;
    if (changed.kind === "same") whys.push(changed.why);
    else fields.push({ field, before, after: changed.after });
  }
  return fields.length === 0 ? whys.join("; ") : fields;
}

type Found = {
  readonly change: {
    readonly value: unknown;
    readonly max_value?: number | undefined;
    readonly min_value?: number | undefined;
  };
  readonly before: unknown;
};

/** The factor that all of them can take. */
function commonFactor(found: readonly Found[]): number {
  return found.reduce(
    (least, { change, before }) => {
      const wanted = Number(change.value);
      if (typeof before !== "number" || before <= 0) return least;
      const bounded = wanted >= 1 ? Math.min(wanted, (change.max_value ?? Number.POSITIVE_INFINITY) / before) : wanted;
      return Math.min(least, Math.max(1, bounded));
    },
    Number(found[0]?.change.value ?? 1),
  );
}

/** The arguments of a command, with what they may name filled in. */
export function argumentsOf(action: ActionOf<"run-command">, scope: string, pattern: PatternRecord | null): string[] {
  const values: Readonly<Record<string, string>> = {
    worker_type: scope,
    worker_id: pattern?.workers?.at(-1) ?? "",
    task_id: pattern?.tasks?.at(-1) ?? "",
    pattern: pattern === null ? "" : `${pattern.category}:${pattern.type}`,
  };
  return (action.args ?? []).map((arg) =>
    arg.replace(/\{(worker_type|worker_id|task_id|pattern)\}/g, (_, name: string) => values[name] ?? ""),
  );
}

function wordsOf(action: FixAction, scope: string, pattern: PatternRecord | null): Diff {
  const what = (text: string): Diff => ({ what: text, before: null, after: null });
  switch (action.type) {
    case "run-command":
      return what(`run ${[action.command, ...argumentsOf(action, scope, pattern)].join(" ")}`.slice(0, 200));
    case "enable-circuit-breaker":
      return what(`circuit breaker of ${scope} to ${action.state ?? "open"}`);
    case "quarantine":
      return what(`hold on task ${pattern?.tasks?.[0] ?? ""}`);
    case "clean-state":
      return what(`state of ${pattern?.workers?.at(-1) ?? ""} moved aside`);
    case "ask-person":
      return what(action.request);
    default:
      return what(action.type);
  }
}

/** A worker without a task of its own is no evidence for or against a task. */
function otherTasks(typed: readonly WorkerSpecRecord[], pattern: PatternRecord | null): number {
  const own = pattern?.tasks ?? [];
  return typed.filter(({ task_id }) => typeof task_id === "string" && !own.includes(task_id)).length;
}

function affected(plan: Plan, typed: number, waiting: number): number {
  const rolling = plan.actions.some(
    (action) => action.type === "modify-worker-spec" && action.apply_to_running === "rolling",
  );
  const counts = plan.actions.map((action) => {
    switch (ACTIONS[action.type].touches) {
      case "worker":
        return 1;
      case "waiting":
        return waiting + (rolling ? typed : 0);
      case "type":
        return typed;
      default:
        return 0;
    }
  });
  return Math.max(0, ...counts);
}

/** What all limits would sum up to, if every worker of the type had the new one. */
function memoryOf(
  fields: readonly FieldDiff[],
  scope: string,
  specs: readonly WorkerSpecRecord[],
  typed: number,
): Facts["memory"] {
  const change = fields.find(({ field }) => field === "resources.memory_limit_mb");
  if (change === undefined || typeof change.after !== "number") return null;
  const others = specs.filter((spec) => spec.worker_type !== scope);
  const rest = others.reduce((sum, spec) => sum + (spec.resources?.memory_limit_mb ?? 0), 0);
  return { committed_mb: Math.round(rest + Math.max(1, typed) * change.after), host_mb: Math.round(hostMemoryMb()) };
}

/** The text of a file; null if there is none. */
export function textIfThere(...parts: string[]): string | null {
  try {
    return readFileSync(join(...parts), "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return null;
    throw error;
  }
}
