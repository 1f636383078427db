/** Guarantee: what is generated is current, complete, and agrees with what heald itself accepts. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { generatedFiles } from "../../cli/generate/files.js";
import { readAutoFixPolicy } from "../../daemons/auto-fix/policy.js";
import { readFailurePatternPolicy } from "../../daemons/failure-pattern/policy.js";
import { readHeartbeatPolicy } from "../../daemons/heartbeat-monitor/policy.js";
import { readRestartPolicy } from "../../daemons/worker-restart/policy.js";
import { packageRoot } from "../../lib/platform/package.js";
import { RECORDS } from "../../lib/schema/described.js";
import { ACTION_TYPES } from "../../lib/schema/fix-actions.js";
import { healingDefinition } from "../../lib/schema/healing-policies.js";
import { fieldsOf, type JsonSchema, jsonSchemaOf } from "../../lib/schema/json-schema.js";
import { readNotificationPolicy } from "../../lib/schema/notification-policy.js";
import { readPolicy } from "../../lib/schema/policy.js";
import { Layout } from "../../lib/store/layout.js";

const ROOT = packageRoot();
const FILES = generatedFiles(ROOT);
const READERS: Readonly<Record<string, (raw: unknown) => { readonly ok: boolean }>> = {
  "heartbeat-policy": readHeartbeatPolicy,
  "worker-restart-policy": readRestartPolicy,
  "failure-pattern-policy": readFailurePatternPolicy,
  "auto-fix-policy": readAutoFixPolicy,
  "notification-policy": readNotificationPolicy,
};

const schemaNamed = (name: string): JsonSchema =>
  JSON.parse(FILES.get(`config/schemas/${name}.schema.json`) ?? "null") as JsonSchema;

describe("what is generated", () => {
  test.each([...FILES.keys()])("%s is as npm run generate would write it", (name) => {
    expect(readFileSync(join(ROOT, name), "utf8")).toBe(FILES.get(name));
  });

  test("has no file in config/schemas that nothing generates", () => {
    const left = readdirSync(join(ROOT, "config", "schemas")).filter((name) => !FILES.has(`config/schemas/${name}`));
    expect(left).toEqual([]);
  });

  test("is the same each time", () => {
    expect([...generatedFiles(ROOT)]).toEqual([...FILES]);
  });
});

describe("the records", () => {
  test.each(RECORDS)("of $name have a sentence for every field, and none for a field that is not there", (record) => {
    const schema = jsonSchemaOf(record.schema, { title: "", description: "" });
    const paths = new Set(fieldsOf(schema).map((field) => field.path));
    expect([...paths].filter((path) => record.fields[path] === undefined)).toEqual([]);
    const shared = ["task_id", "attempt", "worker_id", "worker_type"];
    expect(Object.keys(record.fields).filter((path) => !paths.has(path) && !shared.includes(path))).toEqual([]);
  });
});

const LISTS = ["auto-fix-registry", "healing-policies", "allowed-commands"];

describe("a policy's schema", () => {
  test.each([...Object.keys(READERS), ...LISTS])(
    "of %s has a sentence for every key, inside of blocks and overrides too",
    (name) => {
      const remarks = new Set(["version", "description", "last_updated", "observability", "comment"]);
      const bare = fieldsOf(schemaNamed(name)).filter((field) => !remarks.has(field.path) && field.sentence === "");
      expect(bare.map((field) => field.path)).toEqual([]);
    },
  );

  test.each(Object.keys(READERS))("of %s names as defaults what the daemon would take", (name) => {
    const written: Record<string, unknown> = {};
    for (const field of fieldsOf(schemaNamed(name))) {
      if (field.default !== undefined && !field.path.includes(".")) written[field.path] = field.default;
    }
    expect(Object.keys(written).length).toBeGreaterThan(0);
    expect(READERS[name]?.(written)).toMatchObject({ ok: true });
  });

  test("refuses an unknown key, as the daemon does", () => {
    for (const name of Object.keys(READERS)) {
      expect(schemaNamed(name).additionalProperties).toBe(false);
      expect(READERS[name]?.({ heartbeat_intervall_seconds: 3 })).toMatchObject({ ok: false });
    }
  });
});

describe("the schema of a list", () => {
  test.each(LISTS)("of %s offers no overrides, which the daemon would refuse", (name) => {
    expect(Object.keys(schemaNamed(name).properties as object)).not.toContain("overrides");
  });

  test("of healing policies takes an action as its name alone exactly where the daemon does", () => {
    const actions = fieldsOf(schemaNamed("healing-policies")).find(({ path }) => path === "policies[].actions");
    const policy = {
      name: "P",
      enabled: false,
      conditions: [{ metric: "m", operator: "gt", threshold: 1 }],
      priority: 1,
    };
    const reads = (action: string): boolean =>
      readPolicy(healingDefinition([]), { policies: [{ ...policy, actions: [action] }] }).ok;
    const asked = ACTION_TYPES.filter((type) => !["rollback-deployment", "quarantine", "clean-state"].includes(type));
    expect(asked.filter(reads)).toEqual(asked.filter((type) => actions?.type.includes(`"${type}"`)));
    expect(reads("restart-service")).toBe(true);
  });
});

describe("the shipped policies", () => {
  const shipped = readdirSync(join(ROOT, "config")).filter((name) => name.endsWith("-policy.json"));

  test.each(shipped)("%s is accepted, and names a schema that is there", (name) => {
    const path = join(ROOT, "config", name);
    const policy = JSON.parse(readFileSync(path, "utf8")) as { $schema: string };
    expect(policy.$schema).toBe(`./schemas/${name.replace(/\.json$/, "")}.schema.json`);
    expect(existsSync(join(dirname(path), policy.$schema))).toBe(true);
    expect(READERS[name.replace(/\.json$/, "")]?.(policy)).toMatchObject({ ok: true });
  });
});

describe("the page of the layout", () => {
  test("names every folder and file that the layout knows", () => {
    const page = readFileSync(join(ROOT, "docs", "formats", "layout.md"), "utf8");
    const home = { home: "/h", coordination: "/h/coordination", logs: "/h/agents/logs", namedBy: "flag" as const };
    const layout = new Layout(home);
    const files = Object.values(layout).filter((value) => typeof value === "string");
    const known = [...layout.folders, ...files].map((path) => path.replace("/h/coordination/", "").replace("/h/", ""));
    const missing = known.filter((path) => !["/h", "coordination"].includes(path) && !page.includes(path));
    expect([...new Set(missing)]).toEqual([]);
  });
});
