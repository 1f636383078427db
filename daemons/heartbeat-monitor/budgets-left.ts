/** What is left of the limits that others keep, as their files have it; for `status.json`. @module */
import { statSync } from "node:fs";
import { HealdError } from "../../lib/errors.js";
import type { Layout } from "../../lib/store/layout.js";
import { readMetrics } from "../../lib/store/metrics.js";
import { readBudget } from "../../lib/store/tokens.js";

/** Null: there is no such limit, or it is not known. */
export interface BudgetsLeft {
  readonly restarts_left_this_minute: number | null;
  readonly tokens_left: number | null;
}

export class BudgetReader {
  readonly #layout: Layout;
  /** The ledger may hold a thousand leases: read again only when it is another file. */
  #ledger = { version: "", left: null as number | null };

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** @param isRestarting Whether worker-restart runs: without it its figures are of another time. */
  read(isRestarting: boolean): BudgetsLeft {
    const figure = isRestarting ? readMetrics(this.#layout, "worker-restart").restarts_left_this_minute : null;
    return { restarts_left_this_minute: typeof figure === "number" ? figure : null, tokens_left: this.#tokens() };
  }

  #tokens(): number | null {
    const stat = statSync(this.#layout.tokenBudget, { throwIfNoEntry: false });
    const version = stat === undefined ? "" : `${stat.ino}:${stat.mtimeMs}:${stat.size}`;
    if (version === this.#ledger.version) return this.#ledger.left;
    const left = tokensLeft(this.#layout);
    this.#ledger = { version, left };
    return left;
  }
}

function tokensLeft(layout: Layout): number | null {
  try {
    const budget = readBudget(layout);
    return budget === null ? null : budget.total_budget - budget.total_used;
  } catch (error) {
    // Whoever must take tokens says what is wrong with it.
    if (error instanceof HealdError) return null;
    throw error;
  }
}
