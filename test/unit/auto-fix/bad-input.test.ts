/** Guarantee: each kind of bad input is refused by one message that names file, field, wanted and got, or does no harm. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readPolicyFile } from "../../../cli/policies.js";
import { Series } from "../../../daemons/auto-fix/series.js";
import { readAnswer } from "../../../lib/store/fix-runs.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heald-bad-input-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const policy = (more: object): object => ({
  ...{ name: "A", enabled: true, priority: 1, actions: ["alert-oncall"], scope: { components: ["api"] } },
  conditions: [{ metric: "error_rate", operator: "gt", threshold: 1 }],
  clear_conditions: [{ metric: "error_rate", operator: "lt", threshold: 1 }],
  ...more,
});
const fix = (more: object): object => ({
  ...{ fix_id: "x", category: "resource", name: "X", applies_to_patterns: ["resource:out_of_memory"] },
  ...{ safety: { safety_score: 0.9 }, actions: [{ type: "alert-oncall" }] },
  ...more,
});

/** The whole message, with the file's name for its path. */
async function whyOf(name: string, content: object): Promise<string> {
  const path = join(root, `${name}.json`);
  writeFileSync(path, JSON.stringify(content), { mode: 0o640 });
  const outcome = await readPolicyFile(name, path);
  return outcome.kind === "bad" ? outcome.sentence.replace(path, `${name}.json`) : "it is accepted";
}

const condition = (more: object): object => ({ conditions: [{ metric: "x", operator: "gt", threshold: 1, ...more }] });
const forecast = (more: object): object => ({ predict: { horizon_minutes: 10, ...more } });
const change = (more: object): object => ({ actions: [{ type: "modify-worker-spec", changes: [more] }] });

describe("healing-policies.json is refused with", () => {
  test.each<[string, object, string]>([
    [
      "an unknown action, by its name alone",
      { actions: ["restart-servce"] },
      'actions.0.type must be a known action, which "restart-servce" is not (did you mean restart-service?), got "restart-servce"',
    ],
    [
      "an unknown action",
      { actions: [{ type: "reboot" }] },
      'actions.0.type must be a known action, which "reboot" is not, got "reboot"',
    ],
    ["an action that is none", { actions: [7] }, "actions.0 must be an object, got 7"],
    [
      "an action that its target cannot do",
      { actions: ["scale-up"], scope: { components: ["x"], target: "systemd" } },
      'actions.0 "scale-up" is possible only on process, not on systemd',
    ],
    [
      "a target that is not supported yet",
      { scope: { components: ["x"], target: "kubernetes" } },
      'scope.target must be process, systemd or pm2: "kubernetes" is not supported',
    ],
    [
      "a target that there is not",
      { scope: { components: ["x"], target: "docker" } },
      'scope.target must be one of "process", "systemd", "pm2", "kubernetes", got "docker"',
    ],
    ["a ladder that runs in a circle", { escalation: { next: "A" } }, "escalation.next leads in a circle: A -> A"],
    [
      "a ladder that leads nowhere",
      { escalation: { next: "B" } },
      'escalation.next must be a policy of this file, got "B"',
    ],
    ["a threshold in words", condition({ threshold: "much" }), 'conditions.0.threshold must be a number, got "much"'],
    ["a threshold in quotes", condition({ threshold: "1" }), 'conditions.0.threshold must be a number, got "1"'],
    ["no threshold", condition({ threshold: null }), "conditions.0.threshold must be a number, got null"],
    [
      "an operator in signs",
      condition({ operator: ">" }),
      'conditions.0.operator must be one of "gt", "gte", "lt", "lte", "eq", "ne", got ">"',
    ],
    [
      "a metric that every object has",
      condition({ metric: "__proto__" }),
      'conditions.0.metric must not be a name that every object has, got "__proto__"',
    ],
    [
      "such a metric for the load",
      forecast({ quiet: { metric: "constructor" } }),
      'predict.quiet.metric must not be a name that every object has, got "constructor"',
    ],
    [
      "a name that is none",
      { name: "__proto__" },
      'name must be a name of at most 80 letters, digits, spaces, dots, dashes and underscores, got "__proto__"',
    ],
    [
      "a forecast of a value that no line leads to",
      { ...forecast({}), ...condition({ operator: "eq" }) },
      'conditions.0.operator must be gt, gte, lt or lte in a policy with predict, got "eq"',
    ],
    [
      "a last moment before the forecast begins",
      forecast({ latest_seconds: 600 }),
      "predict.latest_seconds must be < horizon_minutes (600 s), got 600",
    ],
    [
      "a time-out that nothing would keep",
      { actions: [{ type: "restart-worker", timeout_seconds: 3 }] },
      'actions.0.timeout_seconds must be given only for restart-service, run-command, free-disk: "restart-worker" waits for nothing, got 3',
    ],
    [
      "no scope",
      { scope: { components: [] } },
      'scope.components must name the components that "A" is for, without which it would act on whatever is quiet or busy by nature: got none',
    ],
  ])("%s", async (_, bad, why) => {
    expect(await whyOf("healing-policies", { policies: [policy(bad)] })).toBe(
      `Cannot load policy "healing-policies.json": policies.0.${why}`,
    );
  });

  test("two policies under whose names the same would be kept", async () => {
    const names = (...each: string[]): object => ({ policies: each.map((name) => policy({ name })) });
    expect(await whyOf("healing-policies", names("Slow press", "slow-press"))).toBe(
      'Cannot load policy "healing-policies.json": policies.1.name must differ from "Slow press" in a letter from a to z or a digit, got "slow-press"',
    );
    expect(await whyOf("healing-policies", names("A", "A"))).toMatch(/policies\.1\.name "A" is there twice$/);
    expect(await whyOf("healing-policies", names("A", "B"))).toBe("it is accepted");
  });

  test("a ladder that runs in a circle over others: the whole way", async () => {
    const policies = [
      policy({ escalation: { next: "B" } }),
      policy({ name: "B", escalation: { next: "C" } }),
      policy({ name: "C", escalation: { next: "A" } }),
    ];
    expect(await whyOf("healing-policies", { policies })).toContain(
      "escalation.next leads in a circle: A -> B -> C -> A",
    );
  });

  test("settings for single worker types, which nothing reads", async () => {
    for (const name of ["healing-policies", "auto-fix-registry", "allowed-commands"])
      expect(await whyOf(name, { overrides: { "scan-worker": {} } })).toBe(
        `Cannot load policy "${name}.json": overrides is not a known key`,
      );
  });
});

