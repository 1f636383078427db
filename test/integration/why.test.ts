/** Guarantees that `why` says what a person would ask: the gate, its value, what was wanted, until when, and what would help. */
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CommandLine } from "./support/command-line.js";

let at: CommandLine;

beforeEach(() => {
  at = new CommandLine();
});
afterEach(() => at.close());

const NOW_MS = Date.now();
const idAt = (atMs: number): string => `${atMs.toString(36).padStart(9, "0")}-abcdefgh-00001`;

function append(path: readonly string[], record: object): void {
  mkdirSync(dirname(at.path(...path)), { recursive: true });
  appendFileSync(at.path(...path), `${JSON.stringify(record)}\n`);
}

function decision(daemon: string, atMs: number, more: object): void {
  const common = { decision_id: idAt(atMs), daemon, at_ms: atMs, mode: "live", gates: [], slice: {}, event: {} };
  append(["decisions", `${daemon}.jsonl`], { ...common, ...more });
}

function event(log: string, type: string, atMs: number, more: object): void {
  append(["events", `${log}-events.jsonl`], { event_id: `${idAt(atMs)}-0`, event_type: type, at_ms: atMs, ...more });
}

function spec(id: string, more: object = {}): void {
  const own = { worker_id: id, worker_type: "scan-worker", status: "running", attempt: 1, ...more };
  writeFileSync(at.path("worker-specs", "active", `${id}.json`), JSON.stringify(own), { mode: 0o640 });
}

const failing = (gate: string, value: unknown, threshold: unknown, passes_at?: string) => ({
  gates: [{ gate, value, threshold, passed: false, ...(passes_at === undefined ? {} : { passes_at }) }],
});

const told = async (...args: string[]): Promise<string> => (await at.heald("why", ...args)).out.replace(/\n +/g, " ");

describe("a gate that did not pass", () => {
  test.each([
    [
      "circuit_breaker",
      "open",
      "closed",
      "needs the breaker of scan-worker to be closed: heald breaker reset scan-worker",
    ],
    ["holds", "night", "none", "needs the hold night to be removed: heald hold rm night"],
    ["retries", 3, 3, "needs max_retries above 3 in worker-restart-policy.json"],
    ["no_template", "no template", "known", "needs worker-specs/templates/scan-worker.json"],
    ["budgets", 5, 5, "needs larger restart_budgets in worker-restart-policy.json, or a person: heald retry w-1 --now"],
  ])("of worker-restart: %s", async (gate, value, threshold, remedy) => {
    const more = {
      subject: "w-1",
      verdict: "defer",
      reason: gate,
      message: "It waits",
      ...failing(gate, value, threshold),
    };
    decision("worker-restart", NOW_MS - 60_000, { ...more, event: { worker_type: "scan-worker" } });
    const out = await told("w-1");
    expect(out).toContain(`failed ${gate}, found ${value}, wanted ${threshold}`);
    expect(out).toContain(remedy);
  });

  test("says when it passes by itself, in local time and from now", async () => {
    const passesAt = new Date(Date.now() + 300_000).toISOString().replace(/\.\d+Z/, "Z");
    const more = { subject: "w-1", verdict: "suppressed", reason: "holds", message: "It would be ended" };
    decision("heartbeat-monitor", NOW_MS - 60_000, { ...more, ...failing("holds", "all", null, passesAt) });
    const out = await told("w-1");
    expect(out).toMatch(/passes at \d\d:\d\d:\d\d, in [345]m; or needs the hold all to be removed: heald hold rm all/);
    expect(out).toContain("heartbeat-monitor decided suppressed: It would be ended (holds)");
    expect(out).toMatch(/^\d\d:\d\d:\d\d, \d+[sm] ago {2}/m);
  });

  test("of another version is shown as it is", async () => {
    const more = {
      subject: "w-1",
      verdict: "defer",
      reason: "moon",
      message: "It waits",
      ...failing("moon", "new", "full"),
    };
    decision("worker-restart", NOW_MS, more);
    expect(await told("w-1")).toContain("failed moon, found new, wanted full");
  });
});

