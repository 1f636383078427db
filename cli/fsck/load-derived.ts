/** Loads what can be made again from the rest: the status, the figures for Prometheus, the index of patterns. @module */
import { indexOf } from "../../daemons/failure-pattern/library.js";
import type { PatternPart } from "../../daemons/failure-pattern/state.js";
import type { RegistrySettings } from "../../lib/schema/fix-registry.js";
import { isOpenToFixes, type PatternIndex, patternIndexSchema } from "../../lib/schema/pattern.js";
import { readInstant } from "../../lib/schema/primitives.js";
import { type DaemonName, statusSchema } from "../../lib/schema/records.js";
import type { Layout } from "../../lib/store/layout.js";
import { readMetrics } from "../../lib/store/metrics.js";
import { PatternStore, readPatterns } from "../../lib/store/patterns.js";
import { MAX_BYTES } from "../../lib/store/records.js";
import { readPolicyFile } from "../policies.js";
import type { Entry, Facts, StateFacts } from "./facts.js";
import { loadRecord } from "./load-records.js";
import { problemOf } from "./log-scan.js";

/** Above what the status of ten thousand workers takes. */
const STATUS_BYTES_MAX = 64 * 1024 * 1024;

export function loadDerived(layout: Layout, entries: readonly Entry[]): Pick<Facts, "status" | "figures"> {
  const { uptime_seconds } = readMetrics(layout, "heartbeat-monitor");
  return {
    status: loadRecord(layout, layout.status, statusSchema, STATUS_BYTES_MAX),
    figures: {
      monitorSeconds: typeof uptime_seconds === "number" ? uptime_seconds : 0,
      prometheus: entries.some(({ path }) => path === layout.prometheus),
      prometheusPath: layout.prometheus,
    },
  };
}

export async function loadPatterns(
  layout: Layout,
  states: ReadonlyMap<DaemonName, StateFacts>,
  entries: readonly Entry[],
): Promise<Facts["patterns"]> {
  const store = new PatternStore(layout);
  const isThere = entries.some(({ path, kind }) => path === store.path && kind === "file");
  return {
    path: store.indexPath,
    index: loadRecord(layout, store.indexPath, patternIndexSchema, MAX_BYTES.spec),
    expected: expectedIndex(states.get("failure-pattern")),
    open: isThere ? await openPatterns(layout) : [],
  };
}

/** The index as failure-pattern would write it now; null if what it remembers cannot be read. */
export function expectedIndex(state: StateFacts | undefined): Omit<PatternIndex, "updated_at"> | null {
  if (state === undefined || state.parts === null || (state.checkpoint?.problem ?? null) !== null) return null;
  const published = [...state.parts]
    .filter(([key]) => key.startsWith("pattern:"))
    .map(([, part]) => part as PatternPart)
    .filter(({ status }) => status !== "candidate");
  const { updated_at: _, ...index } = indexOf(published, 0);
  return index;
}

async function openPatterns(layout: Layout): Promise<Facts["patterns"]["open"]> {
  try {
    const registry = await readPolicyFile("auto-fix-registry", layout.config("auto-fix-registry"));
    if (registry.kind === "bad") return [];
    const { fixes } = registry.policy.settings as RegistrySettings;
    return readPatterns(layout)
      .filter(isOpenToFixes)
      .map((pattern) => ({
        patternId: pattern.pattern_id,
        sinceMs: readInstant(pattern.updated_at) ?? 0,
        fixes: fixes
          .filter((fix) => fix.applies_to_patterns.includes(`${pattern.category}:${pattern.type}`))
          .map((fix) => fix.fix_id),
      }));
  } catch (error) {
    problemOf(error); // Said by `doctor`; anything but an operating error goes on.
    return [];
  }
}