describe("auto-fix-registry.json is refused with", () => {
  test.each<[string, object, string]>([
    [
      "an unknown action",
      { actions: [{ type: "restart-wroker" }] },
      'actions.0.type must be a known action, which "restart-wroker" is not (did you mean restart-worker?), got "restart-wroker"',
    ],
    [
      "an action that no target can do",
      { actions: [{ type: "rollback-deployment" }] },
      'actions.0 "rollback-deployment" is possible on no supported target, not on process',
    ],
    ["a score in quotes", { safety: { safety_score: "0.9" } }, 'safety.safety_score must be a number, got "0.9"'],
    [
      "a confidence in per cent",
      { prerequisites: { min_pattern_confidence: 80 } },
      "prerequisites.min_pattern_confidence must be <= 1, got 80",
    ],
    [
      "a factor in quotes",
      change({ field: "resources.memory_limit_mb", operation: "multiply", value: "1.5" }),
      'actions.0.changes.0.value must be a number to multiply, got "1.5"',
    ],
    [
      "a field by which objects are poisoned",
      change({ field: "retry.__proto__", operation: "set", value: 1 }),
      'actions.0.changes.0.field must be a field that a fix may change, such as resources.memory_limit_mb, got "retry.__proto__"',
    ],
    [
      "a category that is no word",
      { category: "My Own" },
      'category must be a word of small letters such as resource, got "My Own"',
    ],
  ])("%s", async (_, bad, why) => {
    expect(await whyOf("auto-fix-registry", { fixes: [fix(bad)] })).toBe(
      `Cannot load policy "auto-fix-registry.json": fixes.0.${why}`,
    );
  });
});

describe("auto-fix-policy.json", () => {
  test.each<[object, string]>([
    [{ min_confidence_threshold: "0.7" }, 'min_confidence_threshold must be a number, got "0.7"'],
    [{ max_fixes_per_hour: -1 }, "max_fixes_per_hour must be >= 0, got -1"],
    [
      { categories: { resource: { default_safety_score: 0.4 } } },
      "categories.resource.default_safety_score is not a known key",
    ],
  ])("is refused with %j", async (bad, why) => {
    expect(await whyOf("auto-fix-policy", bad)).toBe(`Cannot load policy "auto-fix-policy.json": ${why}`);
  });

  test("is read in the dialect of the field, in which a category may have a score that counts for nothing", async () => {
    const dialect = { fix_categories: { resource: { default_safety_score: 0.4, require_approval: true } } };
    expect(await whyOf("auto-fix-policy", dialect)).toBe("it is accepted");
  });
});