describe("a worker for which nothing was done", () => {
  test("that is unknown has exit code 3 and says so", async () => {
    const { code, err } = await at.heald("why", "nobody");
    expect(code).toBe(3);
    expect(err).toContain('Nothing is known of "nobody"');
  });

  test("while the monitor is down: nothing is watched", async () => {
    spec("w-1");
    const out = await told("w-1");
    expect(out).toContain("Nothing that happened to it is written.");
    expect(out).toContain("heartbeat-monitor does not run (heald daemons start heartbeat-monitor): nothing is watched");
  });

  test("that is held says by what, until when, and how to end it", async () => {
    spec("w-1");
    await at.heald("hold", "add", "w-1", "--for", "30m", "--acts", "kill", "--why", "debugging");
    expect(await told("w-1")).toMatch(
      /the hold worker\.w-1 forbids kill \(debugging\) until .*, in (30|29)m: heald hold rm worker\.w-1/,
    );
    const { now } = await at.json<{ now: { holds: { name: string; acts: string[] }[] } }>("why", "w-1");
    expect(now.holds).toMatchObject([{ name: "worker.w-1", acts: ["kill"] }]);
    expect((await at.heald("hold", "rm", "worker.w-1")).code).toBe(0);
    expect(await told("w-1")).not.toContain("forbids");
  });

  test("that a person stopped says who can start it again", async () => {
    spec("w-1");
    writeFileSync(at.path("desired", "w-1.json"), '{"state":"stopped","by":"me","why":"","at":"2026-11-21T21:08:04Z"}');
    expect(await told("w-1")).toContain("a person wants it stopped: it is not kept alive until heald retry w-1");
  });

  test("whose restart waits says at which gate and what it needs", async () => {
    writeFileSync(
      at.path("worker-specs", "zombie", "w-1.attempt-1.json"),
      JSON.stringify({ worker_id: "w-1", worker_type: "t", attempt: 1, status: "zombie" }),
    );
    const deferred = {
      gate: "circuit_breaker",
      reason: "the circuit breaker of its type is open",
      next_at: "2030-01-01T00:00:00Z",
      count: 1,
    };
    writeFileSync(
      at.path("restart", "queue", "w-1-restart.json"),
      JSON.stringify({ worker_id: "w-1", worker_type: "t", attempt: 1, deferred }),
    );
    const out = await told("w-1");
    expect(out).toContain("a restart waits at the gate circuit_breaker: the circuit breaker of its type is open");
    expect(out).toContain("it needs the breaker of t to be closed: heald breaker reset t");
    expect(out).toContain("worker-restart does not run");
  });

  test("that finished, and one that nobody watches any more", async () => {
    const done = { worker_id: "w-1", worker_type: "t", attempt: 1, status: "completed" };
    writeFileSync(at.path("worker-specs", "completed", "w-1.attempt-1.json"), JSON.stringify(done));
    expect(await told("w-1")).toContain("it finished its work: there is nothing to do");
    event("heartbeat", "worker_unwatched", NOW_MS, { worker_id: "w-2", message: "A person removed the spec of w-2" });
    expect(await told("w-2")).toContain("a person removed its spec: it is left as it is and no longer watched");
  });
});

describe("what was only decided", () => {
  beforeEach(() => {
    const more = { subject: "w-1", reason: "hung", message: "w-1 is ended" };
    decision("heartbeat-monitor", NOW_MS - 3000, { ...more, verdict: "zombie", mode: "shadow" });
    decision("heartbeat-monitor", NOW_MS - 2000, { ...more, verdict: "zombie", mode: "dry_run" });
    decision("heartbeat-monitor", NOW_MS - 1000, { ...more, verdict: "suppressed" });
  });

  test("is marked", async () => {
    const out = await told("w-1");
    expect(out).toContain("decided zombie [shadow: decided, not done]");
    expect(out).toContain("decided zombie [dry_run: decided, not done]");
    expect(out).toContain("decided suppressed: w-1 is ended");
  });

  test("is left out with --live", async () => {
    const { steps } = await at.json<{ steps: { mode: string; only_thought: boolean }[] }>("why", "w-1", "--live");
    expect(steps.map(({ mode, only_thought }) => [mode, only_thought])).toEqual([["live", false]]);
  });
});

