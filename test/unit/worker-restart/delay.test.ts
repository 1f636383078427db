/** Guarantee: what a template asks for makes no retry come sooner than the policy has it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { delayMs, type Question } from "../../../daemons/worker-restart/gates.js";
import { readRestartPolicy } from "../../../daemons/worker-restart/policy.js";
import { workerNew } from "../../../daemons/worker-restart/state.js";

interface Asked {
  readonly initial: number;
  readonly max: number;
}

/** The delay of the next retry after so many, in ms. */
function delayOf(policy: Readonly<Record<string, unknown>>, attempts: number, retry?: Asked): number {
  const read = readRestartPolicy({ max_retries: 1000, ...policy });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const worker = { ...workerNew("scan", null, 0), attempts };
  return delayMs({
    slice: { worker },
    event: { worker_id: "scan-1" },
    request: { attempt: attempts + 1, incident_id: "i-1", ended: null },
    facts: retry === undefined ? {} : { retry },
    settings: read.value.policy.settings,
  } as unknown as Question);
}

const seconds = fc.integer({ min: 0, max: 3600 });
const asked = fc
  .tuple(seconds, seconds)
  .map(([one, other]) => ({ initial: Math.min(one, other), max: Math.max(one, other) }));
const policies = fc.record(
  {
    first_retry_delay_seconds: seconds,
    retry_interval_seconds: fc.integer({ min: 0, max: 600 }),
    max_retry_interval_seconds: fc.integer({ min: 900, max: 7200 }),
    backoff_multiplier: fc.integer({ min: 1, max: 4 }),
    delays: fc.array(seconds, { minLength: 1, maxLength: 5 }),
    jitter: fc.constantFrom("none", "equal", "full"),
  },
  { requiredKeys: [] },
);

test("a template's back-off can only make a retry later", () => {
  fc.assert(
    fc.property(policies, asked, fc.integer({ min: 0, max: 20 }), (policy, retry, attempts) => {
      expect(delayOf(policy, attempts, retry)).toBeGreaterThanOrEqual(delayOf(policy, attempts));
    }),
  );
});

test("a template whose longest wait is shorter than the policy's leaves the policy's long waits alone", () => {
  const delays = [1, 2, 5, 6, 7].map((nth) => delayOf({ jitter: "none" }, nth - 1, { initial: 30, max: 120 }));
  expect(delays).toEqual([30_000, 60_000, 480_000, 900_000, 900_000]);
});

test("a template's back-off and an operator's list both count, whichever is later", () => {
  const listed = { jitter: "none", delays: [10, 40, 1800] };
  expect([0, 1, 2, 3].map((attempts) => delayOf(listed, attempts, { initial: 60, max: 300 }))).toEqual([
    60_000, 60_000, 1_800_000, 1_800_000,
  ]);
});
