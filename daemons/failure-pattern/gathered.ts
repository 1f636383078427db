/** Sorts failures into patterns: no death twice, one signature for what is the same, and a count for each pattern. Pure. @module */

import { assign, type ClusterLimits, type Clusters, newClusters } from "../../lib/domain/grouping/clusters.js";
import { type ClustersRecord, fromRecord, toRecord } from "../../lib/domain/grouping/clusters-record.js";
import {
  closePairs,
  enterPair,
  NO_PAIRS,
  openPairs,
  type PairFound,
  type PairsBook,
  pairsIn,
} from "../../lib/domain/statistics/pairs.js";
import type { Decided, Stamped } from "../../lib/runtime/core.js";
import { type Policy, settingsFor } from "../../lib/schema/policy.js";
import { Ledger } from "./ledger.js";
import type { Count, Effect, Event, Failure, Follows, Occurrence, Recover, Sighting } from "./messages.js";
import { patternIdOf } from "./naming.js";
import { categoryOf, type FailurePatternSettings } from "./policy.js";
import type { KindsPart, Slice } from "./state.js";

type Gathered = Stamped<Extract<Event, { kind: "gathered" }>>;
type GatheredSlice = Pick<Slice, "ledger" | "grouping" | "kinds">;

/** Of how many failures of a worker type the patterns are remembered. */
const RECENT_MAX = 16;
const TYPES_MAX = 500;
const GROUPS_MAX = 500;
/** Written with every such failure, so it is kept small; what no rule knows is seldom of many kinds. */
const LIMITS: ClusterLimits = { shapesMax: 300, bucketMax: 64 };

/** Applies what was gathered. */
export function onGathered(
  slice: GatheredSlice,
  event: Gathered,
  policy: Policy<FailurePatternSettings>,
): Decided<GatheredSlice, Effect> {
  const ledger = new Ledger(slice.ledger ?? null);
  const kinds = new Kinds(slice.kinds ?? null, policy.settings.correlation_analysis);
  const groups = new Groups(slice.grouping ?? null);
  const counts = new Map<string, Count>();
  const recovered = new Map<string, string[]>();
  for (const each of inOrder(event)) {
    if ("kind" in each) {
      const patternId = ledger.back(each);
      if (patternId !== null) recovered.set(patternId, [...(recovered.get(patternId) ?? []), each.worker_id]);
      continue;
    }
    if (ledger.isKnown(each)) {
      kinds.ignore();
      continue;
    }
    const { signature, template } = groups.groupOf(each);
    const { type, worker_type } = each;
    const category = categoryOf(settingsFor(policy, worker_type), type, each.category);
    const patternId = patternIdOf({ category, type, worker_type }, signature);
    ledger.count(each, patternId);
    const at = Math.min(each.at_ms, event.stamp.atMs);
    kinds.count(each, signature, patternId, at);
    const before = counts.get(patternId);
    counts.set(patternId, {
      kind: "count",
      pattern_id: patternId,
      ...{ category, type, worker_type },
      signature,
      template,
      example: before?.example ?? each.message,
      root_cause: each.root_cause,
      occurrences: [...(before?.occurrences ?? []), occurrenceOf(each, at)],
      purity: 1,
      recent: { occurrences: 0, of: 0 },
      follows: [],
    });
  }
  const counted = [...counts.values()].map((count) => ({ ...count, ...kinds.aboutPattern(count, event.stamp.atMs) }));
  const back = [...recovered].map(([pattern_id, workers]): Recover => ({ kind: "recover", pattern_id, workers }));
  return {
    slice: { ledger: ledger.part(), grouping: groups.part(), kinds: kinds.part() },
    effects: [...counted, ...back],
  };
}

/** Failures and recoveries by their time: of a worker that failed and came back in one batch, the order tells which is now. */
function inOrder(event: Gathered): readonly (Failure | Sighting)[] {
  return [...event.failures, ...event.back].sort((a, b) => a.at_ms - b.at_ms);
}

function occurrenceOf(failure: Failure, atMs: number): Occurrence {
  const { event_id, worker_id, task_id, evidence, confidence, weight } = failure;
  return { event_id, at_ms: atMs, worker_id, task_id, evidence, confidence, weight };
}

