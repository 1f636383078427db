/**
 * Recomputes recorded decisions from their own records: slice, event and the policy text that was in force.
 *
 * A decision that comes out otherwise used something that is not in its record (a clock, a file, a chance), or was made by
 * another version of the code; either way its record does not explain it.
 *
 * @module
 */
import type { DecisionRecord } from "../schema/events.js";
import { type PolicyDefinition, readPolicy } from "../schema/policy.js";
import { show } from "../schema/problems.js";
import type { Core, Stamped } from "./core.js";

/** What differs first between a record and its recomputation. */
export interface Difference {
  /** The field, such as `verdict` or `gates.3.value`. */
  readonly field: string;
  readonly recorded: string;
  readonly recomputed: string;
}

type AnyCore<Settings> = Core<
  Record<string, unknown>,
  { readonly kind: string },
  { readonly kind: string },
  { readonly settings: Settings; readonly overrides: Readonly<Record<string, Settings>> }
>;

/** What it takes to replay one daemon's decisions. */
export interface Replayable<Settings, Explicit> {
  readonly core: AnyCore<Settings>;
  readonly policy: PolicyDefinition<Settings, Explicit>;
}

/** The fields of a record that `decide` is answerable for. */
const COMPARED = ["subject", "verdict", "reason", "message", "gates", "incident_id"] as const;

/**
 * Recomputes one decision.
 *
 * @param policyText The text kept under the record's `policy_hash`.
 * @returns The first difference, or null if the decision comes out as recorded.
 */
export function replayDecision<Settings, Explicit>(
  daemon: Replayable<Settings, Explicit>,
  record: DecisionRecord,
  policyText: string,
): Difference | null {
  const read = readPolicy(daemon.policy, JSON.parse(policyText));
  if (!read.ok)
    return { field: "policy_hash", recorded: "a policy that was in force", recomputed: "a policy that is refused" };
  const event = record.event as unknown as Stamped<{ readonly kind: string }>;
  const { decision } = daemon.core.decide(record.slice, event, read.value.policy);
  if (decision === undefined) return { field: "verdict", recorded: show(record.verdict), recomputed: "no decision" };
  const recomputed: Record<string, unknown> = { ...decision, message: decision.message.slice(0, 160) };
  for (const field of COMPARED) {
    const difference = firstDifference(record[field] ?? null, recomputed[field] ?? null, field);
    if (difference !== null) return difference;
  }
  return null;
}

function firstDifference(recorded: unknown, recomputed: unknown, field: string): Difference | null {
  // What was recorded went through JSON: what JSON does not carry was never there.
  const plain: unknown = JSON.parse(JSON.stringify(recomputed ?? null));
  if (JSON.stringify(recorded) === JSON.stringify(plain)) return null;
  if (isCompound(recorded) && isCompound(plain)) {
    for (const key of new Set([...Object.keys(recorded), ...Object.keys(plain)])) {
      const inner = firstDifference(recorded[key] ?? null, plain[key] ?? null, `${field}.${key}`);
      if (inner !== null) return inner;
    }
    return null;
  }
  return { field, recorded: show(recorded), recomputed: show(plain) };
}

function isCompound(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
