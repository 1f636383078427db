/**
 * Says who a process is: a pid alone is a number that the kernel gives away again.
 * @module
 */

import { existsSync } from "node:fs";
import { getPriority } from "node:os";
import { systemCode } from "../errors.js";
import { bootId, hostName, pidNamespace } from "./clock.js";
import { type ProcStat, readStat } from "./proc-stat.js";

/** What makes a process one process, on disk and in memory. */
export interface Identity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat, in ticks after boot. */
  readonly start_time: number;
  readonly boot_id: string;
  readonly pid_ns: string;
  readonly host: string;
}

/** How a recorded identity compares with what is there now. */
export type Sameness = "same" | "gone" | "reused" | "other_boot" | "other_namespace" | "other_host";

/** The same, and whether it is a corpse whose parent has not waited for it. */
export type Presence = Sameness | "unreaped";

/** Who has this pid now, or null when nobody has. */
export function identityOf(pid: number): Identity | null {
  const stat = readStat(pid);
  if (stat === null) return null;
  return { pid, start_time: stat.start_time, boot_id: bootId(), pid_ns: pidNamespace(), host: hostName() };
}

/** Whether the process that was recorded is the one that is there; an unreaped one still counts as the same. */
export function isSame(identity: Identity): Sameness {
  const presence = presenceOf(identity);
  return presence === "unreaped" ? "same" : presence;
}

/** As `isSame`, and tells a corpse from a process. */
export function presenceOf(identity: Identity): Presence {
  const foreign = foreignness(identity);
  if (foreign !== null) return foreign;
  // Nobody has its pid: /proc need not be asked too, whose "no" is an error that costs more than the rest of the look.
  return isAlive(identity.pid) ? comparePresence(identity, readStat(identity.pid)) : "gone";
}

/**
 * Whether the identity was recorded where its pid means nothing to us; null when it was recorded here.
 *
 * The host's name is asked first: clones of one virtual machine share a boot id.
 */
export function foreignness(identity: Identity): "other_host" | "other_boot" | "other_namespace" | null {
  if (identity.host !== hostName()) return "other_host";
  if (identity.boot_id !== bootId()) return "other_boot";
  if (identity.pid_ns !== pidNamespace()) return "other_namespace";
  return null;
}

/** Compares an identity of this boot and namespace with what /proc says about its pid. */
export function comparePresence(identity: Identity, stat: ProcStat | null): Presence {
  if (stat === null) return presenceOfUnlisted(identity);
  if (stat.start_time !== identity.start_time) return "reused";
  return isCorpse(stat) ? "unreaped" : "same";
}

/** Whether a process has ended and only its entry is left. A leading thread may end (Z) while others of it live on. */
export function isCorpse(stat: ProcStat): boolean {
  return (stat.state === "Z" || stat.state === "X") && stat.threads <= 1;
}

function presenceOfUnlisted(identity: Identity): Presence {
  if (!isAlive(identity.pid)) return "gone";
  const again = readStat(identity.pid);
  if (again !== null) return again.start_time === identity.start_time ? "same" : "reused";
  // There, but hidden from us (/proc mounted with hidepid): nothing may be concluded, least of all a death.
  return isAlive(identity.pid) ? "other_namespace" : "gone";
}

/** Whether anything has this pid, a corpse or an impostor included; for cheap sweeps only. */
export function isAlive(pid: number): boolean {
  return pid > 0 && (hasPriority(pid) || exists(pid));
}

/** The cheapest question about a pid: no signal, no permission, nothing for the kernel's audit. A failure proves nothing. */
function hasPriority(pid: number): boolean {
  return withoutStack(() => {
    try {
      getPriority(pid);
      return true;
    } catch {
      return false;
    }
  });
}

/** Whether any process, a corpse included, is in this process group. */
export function hasGroupMembers(pgid: number): boolean {
  return pgid > 1 && exists(-pgid);
}

/**
 * Whether a process that led a group of its own is gone, and the group with it.
 *
 * Asked with one signal, whose "no" is an error that costs more than all else here. No means "look closer".
 */
export function isGroupGone(leader: Identity): boolean {
  if (foreignness(leader) !== null || hasGroupMembers(leader.pid)) return false;
  // It was seen a moment before it took the lead; or it never led, which its caller did not know.
  return !existsSync(`/proc/${leader.pid}`);
}

function exists(target: number): boolean {
  return withoutStack(() => {
    try {
      process.kill(target, 0);
      return true;
    } catch (error) {
      if (systemCode(error) === "ESRCH") return false;
      if (systemCode(error) === "EPERM") return true;
      throw error;
    }
  });
}

/** Node answers "no such process" with an error, of which to write down where it came from is two thirds of the cost. */
function withoutStack<T>(ask: () => T): T {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return ask();
  } finally {
    Error.stackTraceLimit = limit;
  }
}