describe("--json", () => {
  test("is whole, in UTC, and of one shape for every topic", async () => {
    event("heartbeat", "worker_registered", NOW_MS - 9000, { worker_id: "w-1", attempt: 1, message: "w-1 runs" });
    const more = { subject: "w-1", verdict: "defer", reason: "retries", message: "It waits", incident_id: "inc-1" };
    decision("worker-restart", NOW_MS - 5000, { ...more, ...failing("retries", 3, 3) });
    spec("w-1");
    for (const id of ["w-1", idAt(NOW_MS - 5000), "inc-1"]) {
      const story = await at.json<Record<string, unknown> & { steps: Record<string, unknown>[] }>("why", id);
      expect(Object.keys(story)).toEqual(["topic", "id", "worker_id", "complete", "steps", "now"]);
      const made = story.steps.find((step) => step.kind === "decision") ?? {};
      expect(made.at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(made.gates).toEqual([
        {
          ...{ gate: "retries", value: 3, threshold: 3, passed: false, passes_at: null },
          ...{ sentence: "retries are left", remedy: expect.stringContaining("max_retries above 3") },
        },
      ]);
    }
  });

  test("says whether there is more before the first step", async () => {
    for (let nth = 0; nth < 5; nth++) event("heartbeat", "heartbeat_missed", NOW_MS - nth * 1000, { worker_id: "w-1" });
    const { complete, steps } = await at.json<{ complete: boolean; steps: unknown[] }>("why", "w-1", "-n", "3");
    expect([complete, steps.length]).toEqual([false, 3]);
    expect((await at.json<{ complete: boolean }>("why", "w-1")).complete).toBe(true);
  });
});

describe("a fix", () => {
  beforeEach(() => {
    const data = { run_id: "run-7", fix_id: "increase-memory-limit", pattern_id: "pattern-a" };
    event("failure-pattern", "pattern_detected", NOW_MS - 9000, {
      worker_type: "t",
      message: "t runs out of memory",
      data,
    });
    const more = { subject: "pattern-a", verdict: "ask", reason: "approval", message: "A person is asked" };
    decision("auto-fix", NOW_MS - 5000, {
      ...more,
      ...failing("approval", "not given", "its risk is medium"),
      event: data,
    });
    event("auto-fix", "fix_pending", NOW_MS - 5000, { worker_type: "t", message: "A fix waits for a person", data });
  });

  test.each([
    ["run-7", "run"],
    ["pattern-a", "pattern"],
    ["increase-memory-limit", "fix"],
  ])("is found by %s", async (id, topic) => {
    const story = await at.json<{ topic: string; steps: { kind: string }[] }>("why", id);
    expect(story.topic).toBe(topic);
    expect(story.steps.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["event", "decision"]));
    expect(await told(id)).toContain("needs a person who approves: heald fix ls, heald fix approve");
  });
});

test("every line of a story fits into 80 columns", async () => {
  const long = "word ".repeat(60).trim();
  const gates = ["holds", "desired", "retries", "budgets"].map((gate) => ({
    gate,
    value: 1,
    threshold: 2,
    passed: true,
  }));
  const more = { subject: "w-1", verdict: "defer", reason: "backoff", message: long };
  decision("worker-restart", NOW_MS, { ...more, gates: [...gates, ...failing("backoff", 1, 2).gates] });
  event("heartbeat", "worker_exited", NOW_MS, { worker_id: "w-1", message: long });
  const { out } = await at.heald("why", "w-1", "--gates");
  expect(Math.max(...out.split("\n").map((each) => each.length))).toBeLessThanOrEqual(80);
});

test("a decision in the middle of a long incident is told with what stands around it", async () => {
  const incident = { worker_id: "w-1", incident_id: `inc-${idAt(NOW_MS - 100_000)}` };
  for (let nth = 0; nth < 60; nth++)
    event("worker-restart", "worker_restart_failed", NOW_MS - 100_000 + nth * 1000, incident);
  const atMs = NOW_MS - 90_000;
  const { incident_id } = incident;
  decision("worker-restart", atMs, {
    subject: "w-1",
    verdict: "defer",
    reason: "backoff",
    message: "It waits",
    incident_id,
  });
  const { steps, complete } = await at.json<{ steps: { decision_id?: string }[]; complete: boolean }>(
    "why",
    idAt(atMs),
    "-n",
    "5",
  );
  expect(steps).toHaveLength(5);
  expect(steps.findIndex((step) => step.decision_id === idAt(atMs))).toBe(2);
  expect(complete).toBe(false);
});
