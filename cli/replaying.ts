/**
 * Computes the recorded decisions of a daemon again, one after the other: a record at a time is in memory.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { type Difference, type KeptPolicy, readKeptPolicy, replayDecision } from "../lib/runtime/replay.js";
import type { DecisionRecord } from "../lib/schema/events.js";
import type { DaemonName } from "../lib/schema/records.js";
import { decisionsOf } from "../lib/store/decisions.js";
import type { Layout } from "../lib/store/layout.js";
import { type AnyReplayable, loadReplayable } from "./replayables.js";

/** Findings that are kept of one daemon; more are counted. */
const KEPT_MAX = 1000;

export interface Found extends Difference {
  readonly decision_id: string;
  readonly subject: string;
}

export interface Replay {
  readonly daemon: DaemonName;
  decisions: number;
  /** Decisions that come out otherwise; of the first thousand, `differences` says how. */
  differing: number;
  readonly differences: Found[];
  /** Lines that are no decisions, and decisions whose policy text is gone. */
  unreadable: number;
  readonly unreadable_lines: string[];
}

/** Replays what was recorded since an instant. */
export async function replayDaemon(layout: Layout, daemon: DaemonName, sinceMs: number): Promise<Replay> {
  const replayer = new Replayer(layout, daemon, await loadReplayable(daemon));
  for (const line of decisionsOf(layout, daemon, sinceMs)) {
    if ("record" in line) replayer.replay(line.record);
    else replayer.cannotRead(`a line is no decision: ${line.unreadable}`);
  }
  return replayer.outcome;
}

class Replayer {
  readonly outcome: Replay;
  readonly #layout: Layout;
  readonly #replayable: AnyReplayable;
  readonly #policies = new Map<string, KeptPolicy<unknown>>();

  constructor(layout: Layout, daemon: DaemonName, replayable: AnyReplayable) {
    this.#layout = layout;
    this.#replayable = replayable;
    this.outcome = { daemon, decisions: 0, differing: 0, differences: [], unreadable: 0, unreadable_lines: [] };
  }

  replay(record: DecisionRecord): void {
    const { decision_id, subject, policy_hash } = record;
    const policy = this.#policy(policy_hash);
    if (!policy.ok) return this.cannotRead(`decision ${decision_id} names policy ${policy_hash}: ${policy.why}`);
    this.outcome.decisions += 1;
    const difference = replayDecision(this.#replayable.core, record, policy.policy);
    if (difference === null) return;
    this.outcome.differing += 1;
    if (this.outcome.differences.length < KEPT_MAX)
      this.outcome.differences.push({ decision_id, subject, ...difference });
  }

  cannotRead(sentence: string): void {
    this.outcome.unreadable += 1;
    if (this.outcome.unreadable_lines.length < KEPT_MAX) this.outcome.unreadable_lines.push(sentence);
  }

  #policy(hash: string): KeptPolicy<unknown> {
    let policy = this.#policies.get(hash);
    if (policy === undefined) {
      policy = this.#readPolicy(hash);
      this.#policies.set(hash, policy);
    }
    return policy;
  }

  #readPolicy(hash: string): KeptPolicy<unknown> {
    const path = /^[0-9a-f]{16}$/.test(hash) ? this.#layout.policyText(hash) : null;
    if (path === null || !existsSync(path)) return { ok: false, why: "its text is gone" };
    const policy = readKeptPolicy(this.#replayable, readFileSync(path, "utf8"));
    return policy.ok ? policy : { ok: false, why: `its text is refused: ${policy.why}` };
  }
}
