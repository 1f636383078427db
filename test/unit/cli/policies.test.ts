import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { POLICY_NAMES, policyNamed, readPolicyFile, readRulesFile } from "../../../cli/policies.js";
import { readAutoFixPolicy } from "../../../daemons/auto-fix/policy.js";
import { readFailurePatternPolicy } from "../../../daemons/failure-pattern/policy.js";
import { sentenceOf } from "../../../lib/schema/problems.js";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heald-policies-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function autoFix(raw: unknown) {
  const read = readAutoFixPolicy(raw);
  if (!read.ok) throw new Error(sentenceOf(read.problems));
  return { ...read.value.policy, notes: read.value.notes };
}

describe("policyNamed()", () => {
  test.each([
    ["heartbeat-policy", "heartbeat-policy"],
    ["/tmp/auto-fix-policy.json", "auto-fix-policy"],
    ["worker-restart", "worker-restart-policy"],
    ["zombie-cleanup-policy.json", "heartbeat-policy"],
    ["failure-pattern-detection-policy.json", "failure-pattern-policy"],
    ["notes.json", null],
  ])("takes %s for %s", (text, name) => {
    expect(policyNamed(text)).toBe(name);
  });
});

describe("readRulesFile()", () => {
  const rule = (more: object): object => ({
    rule_id: "vendor-maintenance",
    classify: "transient:external_service_unavailable",
    stage: "code",
    root_cause: "The vendor is under maintenance",
    when: { text: ["VND-9##"] },
    examples: [{ exit_code: 1, log_tail: "vendor answered VND-917" }],
    ...more,
  });
  const outcome = (...rules: readonly object[]) => {
    const path = join(root, "failure-rules.json");
    writeFileSync(path, JSON.stringify({ rules }), { mode: 0o640 });
    return readRulesFile(path);
  };

  test("finds the shipped rules where there is no file, and counts the examples that went to their own rule", async () => {
    expect(await readRulesFile(join(root, "none.json"))).toMatchObject({ kind: "good", isThere: false });
    expect(await outcome(rule({}))).toMatchObject({
      kind: "good",
      notes: ["rules: 1, examples that each went to their own rule: 1"],
    });
  });

  test("names the example that goes to another rule, or to none", async () => {
    const examples = [{ log_tail: "VND-917" }, { log_tail: "VND-91" }];
    expect(await outcome(rule({ examples }))).toMatchObject({
      sentence: expect.stringMatching(
        /failure-rules\.json": rules\[0\]\.examples\[1\] must be classified by its own rule "vendor-maintenance", got no rule$/,
      ),
    });
    const shadowed = rule({ rule_id: "late", when: { text: ["answered VND-9##"] } });
    expect(await outcome(rule({}), shadowed)).toMatchObject({ kind: "bad" });
  });
});

describe("readPolicyFile()", () => {
  test.each(POLICY_NAMES)("finds the defaults of %s where there is no file", async (name) => {
    expect(await readPolicyFile(name, join(root, `${name}.json`))).toMatchObject({
      kind: "good",
      isThere: false,
      notes: [],
    });
  });

  test("names file, field, wanted and got", async () => {
    const path = join(root, "heartbeat-policy.json");
    writeFileSync(path, '{"heartbeat_timeout_seconds":"soon"}');
    const outcome = await readPolicyFile("heartbeat-policy", path);
    expect(outcome).toMatchObject({ kind: "bad" });
    expect(outcome.kind === "bad" && outcome.sentence).toMatch(
      new RegExp(`^Cannot load policy "${path}": heartbeat_timeout_seconds .*"soon"`),
    );
  });

  test("says at which place a file is not JSON", async () => {
    const path = join(root, "auto-fix-policy.json");
    writeFileSync(path, '{\n  "enabled": tru\n}');
    expect(await readPolicyFile("auto-fix-policy", path)).toMatchObject({
      sentence: expect.stringContaining("line 2, column "),
    });
  });

  test.each([
    ["is no UTF-8", (path: string) => writeFileSync(path, Buffer.from([0x7b, 0xe9, 0x7d])), "not UTF-8 text"],
    ["is a pipe", (path: string) => spawnSync("mkfifo", ["-m", "600", path]), "not a regular file"],
    ["is a link that leads nowhere", (path: string) => symlinkSync("nowhere", path), "it is a symbolic link"],
  ])("says that a file %s, for a policy and for the rules", async (_, make, why) => {
    const path = join(root, "notification-policy.json");
    make(path);
    const sentences = [await readPolicyFile("notification-policy", path), await readRulesFile(path)];
    expect(sentences).toEqual([
      { kind: "bad", sentence: `Cannot load policy ${JSON.stringify(path)}: ${why}` },
      { kind: "bad", sentence: `Cannot load rules ${JSON.stringify(path)}: ${why}` },
    ]);
  });

  test("refuses a file that others can write, as the daemon does", async () => {
    const path = join(root, "auto-fix-policy.json");
    writeFileSync(path, "{}");
    chmodSync(path, 0o666);
    expect(await readPolicyFile("auto-fix-policy", path)).toMatchObject({
      sentence: expect.stringContaining("writable by others"),
    });
  });
});

