/** The rules in force: the shipped ones and the operator's beside them, read again when theirs change. @module */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { failingExamples, type RuleBook, ruleBook } from "../../lib/domain/classify.js";
import { FileRefused } from "../../lib/errors.js";
import { readSmall, weatherCode } from "../../lib/platform/files.js";
import type { Log } from "../../lib/platform/log.js";
import { packageRoot } from "../../lib/platform/package.js";
import { type FailureRule, readFailureRules } from "../../lib/schema/failure-rules.js";
import { type Problem, type Read, sentenceOf } from "../../lib/schema/problems.js";
import type { Layout } from "../../lib/store/layout.js";

const RULES_FILE = "failure-rules.json";
const BYTES_MAX = 1024 * 1024;

export class Rules {
  readonly #path: string;
  readonly #log: Log;
  readonly #shipped: readonly FailureRule[];
  #seen = "";
  #book: RuleBook;

  constructor(layout: Layout, log: Log) {
    this.#path = join(layout.configDir, RULES_FILE);
    this.#log = log;
    this.#shipped = shippedRules();
    this.#book = ruleBook(this.#shipped);
  }

  /** The rules as of now. What a person wrote wrongly is said once, and the last good rules stay in force. */
  book(): RuleBook {
    const stat = statSync(this.#path, { throwIfNoEntry: false });
    const seen = stat === undefined ? "" : `${stat.ino} ${stat.mtimeMs} ${stat.size}`;
    if (seen === this.#seen) return this.#book;
    this.#seen = seen;
    const refused = this.#take();
    if (refused !== null)
      this.#log.warn({ path: RULES_FILE }, `coordination/config/${RULES_FILE} is refused: ${refused}`);
    else if (stat !== undefined) this.#log.info({ path: RULES_FILE }, `coordination/config/${RULES_FILE} is in force`);
    return this.#book;
  }

  /** Returns why the operator's file is refused, or null. */
  #take(): string | null {
    try {
      const file = readSmall(this.#path, { maxBytes: BYTES_MAX });
      const read = readOwnRules(file === null ? undefined : JSON.parse(file.text), this.#shipped);
      if (!read.ok) return sentenceOf(read.problems);
      this.#book = ruleBook(this.#shipped, read.value);
      return null;
    } catch (fault) {
      if (fault instanceof SyntaxError || fault instanceof FileRefused) return fault.message;
      const code = weatherCode(fault);
      if (code === null) throw fault;
      // Asked for again at the next failure.
      this.#seen = "";
      return `cannot be read (${code})`;
    }
  }
}

/**
 * Reads the rules that a person wrote, and runs their examples beside the shipped ones: a rule that never gets its turn, or
 * takes another's, is refused before it names a failure wrongly.
 */
export function readOwnRules(raw: unknown, shipped: readonly FailureRule[]): Read<readonly FailureRule[]> {
  const read = readFailureRules(raw);
  if (!read.ok) return read;
  const { rules } = read.value;
  const problems = failingExamples(ruleBook(shipped, rules), rules).map(({ rule_id, nth, went_to }): Problem => {
    const field = `rules[${rules.findIndex((each) => each.rule_id === rule_id)}].examples[${nth}]`;
    const got = went_to === null ? "no rule" : `"${went_to}"`;
    return { field, message: `must be classified by its own rule "${rule_id}", got ${got}` };
  });
  return problems.length > 0 ? { ok: false, problems } : { ok: true, value: rules };
}

/** @throws {Error} If the installation is broken. */
export function shippedRules(): readonly FailureRule[] {
  const read = readFailureRules(JSON.parse(readFileSync(join(packageRoot(), "config", RULES_FILE), "utf8")));
  if (read.ok) return read.value.rules;
  throw new Error(`The shipped ${RULES_FILE} is not valid: ${read.problems[0]?.field} ${read.problems[0]?.message}`);
}