describe("a metric named __proto__", () => {
  test("poisons no object and makes no series", () => {
    const series = new Series();
    const wanted = new Map([["api", new Set(["__proto__", "constructor", "error_rate"])]]);
    series.take('{"at_ms":1000,"component":"api","metrics":{"__proto__":9,"constructor":9,"error_rate":0.5}}', wanted);
    series.take('{"at_ms":2000,"component":"__proto__","metrics":{"error_rate":0.5}}', wanted);
    expect(Object.hasOwn(Object.prototype, "error_rate")).toBe(false);
    expect(({} as Record<string, unknown>).error_rate).toBeUndefined();
    expect(series.of("api", "error_rate")).toEqual([{ at_ms: 1000, value: 0.5 }]);
    expect(series.of("__proto__", "error_rate")).toEqual([]);
  });
});

describe("an answer to a proposal", () => {
  let layout: Layout;
  const written = (text: string | Uint8Array, mode = 0o640, folder = "approved"): string => {
    const path = join(layout.autoFixDir, folder, "run-1.json");
    writeFileSync(path, text, { mode });
    chmodSync(path, mode);
    return path;
  };
  const answer = (nowMs = Date.now() + 5000) => readAnswer(layout, "approved", "run-1", nowMs);

  beforeEach(() => {
    const home = resolveHome({}, root, root);
    if (home === null) throw new Error("no home");
    openHome(home, { create: true, claimOwnership: false });
    layout = new Layout(home);
    mkdirSync(join(layout.autoFixDir, "approved"), { recursive: true });
  });

  test("is taken from who may write it alone", () => {
    written('{"by":"ann"}');
    expect(answer()).toMatchObject({ kind: "given", by: "ann" });
  });

  test("that others can write is refused", () => {
    written("{}", 0o666);
    expect(answer()).toEqual({ kind: "refused", why: "it is writable by others (mode 0666)" });
  });

  test.runIf(process.getuid?.() === 0)("that somebody else has written is refused, and named", () => {
    chownSync(written("{}"), 12_345, 12_345);
    expect(answer()).toMatchObject({ kind: "refused", why: expect.stringMatching(/belongs to .*12345/) });
  });

  test("that is a link to somewhere else is refused", () => {
    writeFileSync(join(root, "elsewhere.json"), "{}");
    symlinkSync(join(root, "elsewhere.json"), join(layout.autoFixDir, "approved", "run-1.json"));
    expect(answer().kind).toBe("refused");
  });

  test.each([
    ["not JSON", "yes", "line 1, column 1: not valid JSON"],
    ["empty", "", "it is empty"],
    ["no object", "[]", "must be an object, got []"],
    ["larger than any answer", `"${"a".repeat(65_535)}"`, "65537 bytes, at most 65536"],
    ["not text", Buffer.from([0x7b, 0xff, 0x7d]), "not UTF-8 text"],
  ])("that is %s is refused", (_, text, why) => {
    written(text);
    expect(answer()).toEqual({ kind: "refused", why });
  });

  test.each([
    ["is not JSON", "yes"],
    ["is empty", ""],
    ["is larger than any answer", `"${"a".repeat(65_535)}"`],
  ])("that %s declines in rejected/ all the same, by whose file it is", (_, text) => {
    const path = written(text, 0o640, "rejected");
    const by = `uid-${statSync(path).uid}`;
    expect(readAnswer(layout, "rejected", "run-1", Date.now() + 5000)).toEqual({ kind: "given", by, record: {} });
  });

  test("that others can write declines nothing", () => {
    written("yes", 0o666, "rejected");
    expect(readAnswer(layout, "rejected", "run-1", Date.now() + 5000).kind).toBe("refused");
  });

  test.each(["approved", "rejected"] as const)("that is a folder in %s/ is refused", (folder) => {
    mkdirSync(join(layout.autoFixDir, folder, "run-1.json"), { mode: 0o750 });
    const read = readAnswer(layout, folder, "run-1", Date.now() + 5000);
    expect(read).toEqual({ kind: "refused", why: "not a regular file" });
  });

  test("that is still being written is waited for", () => {
    written('{"by":');
    expect(answer(Date.now())).toEqual({ kind: "unfinished" });
  });

  test.runIf(process.getuid?.() !== 0)("that cannot be read is refused, so that it keeps back no other", () => {
    written("{}", 0o200);
    expect(answer()).toEqual({ kind: "refused", why: "it cannot be read by the user of this process" });
  });
});
