/**
 * A daemon's policy file, live: read at the start, read again when it changes, refused by name while the last good one
 * stays in force. The text in force is kept under `decisions/policies/`, so that a decision can be computed again.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../errors.js";
import { createExclusive, readSmall, safetyOf, weatherCode } from "../platform/files.js";
import { type Watch, watchFew } from "../platform/watching.js";
import { type Policy, type PolicyDefinition, readPolicy } from "../schema/policy.js";
import { sentenceOf } from "../schema/problems.js";
import { whyNotJson } from "../store/records.js";

const POLICY_BYTES_MAX = 1024 * 1024;
/** A file younger than this that does not parse is still being written. */
const UNFINISHED_MS = 2000;
const NOTHING_SEEN = "";

export interface PolicyInForce<Settings> {
  readonly policy: Policy<Settings>;
  readonly hash: string;
  readonly notes: readonly string[];
  /** The file is bad at the start, and this stands in for it. */
  readonly isFallback?: true;
}

export interface PolicyListener<Settings> {
  loaded(inForce: PolicyInForce<Settings>): void;
  /** `sentence` names file, field, wanted and got. */
  refused(sentence: string): void;
  /** The file of a policy without defaults is gone. */
  gone?(): void;
}

type Outcome<Settings> =
  | { readonly kind: "good"; readonly inForce: PolicyInForce<Settings>; readonly text: string }
  | { readonly kind: "bad"; readonly sentence: string }
  | { readonly kind: "unfinished" }
  | { readonly kind: "none" };

export class PolicyFile<Settings, Explicit> {
  readonly path: string;
  readonly #definition: PolicyDefinition<Settings, Explicit>;
  readonly #textsDir: string;
  readonly #missing: "defaults" | "nothing";
  #watch: Watch | null = null;
  #lookAgain: NodeJS.Timeout | null = null;
  #lastSeen = NOTHING_SEEN;
  /** A policy is looked at every few seconds, and hardly ever another. */
  #latest: { readonly version: string; readonly outcome: Outcome<Settings> } | null = null;
  #unsaved: { readonly hash: string; readonly text: string } | null = null;

  /**
   * @param textsDir `decisions/policies/`, where the texts of policies in force are kept by hash.
   * @param missing What a missing file means: the defaults, or that there is no such policy.
   */
  constructor(
    definition: PolicyDefinition<Settings, Explicit>,
    configDir: string,
    textsDir: string,
    missing: "defaults" | "nothing" = "defaults",
  ) {
    this.#missing = missing;
    this.#definition = definition;
    this.path = join(configDir, `${definition.name}.json`);
    this.#textsDir = textsDir;
  }

  /**
   * Reads the policy for the start. A bad file gives the last good one, by the hash it had, else the shipped defaults.
   *
   * @param lastHash The policy hash of the last run, if known.
   * @param instead What stands in for a bad file where the defaults would do more than the file may have said.
   */
  start(lastHash: string | null, listener: PolicyListener<Settings>, instead?: Explicit): void {
    const outcome = this.#read(0);
    if (outcome.kind === "good") return this.#accept(outcome, listener);
    if (outcome.kind === "none") return;
    const fallback = this.#lastGood(lastHash) ?? this.#standIn(instead);
    if (fallback.kind === "good")
      this.#accept({ ...fallback, inForce: { ...fallback.inForce, isFallback: true } }, listener);
    if (outcome.kind === "unfinished") return this.#soon(listener);
    this.#lastSeen = outcome.sentence;
    listener.refused(outcome.sentence);
  }

