/**
 * What the heartbeat policy gives for a worker type, to those who do not judge by it: who starts a worker, and tells it how often
 * to beat, and who would change that.
 *
 * It is read as the monitor reads it. What is wrong with the file is said by the monitor, whose policy it is; until it is mended
 * the last one that could be read counts, as it does there.
 *
 * @module
 */
import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../errors.js";
import { safetyOf } from "../platform/files.js";
import { type GivenHeartbeat, heartbeatPolicyFile, rawPolicySchema } from "../schema/heartbeat-policy.js";
import { type Policy, readPolicy, settingsFor } from "../schema/policy.js";
import type { Layout } from "./layout.js";
import { MAX_BYTES, readRecord } from "./records.js";

type Given = Policy<GivenHeartbeat>;

const NOTHING_GIVEN: Given = { settings: {}, overrides: {} };

/** The latest reading of each home's policy: it is asked for with every start, and hardly ever another. */
const latest = new Map<string, { readonly version: string; readonly given: Given }>();

/**
 * The keys that the policy gives for workers of a type, and no others: what it leaves out is derived by whoever asks.
 *
 * @throws The system's error if the file cannot be looked at.
 */
export function givenHeartbeatOf(layout: Layout, workerType: string, nowMs: number): GivenHeartbeat {
  return settingsFor(givenIn(layout, nowMs), workerType);
}

function givenIn(layout: Layout, nowMs: number): Given {
  const path = layout.config(heartbeatPolicyFile.name);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  const version = stat === undefined ? "none" : `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}`;
  const known = latest.get(path);
  if (known?.version === version) return known.given;
  const given = stat === undefined ? NOTHING_GIVEN : (read(layout, path, nowMs) ?? known?.given ?? lastGood(layout));
  latest.set(path, { version, given });
  return given;
}

/** What stands there; null if it cannot be relied upon. */
function read(layout: Layout, path: string, nowMs: number): Given | null {
  const options = {
    maxBytes: MAX_BYTES.policy,
    nowMs,
    what: "policy",
    root: layout.coordination,
    refusesForbidden: true,
  };
  const reading = readRecord(path, rawPolicySchema, options);
  return reading.kind === "ok" && isSafe(path) ? givenBy(reading.value) : null;
}

/** Null if the monitor refuses it. */
function givenBy(raw: unknown): Given | null {
  const policy = readPolicy({ ...heartbeatPolicyFile, complete: (given: GivenHeartbeat) => given }, raw);
  return policy.ok ? policy.value.policy : null;
}

/** The policy that the monitor names as the one in force: for who comes when the file is bad already. */
function lastGood(layout: Layout): Given {
  try {
    const { policy_hash } = JSON.parse(readFileSync(layout.runFile("heartbeat-monitor"), "utf8"));
    if (!/^[0-9a-f]{16}$/.test(policy_hash)) return NOTHING_GIVEN;
    return (
      givenBy(JSON.parse(readFileSync(join(layout.policyTextsDir, `${policy_hash}.json`), "utf8"))) ?? NOTHING_GIVEN
    );
  } catch {
    // It never ran here, or its files are gone: the defaults are what it would begin with, too.
    return NOTHING_GIVEN;
  }
}

function isSafe(path: string): boolean {
  try {
    return safetyOf(path) === null;
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    return false;
  }
}
