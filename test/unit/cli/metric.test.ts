import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { command } from "../../../cli/commands/metric.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { SpecStore } from "../../../lib/store/specs.js";

let folder: string;
let layout: Layout;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-metric-"));
  const home = resolveHome({}, folder, folder);
  if (home === null) throw new Error("No home");
  openHome(home, { create: true, claimOwnership: false });
  layout = new Layout(home);
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

function run(args: readonly string[], options: Readonly<Record<string, string | boolean>> = {}): void {
  void command.run?.({ homeFlag: folder, args, options });
}

function lines(): unknown[] {
  if (!existsSync(layout.samples)) return [];
  return readFileSync(layout.samples, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}

describe("heald metric", () => {
  test("appends what a component measured, at the time that is given", () => {
    run(["checkout-api", "latency_p99=512.5", "error_rate=2e-2"], { at: "2026-11-21T21:08:04Z" });
    run(["checkout-api", "latency_p99=-1"], { at: "1795295300" });
    expect(lines()).toEqual([
      {
        timestamp: "2026-11-21T21:08:04Z",
        at_ms: 1795295284000,
        component: "checkout-api",
        metrics: { latency_p99: 512.5, error_rate: 0.02 },
      },
      {
        timestamp: "2026-11-21T21:08:20Z",
        at_ms: 1795295300000,
        component: "checkout-api",
        metrics: { latency_p99: -1 },
      },
    ]);
  });

  test("makes it the sample of an active worker of that id", () => {
    new SpecStore(layout).createActive({ worker_id: "w", worker_type: "scan-worker", attempt: 3 });
    run(["w", "queue_depth=7"]);
    expect(lines()).toMatchObject([{ worker_id: "w", worker_type: "scan-worker", attempt: 3 }]);
    expect(lines()[0]).not.toHaveProperty("component");
  });

  test.each([
    [["a/b", "x=1"], "A component must match"],
    [["api"], "At least one name=value must be given"],
    [["api", "x"], 'A metric must be name=value, got "x"'],
    [["api", "=1"], 'A metric must be name=value, got "=1"'],
    [["api", "__proto__=1"], "A metric's name must match"],
    [["api", "constructor=1"], "A metric's name must match"],
    [["api", "x=1", "x=2"], 'Metric "x" is given twice'],
    [["api", "x="], 'Metric "x" must be a finite number, got ""'],
    [["api", "x=1e999"], 'Metric "x" must be a finite number'],
    [["api", "x=ten"], 'Metric "x" must be a finite number, got "ten"'],
    [["api", ...Array.from({ length: 65 }, (_, nth) => `m${nth}=1`)], "At most 64 metrics fit a sample, got 65"],
  ])("refuses %j and writes nothing", (args, sentence) => {
    expect(() => run(args)).toThrow(sentence);
    expect(lines()).toEqual([]);
  });

  test("refuses a time to come", () => {
    expect(() => run(["api", "x=1"], { at: "2126-01-01T00:00:00Z" })).toThrow("--at must not be in the future");
  });
});
