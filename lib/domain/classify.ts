/**
 * Gives one failure its category and type by rules, the surest evidence first. Knows no rule itself, reads no file.
 *
 * @module
 */
import type { FailureCategory, FailureFacts, FailureRule, RuleStage } from "../schema/failure-rules.js";
import { harmless } from "./grouping/harmless.js";
import { findStack, type StackTrace } from "./grouping/stack.js";
import { inSmallLetters, lastPhrase, type Phrases, phrasesOf } from "./phrases.js";

export interface Classification {
  readonly category: FailureCategory;
  readonly type: string;
  /** What it goes by, as patterns say it; a stack trace is text. */
  readonly evidence: "kernel" | "exit" | "code" | "text";
  readonly confidence: number;
  /** Null if no rule fits. */
  readonly rule_id: string | null;
  readonly root_cause: string;
  /** The line of the log that the rule went by, made harmless; the best one to group by. */
  readonly line: string | null;
  readonly stack: StackTrace | null;
}

/** Rules made ready, by stage. */
export interface RuleBook {
  readonly stages: readonly { readonly stage: RuleStage; readonly rules: readonly ReadyRule[] }[];
}

interface ReadyRule {
  readonly rule: FailureRule;
  readonly record: Phrases | null;
  readonly text: Phrases | null;
}

const STAGES: readonly RuleStage[] = ["kernel", "exit", "code", "stack", "text"];
const CONFIDENCE: Readonly<Record<RuleStage, number>> = { kernel: 0.99, exit: 0.9, code: 0.8, stack: 0.6, text: 0.6 };

/** Characters at the end of a log that are looked at. */
export const TEXT_LENGTH_MAX = 65_536;
const LINE_LENGTH = 400;

/** Shipped rules and the operator's: theirs are asked first within a stage, and replace shipped ones of their name. */
export function ruleBook(shipped: readonly FailureRule[], theirs: readonly FailureRule[] = []): RuleBook {
  const replaced = new Set(theirs.map((rule) => rule.rule_id));
  const all = [...theirs, ...shipped.filter((rule) => !replaced.has(rule.rule_id))];
  const inForce = all.filter((rule) => rule.enabled !== false).map(ready);
  return { stages: STAGES.map((stage) => ({ stage, rules: inForce.filter(({ rule }) => rule.stage === stage) })) };
}

function ready(rule: FailureRule): ReadyRule {
  const { record, text } = rule.when;
  return { rule, record: record ? phrasesOf(record) : null, text: text ? phrasesOf(text) : null };
}

/** Classifies one failure. One that no rule knows is `unknown:unclassified`, of which nothing is sure. */
export function classify(book: RuleBook, facts: FailureFacts): Classification {
  const text = `${facts.message ?? ""}\n${(facts.log_tail ?? "").slice(-TEXT_LENGTH_MAX)}`;
  const seen: Seen = {
    facts,
    text,
    lower: inSmallLetters(text),
    record: inSmallLetters(facts.evidence ?? ""),
    stack: findStack(text),
  };
  for (const { stage, rules } of book.stages) {
    const found = bestOf(rules, seen, BY_PLACE.has(stage));
    if (found !== null) return outcome(found.rule, stage, seen, found.at);
  }
  return {
    category: "unknown",
    type: "unclassified",
    evidence: "text",
    confidence: 0,
    rule_id: null,
    root_cause: "No rule knows this failure",
    line: lineAt(seen.text, lastLineStart(seen.text)),
    stack: seen.stack,
  };
}

/** An example that its own rule does not classify. */
export interface FailingExample {
  readonly rule_id: string;
  /** Which one, from 0 on. */
  readonly nth: number;
  /** The rule that it went to instead; null if none. */
  readonly went_to: string | null;
}

/** Runs the examples of rules against the whole book: a rule that another one shadows is found here. */
export function failingExamples(book: RuleBook, rules: readonly FailureRule[]): FailingExample[] {
  return rules
    .filter((rule) => rule.enabled !== false)
    .flatMap(({ rule_id, examples }) =>
      examples.map((facts, nth) => ({ rule_id, nth, went_to: classify(book, facts).rule_id })),
    )
    .filter(({ rule_id, went_to }) => rule_id !== went_to);
}

interface Seen {
  readonly facts: FailureFacts;
  readonly text: string;
  readonly lower: string;
  readonly record: string;
  readonly stack: StackTrace | null;
}

interface Hit {
  readonly rule: FailureRule;
  /** Where in the text its phrase stands; -1 if it did not go by the text. */
  readonly at: number;
}

/** Where a text may hold signs of several things, the one nearest to its end is nearest to the death. */
const BY_PLACE: ReadonlySet<RuleStage> = new Set(["code", "text"]);

/** The first rule that fits, or the one that fits nearest to the end. */
function bestOf(rules: readonly ReadyRule[], seen: Seen, isByPlace: boolean): Hit | null {
  let best: Hit | null = null;
  for (const one of rules) {
    const at = fits(one, seen);
    if (at === null || (best !== null && at <= best.at)) continue;
    best = { rule: one.rule, at };
    if (!isByPlace) break;
  }
  return best;
}

/** Where the rule's phrase stands, -1 if it needs none; null if a condition does not hold. */
function fits({ rule, record, text }: ReadyRule, { facts, lower, record: recorded, stack }: Seen): number | null {
  const { when } = rule;
  const holds =
    includes(when.event_type, facts.event_type) &&
    includes(when.reason, facts.reason) &&
    includes(when.exit_code, facts.exit_code) &&
    includes(when.signal, facts.signal) &&
    includes(when.killed_by, facts.killed_by) &&
    (when.exception === undefined || isException(when.exception, stack)) &&
    (record === null || lastPhrase(recorded, record) !== -1);
  if (!holds) return null;
  if (text === null) return -1;
  const at = lastPhrase(lower, text);
  return at === -1 ? null : at;
}

function includes<T>(wanted: readonly T[] | undefined, got: T | null | undefined): boolean {
  return wanted === undefined || (got !== null && got !== undefined && wanted.includes(got));
}

function isException(wanted: readonly string[], stack: StackTrace | null): boolean {
  if (stack === null) return false;
  const short = stack.type.slice(stack.type.lastIndexOf(".") + 1);
  return wanted.some((name) => name === "*" || name === stack.type || name === short);
}

function outcome(rule: FailureRule, stage: RuleStage, seen: Seen, at: number): Classification {
  const [category, type] = rule.classify.split(":") as [FailureCategory, string];
  return {
    category,
    type,
    evidence: stage === "stack" ? "text" : stage,
    confidence: rule.confidence ?? CONFIDENCE[stage],
    rule_id: rule.rule_id,
    root_cause: rule.root_cause,
    line: at === -1 ? lineAt(seen.text, lastLineStart(seen.text)) : lineAt(seen.text, at),
    stack: seen.stack,
  };
}

/** The line that holds a place; null if there is nothing in it. */
function lineAt(text: string, at: number): string | null {
  const from = text.lastIndexOf("\n", at - 1) + 1;
  const end = text.indexOf("\n", at);
  const line = harmless(text.slice(from, end === -1 ? undefined : end)).trim();
  return line === "" ? null : line.slice(0, LINE_LENGTH);
}

/** Where the last line begins that is not empty. */
function lastLineStart(text: string): number {
  const trimmed = text.trimEnd();
  return trimmed.lastIndexOf("\n") + 1;
}
