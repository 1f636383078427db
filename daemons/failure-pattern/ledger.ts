/** Knows which deaths were counted, so that a death that is told of twice is one failure. Pure. @module */
import type { Failure, Sighting } from "./messages.js";
import type { Death, LedgerPart } from "./state.js";

/** Deaths remembered. A worker that died before the last so many others may be counted again by a hand-edited log. */
export const DEATHS_MAX = 2000;
/** What tells of a state and not of an event: repeated for as long as the state lasts. */
const STATES: ReadonlySet<string> = new Set(["zombie_detected", "worker_presumed_dead"]);

/** A ledger that is being written in the course of one decision. */
export class Ledger {
  readonly #before: LedgerPart | null;
  /** In the order of the deaths; the key is the worker. */
  readonly #deaths: Map<string, Death>;
  #isChanged = false;

  constructor(part: LedgerPart | null) {
    this.#before = part;
    this.#deaths = new Map((part?.deaths ?? []).map((death) => [death.worker_id, death]));
  }

  /** Whether a failure is one that was counted before. */
  isKnown(failure: Failure): boolean {
    const known = this.#deaths.get(failure.worker_id);
    if (known === undefined || failure.given_up) return false;
    if (failure.attempt !== null && known.attempt !== null)
      return failure.attempt === known.attempt || (failure.attempt < known.attempt && failure.at_ms <= known.at_ms);
    if (STATES.has(failure.event_type)) return !known.back || failure.at_ms <= known.at_ms;
    return failure.at_ms === known.at_ms;
  }

  count(failure: Failure, patternId: string): void {
    if (failure.given_up) return;
    this.#deaths.delete(failure.worker_id);
    const { worker_id, attempt, at_ms } = failure;
    this.#deaths.set(worker_id, { worker_id, attempt, at_ms, pattern_id: patternId, back: false });
    this.#isChanged = true;
  }

  /** A worker is well again; the pattern that it had failed by, or null if it had not. */
  back(sighting: Sighting): string | null {
    const known = this.#deaths.get(sighting.worker_id);
    if (known === undefined || known.back || sighting.at_ms < known.at_ms) return null;
    this.#deaths.set(sighting.worker_id, { ...known, back: true });
    this.#isChanged = true;
    return known.pattern_id;
  }

  part(): LedgerPart | null {
    return this.#isChanged ? { deaths: [...this.#deaths.values()].slice(-DEATHS_MAX) } : this.#before;
  }
}
