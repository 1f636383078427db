/**
 * `healing-policies.json`: conditions on metrics, and what is done when they hold.
 *
 * A policy without a scope is refused as soon as it is enabled: a quiet service has a low throughput, and an agent run has
 * a high latency, without being ill.
 *
 * @module
 */
import { z } from "zod";
import {
  ACTIONS,
  actionSchema,
  BARE_ACTIONS,
  type FixAction,
  keySchema,
  RESTARTING,
  TARGETS,
  targetProblems,
  timeoutProblems,
} from "./fix-actions.js";
import { changeProblems } from "./fix-registry.js";
import type { PolicyDefinition } from "./policy.js";
import { idSchema, positiveSeconds, seconds } from "./primitives.js";
import type { Problem } from "./problems.js";
import { whyNoService } from "./target-names.js";

export const OPERATORS = ["gt", "gte", "lt", "lte", "eq", "ne"] as const;
/** As people read them. */
export const OPERATOR_SIGNS = { gt: ">", gte: ">=", lt: "<", lte: "<=", eq: "=", ne: "!=" } as const;

const conditionShape = {
  metric: keySchema,
  operator: z.enum(OPERATORS),
  threshold: z.number(),
  for_seconds: seconds.optional(),
  min_samples: z.number().int().min(1).max(10_000).optional(),
};
export const conditionSchema = z.strictObject(conditionShape);
export type Condition = z.infer<typeof conditionSchema>;

const NAME = /^[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}$/;
const policyName = z.string().regex(NAME, {
  error: "must be a name of at most 80 letters, digits, spaces, dots, dashes and underscores",
});

export const healingPolicySchema = z.strictObject({
  name: policyName,
  description: z.string().max(1000).optional(),
  enabled: z.boolean(),
  conditions: z.array(conditionSchema).min(1).max(16),
  clear_conditions: z.array(conditionSchema).max(16).optional(),
  actions: z.array(actionSchema).min(1).max(8),
  priority: z.number().int().min(1).max(10),
  cooldown_seconds: seconds.optional(),
  settle_seconds: seconds.optional(),
  verify_seconds: positiveSeconds.optional(),
  max_executions_per_hour: z.number().int().min(1).max(1000).optional(),
  safety_score: z.number().min(0).max(1).optional(),
  requires_approval: z.boolean().optional(),
  scope: z
    .strictObject({
      components: z.array(idSchema).max(64).optional(),
      target: z.enum(TARGETS).optional(),
      /** The unit or the app, where it is not called as the component. */
      name: z
        .string()
        .regex(/^[A-Za-z0-9@][A-Za-z0-9@._:-]{0,127}$/, { error: "must be the name of a unit or an app" })
        .optional(),
    })
    .optional(),
  escalation: z
    .strictObject({ next: policyName.optional(), person_after_seconds: positiveSeconds.optional() })
    .optional(),
  predict: z
    .strictObject({
      horizon_minutes: z
        .number()
        .gt(0)
        .max(7 * 24 * 60),
      quiet: z
        .strictObject({
          metric: keySchema.optional(),
          share: z.number().min(0).max(1).optional(),
          for_seconds: positiveSeconds.optional(),
        })
        .optional(),
      latest_seconds: seconds.optional(),
    })
    .optional(),
});
export type HealingPolicy = z.infer<typeof healingPolicySchema>;

/** An action may be named by its word alone. */
const readSchema = z.preprocess((value) => {
  if (typeof value !== "object" || value === null || !Array.isArray((value as { actions?: unknown }).actions))
    return value;
  const { actions } = value as { readonly actions: readonly unknown[] };
  return { ...value, actions: actions.map((action) => (typeof action === "string" ? { type: action } : action)) };
}, healingPolicySchema);

export const healingShape = z.strictObject({
  policies: z.array(healingPolicySchema).max(200).optional().describe("The policies."),
});

/** What editors are shown: an action that needs no parameters may stand as its name, as `readSchema` takes it. */
export const healingEditorShape = z.strictObject({
  policies: z
    .array(
      healingPolicySchema.extend({
        actions: z
          .array(z.union([actionSchema, z.enum(BARE_ACTIONS)]))
          .min(1)
          .max(8),
      }),
    )
    .max(200)
    .optional()
    .describe("The policies."),
});
const readShape = z.strictObject({ policies: z.array(readSchema).max(200).optional() });
export type HealingFile = z.infer<typeof healingShape>;

