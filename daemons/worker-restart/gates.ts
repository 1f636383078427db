/**
 * Asks the gates of a restart in their fixed order, up to the first that does not pass. Changes nothing.
 *
 * Gates about the worker's own conduct (its exit code, retries, delays) are not asked when a person wants the restart:
 * a person's request spends nothing. Holds, breaker and quarantine are asked, unless the request overrides them by name.
 *
 * @module
 */
import { type BackoffPolicy, retryDelayMs } from "../../lib/domain/backoff.js";
import { allow } from "../../lib/domain/breaker.js";
import { budgetGate, retriesGate } from "../../lib/domain/budgets.js";
import { unitSample } from "../../lib/domain/hash.js";
import { slidingAllow, spend } from "../../lib/domain/limits.js";
import { isPoisoned } from "../../lib/domain/poison.js";
import { RESTART_GATES, type RestartGate } from "../../lib/schema/catalogue.js";
import type { Gate } from "../../lib/schema/events.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import type { Facts, Request, RequestEvent } from "./messages.js";
import { placesTaken } from "./places.js";
import type { RestartSettings } from "./settings.js";
import type { Slice, WorkerPart } from "./state.js";

/** One gate's answer. `nextAtMs` null: only a change elsewhere helps. */
interface Answer {
  readonly passed: boolean;
  readonly value: unknown;
  readonly threshold: unknown;
  readonly nextAtMs?: number | null;
  readonly reason?: string;
}

export interface FailedGate {
  readonly gate: RestartGate;
  readonly value: unknown;
  /** One sentence, without a capital and a full stop, that goes on after "because". */
  readonly reason: string;
  readonly nextAtMs: number | null;
}

export interface Question {
  readonly slice: Slice & { readonly worker: WorkerPart };
  readonly event: RequestEvent;
  readonly request: Request;
  readonly facts: Facts;
  readonly settings: RestartSettings;
  /** The attempt that would be started. */
  readonly next: number;
  readonly nowMs: number;
}

const MINUTE_MS = 60_000;
/** How often a gate is asked again that nothing else wakes. */
const ASK_AGAIN_MS = 1000;
const ASK_REQUIRES_MS = 5000;
const ASK_TOKENS_MS = 30_000;
/** What people call the gates. */
const OTHER_NAMES: Readonly<Record<string, RestartGate>> = {
  hold: "holds",
  breaker: "circuit_breaker",
  "circuit-breaker": "circuit_breaker",
  poison: "poison_task",
  budget: "budgets",
};

const pass = (value: unknown = null, threshold: unknown = null): Answer => ({ passed: true, value, threshold });

