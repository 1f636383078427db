/** Which daemons run, believed only if the process that their run file names is still that process. @module */
import { readFileSync } from "node:fs";
import { type Identity, presenceOf } from "../lib/platform/processes.js";
import { DAEMONS, type DaemonName, daemonIdentitySchema } from "../lib/schema/records.js";
import type { Layout } from "../lib/store/layout.js";
import { readRecord } from "../lib/store/records.js";

export interface DaemonState {
  readonly name: DaemonName;
  readonly running: boolean;
  /** Stopped by a signal (SIGSTOP): it holds its lock and does nothing. */
  readonly stopped: boolean;
  /** The last that ran, alive or not; null if none ever did. */
  readonly identity: Identity | null;
  readonly version: string | null;
  readonly startedAt: string | number | null;
  readonly policyHash: string | null;
  readonly loopLagMs: number | null;
}

export function daemonStates(layout: Layout): DaemonState[] {
  return DAEMONS.map((name) => daemonState(layout, name));
}

export function daemonState(layout: Layout, name: DaemonName): DaemonState {
  const reading = readRecord(layout.runFile(name), daemonIdentitySchema, { maxBytes: 65_536, nowMs: Date.now() });
  if (reading.kind !== "ok") return { ...NEVER, name };
  const { value } = reading;
  const { pid, start_time, boot_id, pid_ns, host } = value;
  const identity = { pid, start_time, boot_id, pid_ns, host };
  // A corpse that nobody has waited for still has its pid, and runs no more.
  const running = presenceOf(identity) === "same";
  return {
    name,
    running,
    stopped: running && isStopped(pid),
    identity,
    version: value.version,
    startedAt: value.started_at,
    policyHash: value.policy_hash ?? null,
    loopLagMs: value.loop_lag_ms ?? null,
  };
}

const NEVER = {
  running: false,
  stopped: false,
  identity: null,
  version: null,
  startedAt: null,
  policyHash: null,
  loopLagMs: null,
} as const;

function isStopped(pid: number): boolean {
  try {
    return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false; // It ended while we looked.
  }
}

/** Reads a daemon's name as a person types it. */
export function daemonNamed(text: string): DaemonName | null {
  const bare = text.replace(/-daemon$/, "");
  return DAEMONS.find((name) => name === bare) ?? null;
}
