/** Finds the processes that belong to a worker: its descendants, its group, its session, and those that carry its tag. @module */

import { existsSync, readdirSync } from "node:fs";
import { systemCode } from "../errors.js";
import { foreignness, type Identity, isCorpse } from "./identity.js";
import { type ProcStat, pageBytes, readProc, readStat, ticksToMs } from "./proc-stat.js";

/** A bound on one walk: a fork bomb must not stop the one who watches it. */
const TREE_MAX = 4096;
const ZERO = 0x30;

let kernelListsChildren: boolean | null = null;

/**
 * Reads the stats of all live descendants of a process, without a scan of /proc.
 *
 * A grandchild whose parent has died belongs to somebody else by now and is not found; `familyOf` finds it.
 */
export function descendantsOf(root: ProcStat): ProcStat[] {
  const found: ProcStat[] = [];
  collectChildren(root, found);
  for (let index = 0; index < found.length && found.length < TREE_MAX; index++) {
    collectChildren(found[index] as ProcStat, found);
  }
  return found;
}

function collectChildren(parent: ProcStat, into: ProcStat[]): void {
  for (const pid of childrenOf(parent)) {
    if (into.length >= TREE_MAX) return;
    const stat = readStat(pid);
    // Between the two reads a child may have died and its pid may have gone to a stranger.
    if (stat !== null && stat.ppid === parent.pid) into.push(stat);
  }
}

function childrenOf(parent: ProcStat): number[] {
  kernelListsChildren ??= existsSync(`/proc/self/task/${process.pid}/children`);
  if (!kernelListsChildren) return allPids().filter((pid) => readStat(pid)?.ppid === parent.pid);
  const found: number[] = [];
  // A child is listed under the thread that forked it.
  if (parent.threads <= 1) appendPids(`/proc/${parent.pid}/task/${parent.pid}/children`, found);
  else for (const thread of threadsOf(parent.pid)) appendPids(`/proc/${parent.pid}/task/${thread}/children`, found);
  return found;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "ESRCH") return [];
    throw error;
  }
}

function appendPids(path: string, into: number[]): void {
  const bytes = readProc(path, true);
  if (bytes === null) return;
  let pid = 0;
  for (const byte of bytes) {
    if (byte >= ZERO) {
      pid = pid * 10 + (byte - ZERO);
    } else if (pid > 0) {
      into.push(pid);
      pid = 0;
    }
  }
  if (pid > 0) into.push(pid);
}

/** Every pid that /proc lists. Milliseconds on a busy host. */
export function allPids(): number[] {
  const found: number[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (Number.isInteger(pid)) found.push(pid);
  }
  return found;
}

/** The live members of a process group, by a full scan. */
export function groupMembers(pgid: number): ProcStat[] {
  const found: ProcStat[] = [];
  for (const pid of allPids()) {
    const stat = readStat(pid);
    if (stat !== null && stat.pgrp === pgid && !isCorpse(stat)) found.push(stat);
  }
  return found;
}

/**
 * Finds all processes whose environment holds exactly `NAME=value`, by a full scan that takes milliseconds.
 *
 * For the tree that left its group and its session. A process may overwrite its environment; those of other
 * users are not readable and not found.
 */
export function familyOf(environmentTag: { readonly name: string; readonly value: string }): number[] {
  const wanted = Buffer.from(`${environmentTag.name}=${environmentTag.value}`);
  return allPids().filter((pid) => hasEntry(environmentOf(pid), wanted));
}

function environmentOf(pid: number): Buffer | null {
  try {
    return readProc(`/proc/${pid}/environ`, true);
  } catch (error) {
    const code = systemCode(error);
    if (code === "EACCES" || code === "EPERM") return null;
    throw error;
  }
}

function hasEntry(environment: Buffer | null, wanted: Buffer): boolean {
  if (environment === null) return false;
  for (let at = environment.indexOf(wanted); at !== -1; at = environment.indexOf(wanted, at + 1)) {
    const end = at + wanted.length;
    const begins = at === 0 || environment[at - 1] === 0;
    if (begins && (end === environment.length || environment[end] === 0)) return true;
  }
  return false;
}

/** What a process and its descendants use. */
export interface TreeUsage {
  /** User and system time of all of them and of those they have waited for, since their starts. */
  readonly cpuMs: number;
  readonly rssBytes: number;
}

/**
 * Sums what a process and its live descendants use; null when the process is not there.
 *
 * Pages that several of them share are counted for each: the sum is an upper bound (a PSS would cost milliseconds). The
 * time of a descendant whose parent died before it is lost, so that the sum may fall.
 */
export function usageOfTree(identity: Identity): TreeUsage | null {
  if (foreignness(identity) !== null) return null;
  const root = readStat(identity.pid);
  if (root === null || root.start_time !== identity.start_time || isCorpse(root)) return null;
  let pages = 0;
  let ticks = 0;
  for (const stat of [root, ...descendantsOf(root)]) {
    pages += stat.rss_pages;
    ticks += stat.utime_ticks + stat.stime_ticks + stat.cutime_ticks + stat.cstime_ticks;
  }
  return { cpuMs: ticksToMs(ticks), rssBytes: pages * pageBytes() };
}

/** Sums the resident memory of a process and its live descendants, in bytes; null when the process is not there. */
export function memoryOfTree(identity: Identity): number | null {
  return usageOfTree(identity)?.rssBytes ?? null;
}