/** The clusters of lines that no rule knows; taken up only where there is such a line. */
class Groups {
  readonly #before: ClustersRecord | null;
  #clusters: Clusters | null = null;

  constructor(part: ClustersRecord | null) {
    this.#before = part;
  }

  groupOf(failure: Failure): { readonly signature: string; readonly template: string } {
    if (failure.signature !== null) return { signature: failure.signature, template: failure.template };
    if (failure.line === null) return { signature: failure.type, template: failure.type };
    this.#clusters ??= this.#before === null ? newClusters(LIMITS) : fromRecord(this.#before, LIMITS);
    const group = assign(this.#clusters, failure.line);
    return { signature: `template ${group.id}`, template: group.template };
  }

  part(): ClustersRecord | null {
    return this.#clusters === null ? this.#before : toRecord(this.#clusters);
  }
}

/** What concerns several patterns, while one decision changes it. */
class Kinds {
  readonly #recent: Map<string, readonly string[]>;
  readonly #groups: Map<string, Readonly<Record<string, number>>>;
  readonly #before: KindsPart | null;
  readonly #correlation: FailurePatternSettings["correlation_analysis"];
  readonly #windowMs: number;
  readonly #pairs: PairsBook;
  #found: readonly PairFound[] | null = null;
  #failures: number;
  #ignored: number;

  constructor(part: KindsPart | null, correlation: FailurePatternSettings["correlation_analysis"]) {
    this.#before = part;
    this.#correlation = correlation;
    this.#windowMs = correlation.window_seconds * 1000;
    this.#pairs = openPairs(part?.pairs ?? NO_PAIRS);
    this.#recent = new Map(Object.entries(part?.recent ?? {}));
    this.#groups = new Map(Object.entries(part?.groups ?? {}));
    this.#failures = part?.failures ?? 0;
    this.#ignored = part?.ignored ?? 0;
  }

  ignore(): void {
    this.#ignored += 1;
  }

  count(failure: Failure, signature: string, patternId: string, atMs: number): void {
    this.#failures += failure.weight;
    if (this.#correlation.enabled) enterPair(this.#pairs, patternId, atMs, this.#windowMs);
    const { worker_type } = failure;
    const recent = [...(this.#recent.get(worker_type) ?? []), patternId].slice(-RECENT_MAX);
    this.#recent.delete(worker_type);
    this.#recent.set(worker_type, recent);
    const key = `${worker_type}|${signature}`;
    const group = this.#groups.get(key) ?? {};
    this.#groups.delete(key);
    this.#groups.set(key, { ...group, [patternId]: (group[patternId] ?? 0) + 1 });
  }

  aboutPattern(count: Count, nowMs: number): Pick<Count, "purity" | "recent" | "follows"> {
    const recent = this.#recent.get(count.worker_type) ?? [];
    const group = this.#groups.get(`${count.worker_type}|${count.signature}`) ?? {};
    const all = Object.values(group).reduce((sum, each) => sum + each, 0);
    const occurrences = recent.filter((each) => each === count.pattern_id).length;
    return {
      purity: all === 0 ? 1 : (group[count.pattern_id] ?? 0) / all,
      recent: { occurrences, of: recent.length },
      follows: this.#followedBy(count.pattern_id, nowMs),
    };
  }

  #followedBy(patternId: string, nowMs: number): Follows[] {
    if (!this.#correlation.enabled) return [];
    this.#found ??= pairsIn(closePairs(this.#pairs), nowMs, this.#windowMs, this.#correlation.minimum_related_events);
    return this.#found
      .filter((pair) => pair.second === patternId)
      .map(({ first, count, expected, p_value, lagMs }) => ({
        pattern: first,
        occurrences: count,
        expected: Number(expected.toPrecision(3)),
        p_value: Number(p_value.toPrecision(3)),
        lag_seconds: Math.round(lagMs / 1000),
      }));
  }

  part(): KindsPart | null {
    const before = this.#before;
    if (before !== null && before.failures === this.#failures && before.ignored === this.#ignored) return before;
    return {
      recent: Object.fromEntries([...this.#recent].slice(-TYPES_MAX)),
      groups: Object.fromEntries([...this.#groups].slice(-GROUPS_MAX)),
      pairs: closePairs(this.#pairs),
      failures: this.#failures,
      ignored: this.#ignored,
    };
  }
}