describe("the auto-fix policy", () => {
  test("is a dry run without a file and without a setting, and live as soon as a person writes one", () => {
    expect(autoFix(undefined).settings.dry_run).toBe(true);
    expect(autoFix({}).settings.dry_run).toBe(true);
    expect(autoFix({ enabled: true }).settings.dry_run).toBe(false);
    expect(autoFix({ enabled: true, dry_run: true }).settings.dry_run).toBe(true);
  });

  test.each([
    ["sets something for one type alone", { "scan-worker": { max_fixes_per_hour: 5 } }, false, false],
    ["sets nothing for a type", { "scan-worker": { safety: {} } }, true, true],
    ["tries one type live", { "scan-worker": { dry_run: false, max_fixes_per_hour: 1 } }, true, false],
    ["spares one type", { "scan-worker": { dry_run: true }, other: { max_fixes_per_hour: 5 } }, false, true],
  ])("holds for every type that does not name dry_run what the top shows, where it %s", (_, overrides, top, own) => {
    const policy = autoFix({ $schema: "./schemas/auto-fix-policy.schema.json", overrides });
    expect(policy.settings.dry_run).toBe(top);
    expect(policy.overrides["scan-worker"]?.dry_run).toBe(own);
  });

  test("is live for a type that has settings of its own where only the top sets anything", () => {
    const policy = autoFix({ enabled: true, overrides: { "scan-worker": {} } });
    expect(policy.settings.dry_run).toBe(false);
    expect(policy.overrides["scan-worker"]?.dry_run).toBe(false);
  });

  test("reads the nested dialect, converts its units, and says so", () => {
    const { settings, notes } = autoFix({
      version: "1.0.0",
      global_settings: { max_concurrent_fixes: 2, min_time_between_fixes_minutes: 30 },
      safety_thresholds: { min_safety_score_for_auto_apply: 0.95 },
      rate_limiting: { global: { max_fixes_per_hour: 4 }, per_category: { code: { max_fixes_per_day: 1 } } },
      approval_workflow: { enabled: true, approval_timeout_hours: 24 },
      fix_categories: { code: { enabled: false, require_approval: true, reason: "by hand" } },
    });
    expect(settings).toMatchObject({
      dry_run: false,
      max_concurrent_fixes: 2,
      min_seconds_between_fixes: 1800,
      safety: { apply_at: 0.95, watch_at: 0.7 },
      max_fixes_per_hour: 4,
      limits: { per_category: { code: { max_fixes_per_day: 1 } } },
      approval: { expires_after_seconds: 86_400 },
      categories: { code: { enabled: false, requires_approval: true } },
    });
    expect(notes).toContain('"rate_limiting.global.max_fixes_per_hour" is read as "max_fixes_per_hour"');
  });

  test("lets the canonical name win where both are given", () => {
    expect(
      autoFix({ max_fixes_per_hour: 7, rate_limiting: { global: { max_fixes_per_hour: 4 } } }).settings
        .max_fixes_per_hour,
    ).toBe(7);
  });

  test("refuses an unknown key by the nearest known name, and a band that is upside down", () => {
    expect(() => autoFix({ max_fixes_per_houre: 3 })).toThrow(/max_fixes_per_hour/);
    expect(() => autoFix({ safety: { apply_at: 0.5, watch_at: 0.6 } })).toThrow(
      "safety.watch_at must be <= apply_at (0.5), got 0.6",
    );
  });

  test("does not let a value of the dialect that is no number through", () => {
    expect(() => autoFix({ approval_workflow: { approval_timeout_hours: "long" } })).toThrow(/expires_after_seconds/);
  });
});

describe("the failure-pattern policy", () => {
  test("merges nested objects and categories with the defaults", () => {
    const read = readFailurePatternPolicy({
      correlation_analysis: { correlation_window_seconds: 60 },
      failure_categories: { transient: { default_severity: "high" }, billing: { types: ["card_declined"] } },
    });
    expect(read.ok && read.value.policy.settings).toMatchObject({
      detection: { frequency_threshold: 3, confidence_threshold: 0.7 },
      correlation_analysis: { window_seconds: 60, minimum_related_events: 2 },
      failure_categories: {
        transient: { default_severity: "high", retry_recommended: true },
        billing: { types: ["card_declined"], default_severity: "medium" },
      },
    });
  });
});
