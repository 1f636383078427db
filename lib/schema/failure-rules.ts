/** `failure-rules.json`: how one failure gets its category and type. Shipped rules, and the operator's beside them. @module */
import { z } from "zod";
import { keysOf, type Read, readAs } from "./problems.js";

/** What may go wrong, by category. */
export const FAILURE_TYPES = {
  transient: ["network_timeout", "rate_limit", "resource_contention", "external_service_unavailable"],
  resource: [
    "out_of_memory",
    "host_out_of_memory",
    "cpu_exhaustion",
    "token_budget_exceeded",
    "disk_full",
    "timeout",
    "unresponsive",
    "degraded_performance",
  ],
  systemic: [
    "uncaught_exception",
    "assertion_failure",
    "configuration_error",
    "dependency_missing",
    "api_error",
    "max_retries_exceeded",
    "recurring_failure",
    "crash_loop",
  ],
  data: ["invalid_input", "data_corruption", "schema_violation", "concurrent_modification", "state_corruption"],
  environmental: ["permission_denied", "command_not_found", "path_not_found", "network_unreachable"],
  security: [
    "exposed_secret",
    "credential_leak",
    "api_key_exposed",
    "outdated_dependency",
    "vulnerable_dependency_version",
  ],
  unknown: ["unclassified", "killed"],
} as const;
export type FailureCategory = keyof typeof FAILURE_TYPES;

/**
 * What a rule goes by, in the order in which rules are asked: what the kernel or our own watch recorded; how the process
 * ended; an error code in its log; its stack trace; any other text.
 */
export const RULE_STAGES = ["kernel", "exit", "code", "stack", "text"] as const;
export type RuleStage = (typeof RULE_STAGES)[number];

const CLASSES: ReadonlySet<string> = new Set(
  Object.entries(FAILURE_TYPES).flatMap(([category, types]) => types.map((type) => `${category}:${type}`)),
);

const OWN_CLASS = /^[a-z]+:[a-z][a-z_]*$/;

const classSchema = z
  .string()
  .refine(
    (name) => CLASSES.has(name) || (OWN_CLASS.test(name) && Object.hasOwn(FAILURE_TYPES, name.split(":")[0] ?? "")),
    {
      error: `must be category:type with a category of ${Object.keys(FAILURE_TYPES).join(", ")}`,
    },
  );

const word = z.string().min(1).max(200);
const words = z.array(word).min(1).max(100);

const phrases = z
  .array(
    word.refine((phrase) => /^[^#\n]{2}/.test(phrase), {
      error: "must begin with two characters that are not #, and hold no line feed",
    }),
  )
  .min(1)
  .max(200);

const when = z.strictObject({
  event_type: words.optional(),
  reason: words.optional(),
  exit_code: z.array(z.number().int().min(0).max(255)).min(1).optional(),
  signal: words.optional(),
  killed_by: z
    .array(z.enum(["heald", "other"]))
    .min(1)
    .optional(),
  exception: words.optional(),
  record: phrases.optional(),
  text: phrases.optional(),
});

const facts = z.strictObject({
  event_type: z.string().nullish(),
  reason: z.string().nullish(),
  exit_code: z.number().int().nullish(),
  signal: z.string().nullish(),
  killed_by: z.string().nullish(),
  evidence: z.string().nullish(),
  log_tail: z.string().nullish(),
  message: z.string().nullish(),
});

const rule = z.strictObject({
  rule_id: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/),
  enabled: z.boolean().optional(),
  classify: classSchema,
  stage: z.enum(RULE_STAGES),
  confidence: z.number().gt(0).max(1).optional(),
  root_cause: z.string().min(3).max(160),
  when: when.refine((conditions) => Object.keys(conditions).length > 0, { error: "must have at least one condition" }),
  examples: z.array(facts).min(1).max(20),
});

export const failureRulesSchema = z.object({
  $schema: z.string().optional(),
  description: z.string().optional(),
  rules: z.array(rule).max(1000),
});

/** What each field is, for the JSON Schema and the page. */
export const FAILURE_RULE_SENTENCES: Readonly<Record<string, string>> = {
  $schema: "For editors.",
  description: "For people.",
  rules: "The rules, in the order in which those of one stage are asked.",
  "rules[].rule_id": "Its name. A rule of the operator's with the name of a shipped one stands in its place.",
  "rules[].enabled": "false: never asked.",
  "rules[].classify": "category:type. The type may be a new one; the category may not.",
  "rules[].stage": "What it goes by, and so when it is asked and how sure it is.",
  "rules[].confidence": "How sure it is, if not as its stage says.",
  "rules[].root_cause": "The cause in a sentence for people.",
  "rules[].when": "All conditions must hold; of each list, one.",
  "rules[].when.event_type": "The event is one of these types.",
  "rules[].when.reason": "The attempt ended for one of these reasons.",
  "rules[].when.exit_code": "It exited with one of these codes; 128 and the signal's number for a signal.",
  "rules[].when.signal": "One of these signals ended it.",
  "rules[].when.killed_by": "Whoever sent the signal is one of these.",
  "rules[].when.exception":
    "The type of its last stack trace is one of these, with or without what stands before the last dot. * is any type.",
  "rules[].when.record": "The monitor's evidence holds one of these phrases.",
  "rules[].when.text": "The end of its log, or the message, holds one of these phrases.",
  "rules[].examples": "Failures that this rule classifies, and no other rule does; tested.",
  "rules[].examples[].event_type": "Type of the event.",
  "rules[].examples[].reason": "last_words.reason.",
  "rules[].examples[].exit_code": "execution.exit_code.",
  "rules[].examples[].signal": "execution.signal.",
  "rules[].examples[].killed_by": "last_words.killed_by.",
  "rules[].examples[].evidence": "last_words.evidence.",
  "rules[].examples[].log_tail": "last_words.log_tail.",
  "rules[].examples[].message": "The sentence of the failure.",
};

export type FailureRule = z.infer<typeof rule>;
export type FailureRules = z.infer<typeof failureRulesSchema>;
/** One failure, as far as it is known; what is not known is missing or null. */
export type FailureFacts = z.infer<typeof facts>;

/** Reads a parsed `failure-rules.json`; `undefined` means that there is no file. Names each fault. */
export function readFailureRules(raw: unknown): Read<FailureRules> {
  if (raw === undefined) return { ok: true, value: { rules: [] } };
  const read = readAs(failureRulesSchema as z.ZodType<FailureRules>, raw, [
    ...keysOf(failureRulesSchema),
    ...keysOf(rule),
  ]);
  if (!read.ok) return read;
  const twice = read.value.rules.find((one, at, all) => all.findIndex((other) => other.rule_id === one.rule_id) !== at);
  if (twice === undefined) return read;
  return { ok: false, problems: [{ field: "rules", message: `must not have two rules named "${twice.rule_id}"` }] };
}
