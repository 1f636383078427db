/** Looks at a home; what seems broken is looked at twice, since daemons and workers change it meanwhile. @module */
import { setTimeout as delay } from "node:timers/promises";
import type { Layout } from "../../lib/store/layout.js";
import type { Facts } from "./facts.js";
import { type Finding, findingsOf } from "./finding.js";
import { INVARIANTS } from "./invariants.js";
import { loadFacts } from "./load.js";

export interface Examination {
  readonly findings: readonly Finding[];
  /** The facts of the last look. */
  readonly facts: Facts;
  /** How often it was looked at. */
  readonly looks: number;
}

/** What is called broken was so in both looks, this many seconds apart. */
export const SETTLE_SECONDS = 3;
/** Within this time a death has an outcome. */
export const OUTCOME_SECONDS = 60;

export interface HowToLook {
  /** How long to wait before the second look, which is made only if the first found something; 0 for no second look. */
  readonly settleSeconds?: number;
  readonly outcomeSeconds?: number;
  /** Waits for so many milliseconds; by the clock unless said otherwise. */
  readonly pause?: (ms: number) => Promise<unknown>;
}

const keyOf = ({ invariant, about }: Finding): string => `${invariant} ${about}`;

/** Names every violation. Changes nothing. */
export async function examineHome(layout: Layout, how: HowToLook = {}): Promise<Examination> {
  const { settleSeconds = SETTLE_SECONDS, outcomeSeconds = OUTCOME_SECONDS, pause = delay } = how;
  const facts = await loadFacts(layout, outcomeSeconds * 1000);
  const first = findingsOf(INVARIANTS, facts);
  if (first.length === 0 || settleSeconds === 0) return { findings: first, facts, looks: 1 };
  await pause(settleSeconds * 1000);
  const again = await loadFacts(layout, outcomeSeconds * 1000);
  const seen = new Set(first.map(keyOf));
  return { findings: findingsOf(INVARIANTS, again).filter((each) => seen.has(keyOf(each))), facts: again, looks: 2 };
}
