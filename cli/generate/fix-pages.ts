/** A page for each shipped fix and healing policy, and the files in `config/` that hold them. @module */
import { planOfFix } from "../../daemons/auto-fix/plans.js";
import { rankOf } from "../../daemons/auto-fix/turns.js";
import { failurePatternPolicy } from "../../daemons/failure-pattern/policy.js";
import { shippedRules } from "../../daemons/failure-pattern/rules.js";
import { classify, ruleBook } from "../../lib/domain/classify.js";
import type { FailureFacts, FailureRule } from "../../lib/schema/failure-rules.js";
import { ACTIONS, type FixAction } from "../../lib/schema/fix-actions.js";
import type { Fix } from "../../lib/schema/fix-registry.js";
import { type HealingPolicy, OPERATOR_SIGNS, policyFixId } from "../../lib/schema/healing-policies.js";
import { SHIPPED_FIXES, SHIPPED_POLICIES } from "../../lib/schema/shipped-fixes.js";

const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;

/** The shipped registry and policies, as starting points for an editor. */
export function fixConfigFiles(): [string, string][] {
  const file = (name: string, content: object): [string, string] => [
    `config/${name}.json`,
    json({ $schema: `./schemas/${name}.schema.json`, ...content }),
  ];
  return [
    file("auto-fix-registry", { fixes: SHIPPED_FIXES }),
    file("healing-policies", { policies: SHIPPED_POLICIES }),
    file("allowed-commands", { commands: [] }),
  ];
}

export function fixPages(): [string, string][] {
  const fixes = SHIPPED_FIXES.map((fix): [string, string] => [`docs/fixes/${fix.fix_id}.md`, fixPage(fix)]);
  const policies = SHIPPED_POLICIES.map((policy): [string, string] => [
    `docs/fixes/${policyFixId(policy.name)}.md`,
    policyPage(policy),
  ]);
  return [...fixes, ...policies, ["docs/fixes/README.md", indexPage()]];
}

function indexPage(): string {
  const fixes = SHIPPED_FIXES.map(
    (fix) =>
      `| [${fix.name}](${fix.fix_id}.md) | ${fix.applies_to_patterns.map((key) => `\`${key}\``).join(", ")} | ${fix.safety.safety_score} | ${fix.safety.requires_approval ? "yes" : "no"} |`,
  );
  const policies = SHIPPED_POLICIES.map(
    (policy) => `| [${policy.name}](${policyFixId(policy.name)}.md) | ${conditionWords(policy)} | ${policy.priority} |`,
  );
  const actions = Object.entries(ACTIONS).map(
    ([type, entry]) =>
      `| \`${type}\` | ${entry.sentence} | ${entry.targets.filter((each) => each !== "kubernetes").join(", ") || "none yet"} | ${entry.undo} | ${entry.timeoutSeconds} s |`,
  );
  return `# Fixes

[auto-fix](../daemons/auto-fix.md) tells how a fix is chosen, limited, watched and undone. \`npm run generate\` makes these pages from
the code.

## For patterns

The list in force is \`config/auto-fix-registry.json\` in the coordination directory; without a file, this one.

| Fix | Patterns | Trust at first | Asks a person |
|---|---|---|---|
${fixes.join("\n")}

## For metrics

The policies in force are in \`config/healing-policies.json\`. All are off until you give them a scope.

| Policy | When | Priority |
|---|---|---|
${policies.join("\n")}

### Ahead of time

A policy with \`predict\` looks at where a metric is going, and acts before it is there. (An action that needs no parameters may stand as its name alone.)

\`\`\`json
{
  "name": "Before memory runs out", "enabled": true, "priority": 6, "actions": ["restart-service"],
  "conditions": [{ "metric": "memory_util", "operator": "gt", "threshold": 0.9 }],
  "clear_conditions": [{ "metric": "memory_util", "operator": "lt", "threshold": 0.6 }],
  "scope": { "components": ["api-worker"] },
  "predict": { "horizon_minutes": 30, "quiet": { "metric": "throughput", "share": 0.5, "for_seconds": 120 }, "latest_seconds": 300 }
}
\`\`\`

- **The forecast** is a line through the latest samples, as far back as the horizon is ahead (ten minutes at least; in the example, half an hour). It
  counts if the samples make a line (r² of 0.6) that leads to the threshold and meets it within the horizon. \`gt\` and \`gte\` look for a line that
  rises, \`lt\` and \`lte\` for one that falls; \`eq\` and \`ne\` are refused.
- **A quiet moment** has come when the load of the last \`for_seconds\` stayed at or below \`share\` of what is usual for the component itself (the
  median of a day). The load is \`throughput\`, or \`cpu_util\` where that is not measured, or the metric that you name.
- **At the latest** the policy acts \`latest_seconds\` before the forecast comes true, even if no moment was quiet or nothing says what the
  load is. Until then \`heald why\` and a \`fix_suppressed\` event say that it waits, for what, and until when.
- A policy that needs approval asks at once. The person who approves chooses the moment.
- While it waits, other policies may act. It has helped when its clear conditions hold and the line no longer leads to the threshold.

Why it works this way: [a quiet moment](../decisions/quiet-moment.md).

## Actions

| Action | What it does | Targets | Undo | Time-out |
|---|---|---|---|---|
${actions.join("\n")}
`;
}

