/**
 * Compares what two policies make of one recorded fact: the same `decide`, of the same slice and event.
 *
 * What is said is not compared (numbers of a policy stand in sentences); what is decided, done, asked for later, and kept
 * of the subject's own state is. Parts that several subjects share are not: the caller knows what hangs on them.
 *
 * @module
 */
import type { DecisionDraft } from "../schema/events.js";
import type { Decided, Wake } from "./core.js";

/** `verdict`: another decision. `act`: the same one, other effects. `time`: the same effects at another instant. `state`: only what is remembered. */
export type DivergenceKind = "verdict" | "act" | "time" | "state";

export interface Divergence {
  readonly kind: DivergenceKind;
  /** What the policy in force said, in words. */
  readonly live: string;
  /** What the other policy says. */
  readonly other: string;
  /** By how much later the other policy looks again; negative is sooner, infinite when only a change elsewhere makes one of them look. */
  readonly laterMs: number;
}

type AnyDecided = Decided<Record<string, unknown>, { readonly kind: string }>;

/** What of a decision's outcome counts. */
export interface Compared {
  /** Kinds of effect that only write down what is known anyway. */
  readonly quietEffects: ReadonlySet<string>;
  /** The part that belongs to the decision's subject alone; null for none. */
  readonly ownPart: string;
}

/** The first way in which two outcomes differ; null if they do not. */
export function divergenceOf(live: AnyDecided, other: AnyDecided, compared: Compared): Divergence | null {
  const words = { live: wordsOf(live.decision), other: wordsOf(other.decision) };
  const laterMs = laterBy(live, other);
  if (live.decision?.verdict !== other.decision?.verdict || live.decision?.reason !== other.decision?.reason)
    return { kind: "verdict", ...words, laterMs };
  if (!isSame(actsOf(live, compared), actsOf(other, compared)))
    return { kind: "act", ...actWords(live, other, compared), laterMs };
  if (laterMs !== 0) return { kind: "time", ...words, laterMs };
  const { ownPart } = compared;
  if (isSame(live.slice[ownPart], other.slice[ownPart])) return null;
  return { kind: "state", ...words, laterMs };
}

/** A verdict with its reason, and until when it holds where that is known. */
export function wordsOf(decision: DecisionDraft | undefined): string {
  if (decision === undefined) return "nothing yet";
  const until = decision.gates.find((gate) => !gate.passed)?.passes_at;
  return `${decision.verdict} (${decision.reason}${until === undefined ? "" : `, until ${until}`})`;
}

/** Instants are compared on their own: where only they differ, the same is done at another time. */
const INSTANTS: ReadonlySet<string> = new Set(["next_at", "passes_at", "at", "at_ms"]);

function actsOf({ effects }: AnyDecided, { quietEffects }: Compared): unknown[] {
  return effects
    .filter((effect) => effect.kind !== "wake" && !quietEffects.has(effect.kind))
    .map((effect) => (effect.kind === "report" ? reportWord(effect) : effect));
}

/** An event counts by its type and by whom it is about. */
function reportWord(effect: object): string {
  const { record } = effect as { record: { event_type: string; worker_id?: string } };
  return `${record.event_type} ${record.worker_id ?? ""}`;
}

function actWords(live: AnyDecided, other: AnyDecided, compared: Compared): { live: string; other: string } {
  const of = ({ decision, effects }: AnyDecided): string => {
    const kinds = effects
      .filter(({ kind }) => kind !== "wake" && !compared.quietEffects.has(kind))
      .map((effect) => (effect.kind === "report" ? (reportWord(effect).split(" ")[0] as string) : effect.kind));
    return `${wordsOf(decision)}: ${[...new Set(kinds)].join(", ")}`;
  };
  return { live: of(live), other: of(other) };
}

/** How much later the earliest wake comes that both ask for; 0 if all come at the same time. */
function laterBy(live: AnyDecided, other: AnyDecided): number {
  const wakes = new Map(wakesOf(live).map(({ key, atMonoMs }) => [key, atMonoMs]));
  for (const { key, atMonoMs } of wakesOf(other)) {
    const before = wakes.get(key);
    if (before === atMonoMs) continue;
    if (before === undefined || before === null) return atMonoMs === null ? 0 : Number.NEGATIVE_INFINITY;
    return atMonoMs === null ? Number.POSITIVE_INFINITY : atMonoMs - before;
  }
  return 0;
}

function wakesOf({ effects }: AnyDecided): Wake[] {
  return effects.filter((effect): effect is Wake => effect.kind === "wake");
}

/** The same but for instants. Nearly always it is the same altogether, which costs a tenth to find out. */
function isSame(live: unknown, other: unknown): boolean {
  if (live === other || JSON.stringify(live ?? null) === JSON.stringify(other ?? null)) return true;
  return withoutInstants(live) === withoutInstants(other);
}

function withoutInstants(value: unknown): string {
  return JSON.stringify(value ?? null, (key, inner: unknown) => (INSTANTS.has(key) ? undefined : inner));
}
