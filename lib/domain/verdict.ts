/**
 * The evidence table: what two looks at a process and its silence say about a worker.
 *
 * Silence is a hint; the kernel's account of the process is evidence. The first row that matches decides.
 * The mass guard stands apart (mass-guard.ts): it withholds kills from everybody, whatever the verdict here.
 * Never decides to signal anything: `zombieDue` says that the threshold for this verdict has been reached.
 * @module
 */
import type { Thresholds } from "./thresholds.js";

/** One look at a process through `/proc`. */
export interface ProcessLook {
  /** Monotonic milliseconds. */
  readonly atMs: number;
  /**
   * `gone`: a held descriptor says ESRCH, or no such pid. `replaced`: the pid is there with another start time.
   * `unreadable`: the look itself failed (descriptors, permissions), which proves nothing about the worker.
   */
  readonly presence: "present" | "gone" | "replaced" | "unreadable";
  /** Field 3 of `/proc/PID/stat`: `R`, `S`, `D`, `T`, `t`, `Z`, `X`, … */
  readonly state: string | null;
  /** `TracerPid` of `/proc/PID/status` is not 0. */
  readonly traced: boolean;
  /** Its cgroup is frozen. */
  readonly frozen: boolean;
  /** User and system time of the process itself since its start. */
  readonly cpuMs: number;
  /** The same, summed over its descendants. */
  readonly childrenCpuMs: number;
  /** Bytes read and written so far; `null` where it may not be read. */
  readonly ioBytes: number | null;
}

/** Everything that is known about one silent, or not so silent, worker. */
export interface Evidence {
  /** Its launcher left an exit record for this attempt. */
  readonly exitRecord: boolean;
  /** A process is known for this attempt: there is a pid with a start time to look at. */
  readonly processKnown: boolean;
  /** Where the process was started, compared with where we are now. */
  readonly sameHost: boolean;
  readonly samePidNamespace: boolean;
  readonly sameBoot: boolean;
  /** Looks at this attempt, oldest first. The last three are read. */
  readonly looks: readonly ProcessLook[];
  /** Its output grew between the looks. */
  readonly logMoved: boolean;
  /** Its progress moved between the looks (or an external probe answered). */
  readonly progressMoved: boolean;
  /** Time since the last beat arrived, or since the start if none did. */
  readonly silentMs: number;
  /** The decayed score is below the policy's minimum. */
  readonly scoreBelowMinimum: boolean;
  /** For a worker that never beat: the result of `startupThresholds`. */
  readonly thresholds: Thresholds;
}

export type VerdictName =
  | "dead_certain"
  | "none"
  | "unreaped"
  | "paused"
  | "debugged"
  | "lost"
  | "stuck_io"
  | "busy"
  | "blocked"
  | "hung"
  | "alive";

/** What decided, in one word. */
export type Because =
  | "exit_record"
  | "gone"
  | "replaced"
  | "host_reboot"
  | "other_host"
  | "other_namespace"
  | "unreadable"
  | "unreaped"
  | "stopped"
  | "frozen"
  | "traced"
  | "beating"
  | "no_process"
  | "uninterruptible"
  | "log"
  | "progress"
  | "io"
  | "child_cpu"
  | "own_cpu"
  | "idle"
  | "looking";

export interface Verdict {
  readonly verdict: VerdictName;
  readonly because: Because;
  /** The silence has reached what this verdict allows. Nothing may be ended unless this is true. */
  readonly zombieDue: boolean;
  /** How long until another look tells more. Absent where no look is needed. */
  readonly nextLookMs?: number;
}

/** Using a core this much between two looks is work: below it lie timers and idle event loops. */
export const CPU_SHARE_MIN = 0.05;

/** Looks in state D, without any CPU, that make it a stuck one rather than a slow read. */
const LOOKS_IN_D_MIN = 3;

/** Applies the evidence table. Same evidence, same verdict. */
export function verdictOf(evidence: Evidence): Verdict {
  return ofCertainDeath(evidence) ?? ofForeignEvidence(evidence) ?? ofProcessState(evidence) ?? ofSilence(evidence);
}

function ofCertainDeath(evidence: Evidence): Verdict | null {
  if (evidence.exitRecord) return settled("dead_certain", "exit_record");
  if (!evidence.processKnown || !evidence.sameHost) return null;
  if (!evidence.sameBoot) return settled("dead_certain", "host_reboot");
  // A pid means nothing in another namespace, so its absence there means nothing either.
  const presence = evidence.samePidNamespace ? evidence.looks.at(-1)?.presence : undefined;
  return presence === "gone" || presence === "replaced" ? settled("dead_certain", presence) : null;
}

