/** Guarantee: every shipped rule classifies its own examples, and no cause is claimed that the evidence does not carry. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { classify, failingExamples, ruleBook } from "../../../lib/domain/classify.js";
import { packageRoot } from "../../../lib/platform/package.js";
import {
  FAILURE_TYPES,
  type FailureFacts,
  type FailureRule,
  readFailureRules,
} from "../../../lib/schema/failure-rules.js";

const raw: unknown = JSON.parse(readFileSync(join(packageRoot(), "config", "failure-rules.json"), "utf8"));
const read = readFailureRules(raw);
const shipped = read.ok ? read.value.rules : [];
const book = ruleBook(shipped);

function named(facts: FailureFacts): string {
  const { category, type } = classify(book, facts);
  return `${category}:${type}`;
}

describe("the shipped failure rules", () => {
  test("are accepted by their own schema", () => {
    expect(read).toMatchObject({ ok: true });
    expect(shipped.length).toBeGreaterThan(40);
  });

  test.each(shipped.flatMap((rule) => rule.examples.map((facts, nth) => ({ rule, nth, facts }))))(
    "$rule.rule_id classifies its example $nth",
    ({ rule, facts }) => {
      const found = classify(book, facts);
      expect({ rule_id: found.rule_id, named: `${found.category}:${found.type}` }).toEqual({
        rule_id: rule.rule_id,
        named: rule.classify,
      });
    },
  );

  test("name only categories and types of the contract", () => {
    const known = Object.entries(FAILURE_TYPES).flatMap(([category, types]) =>
      types.map((type) => `${category}:${type}`),
    );
    expect(shipped.map((rule) => rule.classify).filter((name) => !known.includes(name))).toEqual([]);
  });
});

describe("classify()", () => {
  test.each<[string, FailureFacts]>([
    ["unknown:killed", { reason: "killed", exit_code: 137, signal: "SIGKILL", killed_by: "other" }],
    ["unknown:killed", { exit_code: 137, log_tail: "working\nout of memory" }],
    ["unknown:killed", { exit_code: 137, log_tail: "JavaScript heap out of memory" }],
    ["systemic:uncaught_exception", { exit_code: 134, signal: "SIGABRT" }],
    ["unknown:unclassified", { exit_code: 1, log_tail: "Out of memory: Killed process 1 (x)" }],
    ["unknown:unclassified", { exit_code: 1, log_tail: "heap out of memory" }],
    ["transient:resource_contention", { exit_code: 1, log_tail: "Error: ENOMEM" }],
  ])("claims no memory failure without evidence: %s for %j", (expected, facts) => {
    expect(named(facts)).toBe(expected);
  });

  test("believes the kernel before the exit, the exit before a code, a code before a stack, a stack before text", () => {
    const facts: FailureFacts = {
      reason: "memory_limit",
      exit_code: 78,
      log_tail: "command not found\nError: ENOSPC\nTypeError: x\n    at a (/b/c.js:1:1)",
    };
    const steps = [classify(book, facts)];
    steps.push(classify(book, { ...facts, reason: "exited" }));
    steps.push(classify(book, { ...facts, reason: "exited", exit_code: 1 }));
    steps.push(classify(book, { exit_code: 1, log_tail: "command not found\nTypeError: x\n    at a (/b/c.js:1:1)" }));
    steps.push(classify(book, { exit_code: 1, log_tail: "jq: command not found" }));
    expect(steps.map(({ type, evidence, confidence }) => [type, evidence, confidence])).toEqual([
      ["out_of_memory", "kernel", 0.99],
      ["configuration_error", "exit", 0.9],
      ["disk_full", "code", 0.8],
      ["uncaught_exception", "text", 0.6],
      ["command_not_found", "text", 0.6],
    ]);
  });

  test("goes by the sign nearest to the death", () => {
    expect(named({ log_tail: "ENOENT: a\nretrying\nconnect ECONNREFUSED\n" })).toBe(
      "transient:external_service_unavailable",
    );
    expect(named({ log_tail: "connect ECONNREFUSED\nretrying\nENOENT: a\n" })).toBe("environmental:path_not_found");
  });

  test("takes phrases for whole words, in any case", () => {
    expect(named({ log_tail: "wrote SCREENOENTRY and http 4290" })).toBe("unknown:unclassified");
    expect(named({ log_tail: "(enoent)" })).toBe("environmental:path_not_found");
  });

  test("gives the line it went by, made harmless, and the stack", () => {
    const found = classify(book, { log_tail: "ready\n\u001b[31mError: ENOSPC: write 17\u001b[0m\nbye" });
    expect(found).toMatchObject({ line: "Error: ENOSPC: write 17", stack: null, rule_id: "code-disk-full" });
    expect(classify(book, { log_tail: "ready\nbye\n\n" })).toMatchObject({ line: "bye", confidence: 0, rule_id: null });
    expect(classify(book, {})).toMatchObject({ type: "unclassified", line: null });
  });

  test("is not led astray by a hostile log", () => {
    for (const unit of ["ENOENT", "http 4", "ENOENT ", "timed ", "    at ", "\u001b[", "#", "İ"]) {
      const tail = unit.repeat(10_000_000 / unit.length);
      expect(["systemic", "environmental", "unknown"]).toContain(classify(book, { log_tail: tail }).category);
    }
  });

  test("asks the operator's rules first, and lets them replace or silence a shipped one", () => {
    const own: FailureRule = {
      rule_id: "vendor-down",
      classify: "transient:vendor_down",
      stage: "code",
      root_cause: "The vendor is down",
      when: { text: ["E-##7"] },
      examples: [{ log_tail: "got E-117" }],
    };
    const silenced = { ...(shipped.find((rule) => rule.rule_id === "code-disk-full") as FailureRule), enabled: false };
    const theirs = ruleBook(shipped, [own, silenced]);
    expect(classify(theirs, { log_tail: "ENOSPC\ngot E-117" })).toMatchObject({ type: "vendor_down", confidence: 0.8 });
    expect(classify(theirs, { log_tail: "got E-118" })).toMatchObject({ type: "unclassified" });
    expect(classify(theirs, { log_tail: "ENOSPC" })).toMatchObject({ type: "unclassified" });
    const raised = ruleBook(shipped, [
      { ...own, rule_id: "code-disk-full", when: { text: ["ENOSPC"] }, confidence: 0.95 },
    ]);
    expect(classify(raised, { log_tail: "ENOSPC" })).toMatchObject({ type: "vendor_down", confidence: 0.95 });
  });
});

describe("failingExamples()", () => {
  test("finds nothing wrong with the rule that the page shows", () => {
    const page = readFileSync(join(packageRoot(), "docs", "failure-rules.md"), "utf8");
    const shown = readFailureRules(JSON.parse(/```json\n([\s\S]*?)```/.exec(page)?.[1] ?? "null"));
    expect(shown).toMatchObject({ ok: true });
    const rules = shown.ok ? shown.value.rules : [];
    expect(rules).toHaveLength(1);
    expect(failingExamples(ruleBook(shipped, rules), rules)).toEqual([]);
  });

  test("finds the example of a rule that another one shadows", () => {
    const shadowed: FailureRule = {
      rule_id: "my-full-disk",
      classify: "resource:disk_full",
      stage: "text",
      root_cause: "The disk of the cache is full",
      when: { text: ["cache write failed"] },
      examples: [{ log_tail: "cache write failed" }, { log_tail: "cache write failed: ENOSPC" }],
    };
    expect(failingExamples(ruleBook(shipped, [shadowed]), [shadowed])).toEqual([
      { rule_id: "my-full-disk", nth: 1, went_to: "code-disk-full" },
    ]);
    expect(failingExamples(book, shipped)).toEqual([]);
  });
});

describe("readFailureRules()", () => {
  const rule = (change: object): unknown => ({ rules: [{ ...(shipped[0] as FailureRule), ...change }] });

  test("takes no file for no rules", () => {
    expect(readFailureRules(undefined)).toEqual({ ok: true, value: { rules: [] } });
  });

  test.each<[string, unknown, string, string]>([
    ["a category that is not there", rule({ classify: "weather:rain" }), "rules.0.classify", "must be category:type"],
    ["a rule without a condition", rule({ when: {} }), "rules.0.when", "must have at least one condition"],
    ["a rule without an example", rule({ examples: [] }), "rules.0.examples", "1"],
    ["a misspelt condition", rule({ when: { exit_cod: [1] } }), "rules.0.when.exit_cod", "exit_code"],
    ["a phrase that begins anywhere", rule({ when: { text: ["#"] } }), "rules.0.when.text.0", "must begin with"],
    ["two rules of one name", { rules: [shipped[0], shipped[0]] }, "rules", "memory-limit"],
  ])("refuses %s by field", (_, value, field, message) => {
    expect(readFailureRules(value)).toMatchObject({
      ok: false,
      problems: expect.arrayContaining([{ field, message: expect.stringContaining(message) }]),
    });
  });
});