function fixPage(fix: Fix): string {
  const { prerequisites = {}, validation = {}, safety } = fix;
  const wants = Object.entries(prerequisites).map(([name, value]) => `- \`${name}\`: ${value}`);
  return `# ${fix.name}

${fix.description}

- Fix: \`${fix.fix_id}\`, category \`${fix.category}\`
- For patterns: ${fix.applies_to_patterns.map((key) => `\`${key}\``).join(", ")}
- Trust begins at ${safety.safety_score}; risk ${safety.risk_level ?? "low"}; ${safety.requires_approval ? "a person is asked each time" : "applied by itself while it is trusted"}

## What it does

${fix.actions.map(actionWords).join("\n")}

## When

${wants.length === 0 ? "When the thresholds of the policy are met." : wants.join("\n")}

${evidenceWords(fix)}

## Its turn

${turnWords(fix)}

## Whether it has helped

The rate of the pattern must fall by ${Math.round((validation.min_decrease ?? 0.5) * 100)} %, and ${
    validation.min_success_rate === undefined
      ? "the policy's share"
      : `${Math.round(validation.min_success_rate * 100)} %`
  } of the attempts after it must succeed. ${
    safety.rollback_supported === false
      ? "It is not undone automatically."
      : "If not, it is undone at once, where what was written is still there."
  }

## By hand

\`heald fix ls\` shows its runs, \`heald fix show <run>\` one run with its before-image, \`heald fixes\` how far the fix is
trusted. To switch it off, copy \`config/auto-fix-registry.json\` of the package to the coordination directory's \`config/\`, unless a file is there, and
set \`enabled\` of this fix to false: the file replaces the whole list. To hold it back for a while: \`heald hold add type:<worker type> --acts fix\`.
`;
}

/** Which of its patterns the shipped rules name, by what, and how sure they are. */
function evidenceWords(fix: Fix): string {
  const lines = fix.applies_to_patterns.map((key) => {
    const by = STAGES.flatMap((stage) => {
      const rules = RULES.filter((rule) => rule.classify === key && rule.stage === stage);
      const sure = [...new Set(rules.map(sureness))].sort((a, b) => b - a);
      return sure.map((each) => `${STAGE_WORDS[stage]} (${each}${each < LEAST ? ", too little for any fix" : ""})`);
    });
    return `- \`${key}\`: ${by.length === 0 ? "no shipped rule names it; a rule of yours can" : by.join(", ")}`;
  });
  return `What the shipped [failure rules](../failure-rules.md) go by:\n\n${lines.join("\n")}`;
}

const STAGE_WORDS: Readonly<Record<string, string>> = {
  kernel: "the kernel's account or our own watch",
  exit: "how it ended, or an event of heald",
  code: "an error code",
  stack: "a stack trace",
  text: "words",
};
const STAGES = Object.keys(STAGE_WORDS);
const RULES = shippedRules();
const BOOK = ruleBook(RULES);
/** What both policies ask for before a fix is considered. */
const LEAST = failurePatternPolicy.complete({}).detection.confidence_threshold;