function ofForeignEvidence(evidence: Evidence): Verdict | null {
  if (!evidence.processKnown) return null;
  if (!evidence.sameHost) return settled("none", "other_host");
  if (!evidence.samePidNamespace) return settled("none", "other_namespace");
  if (evidence.looks.at(-1)?.presence !== "unreadable") return null;
  return { ...settled("none", "unreadable"), nextLookMs: evidence.thresholds.verifyMs };
}

function ofProcessState(evidence: Evidence): Verdict | null {
  const look = evidence.looks.at(-1);
  if (look === undefined || !evidence.processKnown) return null;
  if (look.state === "Z" || look.state === "X") return settled("unreaped", "unreaped");
  if (look.state === "T" && !look.traced) return settled("paused", "stopped");
  if (look.frozen) return settled("paused", "frozen");
  if (look.state === "t" || look.traced) return settled("debugged", "traced");
  return null;
}

function ofSilence(evidence: Evidence): Verdict {
  const { thresholds, silentMs } = evidence;
  if (silentMs < thresholds.warningMs) return settled("alive", "beating");
  if (!evidence.processKnown) return due(evidence, "lost", "no_process", thresholds.zombieMs);
  const looks = evidence.looks.filter((look) => look.presence === "present").slice(-LOOKS_IN_D_MIN);
  if (looks.length < 2) return looking(thresholds);

  const pairs = looks.slice(1).map((after, index) => movementBetween(looks[index] as ProcessLook, after));
  const ownCpu = pairs.some((pair) => pair.ownCpu);
  if (looks.every((look) => look.state === "D") && !ownCpu && !pairs.some((pair) => pair.childCpu)) {
    // Two looks in D may be one slow read; a third is asked for before anything is concluded.
    if (looks.length < LOOKS_IN_D_MIN) return looking(thresholds);
    return settled("stuck_io", "uninterruptible");
  }
  const moving = movingPart(evidence, pairs);
  // A worker that works is never hurried along by a low score.
  if (moving !== null) return due({ ...evidence, scoreBelowMinimum: false }, "busy", moving, thresholds.busyMs);
  if (ownCpu) return due(evidence, "blocked", "own_cpu", thresholds.blockedMs);
  return due(evidence, "hung", "idle", thresholds.zombieMs);
}

interface Movement {
  readonly ownCpu: boolean;
  readonly childCpu: boolean;
  readonly io: boolean;
}

function movementBetween(before: ProcessLook, after: ProcessLook): Movement {
  const elapsedMs = after.atMs - before.atMs;
  const enoughMs = CPU_SHARE_MIN * elapsedMs;
  // A descendant that ended takes its time with it: a sum that falls is no movement.
  return {
    ownCpu: elapsedMs > 0 && after.cpuMs - before.cpuMs >= enoughMs,
    childCpu: elapsedMs > 0 && after.childrenCpuMs - before.childrenCpuMs >= enoughMs,
    io: before.ioBytes !== null && after.ioBytes !== null && after.ioBytes > before.ioBytes,
  };
}

/** The first sign of life apart from the process's own CPU. */
function movingPart(evidence: Evidence, pairs: readonly Movement[]): Because | null {
  if (evidence.logMoved) return "log";
  if (evidence.progressMoved) return "progress";
  if (pairs.some((pair) => pair.io)) return "io";
  return pairs.some((pair) => pair.childCpu) ? "child_cpu" : null;
}

/** A verdict that silence does not make worse. */
function settled(verdict: VerdictName, because: Because): Verdict {
  return { verdict, because, zombieDue: false };
}

/** One look is no evidence of anything: come back for the second. */
function looking(thresholds: Thresholds): Verdict {
  return { ...settled("alive", "looking"), nextLookMs: thresholds.verifyMs };
}

/**
 * A verdict that ends in a zombie at `limitMs`; or, where the decayed score is below the minimum, as soon as silence
 * has reached the time-out, if that is earlier.
 */
function due(evidence: Evidence, verdict: VerdictName, because: Because, limitMs: number): Verdict {
  const { silentMs, thresholds } = evidence;
  const dueMs = evidence.scoreBelowMinimum ? Math.min(limitMs, thresholds.timeoutMs) : limitMs;
  if (silentMs >= dueMs) return { verdict, because, zombieDue: true };
  return { verdict, because, zombieDue: false, nextLookMs: dueMs - silentMs };
}
