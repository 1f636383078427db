/**
 * Recomputes recorded decisions from their own records: slice, event and the policy text that was in force.
 *
 * A decision that comes out otherwise used something that is not in its record (a clock, a file, a chance), or was made by
 * another version of the code; either way its record does not explain it.
 *
 * @module
 */
import type { DecisionRecord } from "../schema/events.js";
import { type Policy, type PolicyDefinition, readPolicy } from "../schema/policy.js";
import { sentenceOf, show } from "../schema/problems.js";
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
  Policy<Settings>
>;

/** What it takes to replay one daemon's decisions. */
export interface Replayable<Settings, Explicit> {
  readonly core: AnyCore<Settings>;
  readonly policy: PolicyDefinition<Settings, Explicit>;
}

/** The part of a record that a replay reads; a decision that is being made has no more. */
export type Replayed = Pick<DecisionRecord, (typeof COMPARED)[number] | "slice" | "event" | "mode">;

/** A policy as it was in force, or why its text is none any more. */
export type KeptPolicy<Settings> =
  | { readonly ok: true; readonly policy: Policy<Settings> }
  | { readonly ok: false; readonly why: string };

/** The fields of a record that `decide` is answerable for. */
const COMPARED = ["subject", "verdict", "reason", "message", "gates", "incident_id"] as const;

/** Reads the text of a policy that was in force once. Many decisions share one: read it once for each hash. */
export function readKeptPolicy<Settings, Explicit>(
  daemon: Replayable<Settings, Explicit>,
  text: string,
): KeptPolicy<Settings> {
  try {
    const read = readPolicy(daemon.policy, JSON.parse(text));
    return read.ok ? { ok: true, policy: read.value.policy } : { ok: false, why: sentenceOf(read.problems) };
  } catch (error) {
    if (error instanceof SyntaxError) return { ok: false, why: "it is not JSON" };
    throw error;
  }
}

/**
 * Recomputes one decision.
 *
 * @returns The first difference, or null if the decision comes out as recorded.
 */
export function replayDecision<Settings>(
  core: AnyCore<Settings>,
  record: Replayed,
  policy: Policy<Settings>,
): Difference | null {
  const event = record.event as unknown as Stamped<{ readonly kind: string }>;
  const recomputed = decided(core, record.slice, event, policy);
  if (recomputed instanceof Error)
    return { field: "verdict", recorded: show(record.verdict), recomputed: `an error: ${recomputed.message}` };
  if (recomputed === undefined) return { field: "verdict", recorded: show(record.verdict), recomputed: "no decision" };
  for (const field of COMPARED) {
    const difference = firstDifference(record[field], recomputed[field], field);
    if (difference !== null) return difference;
  }
  // A shadow's decision is that of its policy; that it was not enforced is not decide's to say.
  return record.mode === "shadow" ? null : firstDifference(record.mode, recomputed.mode ?? "live", "mode");
}

function decided<Settings>(
  core: AnyCore<Settings>,
  slice: Record<string, unknown>,
  event: Stamped<{ readonly kind: string }>,
  policy: Policy<Settings>,
): ReturnType<typeof asRecorded> | Error {
  try {
    return asRecorded(core.decide(slice, event, policy).decision);
  } catch (error) {
    // A slice that was edited, or is of another version, may lack what decide takes for granted.
    if (error instanceof Error) return error;
    throw error;
  }
}

/** As the reporter would have written it. */
function asRecorded(decision: ReturnType<AnyCore<unknown>["decide"]>["decision"]) {
  return decision === undefined ? undefined : { ...decision, message: decision.message.slice(0, 160) };
}

function firstDifference(recorded: unknown, recomputed: unknown, field: string): Difference | null {
  const was = JSON.stringify(recorded ?? null);
  const is = JSON.stringify(recomputed ?? null);
  if (was === is) return null;
  // What was recorded went through JSON: what JSON does not carry was never there.
  const plain: unknown = JSON.parse(is);
  if (isCompound(recorded) && isCompound(plain)) {
    for (const key of new Set([...Object.keys(recorded), ...Object.keys(plain)])) {
      const inner = firstDifference(recorded[key], plain[key], `${field}.${key}`);
      if (inner !== null) return inner;
    }
    return null;
  }
  return { field, recorded: show(recorded ?? null), recomputed: show(plain) };
}

function isCompound(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
