import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { readAs } from "../../lib/schema/problems.js";
import { quickCheckOf } from "../../lib/schema/quick.js";
import {
  beatSchema,
  breakerRecordSchema,
  desiredSchema,
  exitRecordSchema,
  holdSchema,
  identitySchema,
  launchRecordSchema,
  restartHistorySchema,
  restartRequestSchema,
  tokenBudgetSchema,
} from "../../lib/schema/records.js";
import { templateSchema, workerSpecSchema } from "../../lib/schema/worker-spec.js";

const AT = "2026-11-21T21:08:04Z";

/** For each record one that has every field. */
const FULL: Readonly<Record<string, readonly [z.ZodType, object]>> = {
  beat: [
    beatSchema,
    {
      worker_id: "w-1",
      attempt: 2,
      pid: 77,
      sequence: 9,
      timestamp: AT,
      health_score: 93.5,
      progress: 40,
      activity: "reading",
      metrics: { latency_p99: 12 },
      tokens: { used: 5 },
    },
  ],
  launch: [
    launchRecordSchema,
    {
      pid: 77,
      start_time: 1234,
      started_at: AT,
      started_at_ms: 1795958462865,
      boot_id: "b",
      pid_ns: "pid:[1]",
      host: "h",
      worker_id: "w-1",
      attempt: 2,
      launcher_pid: 76,
      launcher_start_time: 1233,
      memory_limit_enforced_by: null,
      memory_folder: null,
    },
  ],
  exit: [
    exitRecordSchema,
    {
      worker_id: "w-1",
      attempt: 2,
      pid: 77,
      start_time: 1234,
      boot_id: "b",
      wait_status: 137,
      exit_code: 137,
      signal: "SIGKILL",
      signal_inferred: true,
      ended_at: AT,
      memory: { oom_kill: 0 },
    },
  ],
  request: [
    restartRequestSchema,
    {
      worker_id: "w-1",
      worker_type: "scan",
      task_id: "t-1",
      reason: "killed",
      created_at: AT,
      attempt: 2,
      incident_id: "incident-1",
      not_before: 1795958462,
      requested_by: "heartbeat-monitor",
      expires_at: AT,
      force: false,
      override: ["holds"],
      ended: { class: "killed", exit_code: 137, signal: "SIGKILL", ran_ms: 20, by_itself: false, spends_retry: true },
      deferred: { gate: "backoff", reason: "waits", next_at: AT, count: 1 },
    },
  ],
  history: [
    restartHistorySchema,
    {
      worker_type: "scan",
      result: "success",
      timestamp: AT,
      at_ms: 1795958462865,
      worker_id: "w-1",
      attempt: 2,
      task_id: null,
      reason: "restarted",
      duration_ms: 8,
    },
  ],
  breaker: [
    breakerRecordSchema,
    {
      worker_type: "scan",
      state: "half-open",
      failure_count: 5,
      last_failure: AT,
      opened_at: AT,
      next_probe_at: AT,
      last_reset: null,
      manual_reset: false,
      test_requests: 1,
      reason: "five in a row",
    },
  ],
  hold: [
    holdSchema,
    { scope: "worker", name: "w-1", acts: ["kill", "fix"], by: "ann", why: "upgrade", created_at: AT, expires_at: AT },
  ],
  desired: [desiredSchema, { state: "draining", by: "ann", why: "upgrade", at: AT }],
  budget: [
    tokenBudgetSchema,
    { total_budget: 100, total_used: 5, leases: { "w-1.attempt-1": { allocated: 5, used: 1 } } },
  ],
  identity: [identitySchema, { pid: 77, start_time: 1234, boot_id: "b", pid_ns: "pid:[1]", host: "h" }],
  template: [
    templateSchema,
    {
      worker_type: "scan",
      launch: {
        target: "process",
        command: "/bin/sh",
        args: ["-c", "exec sleep 5"],
        cwd: "/srv",
        env: { LANG: "C" },
        stop: { signal: "SIGTERM", scope: "main", grace_seconds: 30 },
      },
      resources: { memory_limit_mb: 512, token_allocation: 100 },
      probe: { kind: "tcp", address: "localhost:80", interval_seconds: 5 },
      requires: [{ tcp: "localhost:5432" }],
      max_runtime_seconds: 600,
      priority: "high",
      timeouts: { task_timeout_seconds: 60 },
      retry: { strategy: "exponential" },
      processing: { batch_size: 10 },
      rate_limits: { requests_per_minute: 60 },
    },
  ],
  spec: [
    workerSpecSchema,
    {
      worker_id: "w-1",
      worker_type: "scan",
      task_id: "t-1",
      status: "running",
      attempt: 3,
      created_at: AT,
      created_by: "worker-restart",
      deadline: null,
      overrides: { resources: { memory_limit_mb: 64 } },
      template_hash: "0123456789abcdef",
      launch: { command: "/bin/sh", args: ["-c", "exec sleep 5"], env: {} },
      resources: {},
      token_budget: { allocated: 100, used: 3 },
      heartbeat: { mode: "optional", last_seen: AT, sequence: 4, health_score: 90, status: "healthy", missed_count: 0 },
      execution: { pid: 77, start_time: 1234, boot_id: "b", origin: "launched", may_signal: true, started_at: AT },
      restart: { when: "on-failure", state: "idle", attempts: 1, lifetime: 4, next_at: null, start_id: "x" },
      last_words: { reason: "killed" },
    },
  ],
};