const ASK: Readonly<Record<RestartGate, (question: Question) => Answer>> = {
  // Everything ends then, and the next boot starts what should run.
  host: ({ facts: { host } }) => {
    const reason = "the host is shutting down";
    return { passed: host !== "stopping", value: host, threshold: "not stopping", nextAtMs: null, reason };
  },
  holds: ({ facts }) => {
    const { hold } = facts;
    if (hold === null) return pass("none", "none");
    const reason = `the hold "${hold.name}" forbids it${hold.why ? `: ${hold.why}` : ""}`;
    return { passed: false, value: hold.name, threshold: "none", nextAtMs: hold.until_ms, reason };
  },
  desired: ({ facts }) => {
    const wanted = facts.desired ?? "running";
    if (wanted === "running") return pass(wanted, "running");
    return { passed: false, value: wanted, threshold: "running", nextAtMs: null, reason: "a person wants it stopped" };
  },
  enabled: ({ settings }) => ({
    passed: settings.enabled,
    value: settings.enabled,
    threshold: true,
    nextAtMs: null,
    reason: "restarts are switched off by policy",
  }),
  when: ({ facts, request }) => {
    // A worker that hung and stopped with 0 when it was told to has not finished its work.
    const clean = request.ended?.exit_code === 0 && request.ended.by_itself;
    const passed = request.by_person || facts.when === "always" || (facts.when === "on-failure" && !clean);
    const reason = facts.when === "never" ? "restart.when is never" : "it ended well and restart.when is on-failure";
    return { passed, value: request.ended?.exit_code ?? null, threshold: facts.when, reason };
  },
  exit_class: ({ slice, facts, request, settings }) => {
    const code = request.ended?.exit_code ?? null;
    const useless = code !== null && request.ended?.by_itself === true && settings.no_restart_on.includes(code);
    const before = slice.worker.waiting?.files ?? null;
    const changed = before !== null && before !== facts.files;
    const passed = request.by_person || !useless || changed;
    const reason = `exit code ${code} says that a restart is useless until its files change`;
    return {
      passed,
      value: changed ? `${code}, files changed` : code,
      threshold: settings.no_restart_on,
      nextAtMs: null,
      reason,
    };
  },
  expired: ({ slice, request, facts, nowMs }) => {
    const until = request.expires_at_ms;
    const threshold = until === null ? null : writeInstant(until);
    // What was begun is carried through: nobody else would start a worker that was ended for it. What an earlier
    // request had begun, which was taken back, has no instant any more.
    const { ending } = slice.worker;
    const isBegun =
      request.force && ending?.attempt === (request.attempt ?? facts.highest) && ending.since_mono_ms !== undefined;
    return {
      passed: until === null || nowMs < until || isBegun,
      value: writeInstant(nowMs),
      threshold,
      reason: "the request expired",
    };
  },
  not_before: ({ request, nowMs }) => {
    const from = request.not_before_ms;
    if (from === null || nowMs >= from) return pass(writeInstant(nowMs), from === null ? null : writeInstant(from));
    return {
      passed: false,
      value: writeInstant(nowMs),
      threshold: writeInstant(from),
      nextAtMs: from,
      reason: "its time has not come",
    };
  },
  duplicate: ({ facts, next }) => ({
    passed: !facts.next_exists,
    value: facts.highest,
    threshold: next - 1,
    reason: `attempt ${next} exists already`,
  }),
  running: ({ facts, request, nowMs }) => {
    const { active } = facts;
    if (active === null) return pass("none", "none");
    const value = `attempt ${active.attempt}${active.alive ? "" : ", ended"}`;
    if (request.force) return pass(`${value}, force`, "none");
    if (active.alive) return { passed: false, value, threshold: "none", reason: "it is running" };
    const reason = "its last attempt has ended and is not taken away yet";
    return { passed: false, value, threshold: "none", nextAtMs: nowMs + ASK_AGAIN_MS, reason };
  },
  requires: ({ facts, nowMs }) => {
    const missing = facts.requires.filter((each) => !each.met).map((each) => each.what);
    const reason = `it requires ${missing.join(", ")}`;
    return { passed: missing.length === 0, value: missing, threshold: [], nextAtMs: nowMs + ASK_REQUIRES_MS, reason };
  },
  no_template: ({ facts }) => ({
    passed: facts.unlaunchable === null,
    value: facts.unlaunchable ?? "known",
    threshold: "known",
    nextAtMs: null,
    reason: facts.unlaunchable ?? "",
  }),
  retries: ({ slice, request, settings, nowMs }) => {
    const { attempts, exhausted } = slice.worker;
    if (!request.spends) return pass(attempts, settings.max_retries);
    const { at_ms: exhaustedAtMs = null, probes = 0 } = exhausted ?? {};
    const answer = retriesGate({ attempts, exhaustedAtMs, probes }, nowMs, settings);
    const reason = `${attempts} of ${settings.max_retries} retries are spent`;
    return { ...answer, nextAtMs: answer.passesAtMs, reason };
  },
  budgets: ({ slice, request, settings, nowMs }) => {
    if (!request.spends) return pass(slice.worker.starts.length, null);
    const answer = budgetGate(slice.worker.starts, nowMs, settings.restart_budgets);
    const reason = `${answer.value} automatic restarts are as many as its budget has`;
    return { ...answer, nextAtMs: answer.passesAtMs, reason };
  },
  poison_task: ({ slice, event, settings, nowMs }) => {
    const { quarantined_at_ms: since, poison } = slice.task;
    const deaths = event.task_id === null ? 0 : poison.tasks.reduce((sum, task) => sum + task.deaths.length, 0);
    const poisoned =
      event.task_id !== null && since !== null && isPoisoned(poison, event.task_id, nowMs, settings.poison_task);
    const reason = `the task "${event.task_id}" cost its workers ${deaths} times; remove its hold to try again`;
    return { passed: !poisoned, value: deaths, threshold: settings.poison_task.deaths, nextAtMs: null, reason };
  },
  circuit_breaker: ({ slice, settings, nowMs }) => {
    const answer = allow(slice.type.breaker, nowMs, settings);
    const reason = `the circuit breaker of its type is ${answer.gateValue}`;
    return {
      passed: answer.allowed,
      value: answer.gateValue,
      threshold: "closed",
      nextAtMs: answer.passesAtMs,
      reason,
    };
  },
  deadline: ({ facts, request, settings, nowMs }) => {
    const { deadline_ms: deadline } = facts;
    if (deadline === null || !settings.check_deadline || request.by_person)
      return pass(null, settings.deadline_buffer_seconds);
    const left = Math.floor((deadline - nowMs) / 1000);
    const reason = "its deadline leaves too little time";
    return {
      passed: left >= settings.deadline_buffer_seconds,
      value: left,
      threshold: settings.deadline_buffer_seconds,
      reason,
    };
  },
  token_budget: ({ facts, settings, nowMs }) => {
    const { tokens } = facts;
    if (tokens === null || !settings.check_token_budget) return pass(tokens?.left ?? null, null);
    const reason = `it needs ${tokens.wanted} tokens and ${tokens.left} are left`;
    return {
      passed: tokens.left >= tokens.wanted,
      value: tokens.left,
      threshold: tokens.wanted,
      nextAtMs: nowMs + ASK_TOKENS_MS,
      reason,
    };
  },
  backoff: (question) => {
    const dueAtMs = backoffDueAtMs(question);
    if (question.nowMs >= dueAtMs) return pass(writeInstant(question.nowMs), writeInstant(dueAtMs));
    const value = writeInstant(question.nowMs);
    return {
      passed: false,
      value,
      threshold: writeInstant(dueAtMs),
      nextAtMs: dueAtMs,
      reason: "its delay has not passed",
    };
  },
  rate_limits: askRateLimits,
  concurrency: ({ slice, settings, nowMs }) => {
    const taken = placesTaken(slice.fleet, nowMs);
    const max = settings.max_concurrent_restarts;
    const ends = slice.fleet.under_way.map((each) => each.until_ms).filter((until) => until > nowMs);
    const reason = `${taken} starts are under way`;
    return { passed: taken < max, value: taken, threshold: max, nextAtMs: Math.min(...ends), reason };
  },
  survivors: ({ facts: { active, survivors }, nowMs }) => {
    const untouchable = active?.alive === true ? (active.untouchable ?? null) : null;
    const value = untouchable === null ? survivors : [untouchable, ...survivors];
    const passed = active === null && survivors.length === 0;
    return { passed, value, threshold: [], nextAtMs: nowMs + ASK_AGAIN_MS, reason: whyLeft(untouchable, survivors) };
  },
};