/** A condition with its time and its samples. */
export interface FullCondition {
  readonly metric: string;
  readonly operator: (typeof OPERATORS)[number];
  readonly threshold: number;
  readonly for_seconds: number;
  readonly min_samples: number;
}

/** A policy with every default filled in. */
export interface Healing {
  readonly name: string;
  readonly enabled: boolean;
  readonly conditions: readonly FullCondition[];
  readonly clear_conditions: readonly FullCondition[];
  readonly actions: readonly FixAction[];
  readonly priority: number;
  readonly cooldown_seconds: number;
  readonly settle_seconds: number;
  readonly verify_seconds: number;
  readonly max_executions_per_hour: number;
  readonly safety_score: number;
  readonly requires_approval: boolean;
  readonly components: readonly string[];
  readonly target: (typeof TARGETS)[number];
  readonly target_name: string | null;
  readonly next: string | null;
  readonly person_after_seconds: number | null;
  readonly predict: Prediction | null;
}

/** How far ahead is looked, and which moment is taken for what is planned. */
export interface Prediction {
  readonly horizon_minutes: number;
  /** What counts as quiet: at most this share of the usual load, for so long. */
  readonly share: number;
  readonly for_seconds: number;
  /** So long before the forecast comes true no more is waited. */
  readonly latest_seconds: number;
  /** The metrics that the load may go by; the first that is measured counts. */
  readonly load_metrics: readonly string[];
}

export interface HealingSettings {
  readonly policies: readonly Healing[];
}

const QUIET_SHARE = 0.5;
/** Two or three samples of the monitor's, which takes one a minute. */
const QUIET_FOR_SECONDS = 120;
/** A restart is over by then, also one that meets a grace time. */
const LATEST_SECONDS = 300;
const LOAD_METRICS = ["throughput", "cpu_util"] as const;

const FOR_SECONDS = 180;
const MIN_SAMPLES = 5;

