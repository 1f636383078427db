/** `heald fixes`: the fixes that are known, and how far each is trusted. @module */
import { existsSync } from "node:fs";
import { Refused } from "../../lib/errors.js";
import { readSmall, safetyOf } from "../../lib/platform/files.js";
import { type Fix, registryDefinition } from "../../lib/schema/fix-registry.js";
import { readPolicy } from "../../lib/schema/policy.js";
import { sentenceOf } from "../../lib/schema/problems.js";
import { SHIPPED_FIXES } from "../../lib/schema/shipped-fixes.js";
import type { Layout } from "../../lib/store/layout.js";
import { readMetrics } from "../../lib/store/metrics.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { readHome } from "../home.js";
import { flagOption } from "../options.js";
import { print, printJson, printTable } from "../screen.js";

const REGISTRY_BYTES_MAX = 1024 * 1024;

export const command: CommandDefinition = {
  summary: "the fixes that are known, and how far each is trusted",
  description:
    "TRUST is how far a fix is trusted. PRIOR is the trust that the registry gives it; GOOD and BAD are verdicts, which move it; inconclusive ones do not. With the default policy a fix is applied from 0.90, applied and watched closely from 0.70, proposed to a person from 0.50, and refused below that.",
  options: [JSON_OPTION],
  examples: ["heald fixes", "heald fixes --json | jq '.[] | select(.ineffective > 0)'"],
  run: list,
};

interface Trust {
  readonly prior: number;
  readonly effective: number;
  readonly ineffective: number;
  readonly bound: number;
}

function list(call: Call): undefined {
  const layout = readHome(call);
  const learnt = trustIn(layout);
  const rows = registryOf(layout).flatMap((fix) =>
    fix.applies_to_patterns.map((pattern) => {
      const score = fix.safety.safety_score;
      const trust = learnt[`${fix.fix_id}:${pattern}`] ?? { prior: score, effective: 0, ineffective: 0, bound: score };
      const asks = fix.safety.requires_approval === true;
      return { fix_id: fix.fix_id, pattern, enabled: fix.enabled ?? true, asks, ...trust };
    }),
  );
  rows.push(...policiesIn(learnt));
  if (flagOption(call.options, "json")) printJson(rows);
  else if (rows.length === 0) print("No fixes are known: the registry is empty.");
  else printGroups(rows);
}

/** Healing policies are known here once they have a verdict: before, `healing-policies.json` says it all. */
function policiesIn(learnt: Readonly<Record<string, Trust>>): Row[] {
  return Object.entries(learnt)
    .filter(([key]) => key.startsWith("policy-"))
    .map(([key, trust]) => {
      const at = key.lastIndexOf(":");
      return { fix_id: key.slice(0, at), pattern: key.slice(at + 1), enabled: true, asks: false, ...trust };
    });
}

interface Row extends Trust {
  readonly fix_id: string;
  readonly pattern: string;
  readonly enabled: boolean;
  readonly asks: boolean;
}

/** Patterns for which a fix has proved the same stand together: most have proved nothing yet. */
function printGroups(rows: readonly Row[]): void {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = [row.fix_id, row.effective, row.ineffective, row.bound].join("|");
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const shown = [...groups.values()].flatMap((group) => (group[0] === undefined ? [] : [{ ...group[0], group }]));
  printTable(
    ["FIX", "PRIOR", "GOOD", "BAD", "TRUST", "ASKS"],
    shown.map((row) => [
      row.enabled ? row.fix_id : `${row.fix_id} (off)`,
      row.prior.toFixed(2),
      String(row.effective),
      String(row.ineffective),
      row.bound.toFixed(2),
      row.asks ? "yes" : "-",
    ]),
    shown.map(({ group }) => group.map(({ pattern }) => pattern).join(", ")),
  );
}

function trustIn(layout: Layout): Readonly<Record<string, Trust>> {
  const { confidence } = readMetrics(layout, "auto-fix");
  return typeof confidence === "object" && confidence !== null ? (confidence as Record<string, Trust>) : {};
}

/** As auto-fix reads it. @throws {Refused} If it would refuse it. */
function registryOf(layout: Layout): readonly Fix[] {
  const path = layout.config("auto-fix-registry");
  if (!existsSync(path)) return SHIPPED_FIXES;
  const unsafe = safetyOf(path);
  if (unsafe !== null) throw new Refused(`Cannot load policy ${JSON.stringify(path)}: ${unsafe}`);
  const text = readSmall(path, { maxBytes: REGISTRY_BYTES_MAX })?.text ?? "{}";
  const read = readPolicy(registryDefinition(SHIPPED_FIXES), parsed(text, path));
  if (!read.ok) throw new Refused(`Cannot load policy ${JSON.stringify(path)}: ${sentenceOf(read.problems)}`);
  return read.value.policy.settings.fixes;
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused(`Cannot load policy ${JSON.stringify(path)}: it is not JSON`);
  }
}