const SCRAPS: readonly unknown[] = [
  ...[
    null,
    "",
    "w-1",
    AT,
    "2026-13-77T00:00:00Z",
    "not an instant",
    "a.attempt-1",
    "SIGTERM",
    "running",
    "x".repeat(600),
  ],
  ...[0, 1, -1, 0.5, 1e15, 2 ** 53, -0, true, false, [], ["holds"], [3], {}, { gate: 3 }, { gate: "backoff" }],
  ...[{ path: "/srv" }, { tcp: "nowhere" }, { url: "http://localhost/" }, { kind: "http", url: "http://localhost/" }],
];

/** Any JSON, scraps of records among it. */
const someValue = fc.oneof(fc.constantFrom(...SCRAPS), fc.jsonValue({ maxDepth: 2 }));

/** Everything in a value that can be changed: the object or list, and the key. */
function placesIn(value: unknown): [Record<string, unknown>, string][] {
  if (typeof value !== "object" || value === null) return [];
  const holder = value as Record<string, unknown>;
  return Object.keys(holder).flatMap((key) => [[holder, key] as [typeof holder, string], ...placesIn(holder[key])]);
}

/** A full record in which a few places were changed, removed or added. */
function damaged(full: object, damages: readonly { at: number; value: unknown; how: string }[]): unknown {
  const record: unknown = structuredClone(full);
  for (const { at, value, how } of damages) {
    const places = placesIn(record);
    const place = places[at % Math.max(1, places.length)];
    if (place === undefined) continue;
    const [holder, key] = place;
    const own: unknown = JSON.parse(JSON.stringify(value));
    // JSON has no lists with names in them.
    if (Array.isArray(holder)) holder[Number(key)] = own;
    else if (how === "remove") delete holder[key];
    else if (how === "add") holder.unknown_field = own;
    else if (how === "prototype")
      Object.defineProperty(holder, "__proto__", { value: own, enumerable: true, writable: true, configurable: true });
    else holder[key] = own;
  }
  return record;
}

const damages = fc.array(
  fc.record({
    at: fc.nat(80),
    value: someValue,
    how: fc.constantFrom("replace", "replace", "replace", "remove", "add", "prototype"),
  }),
  { minLength: 1, maxLength: 3 },
);

describe("quickCheckOf()", () => {
  test.each(Object.entries(FULL))("knows a whole %s record without asking zod", (_name, [schema, full]) => {
    expect(quickCheckOf(schema)?.(full)).toBe(true);
    expect(schema.parse(full)).toEqual(full);
  });

  test.each(Object.entries(FULL))(
    "says yes to a %s record only where zod gives back its equal",
    (_name, [schema, full]) => {
      const quick = quickCheckOf(schema);
      fc.assert(
        fc.property(damages, (each) => {
          const record = damaged(full, each);
          if (quick?.(record) !== true) return;
          const read = schema.safeParse(record);
          expect(read.success && isDeepStrictEqual(read.data, record)).toBe(true);
        }),
        { numRuns: 400 },
      );
    },
  );

  test.each(Object.entries(FULL))(
    "says yes to most %s records that zod gives back unchanged",
    (_name, [schema, full]) => {
      const quick = quickCheckOf(schema);
      const asked = fc.sample(damages, { numRuns: 400, seed: 7 }).map((each) => damaged(full, each));
      const unchanged = asked.filter((record) => {
        const read = schema.safeParse(record);
        return read.success && isDeepStrictEqual(read.data, record);
      });
      const known = unchanged.filter((record) => quick?.(record) === true);
      expect(known.length).toBeGreaterThan(0);
      expect(known.length / unchanged.length).toBeGreaterThan(0.9);
    },
  );

  test("gives no check to a schema that changes what it reads", () => {
    expect(quickCheckOf(z.looseObject({ a: z.string().default("x") }))).toBeNull();
    expect(quickCheckOf(z.looseObject({ a: z.string().transform((text) => text.length) }))).toBeNull();
    expect(quickCheckOf(z.looseObject({ a: z.coerce.number() }))).toBeNull();
    expect(quickCheckOf(z.looseObject({ a: z.string() }).catchall(z.number()))?.({ a: "x", b: 1 })).toBe(false);
  });

  test("leaves to zod what it has no test for, and what zod would strip", () => {
    expect(quickCheckOf(z.looseObject({ a: z.string().trim().optional() }))?.({ a: " x " })).toBe(false);
    expect(quickCheckOf(z.looseObject({ a: z.email().optional() }))?.({ a: "x" })).toBe(false);
    expect(quickCheckOf(z.looseObject({ a: z.email().optional() }))?.({})).toBe(true);
    expect(quickCheckOf(z.object({ a: z.string() }))?.({ a: "x", b: 1 })).toBe(false);
  });

  test("lets a later form of a union speak only where the earlier ones have surely refused", () => {
    const stripping = z.union([z.object({ a: z.string() }), z.looseObject({ a: z.string(), b: z.number() })]);
    const both = { a: "x", b: 1 };
    expect(stripping.parse(both)).toEqual({ a: "x" });
    expect(quickCheckOf(stripping)?.(both)).toBe(false);
    expect(quickCheckOf(z.union([z.string(), z.number()]))?.(1)).toBe(true);
  });
});

describe("readAs()", () => {
  test("names the faults of a record that the quick check leaves to zod", () => {
    expect(readAs(launchRecordSchema, { worker_id: "a.attempt-1", attempt: 1 })).toEqual({
      ok: false,
      problems: [
        {
          field: "worker_id",
          message: 'must match ^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$ and not contain .attempt-, got "a.attempt-1"',
        },
      ],
    });
  });
});
