/**
 * `auto-fix-registry.json`: which fix is known for which pattern, how safe it is held to be, and what it must prove.
 *
 * Read like a policy: a file with one bad fix is refused whole, by that fix's name, and the last good one stays.
 *
 * @module
 */
import { z } from "zod";
import { actionSchema, type FixAction, TARGETS, targetProblems, timeoutProblems } from "./fix-actions.js";
import { takeOverFixes } from "./fix-dialect.js";
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

export interface RegistrySettings {
  readonly fixes: readonly Fix[];
}

/** @param shipped What is in force where there is no file. */
export function registryDefinition(shipped: readonly Fix[]): PolicyDefinition<RegistrySettings, RegistryFile> {
  return {
    name: "auto-fix-registry",
    perType: false,
    shape: registryShape,
    takeOver: takeOverFixes,
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
