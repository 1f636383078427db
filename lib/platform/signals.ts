/**
 * Sends signals, only to the very process that was recorded.
 *
 * The identity is checked in the same synchronous step as the signal. What is left is the time between two system
 * calls; the kernel would have to hand the pid out again within it.
 * @module
 */

import { systemCode } from "../errors.js";
import { foreignness, type Identity, isCorpse } from "./identity.js";
import { type ProcStat, readStat } from "./proc-stat.js";
import { groupMembers } from "./process-tree.js";

/** What became of a signal. `gone` and `reused` mean that the process needs none any more. */
export type SignalAnswer = "sent" | "gone" | "reused" | "refused";

/** The answer, and for a refusal the reason as part of a sentence. */
export interface SignalOutcome {
  readonly answer: SignalAnswer;
  readonly why?: string;
}

/** What a caller may ask for beyond the usual. */
export interface SignalOptions {
  /** Signal what is left of the group although its leader is gone. */
  readonly leaderGone?: boolean;
}

/** Our own chain of parents, nearest first, up to the first process of the namespace. */
export function ancestors(): readonly number[] {
  const found: number[] = [];
  let parent = readStat(process.pid)?.ppid ?? 0;
  while (parent > 0 && !found.includes(parent)) {
    found.push(parent);
    parent = readStat(parent)?.ppid ?? 0;
  }
  return found;
}

/**
 * Signals a process, or the group that it leads.
 *
 * Refused: pid 1 and below, ourselves, our ancestors, our own group, a process of another host or pid namespace, a
 * group that the process does not lead, another user's process when we are not root.
 */
export function signalIdentity(
  identity: Identity,
  signal: NodeJS.Signals,
  scope: "main" | "group",
  options: SignalOptions = {},
): SignalOutcome {
  const unfit = whyUntouchable(identity.pid) ?? whyForeign(identity);
  if (unfit !== null) return unfit;
  const stat = readStat(identity.pid);
  if (stat === null) {
    return scope === "group" && options.leaderGone === true ? signalRemains(identity, signal) : { answer: "gone" };
  }
  if (stat.start_time !== identity.start_time) return { answer: "reused" };
  return scope === "group" ? signalGroup(stat, signal) : signalMain(stat, signal);
}

/** Whether a process lives that is in a group of another: what is sent to that group would hit others. */
export function leadsNoGroup({ pid, start_time }: Identity): boolean {
  const stat = readStat(pid);
  return stat !== null && stat.start_time === start_time && stat.pgrp !== pid;
}

function refuse(why: string): SignalOutcome {
  return { answer: "refused", why };
}

function whyUntouchable(pid: number): SignalOutcome | null {
  if (!Number.isSafeInteger(pid) || pid <= 1) return refuse(`pid ${pid} is never signalled`);
  if (pid === process.pid) return refuse(`pid ${pid} is this process`);
  if (ancestors().includes(pid)) return refuse(`pid ${pid} is an ancestor of this process`);
  return null;
}

function whyForeign(identity: Identity): SignalOutcome | null {
  switch (foreignness(identity)) {
    case "other_host":
      return refuse(`it belongs to the host "${identity.host}"`);
    case "other_namespace":
      return refuse(`it belongs to the pid namespace ${identity.pid_ns}`);
    case "other_boot":
      return { answer: "gone", why: "it belongs to an earlier boot" };
    case null:
      return null;
  }
}

function signalMain(stat: ProcStat, signal: NodeJS.Signals): SignalOutcome {
  return isCorpse(stat) ? { answer: "gone", why: "it has ended and waits for its parent" } : send(stat.pid, signal);
}

function signalGroup(stat: ProcStat, signal: NodeJS.Signals): SignalOutcome {
  const pid = stat.pid;
  if (stat.pgrp !== pid) return refuse(`pid ${pid} does not lead its group ${stat.pgrp}`);
  if (isOwnGroup(pid)) return refuse(`group ${pid} is the group of this process`);
  // A corpse takes every signal and answers none: without this a caller would wait for it for ever.
  if (isCorpse(stat) && groupMembers(pid).length === 0)
    return { answer: "gone", why: "only a corpse is left of the group" };
  return send(-pid, signal);
}

/**
 * Signals a group whose leader is gone.
 *
 * The kernel does not give a pid away while a group or session is named by it. So members whose session is that pid,
 * and that started no earlier than the leader, were started in the session that the leader opened.
 */
function signalRemains(identity: Identity, signal: NodeJS.Signals): SignalOutcome {
  const members = groupMembers(identity.pid);
  if (members.length === 0) return { answer: "gone" };
  if (isOwnGroup(identity.pid)) return refuse(`group ${identity.pid} is the group of this process`);
  const own = ancestors();
  for (const member of members) {
    if (member.session !== identity.pid)
      return refuse(`pid ${member.pid} of the group is in the session ${member.session}`);
    if (member.start_time < identity.start_time)
      return refuse(`pid ${member.pid} of the group is older than its leader`);
    if (own.includes(member.pid)) return refuse(`pid ${member.pid} of the group is an ancestor of this process`);
  }
  return send(-identity.pid, signal);
}

function isOwnGroup(pgid: number): boolean {
  return readStat(process.pid)?.pgrp === pgid;
}

function send(target: number, signal: NodeJS.Signals): SignalOutcome {
  try {
    process.kill(target, signal);
    return { answer: "sent" };
  } catch (error) {
    const code = systemCode(error);
    if (code === "ESRCH") return { answer: "gone" };
    if (code === "EPERM") return refuse(`pid ${Math.abs(target)} belongs to another user`);
    throw error;
  }
}
