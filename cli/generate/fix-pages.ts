/** A page for each shipped fix and healing policy, and the files in `config/` that hold them. @module */
import { ACTIONS, type FixAction } from "../../lib/schema/fix-actions.js";
import type { Fix } from "../../lib/schema/fix-registry.js";
import { type HealingPolicy, OPERATOR_SIGNS } from "../../lib/schema/healing-policies.js";
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
    `docs/fixes/policy-${slug(policy.name)}.md`,
    policyPage(policy),
  ]);
  return [...fixes, ...policies, ["docs/fixes/README.md", indexPage()]];
}

const slug = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]+/g, "-");

function indexPage(): string {
  const fixes = SHIPPED_FIXES.map(
    (fix) =>
      `| [${fix.name}](${fix.fix_id}.md) | ${fix.applies_to_patterns.map((key) => `\`${key}\``).join(", ")} | ${fix.safety.safety_score} | ${fix.safety.requires_approval ? "yes" : "no"} |`,
  );
  const policies = SHIPPED_POLICIES.map(
    (policy) => `| [${policy.name}](policy-${slug(policy.name)}.md) | ${conditionWords(policy)} | ${policy.priority} |`,
  );
  const actions = Object.entries(ACTIONS).map(
    ([type, entry]) =>
      `| \`${type}\` | ${entry.sentence} | ${entry.targets.filter((each) => each !== "kubernetes").join(", ") || "none yet"} | ${entry.undo} | ${entry.timeoutSeconds} s |`,
  );
  return `# Fixes

How a fix is chosen, limited, watched and taken back: [auto-fix](../daemons/auto-fix.md). These pages are made from the
code by \`npm run generate\`.

## For patterns

The list in force is \`config/auto-fix-registry.json\` in the coordination directory; without a file, this one.

| Fix | Patterns | Prior | Asks a person |
|---|---|---|---|
${fixes.join("\n")}

## For metrics

\`config/healing-policies.json\`; all are off until a person gives them a scope.

| Policy | When | Priority |
|---|---|---|
${policies.join("\n")}

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
- Confidence begins at ${safety.safety_score}; risk ${safety.risk_level ?? "low"}; ${safety.requires_approval ? "a person is asked each time" : "applied by itself while it is trusted"}

## What it does

${fix.actions.map(actionWords).join("\n")}

## When

${wants.length === 0 ? "As the policy's own thresholds say." : wants.join("\n")}

## Whether it has helped

The rate of the pattern must fall by ${Math.round((validation.min_decrease ?? 0.5) * 100)} %, and ${
    validation.min_success_rate === undefined
      ? "the policy's share"
      : `${Math.round(validation.min_success_rate * 100)} %`
  } of the attempts after it must succeed. ${
    safety.rollback_supported === false
      ? "What it did is not taken back by itself."
      : "If not, it is undone at once, field by field, where the value is still the one that was written."
  }

## By hand

\`heald fix ls\` shows its runs, \`heald fix show <run>\` one of them with its before-image, \`heald fixes\` how far it is
trusted. To switch it off, set \`enabled\` to false in \`config/auto-fix-registry.json\`, or hold it back for a while:
\`heald hold add type:<worker type> --acts fix\`.
`;
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

\`heald policy check healing-policies\` says what is wrong with it. A component is a worker type, a worker, or the
\`component\` of samples that \`heald metric\` appends.

## What it does

${policy.actions.map(actionWords).join("\n")}

## When it is over

${(policy.clear_conditions ?? []).map(({ metric, operator, threshold, for_seconds }) => `- \`${metric}\` ${operator} ${threshold} for ${for_seconds ?? 180} s`).join("\n")}

Metrics do not count for 120 s after an action of ours. If the conditions still hold then, the policy was ineffective: the
next one by priority that matches runs, and after the last a person is called.
`;
}
