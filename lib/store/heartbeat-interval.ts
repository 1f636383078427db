/**
 * How often the heartbeat policy wants a worker type to beat: what a worker is told when it is started.
 *
 * Only these two keys are read. What is wrong with the file is said by the monitor, whose policy it is; until it is mended the last
 * values that could be read count, as they do there.
 *
 * @module
 */
import { lstatSync } from "node:fs";
import { systemCode } from "../errors.js";
import { safetyOf } from "../platform/files.js";
import { type HeartbeatIntervals, heartbeatIntervalsSchema } from "../schema/heartbeat-intervals.js";
import type { Layout } from "./layout.js";
import { MAX_BYTES, readRecord } from "./records.js";

/** The latest reading of each home's policy: it is asked for with every start, and hardly ever another. */
const latest = new Map<string, { readonly version: string; readonly wanted: HeartbeatIntervals }>();

/**
 * Seconds between two beats, above 0; undefined where the policy names none, so that the worker's own default counts.
 *
 * @throws The system's error if the file cannot be looked at.
 */
export function heartbeatIntervalOf(layout: Layout, workerType: string | undefined, nowMs: number): number | undefined {
  const { overrides, heartbeat_interval_seconds: forAll } = wantedIn(layout, nowMs);
  const ofType =
    workerType !== undefined && Object.hasOwn(overrides ?? {}, workerType) ? overrides?.[workerType] : undefined;
  return ofType?.heartbeat_interval_seconds ?? forAll;
}

function wantedIn(layout: Layout, nowMs: number): HeartbeatIntervals {
  const path = layout.config("heartbeat-policy");
  const stat = lstatSync(path, { throwIfNoEntry: false });
  const version = stat === undefined ? "none" : `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}`;
  const known = latest.get(path);
  if (known?.version === version) return known.wanted;
  const wanted = stat === undefined ? {} : (read(layout, path, nowMs) ?? known?.wanted ?? {});
  latest.set(path, { version, wanted });
  return wanted;
}

/** What stands there; null if it cannot be relied upon. */
function read(layout: Layout, path: string, nowMs: number): HeartbeatIntervals | null {
  const options = {
    maxBytes: MAX_BYTES.policy,
    nowMs,
    what: "policy",
    root: layout.coordination,
    refusesForbidden: true,
  };
  const reading = readRecord(path, heartbeatIntervalsSchema, options);
  return reading.kind === "ok" && isSafe(path) ? reading.value : null;
}

function isSafe(path: string): boolean {
  try {
    return safetyOf(path) === null;
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    return false;
  }
}
