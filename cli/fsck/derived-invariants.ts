/** Invariants of what is derived: removed, it comes back the same, by a daemon's start or by `--repair`. @module */
import { join } from "node:path";
import type { WorkerPart as MonitorPart } from "../../daemons/heartbeat-monitor/facts.js";
import { readInstant } from "../../lib/schema/primitives.js";
import type { Facts } from "./facts.js";
import type { Found, Invariant } from "./finding.js";
import { waits } from "./request-invariants.js";

/** The status of a large fleet is refreshed twice a minute; a monitor that has just started has written none yet. */
const STATUS_MS = 90_000;
/** It is written every ten seconds. */
const FIGURES_SECONDS = 30;

export const DERIVED_INVARIANTS: readonly Invariant[] = [
  {
    name: "status",
    sentence: "status.json can be read, and while heartbeat-monitor runs, it is fresh and names every worker.",
    severity: "warning",
    repair: "it is made anew from what heartbeat-monitor remembers, while that is down",
    check: (facts) => statusFound(facts).map((message) => ({ about: "status.json", message, ...statusRepair(facts) })),
  },
  {
    name: "figures",
    sentence: "Once heartbeat-monitor has run for half a minute, metrics/heald.prom holds the figures of all daemons.",
    severity: "warning",
    repair: "it is made anew from the figures",
    check: ({ figures }) => {
      if (figures.monitorSeconds < FIGURES_SECONDS || figures.prometheus) return [];
      const repair = { kind: "rebuild-prometheus", path: figures.prometheusPath, owner: "heartbeat-monitor" } as const;
      return [{ about: "metrics/heald.prom", message: "is not there", repair }];
    },
  },
  {
    name: "pattern-index",
    sentence: "patterns/pattern-index.json counts the patterns that failure-pattern knows.",
    severity: "warning",
    repair: "it is made anew from what failure-pattern remembers, while that is down",
    check: ({ patterns, running }) => {
      const { index, expected, path } = patterns;
      const about = "patterns/pattern-index.json";
      const repair = { kind: "rebuild-pattern-index", path, owner: "failure-pattern" } as const;
      if (expected === null) return [];
      if (index === null) return [{ about, message: "is not there", repair }];
      if (index.value === null) return [{ about, message: `cannot be read: ${index.problem}`, repair }];
      const wrong = (Object.keys(expected) as (keyof typeof expected)[]).find(
        (key) => sorted(index.value?.[key]) !== sorted(expected[key]),
      );
      if (wrong === undefined) return [];
      const message = `its ${wrong} is ${JSON.stringify(index.value[wrong])}; failure-pattern knows ${JSON.stringify(expected[wrong])}`;
      // Killed within half a second of a pattern, it counts it at its next start.
      return [{ about, message, repair, ...(running.has("failure-pattern") ? {} : { severity: "note" as const }) }];
    },
  },
];

function statusFound(facts: Facts): string[] {
  const { status, running, nowMs, startedAtMs } = facts;
  const isRunning = running.has("heartbeat-monitor");
  if (isRunning && nowMs - (startedAtMs.get("heartbeat-monitor") ?? nowMs) < STATUS_MS) return [];
  if (status === null) {
    const everRan = facts.states.get("heartbeat-monitor")?.checkpoint != null;
    return everRan ? ["is not there"] : [];
  }
  if (status.value === null) return [`cannot be read: ${status.problem}`];
  if (!isRunning) return [];
  const ageMs = nowMs - (readInstant(status.value.at) ?? 0);
  if (ageMs > STATUS_MS) return [`is ${Math.round(ageMs / 1000)} s old, and heartbeat-monitor runs`];
  return namesFound(facts);
}

function namesFound(facts: Facts): string[] {
  const named = new Set(facts.status?.value?.workers.map((worker) => worker.worker_id));
  const watched = [...(facts.states.get("heartbeat-monitor")?.parts ?? [])].flatMap(([key, part]) =>
    key.startsWith("worker:") && part !== null ? (part as MonitorPart).worker_id : [],
  );
  const left = watched.find((workerId) => !named.has(workerId));
  if (left !== undefined) return [`does not name ${left}, which is watched`];
  const known = new Set(watched);
  const extra = [...named].find((workerId) => !known.has(workerId) && !waits(facts, workerId));
  return extra === undefined ? [] : [`names ${extra}, which is neither watched nor waits`];
}

function statusRepair(facts: Facts): Pick<Found, "repair"> {
  if (facts.states.get("heartbeat-monitor")?.parts == null) return {};
  return {
    repair: { kind: "rebuild-status", path: join(facts.coordination, "status.json"), owner: "heartbeat-monitor" },
  };
}

/** Counts by name, whatever the order of the names. */
function sorted(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
