/** What an invariant of the coordination directory is, what it finds, and what can be done about it. @module */
import type { DaemonName } from "../../lib/schema/records.js";
import type { Facts } from "./facts.js";

/**
 * `wrong`: something is lost, contradicts itself or cannot be read. `warning`: left over, or not as it should be, and
 * nothing is lost by it. `note`: known damage that was dealt with; it does not make a home unsound.
 */
export type Severity = "wrong" | "warning" | "note";

/** What can be done about a finding without losing anything. Paths are absolute. */
export type Repair =
  | { readonly kind: "close-line"; readonly path: string; readonly size: number; readonly owner?: DaemonName }
  | {
      readonly kind: "set-aside";
      readonly path: string;
      /** The version that was looked at: another one under its name stays. */
      readonly inode: number;
      readonly mtimeMs: number;
      readonly owner?: DaemonName;
    }
  | { readonly kind: "set-mode"; readonly path: string; readonly mode: number }
  | { readonly kind: "remove-temporary"; readonly path: string }
  | { readonly kind: "put-back"; readonly path: string; readonly owner: "worker-restart" }
  | { readonly kind: "write-version"; readonly path: string }
  | { readonly kind: "rebuild-status"; readonly path: string; readonly owner: "heartbeat-monitor" }
  | { readonly kind: "rebuild-prometheus"; readonly path: string; readonly owner: "heartbeat-monitor" }
  | { readonly kind: "rebuild-pattern-index"; readonly path: string; readonly owner: "failure-pattern" }
  | {
      readonly kind: "rebuild-breaker";
      readonly path: string;
      readonly worker_type: string;
      readonly owner: "worker-restart";
    };

/** One violation, as an invariant names it. */
export interface Found {
  /** The file, worker, incident or run that it is about; with the invariant's name it identifies the finding. */
  readonly about: string;
  readonly message: string;
  readonly repair?: Repair;
  /** Only where it differs from the invariant's own. */
  readonly severity?: Severity;
}

export interface Finding extends Found {
  readonly invariant: string;
  readonly severity: Severity;
}

/** One rule that holds in every sound home, running or stopped. */
export interface Invariant {
  readonly name: string;
  /** What is so, in one sentence. */
  readonly sentence: string;
  readonly severity: Severity;
  /** What `--repair` does about it; empty for nothing. */
  readonly repair: string;
  /** Names every violation. Pure: reads the facts alone. */
  readonly check: (facts: Facts) => readonly Found[];
}

/** Applies invariants to facts, in their order. */
export function findingsOf(invariants: readonly Invariant[], facts: Facts): Finding[] {
  return invariants.flatMap((invariant) =>
    invariant.check(facts).map((found) => ({ severity: invariant.severity, ...found, invariant: invariant.name })),
  );
}