  /** Follows the file from now on. */
  follow(listener: PolicyListener<Settings>): void {
    this.#watch = watchFew(
      [this.path],
      () => this.look(listener),
      (error) => {
        // Where no file is no policy, no folder is none either: it is watched again as soon as it is there.
        const isJustGone = this.#missing === "nothing" && systemCode(error) === "ENOENT";
        if (!isJustGone) listener.refused(`Cannot watch "${this.path}": ${String(error)}`);
      },
    );
  }

  /** Reads the file again if it differs from what was last seen. */
  look(listener: PolicyListener<Settings>): void {
    this.#save();
    const outcome = this.#read(UNFINISHED_MS);
    if (outcome.kind === "unfinished") return this.#soon(listener);
    const seen =
      outcome.kind === "good" ? outcome.inForce.hash : outcome.kind === "none" ? NOTHING_SEEN : outcome.sentence;
    if (seen === this.#lastSeen) return;
    if (outcome.kind === "good") return this.#accept(outcome, listener);
    this.#lastSeen = seen;
    if (outcome.kind === "none") listener.gone?.();
    else listener.refused(outcome.sentence);
  }

  close(): void {
    this.#watch?.close();
    if (this.#lookAgain) clearTimeout(this.#lookAgain);
  }

  #soon(listener: PolicyListener<Settings>): void {
    if (this.#lookAgain) clearTimeout(this.#lookAgain);
    this.#lookAgain = setTimeout(() => this.look(listener), UNFINISHED_MS);
  }

  #accept(
    outcome: { readonly inForce: PolicyInForce<Settings>; readonly text: string },
    listener: PolicyListener<Settings>,
  ): void {
    this.#lastSeen = outcome.inForce.hash;
    this.#unsaved = { hash: outcome.inForce.hash, text: outcome.text };
    this.#save();
    listener.loaded(outcome.inForce);
  }

  /** Keeps the text of the policy in force. On a full disk the policy holds all the same, and its text follows later. */
  #save(): void {
    if (this.#unsaved === null) return;
    try {
      createExclusive(join(this.#textsDir, `${this.#unsaved.hash}.json`), this.#unsaved.text);
      this.#unsaved = null;
    } catch (error) {
      if (weatherCode(error) === null) throw error;
    }
  }

  #lastGood(hash: string | null): Outcome<Settings> | null {
    if (hash === null || !/^[0-9a-f]{16}$/.test(hash)) return null;
    const path = join(this.#textsDir, `${hash}.json`);
    if (!existsSync(path)) return null;
    const outcome = this.#parse(readFileSync(path, "utf8"), 0, Number.POSITIVE_INFINITY);
    return outcome.kind === "good" ? outcome : null;
  }

  #read(unfinishedMs: number): Outcome<Settings> {
    let file: ReturnType<typeof readSmall>;
    try {
      const unsafe = existsSync(this.path) ? safetyOf(this.path) : null;
      if (unsafe !== null) return { kind: "bad", sentence: `Cannot load policy "${this.path}": ${unsafe}` };
      const version = versionOf(this.path);
      if (version !== null && this.#latest?.version === version) return this.#latest.outcome;
      file = readSmall(this.path, { maxBytes: POLICY_BYTES_MAX });
    } catch (error) {
      if (weatherCode(error) === "EMFILE" || weatherCode(error) === "ENFILE") return { kind: "unfinished" };
      return {
        kind: "bad",
        sentence: `Cannot load policy "${this.path}": ${error instanceof Error ? error.message : String(error)}`,
      };
    }
    if (file === null) return this.#withoutFile();
    const outcome = this.#parse(file.text, unfinishedMs, Date.now() - file.stat.mtimeMs);
    // Asked for again: what was replaced between the two looks must not pass for what was read.
    const version = versionOf(this.path, file.stat.ino);
    this.#latest = outcome.kind === "good" && version !== null ? { version, outcome } : null;
    return outcome;
  }

  #standIn(instead: Explicit | undefined): Outcome<Settings> {
    return this.#missing === "nothing" ? { kind: "none" } : this.#evaluate(instead, JSON.stringify(instead ?? {}));
  }

  #withoutFile(): Outcome<Settings> {
    return this.#missing === "nothing" ? { kind: "none" } : this.#evaluate(undefined, "");
  }

  #parse(text: string, unfinishedMs: number, ageMs: number): Outcome<Settings> {
    try {
      return this.#evaluate(JSON.parse(text), text);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      if (ageMs < unfinishedMs) return { kind: "unfinished" };
      return {
        kind: "bad",
        sentence: `Cannot load policy "${this.path}": it is not JSON: ${whyNotJson(text)}`,
      };
    }
  }

  #evaluate(raw: unknown, text: string): Outcome<Settings> {
    const read = readPolicy(this.#definition, raw);
    if (!read.ok) return { kind: "bad", sentence: `Cannot load policy "${this.path}": ${sentenceOf(read.problems)}` };
    const kept = raw === undefined ? "{}\n" : text;
    const hash = createHash("sha256").update(kept).digest("hex").slice(0, 16);
    return { kind: "good", inForce: { policy: read.value.policy, hash, notes: read.value.notes }, text: kept };
  }
}

/** For so long after its last change a file may change again without another time: the clock of files is coarse. */
const FILE_CLOCK_MS = 50;

/** What tells one text of a file from another without reading it; null where that cannot be told (yet). */
function versionOf(path: string, ino?: number): string | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || (ino !== undefined && stat.ino !== ino)) return null;
  if (Math.abs(Date.now() - stat.ctimeMs) < FILE_CLOCK_MS) return null;
  return [stat.dev, stat.ino, stat.size, stat.mtimeMs, stat.ctimeMs].join(":");
}
