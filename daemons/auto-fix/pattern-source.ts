/** The published patterns: each that changed is looked at with every fix that is known for it. @module */
import { statSync } from "node:fs";
import { join } from "node:path";
import { confidenceOf } from "../../lib/domain/fix-confidence.js";
import { newEventIdBase } from "../../lib/platform/ids.js";
import { watchDirectory } from "../../lib/platform/watching.js";
import type { Source } from "../../lib/runtime/daemon.js";
import { Shelter } from "../../lib/runtime/shelter.js";
import type { Fix } from "../../lib/schema/fix-registry.js";
import { isOpenToFixes, type PatternRecord } from "../../lib/schema/pattern.js";
import { settingsFor } from "../../lib/schema/policy.js";
import { readInstant } from "../../lib/schema/primitives.js";
import { PATTERNS_FILE, readPatterns } from "../../lib/store/patterns.js";
import type { FactReader } from "./facts.js";
import type { Event, PatternFacts, Rival } from "./messages.js";
import { planOfFix } from "./plans.js";
import type { Context, Rules } from "./rules.js";
import { type LearningPart, MATCH_NEW, type MatchPart, type Plan, type RunPart, type RunRef, refOf } from "./state.js";
import { rankOf } from "./turns.js";

const SCAN_EVERY_SECONDS = 5;
/** A decision's record has a limit. */
const RIVALS_MAX = 8;

export class PatternSource implements Source {
  readonly name = "patterns";
  readonly scanEverySeconds = SCAN_EVERY_SECONDS;
  readonly #context: Context;
  readonly #rules: Rules;
  readonly #reader: FactReader;
  /** The snapshot of each pattern that was looked at last. */
  readonly #seen = new Map<string, string>();
  #patterns = new Map<string, PatternRecord>();
  /** Of the file that `#patterns` was read from, and of the one whose patterns were all looked at. */
  #version = "";
  #looked = "";
  #watch: { close(): void } | null = null;
  readonly #shelter: Shelter;

  constructor(context: Context, rules: Rules, reader: FactReader) {
    this.#context = context;
    this.#shelter = new Shelter(context.log);
    this.#rules = rules;
    this.#reader = reader;
  }

