/** Loads the whole home into facts, in bounded memory, writing nothing and following no link. @module */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { restartPolicy } from "../../daemons/worker-restart/policy.js";
import type { BreakerPolicy } from "../../lib/domain/breaker-state.js";
import { readSmall } from "../../lib/platform/files.js";
import { type Policy, settingsFor } from "../../lib/schema/policy.js";
import { readInstant } from "../../lib/schema/primitives.js";
import { DAEMONS, type DaemonName, versionSchema } from "../../lib/schema/records.js";
import { readDaemons } from "../../lib/store/daemons.js";
import type { Layout } from "../../lib/store/layout.js";
import { MAX_BYTES } from "../../lib/store/records.js";
import { readPolicyFile } from "../policies.js";
import { entriesOf } from "./entries.js";
import type { Facts } from "./facts.js";
import { loadDerived, loadPatterns } from "./load-derived.js";
import { loadDecisions, loadEvents, loadHistory, loadPlainLogs } from "./load-logs.js";
import {
  Folders,
  isOurs,
  loadAttempts,
  loadBreakers,
  loadBudget,
  loadFixes,
  loadHolds,
  loadOthers,
  loadRecord,
  loadRequests,
  loadSpecs,
} from "./load-records.js";
import { loadState } from "./load-state.js";
import { problemOf } from "./log-scan.js";

/**
 * Loads everything.
 *
 * @param outcomeMs Within which time a death must have an outcome.
 * @throws An error only where the program itself is broken: bad input is a fact.
 */
export async function loadFacts(layout: Layout, outcomeMs: number): Promise<Facts> {
  const nowMs = Date.now();
  const ours = isOurs(layout);
  const daemons = readDaemons(layout).filter(({ alive }) => alive);
  const states = new Map(DAEMONS.map((daemon) => [daemon, loadState(layout, daemon)] as const));
  const entries = entriesOf(layout, ours);
  const folders = new Folders(layout, entries);
  const fixes = loadFixes(layout, folders);
  const breakers = loadBreakers(layout, folders);
  const breakerPolicy = await policyOf(layout);
  const events = loadEvents(layout, nowMs);
  const decisions = loadDecisions(layout);
  const history = loadHistory(layout, breakers, breakerPolicy, nowMs);
  const plain = loadPlainLogs(layout, new Set(fixes.runs.flatMap(({ value }) => value?.run_id ?? [])));
  return {
    coordination: layout.coordination,
    ownerUid: entries[0]?.uid ?? 0,
    nowMs,
    outcomeMs,
    isOurs: ours,
    running: new Set(daemons.map(({ name }) => name)),
    startedAtMs: new Map(daemons.map(({ name, started_at }) => [name as DaemonName, readInstant(started_at) ?? nowMs])),
    entries,
    version: loadRecord(layout, layout.version, versionSchema, 4096),
    unreadable: loadOthers(layout, folders),
    specs: loadSpecs(layout, folders, entries),
    ...loadAttempts(layout, folders),
    requests: loadRequests(layout, folders, ours),
    holds: loadHolds(layout, folders),
    breakers,
    breakerHistory: history.breakerHistory,
    breakerPolicy,
    restartPolicyAtMs: entries.find(({ path }) => path === layout.config("worker-restart-policy"))?.mtimeMs ?? 0,
    historyFromMs: history.historyFromMs,
    budget: loadBudget(layout),
    ...fixes,
    runsInHistory: plain.runsInHistory,
    logs: [...events.logs, ...decisions.logs, ...history.logs, ...plain.logs],
    stories: events.stories,
    decisionRepeats: decisions.decisionRepeats,
    policiesNamed: decisions.policiesNamed,
    policyTexts: policyTexts(layout, folders),
    states,
    ...loadDerived(layout, entries),
    patterns: await loadPatterns(layout, states, entries),
  };
}

/** The restart policy in force for each type; null if its file is refused: then no breaker can be recomputed. */
async function policyOf(layout: Layout): Promise<((workerType: string) => BreakerPolicy) | null> {
  const name = restartPolicy.name;
  try {
    const outcome = await readPolicyFile(name, layout.config(name));
    if (outcome.kind === "bad") return null;
    return (workerType) => settingsFor(outcome.policy as Policy<BreakerPolicy>, workerType);
  } catch (error) {
    problemOf(error); // Said by `doctor`; anything but an operating error goes on.
    return null;
  }
}

function policyTexts(layout: Layout, folders: Folders): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { path } of folders.jsonIn(layout.policyTextsDir)) {
    try {
      const text = readSmall(path, { maxBytes: MAX_BYTES.policy })?.text;
      if (text === undefined) continue;
      texts.set(basename(path, ".json"), createHash("sha256").update(text).digest("hex").slice(0, 16));
    } catch (error) {
      texts.set(basename(path, ".json"), problemOf(error));
    }
  }
  return texts;
}
