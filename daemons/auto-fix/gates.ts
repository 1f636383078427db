/**
 * Asks the gates of a fix in their fixed order. Changes nothing.
 *
 * Live, a decision ends with the first gate that does not pass. A dry run asks the same gates, of a ledger of its own, and
 * comes to the same end: only what would be done is not done.
 *
 * @module
 */
import { isDue } from "../../lib/domain/quiet-moment.js";
import { FIX_GATES, type FixGate } from "../../lib/schema/catalogue.js";
import type { Gate } from "../../lib/schema/events.js";
import { writeInstant } from "../../lib/schema/primitives.js";
import { LIMIT_GATES } from "./gate-limits.js";
import { type AskGate, at, type Band, bandOf, pass, type Question, trustOf, whyAsk } from "./gate-question.js";
import { SUBJECT_GATES } from "./gate-subject.js";
import { whoComesFirst } from "./turns.js";

export interface FailedGate {
  readonly gate: FixGate;
  readonly reason: string;
  readonly passesAtMs: number | null;
}

export interface Asked {
  readonly gates: readonly Gate[];
  readonly failed: FailedGate | null;
  readonly band: Band;
}

const ASK: Readonly<Record<FixGate, AskGate>> = {
  ...SUBJECT_GATES,
  ...LIMIT_GATES,
  turn: (question) => {
    const first = whoComesFirst(question);
    return at(first, [], first.length === 0, `${first.join(", ")}: nearer to the cause, and comes first`);
  },
  in_window: ({ slice, event }) => {
    const other = Object.entries(slice.healer.open).find(
      ([id, each]) => id !== event.run_id && each.scope === event.scope,
    );
    return at(
      other?.[0] ?? "none",
      "none",
      other === undefined,
      `${other?.[1].fix_id} is being verified on ${event.scope}`,
    );
  },
  safety_band: (question) => {
    const { bound } = trustOf(question);
    const band = bandOf(question);
    const asks = question.settings.safety.ask_at;
    return at({ score: Number(bound.toFixed(3)), band }, asks, band !== "refuse", "it is not trusted any more");
  },
  approval: (question) => {
    const why = whyAsk(question);
    const by = question.event.approved_by;
    return at(by ?? (why === null ? "not needed" : "not given"), why ?? "none", why === null || by !== null, why ?? "");
  },
  quiet_moment: ({ event, nowMs }) => {
    const planned = event.condition?.planned ?? null;
    if (planned === null) return pass();
    const { metric, load, usual, latest_at_ms } = planned;
    const value = { metric, load, usual };
    // A person who approves has chosen the moment.
    if (event.approved_by !== null || isDue(planned, nowMs)) return pass(value);
    const busy = load === null ? "its load is not known" : `${metric} is ${rounded(load)}, usually ${rounded(usual)}`;
    const until = `it waits for a quiet moment until ${writeInstant(latest_at_ms)}`;
    return at(value, "quiet", false, `${until}; ${busy}`, latest_at_ms);
  },
};

const rounded = (value: number | null): string => (value === null ? "unknown" : String(Number(value.toPrecision(3))));

export function askGates(question: Question): Asked {
  const gates: Gate[] = [];
  for (const gate of Object.keys(FIX_GATES) as FixGate[]) {
    // Decisions from before the host was asked come out as they were recorded.
    if (gate === "host" && question.event.facts.host === undefined) continue;
    const { passed, value, threshold, passesAtMs = null, reason } = ASK[gate](question);
    const passes = passed || passesAtMs === null ? {} : { passes_at: writeInstant(passesAtMs) };
    gates.push({ gate, value, threshold, passed, ...passes });
    if (!passed)
      return {
        gates,
        failed: { gate, reason: (reason ?? FIX_GATES[gate].sentence).slice(0, 120), passesAtMs },
        band: bandOf(question),
      };
  }
  return { gates, failed: null, band: bandOf(question) };
}
