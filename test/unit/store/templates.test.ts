import { chmodSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ConfigurationError } from "../../../lib/errors.js";
import type { Layout } from "../../../lib/store/layout.js";
import { hashOf, resolveAttempt, shippedTemplatesDir, TemplateStore } from "../../../lib/store/templates.js";
import { age, temporaryFolder, temporaryLayout } from "./temporary-home.js";

const SHIPPED = {
  worker_type: "scan-worker",
  launch: { command: "scan", args: ["-a"], stop: { signal: "SIGTERM", grace_seconds: 30 } },
  resources: { memory_limit_mb: 256 },
  timeouts: { task_timeout_seconds: 60, idle: 5 },
};

function open(): { readonly layout: Layout; readonly store: TemplateStore; readonly shippedDir: string } {
  const layout = temporaryLayout();
  const shippedDir = temporaryFolder();
  writeFileSync(join(shippedDir, "scan-worker.json"), JSON.stringify(SHIPPED));
  return { layout, store: new TemplateStore(layout, shippedDir), shippedDir };
}

function put(layout: Layout, text: string): string {
  const path = layout.template("scan-worker");
  writeFileSync(path, text, { mode: 0o640 });
  return path;
}

describe("TemplateStore", () => {
  test("says none for a type that nobody describes", () => {
    expect(open().store.resolve("unknown-worker")).toEqual({ kind: "none" });
  });

  test("lays the operator's file over the shipped one, block by block, unknown blocks too", () => {
    const { layout, store, shippedDir } = open();
    const path = put(layout, '{"resources":{"cpu":2},"launch":{"command":"/opt/scan"},"timeouts":{"idle":9}}');
    expect(store.resolve("scan-worker")).toMatchObject({
      kind: "ok",
      template: {
        worker_type: "scan-worker",
        launch: { command: "/opt/scan", args: ["-a"], stop: { grace_seconds: 30 } },
        resources: { memory_limit_mb: 256, cpu: 2 },
        timeouts: { task_timeout_seconds: 60, idle: 9 },
      },
      sources: [join(shippedDir, "scan-worker.json"), path],
    });
    expect(store.list()).toEqual(["scan-worker"]);
  });

  test("gives the same hash for the same content, however it is written", () => {
    expect(hashOf({ a: 1, b: { c: [2], d: 3 } })).toBe(hashOf({ b: { d: 3, c: [2] }, a: 1 }));
    expect(hashOf({ a: 1 })).not.toBe(hashOf({ a: 2 }));
  });

  test("refuses a file that others can write, by name", () => {
    const { layout, store } = open();
    chmodSync(put(layout, "{}"), 0o666);
    expect(store.resolve("scan-worker")).toMatchObject({
      kind: "bad",
      sentence: expect.stringMatching(/^Refused template .*writable by others/),
    });
  });

  test("refuses one of another type's, and names the fault; what was in force before is still known", () => {
    const { layout, store } = open();
    const good = store.resolve("scan-worker");
    put(layout, '{"worker_type":"other-worker"}');
    const bad = store.resolve("scan-worker");
    expect(bad).toMatchObject({
      kind: "bad",
      sentence: expect.stringContaining('worker_type must be the file\'s name "scan-worker"'),
    });
    expect(bad.kind === "bad" && bad.lastGood?.hash).toBe(good.kind === "ok" && good.hash);
    age(put(layout, '{"launch":{"command":7}}'), 10);
    expect(store.resolve("scan-worker")).toMatchObject({
      sentence:
        'Cannot read template "worker-specs/templates/scan-worker.json": launch.command must be a string, got 7',
    });
    put(layout, '{"launch":');
    expect(store.resolve("scan-worker")).toMatchObject({ sentence: expect.stringContaining("not complete yet") });
  });

  test("reads every template that the package ships", () => {
    const folder = shippedTemplatesDir();
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
    const store = new TemplateStore(temporaryLayout());
    for (const name of names) expect(store.resolve(name.slice(0, -5))).toMatchObject({ kind: "ok" });
    expect(folder).toMatch(/config\/templates$/);
  });
});

describe("resolveAttempt()", () => {
  test("lays what was given explicitly over the template, and leaves out what an earlier resolution wrote", () => {
    const spec = {
      worker_id: "w",
      template_hash: "of-an-earlier-template",
      launch: { command: "old" },
      overrides: { launch: { args: ["-b"] }, max_runtime_seconds: 9 },
    };
    expect(resolveAttempt(SHIPPED, spec)).toEqual({
      launch: { ...SHIPPED.launch, args: ["-b"] },
      resources: { memory_limit_mb: 256 },
      // What heald does not interpret is the worker's own, and reaches it all the same.
      timeouts: SHIPPED.timeouts,
      max_runtime_seconds: 9,
      template_hash: hashOf(SHIPPED),
    });
  });

  test("gives each spec that says nothing explicitly what the template says now", () => {
    const layout = temporaryLayout();
    const store = new TemplateStore(layout);
    const resolved = (args: string[]) => {
      writeFileSync(layout.template("plain"), JSON.stringify({ launch: { command: "run", args } }));
      const reading = store.resolve("plain");
      if (reading.kind !== "ok") throw new Error(reading.kind);
      return ["one", "two"].map((id) => resolveAttempt(reading.template, { worker_id: id, template_hash: "old" }));
    };
    for (const args of [["-1"], ["-2"]]) {
      const attempts = resolved(args);
      for (const each of attempts) expect(each).toMatchObject({ launch: { command: "run", args } });
      expect(attempts[0]?.template_hash).toBe(attempts[1]?.template_hash);
    }
    expect(resolved(["-1"])[0]?.template_hash).not.toBe(resolved(["-2"])[0]?.template_hash);
  });

  test("takes what a hand-written spec says for explicit, but not the state of its last attempt", () => {
    const spec = {
      worker_id: "w",
      launch: { command: "mine" },
      heartbeat: { interval_seconds: 5, last_seen: "2026-11-21T21:08:04Z", status: "zombie" },
      restart: { when: "always", attempts: 3, state: "exhausted" },
    } as const;
    expect(resolveAttempt(SHIPPED, spec)).toMatchObject({
      launch: { command: "mine", args: ["-a"] },
      heartbeat: { interval_seconds: 5 },
      restart: { when: "always" },
    });
    expect(resolveAttempt(SHIPPED, spec).heartbeat).not.toHaveProperty("last_seen");
    expect(resolveAttempt(SHIPPED, { worker_id: "w", heartbeat: { status: "late" } })).not.toHaveProperty("heartbeat");
  });

  test("starts a worker without a template from its own spec", () => {
    const spec = {
      worker_id: "w",
      template_hash: "gone",
      launch: { command: "mine" },
      overrides: { launch: { cwd: "/x" } },
    };
    expect(resolveAttempt(null, spec).launch).toEqual({ command: "mine", cwd: "/x" });
    expect(resolveAttempt(null, { worker_id: "w" })).toMatchObject({ launch: {}, resources: {} });
  });

  test("refuses overrides that no template may say, by field", () => {
    const spec = { worker_id: "w", overrides: { launch: { command: ["rm"] } } };
    expect(() => resolveAttempt(SHIPPED, spec)).toThrow(ConfigurationError);
    expect(() => resolveAttempt(SHIPPED, spec)).toThrow(
      'Cannot start worker "w": in its overrides, launch.command must be a string, got ["rm"]',
    );
  });
});