/** How sure a rule is of its own example. */
const sureness = (rule: FailureRule): number => classify(BOOK, rule.examples[0] as FailureFacts).confidence;

/** As `turns.ts` decides it. */
function turnWords(fix: Fix): string {
  const plan = planOfFix(fix);
  const ranks = new Set(fix.applies_to_patterns.map((key) => rankOf(plan, key, 0)));
  if (ranks.has(null)) return "It asks a person at once, and no other fix waits for it.";
  if (fix.actions.some((action) => action.type === "quarantine"))
    return "Where workers of the type have other tasks, it goes before every other fix: the task is at fault. Where all of them have this one task it goes last, since holding it stops the whole type.";
  if (ranks.has(rankOf(plan, "systemic:crash_loop", 0)))
    return "Its patterns count deaths, whatever they were of. It waits for every fix of a cause that may still come for the same worker type.";
  return "It goes before fixes of symptoms (back-off, breaker), and after a quarantine that may still come, where workers of the type have other tasks.";
}

function actionWords(action: FixAction): string {
  const { sentence, undo, timeoutSeconds } = ACTIONS[action.type];
  const more = action.type === "modify-worker-spec" ? `\n${action.changes.map(changeWords).join("\n")}` : "";
  const asked = action.type === "ask-person" ? ` "${action.request}"` : "";
  return `- \`${action.type}\`: ${sentence}${asked} Undo: ${undo}. At most ${timeoutSeconds} s.${more}`;
}

type Change = Extract<FixAction, { type: "modify-worker-spec" }>["changes"][number];

function changeWords({ field, or_fields, operation, value, max_value, min_value }: Change): string {
  const how = { set: `becomes ${value}`, add: `grows by ${value}`, multiply: `times ${value}` }[operation];
  const bounds = [
    max_value === undefined ? "" : `, at most ${max_value}`,
    min_value === undefined ? "" : `, at least ${min_value}`,
  ];
  const or = or_fields === undefined ? "" : ` (or \`${or_fields.join("`, `")}\`, where that has the value)`;
  return `  - \`${field}\`${or} ${how}${bounds.join("")}`;
}

function conditionWords(policy: HealingPolicy): string {
  return policy.conditions
    .map(({ metric, operator, threshold }) => `\`${metric} ${OPERATOR_SIGNS[operator]} ${threshold}\``)
    .join(" and ");
}

function policyPage(policy: HealingPolicy): string {
  return `# ${policy.name}

${policy.description}

- When: ${conditionWords(policy)}, for 180 seconds and at least 5 samples
- Then: ${policy.actions.map((action) => `\`${action.type}\``).join(", ")}
- Priority ${policy.priority}; off until it has a scope

## To use it

Copy \`config/healing-policies.json\` of the package to the coordination directory's \`config/\`, and give the policy its scope:

\`\`\`json
{ "enabled": true, "scope": { "components": ["api-worker"], "target": "process" } }
\`\`\`

\`heald policy check\` says what is wrong with it. A component is a worker type, a worker, or the
\`component\` of samples that \`heald metric\` appends.

## What it does

${policy.actions.map(actionWords).join("\n")}

## When it is over

${(policy.clear_conditions ?? []).map(({ metric, operator, threshold, for_seconds }) => `- \`${metric} ${OPERATOR_SIGNS[operator]} ${threshold}\` for ${for_seconds ?? 180} s`).join("\n")}

For 120 s after an action metrics do not count. If the conditions still hold after that, the policy was ineffective: the next
one that matches runs, by priority, and after the last one a person is called. With
\`"escalation": { "person_after_seconds": 1800 }\` a person is called half an hour after the trouble began, whatever was tried.

## Ahead of time

With \`"predict": { "horizon_minutes": 30 }\` it acts on a forecast, at a quiet moment:
[Ahead of time](README.md#ahead-of-time).
`;
}
