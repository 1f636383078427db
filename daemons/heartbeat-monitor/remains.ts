/**
 * Ends an attempt's process and what it started, counts what is left of it, and reads its last words.
 *
 * The tree is noted before the first signal, because a child whose parent is gone can no longer be told from a stranger's.
 * A child that had left both its parent and its group by then is not found, and not touched.
 *
 * @module
 */
import { FileRefused, systemCode } from "../../lib/errors.js";
import { readTail } from "../../lib/platform/files.js";
import {
  descendantsOf,
  groupMembers,
  hasGroupMembers,
  type Identity,
  identityOf,
  isCorpse,
  isGroupGone,
  isSame,
  leadsNoGroup,
  presenceOf,
  readStat,
  type SignalOutcome,
  signalIdentity,
} from "../../lib/platform/processes.js";
import { attemptName } from "../../lib/schema/worker-spec.js";
import type { Layout } from "../../lib/store/layout.js";
import type { KnownProcess, RemainsFacts } from "./facts.js";

const LOG_TAIL_BYTES = 8 * 1024;

/** What became of a signal, and whether it was sent to the program alone or to its whole group. */
export type SignalReach = SignalOutcome & { readonly reach: "main" | "group" };

export class Remains {
  readonly #layout: Layout;
  readonly #noted = new Map<string, Map<string, Identity>>();

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** The processes that are left of an attempt, or else its last words. */
  look(workerId: string, attempt: number, process: KnownProcess | null): RemainsFacts {
    // A launcher starts its program in a session of its own; of an adopted one nothing is known.
    const isLeader = process?.launcher_pid != null;
    const left = process === null ? 0 : this.#count(attemptName(workerId, attempt), process.identity, isLeader);
    return { left, log_tail: left > 0 ? "" : lastWords(this.#layout.workerLog(workerId, attempt)) };
  }

  /**
   * Signals the program, or its group and noted children outside of it.
   *
   * One that was adopted may live in the group of its shell or of its supervisor, which is nobody's to signal: of such a
   * one the program and its noted children are signalled one by one, each as the very process that was noted.
   */
  signal(attempt: string, identity: Identity, signal: NodeJS.Signals, scope: "main" | "group"): SignalReach {
    const noted = this.#note(attempt, identity);
    const reach = scope === "group" && leadsNoGroup(identity) ? "main" : scope;
    const outcome = signalIdentity(identity, signal, reach, { leaderGone: true });
    if (scope === "main" || outcome.answer === "refused") return { ...outcome, reach };
    const sent = [...noted.values()].map((child) => signalIdentity(child, signal, "main").answer);
    return { ...(outcome.answer !== "sent" && sent.includes("sent") ? { answer: "sent" } : outcome), reach };
  }

  /**
   * How many processes of the attempt are left: the program, or else its group and noted children elsewhere.
   *
   * @param isLeader Whether the program was started as the leader of a group of its own.
   */
  #count(attempt: string, identity: Identity, isLeader: boolean): number {
    if (isLeader && isGroupGone(identity)) return this.#elsewhere(attempt, identity);
    const presence = presenceOf(identity);
    if (presence === "other_boot" || presence === "reused") return 0;
    // While the program itself runs, its group need not be searched for, which reads all of /proc.
    if (presence === "same") return 1;
    const group = hasGroupMembers(identity.pid)
      ? groupMembers(identity.pid).filter((member) => member.pid !== identity.pid).length
      : 0;
    return group + this.#elsewhere(attempt, identity);
  }

  /** Noted children that left the group. */
  #elsewhere(attempt: string, { pid }: Identity): number {
    return [...(this.#noted.get(attempt)?.values() ?? [])].filter((child) => isAliveOutside(child, pid)).length;
  }

  forget(attempt: string): void {
    this.#noted.delete(attempt);
  }

  #note(attempt: string, identity: Identity): Map<string, Identity> {
    const noted = this.#noted.get(attempt) ?? new Map<string, Identity>();
    this.#noted.set(attempt, noted);
    const stat = isSame(identity) === "same" ? readStat(identity.pid) : null;
    for (const child of stat === null ? [] : descendantsOf(stat)) {
      const known = identityOf(child.pid);
      if (known !== null && known.start_time === child.start_time) noted.set(`${known.pid}:${known.start_time}`, known);
    }
    return noted;
  }
}

/** What a log ends with. One that is no plain file, or somebody else's, must not keep its worker from coming back: it says so. */
function lastWords(path: string): string {
  try {
    return readTail(path, LOG_TAIL_BYTES);
  } catch (error) {
    if (error instanceof FileRefused) return `(${error.message})`;
    if (systemCode(error) !== "EACCES") throw error;
    return `(Cannot read ${JSON.stringify(path)}: it may not be read)`;
  }
}

function isAliveOutside(child: Identity, group: number): boolean {
  if (isSame(child) !== "same") return false;
  const stat = readStat(child.pid);
  return stat !== null && !isCorpse(stat) && stat.pgrp !== group;
}
