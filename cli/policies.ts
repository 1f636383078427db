/** The policies by name, and what a file of one says. @module */
import { existsSync, lstatSync } from "node:fs";
import { basename, join } from "node:path";
import { FileRefused } from "../lib/errors.js";
import { readSmall, safetyOf } from "../lib/platform/files.js";
import { type Policy, type PolicyDefinition, readPolicy, SHADOW_POLICIES } from "../lib/schema/policy.js";
import { sentenceOf } from "../lib/schema/problems.js";
import type { Layout } from "../lib/store/layout.js";
import { detailOf, whyNotJson } from "../lib/store/records.js";

type Definition = PolicyDefinition<unknown, never>;

const POLICY_BYTES_MAX = 1024 * 1024;

/** Loaded when asked for: each brings its daemon's schema along. */
const DEFINITIONS: Readonly<Record<string, () => Promise<Definition>>> = {
  "heartbeat-policy": async () => (await import("../daemons/heartbeat-monitor/policy.js")).heartbeatPolicy,
  "worker-restart-policy": async () => (await import("../daemons/worker-restart/policy.js")).restartPolicy,
  "failure-pattern-policy": async () => (await import("../daemons/failure-pattern/policy.js")).failurePatternPolicy,
  "auto-fix-registry": async () => {
    const { registryDefinition } = await import("../lib/schema/fix-registry.js");
    const { SHIPPED_FIXES } = await import("../lib/schema/shipped-fixes.js");
    return registryDefinition(SHIPPED_FIXES);
  },
  "healing-policies": async () => {
    const { healingDefinition } = await import("../lib/schema/healing-policies.js");
    const { SHIPPED_POLICIES } = await import("../lib/schema/shipped-fixes.js");
    return healingDefinition(SHIPPED_POLICIES);
  },
  "allowed-commands": async () => (await import("../lib/schema/allowed-commands.js")).allowedCommandsDefinition,
  "auto-fix-policy": async () => (await import("../daemons/auto-fix/policy.js")).autoFixPolicy,
  "notification-policy": async () => (await import("../lib/schema/notification-policy.js")).notificationPolicy,
};

/** File names under which the same policies are known elsewhere. */
const ALIASES: Readonly<Record<string, string>> = {
  "zombie-cleanup-policy": "heartbeat-policy",
  "heartbeat-monitor-policy": "heartbeat-policy",
  "failure-pattern-detection-policy": "failure-pattern-policy",
};

export const POLICY_NAMES: readonly string[] = Object.keys(DEFINITIONS);

/** The policy that a name or a file's name means; null if none. */
export function policyNamed(text: string): string | null {
  const bare = basename(text).replace(/\.json$/, "");
  const candidates = [
    bare,
    `${bare}-policy`,
    ALIASES[bare] ?? "",
    bare === "heartbeat-monitor" ? "heartbeat-policy" : "",
  ];
  return candidates.find((name) => POLICY_NAMES.includes(name)) ?? null;
}

export type PolicyOutcome =
  | {
      readonly kind: "good";
      readonly isThere: boolean;
      readonly policy: Policy<unknown>;
      /** The file's text, as it was read; empty without a file. */
      readonly text: string;
      readonly notes: readonly string[];
    }
  | { readonly kind: "bad"; readonly sentence: string };

export type RulesOutcome =
  | Omit<Extract<PolicyOutcome, { kind: "good" }>, "policy" | "text">
  | Extract<PolicyOutcome, { kind: "bad" }>;

/** Reads a policy file as its daemon would; a missing file means the defaults. */
export async function readPolicyFile(name: string, path: string): Promise<PolicyOutcome> {
  const definition = await (DEFINITIONS[name] as () => Promise<Definition>)();
  const bad = (why: string): PolicyOutcome => ({
    kind: "bad",
    sentence: `Cannot load policy ${JSON.stringify(path)}: ${why}`,
  });
  const found = readJson(path);
  if (found === null) return outcomeOf(definition, undefined, "", bad);
  return "why" in found ? bad(found.why) : outcomeOf(definition, found.json, found.text, bad);
}

/** A file's JSON, or why it is refused; null if nothing has its name. */
function readJson(path: string): { readonly json: unknown; readonly text: string } | { readonly why: string } | null {
  let text = "";
  try {
    // A link that leads nowhere is refused like any other, and is not "no file".
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return null;
    const unsafe = safetyOf(path);
    if (unsafe !== null) return { why: unsafe };
    const file = readSmall(path, { maxBytes: POLICY_BYTES_MAX });
    if (file === null) return null;
    text = file.text;
    return { json: JSON.parse(text), text };
  } catch (error) {
    if (error instanceof SyntaxError) return { why: whyNotJson(text) };
    if (error instanceof FileRefused) return { why: detailOf(error) };
    throw error;
  }
}

function outcomeOf(
  definition: Definition,
  raw: unknown,
  text: string,
  bad: (why: string) => PolicyOutcome,
): PolicyOutcome {
  const read = readPolicy(definition, raw);
  return read.ok ? { kind: "good", isThere: raw !== undefined, text, ...read.value } : bad(sentenceOf(read.problems));
}

export const RULES_NAME = "failure-rules";

/** Reads the operator's failure rules as failure-pattern would, their examples included; no file means the shipped ones. */
export async function readRulesFile(path: string): Promise<RulesOutcome> {
  const bad = (why: string): RulesOutcome => ({
    kind: "bad",
    sentence: `Cannot load rules ${JSON.stringify(path)}: ${why}`,
  });
  const found = readJson(path);
  if (found === null) return { kind: "good", isThere: false, notes: [] };
  if ("why" in found) return bad(found.why);
  const { readOwnRules, shippedRules } = await import("../daemons/failure-pattern/rules.js");
  const read = readOwnRules(found.json, shippedRules());
  if (!read.ok) return bad(sentenceOf(read.problems));
  const examples = read.value.reduce((sum, rule) => sum + rule.examples.length, 0);
  const notes = [`rules: ${read.value.length}, examples that each went to their own rule: ${examples}`];
  return { kind: "good", isThere: true, notes };
}

/** The policy files of a home that daemons read: each policy, there or not, and the shadows that are there. */
export function policyFilesOf(layout: Layout): readonly { readonly name: string; readonly path: string }[] {
  const inForce = POLICY_NAMES.map((name) => ({ name, path: layout.config(name) }));
  const shadows = SHADOW_POLICIES.map((name) => ({ name, path: join(layout.shadowDir, `${name}.json`) }));
  return [...inForce, ...shadows.filter(({ path }) => existsSync(path))];
}

/** What is wrong with each policy file of a home that its daemons refuse. */
export async function refusedPolicies(layout: Layout): Promise<string[]> {
  const outcomes = await Promise.all(POLICY_NAMES.map((name) => readPolicyFile(name, layout.config(name))));
  const rules = await readRulesFile(layout.config(RULES_NAME));
  return [...outcomes, rules].flatMap((outcome) => (outcome.kind === "bad" ? [outcome.sentence] : []));
}
