/**
 * `auto-fix-registry.json`: which fix is known for which pattern, how safe it is held to be, and what it must prove.
 *
 * Read like a policy: a file with one bad fix is refused whole, by that fix's name, and the last good one stays.
 *
 * @module
 */
import { z } from "zod";
import {
  actionSchema,
  type FixAction,
  OTHER_ACTION_NAMES,
  TARGETS,
  targetProblems,
  timeoutProblems,
} from "./fix-actions.js";
import type { PolicyDefinition } from "./policy.js";
import { idSchema, positiveSeconds } from "./primitives.js";
import type { Problem } from "./problems.js";

const share = z.number().min(0).max(1);
const PATTERN = /^[a-z_]{1,64}:[a-z0-9_]{1,64}$/;
export const RISKS = ["low", "medium", "high", "critical"] as const;
export type Risk = (typeof RISKS)[number];

export const fixSchema = z.strictObject({
  fix_id: idSchema,
  category: z.string().regex(/^[a-z_]{1,64}$/, { error: "must be a word of small letters such as resource" }),
  name: z.string().min(1).max(160),
  description: z.string().max(1000).optional(),
  enabled: z.boolean().optional(),
  applies_to_patterns: z
    .array(z.string().regex(PATTERN, { error: "must be category:type" }))
    .min(1)
    .max(64),
  target: z.enum(TARGETS).optional(),
  prerequisites: z
    .strictObject({
      min_pattern_confidence: share.optional(),
      min_pattern_occurrences: z.number().int().min(1).optional(),
      /** All failures of the pattern are of one task, and of more than one worker. */
      same_task: z.boolean().optional(),
      /** Workers of the type came back by themselves after a silence. */
      came_back: z.boolean().optional(),
      /** So long without a failure of the pattern. */
      quiet_seconds: positiveSeconds.optional(),
    })
    .optional(),
  safety: z.strictObject({
    safety_score: share,
    requires_approval: z.boolean().optional(),
    rollback_supported: z.boolean().optional(),
    risk_level: z.enum(RISKS).optional(),
  }),
  actions: z.array(actionSchema).min(1).max(8),
  validation: z
    .strictObject({
      monitoring_period_seconds: positiveSeconds.optional(),
      min_decrease: share.optional(),
      min_success_rate: share.optional(),
      new_failures_max: z.number().int().min(1).optional(),
    })
    .optional(),
  rollback: z
    .strictObject({
      on_ineffective: z.boolean().optional(),
      on_inconclusive: z.enum(["keep", "undo"]).optional(),
    })
    .optional(),
});
export type Fix = z.infer<typeof fixSchema>;

/** What a person writes; editors are shown this. */
export const registryShape = z.strictObject({
  fixes: z.array(fixSchema).max(200).optional().describe("The fixes, the preferred ones first."),
});
export type RegistryFile = z.infer<typeof registryShape>;

/** What is read: the dialect seen in the field as well. */
const readShape = z.strictObject({ fixes: z.array(z.preprocess(translated, fixSchema)).max(200).optional() });

export interface RegistrySettings {
  readonly fixes: readonly Fix[];
}

/** @param shipped What is in force where there is no file. */
export function registryDefinition(shipped: readonly Fix[]): PolicyDefinition<RegistrySettings, RegistryFile> {
  return {
    name: "auto-fix-registry",
    perType: false,
    shape: readShape,
    complete: (explicit) => ({ fixes: explicit.fixes ?? shipped }),
    check,
  };
}

function check(explicit: RegistryFile): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const [index, fix] of (explicit.fixes ?? []).entries()) {
    const field = `fixes.${index}.`;
    if (seen.has(fix.fix_id)) problems.push({ field: `${field}fix_id`, message: `"${fix.fix_id}" is there twice` });
    seen.add(fix.fix_id);
    problems.push(
      ...targetProblems(fix.actions, fix.target ?? "process", field),
      ...changeProblems(fix.actions, field),
      ...timeoutProblems(fix.actions, field),
    );
  }
  return problems;
}

/** Arithmetic needs numbers. */
export function changeProblems(actions: readonly FixAction[], field: string): Problem[] {
  return actions.flatMap((action, index) =>
    action.type !== "modify-worker-spec"
      ? []
      : action.changes.flatMap((change, nth) =>
          change.operation !== "set" && typeof change.value !== "number"
            ? [
                {
                  field: `${field}actions.${index}.changes.${nth}.value`,
                  message: `must be a number to ${change.operation}, got ${JSON.stringify(change.value)}`,
                },
              ]
            : [],
        ),
  );
}

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Takes over a fix in the dialect seen in the field; what is not understood goes on, so that the check names it. */
function translated(value: unknown): unknown {
  if (!isObject(value)) return value;
  const actions = Array.isArray(value.actions) ? value.actions : null;
  const isForeign =
    actions?.some((action) => isObject(action) && Object.hasOwn(OTHER_ACTION_NAMES, String(action.type))) ?? false;
  if (!isForeign || actions === null) return value;
  const { metadata: _metadata, prerequisites, safety, validation, rollback: _rollback, ...rest } = value;
  return {
    ...rest,
    ...(isObject(prerequisites) ? { prerequisites: pick(prerequisites, PREREQUISITES) } : {}),
    ...(isObject(safety) ? { safety: pick(safety, SAFETY) } : { safety }),
    ...(isObject(validation) ? { validation: validationOf(validation) } : {}),
    actions: actionsOf(actions, String(value.name ?? value.fix_id)),
  };
}

const PREREQUISITES = ["min_pattern_confidence", "min_pattern_occurrences"];
const SAFETY = ["safety_score", "requires_approval", "rollback_supported", "risk_level"];

const pick = (from: Json, keys: readonly string[]): Json =>
  Object.fromEntries(keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]]));

function validationOf(from: Json): Json {
  const hours = from.monitoring_period_hours;
  const criteria = Array.isArray(from.success_criteria) ? from.success_criteria.filter(isObject) : [];
  const decrease = criteria.find((each) => each.type === "pattern_occurrence_decrease")?.min_decrease_percent;
  const success = criteria.find((each) => each.type === "worker_success_rate")?.min_success_rate;
  return {
    ...(typeof hours === "number" ? { monitoring_period_seconds: hours * 3600 } : {}),
    ...(typeof decrease === "number" ? { min_decrease: decrease / 100 } : {}),
    ...(typeof success === "number" ? { min_success_rate: success } : {}),
  };
}

const CHANGE = ["field", "operation", "value", "max_value", "min_value"];

function actionsOf(actions: readonly unknown[], name: string): unknown[] {
  const made: unknown[] = [];
  const changes: unknown[] = [];
  for (const action of actions) {
    const type = isObject(action) ? String(action.type) : "";
    const known = Object.hasOwn(OTHER_ACTION_NAMES, type) ? OTHER_ACTION_NAMES[type] : undefined;
    if (known === null) continue;
    // A clean state brings its own restart.
    if (known === "restart-worker" && made.some((each) => isObject(each) && each.type === "clean-state")) continue;
    if (known === undefined || !isObject(action)) made.push(action);
    else if (known === "modify-worker-spec") {
      if (changes.length === 0) made.push({ type: known, changes });
      changes.push(pick(action, CHANGE));
    } else if (known === "clean-state") made.push({ type: known, paths: action.paths });
    else if (known === "enable-circuit-breaker") made.push({ type: known, state: "half-open" });
    else if (known === "ask-person") made.push({ type: known, request: `${name} (${type.replaceAll("_", " ")})` });
    else made.push({ type: known });
  }
  return made;
}