/** Under which the runs and the trust of a policy are kept. Two policies of one file never have the same. */
export const policyFixId = (name: string): string => `policy-${name.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;

export function healingDefinition(shipped: readonly HealingPolicy[]): PolicyDefinition<HealingSettings, HealingFile> {
  return {
    name: "healing-policies",
    perType: false,
    shape: readShape,
    complete: (explicit) => ({ policies: (explicit.policies ?? shipped).map(completed) }),
    check,
  };
}

const complete = (condition: Condition): FullCondition => ({
  ...condition,
  for_seconds: condition.for_seconds ?? FOR_SECONDS,
  min_samples: condition.min_samples ?? MIN_SAMPLES,
});

function completed(policy: HealingPolicy): Healing {
  const restarts = policy.actions.some((action) => RESTARTING.has(action.type));
  const conditions = policy.conditions.map(complete);
  const longest = Math.max(...conditions.map((each) => each.for_seconds));
  const settle = policy.settle_seconds ?? 120;
  return {
    name: policy.name,
    enabled: policy.enabled,
    conditions,
    clear_conditions: (policy.clear_conditions ?? []).map(complete),
    actions: policy.actions,
    priority: policy.priority,
    cooldown_seconds: policy.cooldown_seconds ?? (restarts ? 900 : 300),
    settle_seconds: settle,
    verify_seconds: policy.verify_seconds ?? settle + Math.max(60, longest * 2),
    max_executions_per_hour: policy.max_executions_per_hour ?? 4,
    safety_score: policy.safety_score ?? Math.min(...policy.actions.map((action) => ACTIONS[action.type].safety)),
    requires_approval: policy.requires_approval ?? false,
    components: policy.scope?.components ?? [],
    target: policy.scope?.target ?? "process",
    target_name: policy.scope?.name ?? null,
    next: policy.escalation?.next ?? null,
    person_after_seconds: policy.escalation?.person_after_seconds ?? null,
    predict: policy.predict === undefined ? null : predicted(policy.predict),
  };
}

function predicted({ horizon_minutes, quiet = {}, latest_seconds }: NonNullable<HealingPolicy["predict"]>): Prediction {
  return {
    horizon_minutes,
    load_metrics: quiet.metric === undefined ? LOAD_METRICS : [quiet.metric],
    share: quiet.share ?? QUIET_SHARE,
    for_seconds: quiet.for_seconds ?? QUIET_FOR_SECONDS,
    latest_seconds: latest_seconds ?? Math.min(LATEST_SECONDS, horizon_minutes * 15),
  };
}

function check(explicit: HealingFile): Problem[] {
  const policies = explicit.policies ?? [];
  const problems = policies.flatMap((policy, index) => {
    const field = `policies.${index}.`;
    const found = [...problemsOf(policy, field), ...timeoutProblems(policy.actions, field)];
    return [...found.map((problem) => inScope(problem, field)), ...predictionProblems(policy, field)];
  });
  const ids = policies.map(({ name }) => policyFixId(name));
  for (const [index, { name }] of policies.entries()) {
    const first = ids.indexOf(ids[index] as string);
    const other = policies[first]?.name;
    if (first === index) continue;
    const message =
      other === name
        ? `"${name}" is there twice`
        : `must differ from "${other}" in a letter from a to z or a digit, got "${name}"`;
    problems.push({ field: `policies.${index}.name`, message });
  }
  return [...problems, ...ladderProblems(policies)];
}

function problemsOf(policy: HealingPolicy, field: string): Problem[] {
  const problems = targetProblems(policy.actions, policy.scope?.target ?? "process", field);
  problems.push(
    ...changeProblems(policy.actions, field),
    ...patternProblems(policy, field),
    ...nameProblems(policy, field),
  );
  if (!policy.enabled) return problems;
  const named = JSON.stringify(policy.name);
  if ((policy.scope?.components ?? []).length === 0)
    problems.push({
      field: `${field}scope.components`,
      message: `must name the components that ${named} is for, without which it would act on whatever is quiet or busy by nature: got none`,
    });
  if ((policy.clear_conditions ?? []).length === 0)
    problems.push({
      field: `${field}clear_conditions`,
      message: `must say when ${named} is over: what starts an action does not tell when it has helped: got none`,
    });
  return problems;
}

/** What only failures tell: which task, whose state. */
const OF_A_PATTERN: ReadonlySet<string> = new Set(["quarantine", "clean-state"]);

function patternProblems({ actions }: HealingPolicy, field: string): Problem[] {
  return actions.flatMap(({ type }, index) =>
    OF_A_PATTERN.has(type)
      ? [
          {
            field: `${field}actions.${index}`,
            message: `"${type}" needs a pattern of failures, which no metric is: it belongs into auto-fix-registry.json`,
          },
        ]
      : [],
  );
}

function nameProblems({ scope = {} }: HealingPolicy, field: string): Problem[] {
  const { target = "process", name, components = [] } = scope;
  const named = name === undefined ? components.map((each, nth) => [`components.${nth}`, each]) : [["name", name]];
  return named.flatMap(([where, each]) => {
    const why = whyNoService(target, String(each));
    return why === null
      ? []
      : [{ field: `${field}scope.${where}`, message: `must name a service of ${target}: "${each}" ${why}` }];
  });
}

/** A ladder must end. */
function ladderProblems(policies: readonly HealingPolicy[]): Problem[] {
  const next = new Map(policies.map((policy) => [policy.name, policy.escalation?.next ?? null]));
  const problems: Problem[] = [];
  for (const [index, policy] of policies.entries()) {
    const field = `policies.${index}.escalation.next`;
    const wanted = policy.escalation?.next;
    if (wanted !== undefined && !next.has(wanted))
      problems.push({ field, message: `must be a policy of this file, got "${wanted}"` });
    const way: string[] = [policy.name];
    for (let at = next.get(policy.name) ?? null; at !== null; at = next.get(at) ?? null) {
      if (at === policy.name) {
        problems.push({ field, message: `leads in a circle: ${[...way, at].join(" -> ")}` });
        break;
      }
      if (way.includes(at)) break;
      way.push(at);
    }
  }
  return problems;
}

/** The target of a fix stands beside its actions, that of a policy in its scope. */
const inScope = (problem: Problem, field: string): Problem =>
  problem.field === `${field}target` ? { ...problem, field: `${field}scope.target` } : problem;

/** A line leads over or under a threshold, never to a value; and there must be time left to wait for a quiet moment. */
function predictionProblems(policy: HealingPolicy, field: string): Problem[] {
  if (policy.predict === undefined) return [];
  const { horizon_minutes, latest_seconds = 0 } = policy.predict;
  const horizon = horizon_minutes * 60;
  const problems: Problem[] = [];
  if (latest_seconds >= horizon)
    problems.push({
      field: `${field}predict.latest_seconds`,
      message: `must be < horizon_minutes (${horizon} s), got ${latest_seconds}`,
    });
  for (const [index, { operator }] of policy.conditions.entries())
    if (operator === "eq" || operator === "ne")
      problems.push({
        field: `${field}conditions.${index}.operator`,
        message: `must be gt, gte, lt or lte in a policy with predict, got "${operator}"`,
      });
  return problems;
}
