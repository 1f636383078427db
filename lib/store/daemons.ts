/** Which daemons run, by their identity and not by their pid alone. @module */
import { type Presence, presenceOf } from "../platform/identity.js";
import { DAEMONS, type DaemonIdentity, type DaemonName, daemonIdentitySchema } from "../schema/records.js";
import type { Layout } from "./layout.js";
import { readRecord } from "./records.js";

export interface DaemonStatus {
  readonly name: DaemonName;
  readonly alive: boolean;
  /** `never`: no run of it is recorded here. `unreadable`: its record is spoilt. */
  readonly presence: Presence | "never" | "unreadable";
  readonly pid: number | null;
  readonly version: string | null;
  readonly started_at: string | number | null;
  readonly policy_hash: string | null;
  readonly loop_lag_ms: number | null;
}

/** All four daemons, in the order of their names in the contract. */
export function readDaemons(layout: Layout): DaemonStatus[] {
  return DAEMONS.map((name) => {
    const identity = identityIn(layout, name);
    if (typeof identity === "string") return statusOf(name, null, identity);
    return statusOf(name, identity, presenceOf(identity));
  });
}

function identityIn(layout: Layout, name: DaemonName): DaemonIdentity | "never" | "unreadable" {
  const reading = readRecord(layout.runFile(name), daemonIdentitySchema, { maxBytes: 64 * 1024, nowMs: Date.now() });
  if (reading.kind === "absent") return "never";
  return reading.kind === "ok" ? reading.value : "unreadable";
}

function statusOf(name: DaemonName, identity: DaemonIdentity | null, presence: DaemonStatus["presence"]): DaemonStatus {
  return {
    name,
    alive: presence === "same",
    presence,
    pid: identity?.pid ?? null,
    version: identity?.version ?? null,
    started_at: identity?.started_at ?? null,
    policy_hash: identity?.policy_hash ?? null,
    loop_lag_ms: identity?.loop_lag_ms ?? null,
  };
}
