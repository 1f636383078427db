/** Takes one look at a process and its tree: what the kernel says, not what the worker says. @module */

import { existsSync, readFileSync } from "node:fs";
import { systemCode } from "../errors.js";
import { type Instant, now } from "./clock.js";
import { comparePresence, foreignness, hasGroupMembers, type Identity, type Presence } from "./identity.js";
import { type ProcStat, pageBytes, readProc, readStat, ticksToMs } from "./proc-stat.js";
import { descendantsOf, groupMembers } from "./process-tree.js";

/** What one look found. Two looks, compared, tell busy from hung. */
export interface Look {
  readonly at: Instant;
  readonly presence: Presence;
  /** The kernel's letter. */
  readonly state?: string;
  readonly traced?: boolean;
  /** Whether its control group is frozen. */
  readonly frozen?: boolean;
  /** CPU of the process itself. */
  readonly cpu_ms?: number;
  /** CPU of its live descendants and of all that were waited for. */
  readonly children_cpu_ms?: number;
  /** Bytes that it and its live descendants read and wrote, sockets and pipes included; absent when not permitted. */
  readonly io_bytes?: number;
  /** Resident memory of the process and its descendants. */
  readonly rss_bytes?: number;
  /** Live members of the group that it leads: those in its tree, or all that are left when it is gone itself. */
  readonly group_members?: number;
}

type Draft = { -readonly [Name in keyof Look]: Look[Name] };

/** Looks at a process. What could not be learnt is absent; a process of another boot, namespace or host says nothing. */
export function look(identity: Identity): Look {
  const at = now();
  const foreign = foreignness(identity);
  if (foreign !== null) return { at, presence: foreign };
  const stat = readStat(identity.pid);
  const presence = comparePresence(identity, stat);
  const draft: Draft = { at, presence };
  if (presence === "gone" || presence === "unreaped") {
    draft.group_members = hasGroupMembers(identity.pid) ? groupMembers(identity.pid).length : 0;
  }
  if (stat === null || presence === "reused") return draft;
  draft.state = stat.state;
  draft.cpu_ms = ticksToMs(stat.utime_ticks + stat.stime_ticks);
  if (presence === "same") describeLiving(draft, stat);
  return draft;
}

function describeLiving(draft: Draft, stat: ProcStat): void {
  draft.traced = stat.state === "t" || hasTracer(stat.pid);
  draft.frozen = isFrozen(stat.pid);
  let ticks = stat.cutime_ticks + stat.cstime_ticks;
  let pages = stat.rss_pages;
  let members = stat.pgrp === stat.pid ? 1 : 0;
  let ioBytes = ioBytesOf(stat.pid);
  for (const child of descendantsOf(stat)) {
    ticks += child.utime_ticks + child.stime_ticks + child.cutime_ticks + child.cstime_ticks;
    pages += child.rss_pages;
    if (child.pgrp === stat.pid) members++;
    if (ioBytes !== null) ioBytes += ioBytesOf(child.pid) ?? 0;
  }
  draft.children_cpu_ms = ticksToMs(ticks);
  draft.rss_bytes = pages * pageBytes();
  draft.group_members = members;
  if (ioBytes !== null) draft.io_bytes = ioBytes;
}

function hasTracer(pid: number): boolean {
  const bytes = readProc(`/proc/${pid}/status`);
  if (bytes === null) return false;
  const at = bytes.indexOf("\nTracerPid:\t");
  return at !== -1 && bytes[at + 12] !== 0x30;
}

function ioBytesOf(pid: number): number | null {
  let text: string;
  try {
    const bytes = readProc(`/proc/${pid}/io`);
    if (bytes === null) return null;
    text = bytes.toString("latin1");
  } catch (error) {
    const code = systemCode(error);
    if (code === "EACCES" || code === "EPERM") return null;
    throw error;
  }
  // rchar and wchar come first. They count sockets and pipes too, which the disk counters below them do not.
  const found = /rchar: (\d+)\nwchar: (\d+)/.exec(text);
  return found === null ? null : Number(found[1]) + Number(found[2]);
}

/** Whether the control group of a process is frozen, in either version of the interface. */
function isFrozen(pid: number): boolean {
  const bytes = readProc(`/proc/${pid}/cgroup`);
  if (bytes === null) return false;
  for (const line of bytes.toString().split("\n")) {
    const [, controllers, ...rest] = line.split(":");
    const path = rest.join(":");
    if (controllers === undefined || path === "" || path === "/") continue;
    if (controllers === "" && readLine(`${unifiedMount()}${path}/cgroup.events`).includes("frozen 1")) return true;
    if (controllers.split(",").includes("freezer") && isFrozenBefore2(path)) return true;
  }
  return false;
}

function isFrozenBefore2(path: string): boolean {
  return readLine(`/sys/fs/cgroup/freezer${path}/freezer.state`).startsWith("FRO");
}

let unifiedMountCache: string | null = null;

function unifiedMount(): string {
  unifiedMountCache ??= existsSync("/sys/fs/cgroup/unified/cgroup.procs") ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
  return unifiedMountCache;
}

/** A control file's text; empty when it is not there or not for us, because then nothing is known to be frozen. */
function readLine(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "EACCES" || code === "ENODEV") return "";
    throw error;
  }
}