function whyLeft(untouchable: number | null, survivors: readonly number[]): string {
  if (untouchable !== null) return `pid ${untouchable} was adopted without --may-signal, and must end by itself`;
  return survivors.length > 0
    ? `processes of an earlier attempt are left: ${survivors.slice(0, 5).join(", ")}`
    : "its last attempt is not taken away yet";
}

/** Asks the gates in order. The list ends with the first that does not pass. */
export function askGates(question: Question): { readonly gates: readonly Gate[]; readonly failed: FailedGate | null } {
  const gates: Gate[] = [];
  const overridden = new Set(question.request.override.map((name) => OTHER_NAMES[name] ?? name));
  for (const gate of Object.keys(RESTART_GATES) as RestartGate[]) {
    // Decisions from before the host was asked come out as they were recorded.
    if (gate === "host" && question.facts.host === undefined) continue;
    const answer = ASK[gate](question);
    const { value, threshold } = answer;
    if (answer.passed) {
      gates.push({ gate, value, threshold, passed: true });
    } else if (overridden.has(gate) && MAY_OVERRIDE.has(gate) && !(gate === "backoff" && isPaused(question))) {
      gates.push({
        gate,
        value: { found: value, overridden_by: question.request.requested_by ?? "a person" },
        threshold,
        passed: true,
      });
    } else {
      const nextAtMs = answer.nextAtMs ?? null;
      const passes = nextAtMs === null ? {} : { passes_at: writeInstant(nextAtMs) };
      gates.push({ gate, value, threshold, passed: false, ...passes });
      return { gates, failed: { gate, value, nextAtMs, reason: answer.reason ?? RESTART_GATES[gate].sentence } };
    }
  }
  return { gates, failed: null };
}

