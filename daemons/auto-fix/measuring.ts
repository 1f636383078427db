/** Counts what attempts of a worker type did before and after a fix, from the records that they left. @module */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Counted } from "../../lib/domain/fix-verdict.js";
import type { PatternRecord } from "../../lib/schema/pattern.js";
import { readInstant } from "../../lib/schema/primitives.js";
import { readAttemptName, type WorkerSpecRecord, workerSpecSchema } from "../../lib/schema/worker-spec.js";
import { jsonNamesIn } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import { MAX_BYTES, readRecord } from "../../lib/store/records.js";
import { attemptOf, SpecStore } from "../../lib/store/specs.js";
import type { RunPart } from "./state.js";

const DAY_MS = 86_400_000;
const FILES_MAX = 2000;
/** An attempt that ended at once has run for a moment all the same. */
const SHORTEST_MS = 200;
/** Patterns that count what heald gave up on, not deaths. */
const GIVEN_UP: ReadonlySet<string> = new Set(["max_retries_exceeded", "recurring_failure"]);
/** By then a death is in its pattern's published record: one that fails all the time is published each five seconds. */
const CLASSIFIED_MS = 7000;
/** Ends that a person or we ourselves have caused. */
const OUR_OWN: ReadonlySet<string> = new Set(["stopped", "cleanup", "host_reboot"]);

interface Attempt {
  readonly started_ms: number;
  /** Null while it runs. */
  readonly ended_ms: number | null;
  readonly how: "died" | "completed" | "running";
}

/** What the two sides of a run look like now. */
export function measure(
  layout: Layout,
  run: RunPart,
  pattern: PatternRecord | null,
  nowMs: number,
): { before: Counted; after: Counted } {
  const appliedMs = run.applied_ms ?? nowMs;
  const windowMs = Math.max(DAY_MS, (run.ends_ms ?? nowMs) - appliedMs);
  const all = attemptsOf(layout, run.scope, appliedMs - windowMs, nowMs);
  const old = all.filter((each) => each.started_ms < appliedMs);
  const fresh = all.filter((each) => each.started_ms >= appliedMs);
  const died = (list: readonly Attempt[], fromMs: number, toMs: number): Attempt[] =>
    list.filter((each) => each.how === "died" && (each.ended_ms ?? 0) >= fromMs && (each.ended_ms ?? 0) < toMs);
  const oldDeaths = died(old, appliedMs - windowMs, appliedMs);
  const lateDeaths = died(old, appliedMs, Number.POSITIVE_INFINITY).length;
  const freshDeaths = died(fresh, 0, Number.POSITIVE_INFINITY).length;
  // A death that is not classified yet may be of this very pattern: only the end of the window waits for no more.
  const isOver = nowMs >= (run.ends_ms ?? nowMs);
  const knownDeaths = died(fresh, 0, isOver ? Number.POSITIVE_INFINITY : nowMs - CLASSIFIED_MS).length;
  const total = pattern?.frequency.total_occurrences ?? run.occurrences;
  const since = Math.max(0, total - run.occurrences);
  const givesUp = GIVEN_UP.has(pattern?.type ?? "");
  // An attempt that was started before the fix did not have it: its death says nothing about it.
  const recurrences = givesUp ? since : Math.min(freshDeaths, Math.max(0, since - lateDeaths));
  const provenMs = 2 * median(oldDeaths.map(lifeOf));
  return {
    before: {
      exposure_seconds: exposure(old, appliedMs - windowMs, appliedMs),
      recurrences: givesUp ? run.occurrences : Math.min(oldDeaths.length, run.occurrences),
      other_failures: 0,
      successes: 0,
    },
    after: {
      exposure_seconds: exposure(fresh, appliedMs, nowMs),
      recurrences,
      other_failures: Math.max(0, knownDeaths - recurrences),
      successes: fresh.filter(
        (each) => each.how === "completed" || (each.how === "running" && nowMs - each.started_ms >= provenMs),
      ).length,
    },
  };
}

const lifeOf = (attempt: Attempt): number =>
  Math.max(SHORTEST_MS, (attempt.ended_ms ?? attempt.started_ms) - attempt.started_ms);

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? SHORTEST_MS;
}

function exposure(attempts: readonly Attempt[], fromMs: number, toMs: number): number {
  return (
    attempts.reduce((sum, { started_ms, ended_ms }) => {
      const end = Math.min(ended_ms ?? toMs, toMs);
      const begin = Math.max(started_ms, fromMs);
      return sum + (end < begin ? 0 : Math.max(SHORTEST_MS, end - begin));
    }, 0) / 1000
  );
}

function attemptsOf(layout: Layout, scope: string, fromMs: number, nowMs: number): Attempt[] {
  const found: Attempt[] = [];
  for (const [folder, how] of [
    [layout.zombieDir, "died"],
    [layout.completedDir, "completed"],
  ] as const) {
    for (const name of newest(folder, fromMs)) {
      const spec = readSpec(join(folder, name));
      if (spec?.worker_type !== scope || OUR_OWN.has(String(lastReason(spec)))) continue;
      const attempt = readAttemptName(name)?.attempt ?? attemptOf(spec);
      const endedMs =
        mtimeOf(layout.exit(spec.worker_id, attempt)) ??
        readInstant(spec.execution?.completed_at ?? null) ??
        mtimeOf(join(folder, name)) ??
        nowMs;
      const startedMs =
        startOf(layout, spec.worker_id, attempt) ?? readInstant(spec.execution?.started_at ?? null) ?? endedMs;
      found.push({ started_ms: startedMs, ended_ms: Math.max(startedMs, endedMs), how });
    }
  }
  const specs = new SpecStore(layout);
  for (const id of specs.listActive()) {
    const reading = specs.readActive(id, nowMs);
    if (reading.kind !== "ok" || reading.value.worker_type !== scope) continue;
    const startedMs = startOf(layout, id, attemptOf(reading.value));
    if (startedMs !== null) found.push({ started_ms: startedMs, ended_ms: null, how: "running" });
  }
  return found;
}

function newest(folder: string, fromMs: number): string[] {
  return jsonNamesIn(folder)
    .map((name) => ({ name, atMs: mtimeOf(join(folder, name)) ?? 0 }))
    .filter(({ atMs }) => atMs >= fromMs)
    .sort((a, b) => b.atMs - a.atMs)
    .slice(0, FILES_MAX)
    .map(({ name }) => name);
}

/** The launcher writes its claim when it starts; its file's time has milliseconds, which the instants inside have not. */
function startOf(layout: Layout, workerId: string, attempt: number): number | null {
  return mtimeOf(layout.launch(workerId, attempt));
}

function mtimeOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null;
}

function readSpec(path: string): WorkerSpecRecord | null {
  const reading = readRecord(path, workerSpecSchema, { maxBytes: MAX_BYTES.spec, nowMs: 0 });
  return reading.kind === "ok" ? reading.value : null;
}

function lastReason(spec: WorkerSpecRecord): unknown {
  const words = spec.last_words;
  return typeof words === "object" && words !== null ? (words as { reason?: unknown }).reason : null;
}