  start(): void {
    const { layout, log } = this.#context;
    this.#watch = watchDirectory(
      layout.patternsDir,
      () => this.scan(),
      (fault) => log.warn({ cause: String(fault) }, "patterns are read every few seconds until watching works again"),
    );
    this.scan();
  }

  stop(): void {
    this.#watch?.close();
  }

  scan(): void {
    if (!this.#shelter.run("reading patterns", () => this.#read())) return;
    // Who asks for one pattern in between reads the file as well, and has not looked at the others.
    if (this.#looked === this.#version) return;
    let missed = false;
    for (const pattern of this.#patterns.values()) {
      const version = `${pattern.status}:${pattern.frequency.total_occurrences}:${pattern.confidence}:${pattern.actionable}`;
      if (this.#seen.get(pattern.pattern_id) === version) continue;
      if (this.#lookSheltered(pattern)) this.#seen.set(pattern.pattern_id, version);
      else missed = true;
    }
    if (missed) return;
    this.#looked = this.#version;
    // Patterns that are gone were not looked at.
    this.#shelter.forget(() => true);
  }

  /** After a change of the rules or the policy. What cannot be looked at now is looked at by a later scan. */
  lookAtAll(): void {
    for (const pattern of this.#patterns.values()) {
      if (this.#lookSheltered(pattern)) continue;
      this.#seen.delete(pattern.pattern_id);
      this.#looked = "";
    }
  }

  /** One pattern whose facts cannot be read must not keep the others from being looked at. */
  #lookSheltered(pattern: PatternRecord): boolean {
    return this.#shelter.run(`looking at ${pattern.pattern_id}`, () => this.#look(pattern));
  }

  /** The pattern as it is now. */
  pattern(patternId: string): PatternRecord | null {
    this.#read();
    return this.#patterns.get(patternId) ?? null;
  }

  /** Performs `look`: the same fix for the same pattern once more. */
  again(ref: RunRef): Event | null {
    const pattern = this.pattern(ref.subject);
    const fix = this.#rules.fixes.find((each) => each.fix_id === ref.fix_id);
    return pattern === null || fix === undefined ? null : this.#consider(fix, pattern, null);
  }

  /** A person has approved: every gate is asked again, of what is there now. */
  approved(run: RunPart, by: string): Event | null {
    const pattern = this.pattern(run.subject);
    const fix = this.#rules.fixes.find((each) => each.fix_id === run.fix_id);
    return pattern === null || fix === undefined ? null : this.#consider(fix, pattern, { run, by });
  }

  #read(): void {
    const stat = statSync(join(this.#context.layout.patternsDir, PATTERNS_FILE), { throwIfNoEntry: false });
    const version = stat === undefined ? "" : `${stat.ino}:${stat.size}:${stat.mtimeMs}`;
    if (version === this.#version) return;
    this.#patterns = new Map(readPatterns(this.#context.layout).map((each) => [each.pattern_id, each]));
    this.#version = version;
  }

  #look(pattern: PatternRecord): void {
    const key = `${pattern.category}:${pattern.type}`;
    for (const fix of this.#rules.fixes) {
      if (!fix.applies_to_patterns.includes(key)) continue;
      const match = this.#context.part<MatchPart>(`match:${fix.fix_id}|${pattern.pattern_id}`);
      // What is over and was never looked at says nothing to anybody.
      if (match === null && pattern.status !== "active") continue;
      const open = match?.open_run ?? null;
      const run = open === null ? null : this.#context.part<RunPart>(`run:${open}`);
      if (run !== null) {
        if (run.phase === "verifying" || run.phase === "watching")
          this.#context.offer({ kind: "check-due", ...refOf(run) });
      } else this.#context.offer(this.#consider(fix, pattern, null));
    }
  }

  #consider(fix: Fix, pattern: PatternRecord, approved: { readonly run: RunPart; readonly by: string } | null): Event {
    const nowMs = Date.now();
    const key = `${pattern.category}:${pattern.type}`;
    const scope = pattern.worker_type ?? "";
    const plan = planOfFix(fix);
    const facts = this.#reader.read(plan, scope, pattern, fix.prerequisites ?? {}, nowMs);
    const ref =
      approved === null
        ? {
            run_id: `run-${newEventIdBase(nowMs)}`,
            fix_id: fix.fix_id,
            subject: pattern.pattern_id,
            learn: `${fix.fix_id}:${key}`,
          }
        : refOf(approved.run);
    return {
      kind: "consider",
      ...ref,
      plan,
      scope,
      workers: pattern.workers ?? [],
      pattern: factsOf(pattern, key),
      condition: null,
      facts,
      rivals: this.#rivals(fix, pattern, rankOf(plan, key, facts.other_tasks), nowMs),
      approved_by: approved?.by ?? null,
    };
  }

  /** Fixes for active patterns of the same worker type that may go before this one. */
  #rivals(fix: Fix, pattern: PatternRecord, rank: number | null, nowMs: number): Rival[] {
    if (rank === null) return [];
    const others = [...this.#patterns.values()].filter(
      (other) => other.status === "active" && other.worker_type === pattern.worker_type,
    );
    const found = others.flatMap((other) => {
      const key = `${other.category}:${other.type}`;
      return this.#rules.fixes
        .filter((each) => each.applies_to_patterns.includes(key) && (each !== fix || other !== pattern))
        .flatMap((each) => this.#rival(each, other, key, rank, nowMs) ?? []);
    });
    // Those first that nothing stands in the way of.
    const isFree = ({ facts }: Rival): boolean =>
      facts.impossible === null && facts.prerequisites.every(({ met }) => met);
    return [...found.filter(isFree), ...found.filter((each) => !isFree(each))].slice(0, RIVALS_MAX);
  }

  #trust(plan: Plan, learn: string, scope: string, nowMs: number): number {
    const { learning } = settingsFor(this.#context.policy(), scope);
    const verdicts = this.#context.part<LearningPart>(`learning:${learn}`)?.verdicts ?? [];
    return confidenceOf(plan.score, learning.enabled ? verdicts : [], nowMs, learning.min_samples).bound;
  }

  #rival(fix: Fix, pattern: PatternRecord, key: string, rank: number, nowMs: number): Rival | null {
    const plan = planOfFix(fix);
    // The least rank that it may have; what it has stands in the files of the fleet.
    if ((rankOf(plan, key, 1) ?? rank) >= rank) return null;
    const scope = pattern.worker_type ?? "";
    const { impossible, prerequisites, diff, fields, memory, other_tasks } = this.#reader.read(
      plan,
      scope,
      pattern,
      fix.prerequisites ?? {},
      nowMs,
    );
    return {
      ...{ fix_id: fix.fix_id, subject: pattern.pattern_id, plan },
      // Said in the decision on the pattern itself.
      pattern: { ...factsOf(pattern, key), message: "", root_cause: "" },
      facts: { impossible, prerequisites, diff, fields, memory, other_tasks },
      match: this.#context.part<MatchPart>(`match:${fix.fix_id}|${pattern.pattern_id}`) ?? MATCH_NEW,
      trust: this.#trust(plan, `${fix.fix_id}:${key}`, scope, nowMs),
    };
  }
}

/** What auto-fix needs to know of a pattern. */
export function factsOf(pattern: PatternRecord, key: string): PatternFacts {
  return {
    pattern_id: pattern.pattern_id,
    key,
    is_active: isOpenToFixes(pattern),
    confidence: pattern.confidence,
    occurrences: pattern.frequency.window_occurrences,
    total: pattern.frequency.total_occurrences,
    last_seen_ms: readInstant(pattern.frequency.last_seen) ?? 0,
    message: pattern.message.slice(0, 300),
    root_cause: pattern.root_cause.slice(0, 300),
  };
}