/** What a person may pass over by name. The rest are facts: no wish makes a template, or two attempts into one. */
const MAY_OVERRIDE: ReadonlySet<RestartGate> = new Set<RestartGate>([
  ...(["holds", "desired", "enabled", "when", "exit_class", "expired", "not_before", "requires", "retries"] as const),
  ...(["budgets", "poison_task", "circuit_breaker", "deadline", "token_budget", "backoff", "rate_limits"] as const),
  "concurrency",
]);

/** Whether a start has just failed. Nobody passes over that, or start and gates would ask each other in a circle. */
function isPaused({ slice, nowMs }: Question): boolean {
  return nowMs < (slice.worker.waiting?.pause_until_ms ?? 0);
}

/** When the delay before this retry is over. A probe of an exhausted worker has waited for longer already. */
export function backoffDueAtMs(question: Question): number {
  const { slice, request, settings } = question;
  const { filed_at_ms: sinceMs = request.filed_at_ms, pause_until_ms: pausedMs = 0 } = slice.worker.waiting ?? {};
  if (!request.spends || slice.worker.attempts >= settings.max_retries) return Math.max(sinceMs, pausedMs);
  return sinceMs + delayMs(question);
}

/** The delay before this retry. */
export function delayMs({ slice, event, request, facts, settings }: Question): number {
  const { ended } = request;
  const fast = ended?.by_itself === true && ended.ran_ms !== null && ended.ran_ms < settings.fast_exit_seconds * 1000;
  const delayOf = (policy: BackoffPolicy): number =>
    retryDelayMs({
      retry: slice.worker.attempts + 1,
      policy,
      exitedFast: fast,
      sample: unitSample(event.worker_id, request.attempt ?? 0, request.incident_id ?? ""),
      previousDelayMs: slice.worker.last_delay_ms,
    });
  // A template can only ask for more patience than the policy has, at each retry.
  if (facts.retry === undefined) return delayOf(settings);
  return Math.max(delayOf(settings), delayOf(asAsked(facts.retry, settings)));
}

/** The back-off that a template asks for, as if it were the policy's. */
function asAsked({ initial, max }: NonNullable<Facts["retry"]>, settings: RestartSettings): BackoffPolicy {
  return {
    first_retry_delay_seconds: initial,
    retry_interval_seconds: initial,
    max_retry_interval_seconds: max,
    backoff_multiplier: Math.max(2, settings.backoff_multiplier),
    jitter: settings.jitter,
  };
}

function askRateLimits({ slice, request, settings, nowMs }: Question): Answer {
  const { global_per_minute, per_type_per_minute, per_task_min_interval_seconds } = settings.rate_limits;
  const all = askPerMinute(slice.fleet.starts, nowMs, global_per_minute);
  const type = askPerMinute(slice.type.starts, nowMs, per_type_per_minute);
  // A person who starts a task again knows that it was started a moment ago.
  const taskAtMs = request.by_person ? 0 : (slice.task.last_start_ms ?? 0) + per_task_min_interval_seconds * 1000;
  const value = { global: all.log.length, type: type.log.length };
  const threshold = {
    global: global_per_minute,
    type: per_type_per_minute,
    task_seconds: per_task_min_interval_seconds,
  };
  const passed = all.allowed && type.allowed && nowMs >= taskAtMs;
  const reason =
    all.allowed && type.allowed ? "its task was started a moment ago" : "as many restarts as the limit allows";
  return { passed, value, threshold, nextAtMs: latest(all.passesAtMs, type.passesAtMs, taskAtMs), reason };
}

function askPerMinute(starts: readonly number[], nowMs: number, max: number | null): ReturnType<typeof slidingAllow> {
  if (max === null) return { allowed: true, passesAtMs: nowMs, log: [] };
  return slidingAllow(starts, nowMs, { max, windowMs: MINUTE_MS });
}

/** Starts are remembered for a limit only where there is one. */
export function startsAfter(starts: readonly number[], nowMs: number, max: number | null): readonly number[] {
  return max === null ? [] : spend(starts, nowMs, MINUTE_MS);
}

function latest(...instants: readonly (number | null)[]): number | null {
  return instants.includes(null) ? null : Math.max(...(instants as readonly number[]));
}
