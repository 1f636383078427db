/** What an event teaches, and what a failure is called. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Ledger } from "../../../daemons/failure-pattern/ledger.js";
import type { Failure, Sighting } from "../../../daemons/failure-pattern/messages.js";
import { type LastWords, nameFailure, patternIdOf } from "../../../daemons/failure-pattern/naming.js";
import { failurePatternPolicy, readFailurePatternPolicy } from "../../../daemons/failure-pattern/policy.js";
import { shippedRules } from "../../../daemons/failure-pattern/rules.js";
import { sightingOf, typeOfWorker } from "../../../daemons/failure-pattern/sightings.js";
import { ruleBook } from "../../../lib/domain/classify.js";

const BOOK = ruleBook(shippedRules());
const event = { event_type: "worker_exited", worker_id: "worker-scan-1", at_ms: 1000, severity: "warning" };
const sighting = (more: object = {}): Sighting => sightingOf({ ...event, ...more }, "heartbeat") as Sighting;
const words = (more: Partial<LastWords> = {}): LastWords => ({
  reason: "exited",
  evidence: "exit_record",
  exit_code: 1,
  signal: null,
  signal_inferred: false,
  killed_by: null,
  log_tail: "",
  ...more,
});
const named = (more: Partial<LastWords>): Failure => nameFailure(BOOK, sighting(), words(more));

describe("sightingOf()", () => {
  test("takes what tells of a death, of giving up, and of a return, and nothing else", () => {
    const kinds = ["worker_exited", "zombie_detected", "task_quarantined", "worker_restarted", "heartbeat_missed"].map(
      (event_type) => sightingOf({ ...event, event_type }, "heartbeat")?.kind ?? null,
    );
    expect(kinds).toEqual(["ended", "ended", "given_up", "back", null]);
  });

  test("does not take a worker that finished for one that failed", () => {
    expect(sightingOf({ ...event, severity: "info" }, "heartbeat")).toBeNull();
  });

  test("never throws, and never lets an id through that is none", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue(), (fields, id) => {
        const taken = sightingOf({ at_ms: 1, ...fields, event_type: "worker_exited", worker_id: id }, "heartbeat");
        if (taken !== null) expect(taken.worker_id).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
      }),
    );
  });

  test("cuts long texts and takes escapes out of them", () => {
    const evil = `\u001b[31m${"x".repeat(100_000)}`;
    const { error, reason } = sighting({ reason: evil, data: { error: evil } });
    expect(error?.length).toBeLessThanOrEqual(1000);
    expect(reason?.length).toBeLessThanOrEqual(64);
    expect(`${error}${reason}`).not.toContain("\u001b");
  });
});

describe("typeOfWorker()", () => {
  test.each([
    ["worker-scan-001", "scan-worker"],
    ["worker-implementation-040", "implementation-worker"],
    ["sec-worker-4AB29994", "sec-worker"],
    ["scan-worker-1", "scan-worker"],
    ["billing", "billing"],
  ])("of %s is %s", (id, type) => {
    expect(typeOfWorker(id)).toBe(type);
  });
});

describe("nameFailure()", () => {
  test.each([
    [{ reason: "memory_limit" }, "resource:out_of_memory", "kernel"],
    [{ reason: "hung" }, "resource:unresponsive", "exit"],
    [{ exit_code: 78 }, "systemic:configuration_error", "exit"],
    [{ log_tail: "Error: write ENOSPC" }, "resource:disk_full", "code"],
    [{ log_tail: "too many requests, slow down" }, "transient:rate_limit", "text"],
    [{ log_tail: "goodbye" }, "unknown:unclassified", "text"],
  ])("of %j is %s by %s", (more, wanted, evidence) => {
    const failure = named(more as Partial<LastWords>);
    expect(`${failure.category}:${failure.type}`).toBe(wanted);
    expect(failure.evidence).toBe(evidence);
  });

  test("gives failures that differ in their values only one signature, and others another", () => {
    const one = named({ log_tail: "Error: connect ECONNREFUSED 10.0.0.1:5432" });
    const same = named({ log_tail: "Error: connect ECONNREFUSED 10.0.0.2:5432" });
    const other = named({ log_tail: "cannot reach billing: ECONNREFUSED" });
    expect(one.signature).toBe(same.signature);
    expect(one.signature).not.toBe(other.signature);
    expect(patternIdOf(one, one.signature as string)).toBe(patternIdOf(same, same.signature as string));
  });

  test("goes by the stack where there is one, whatever the message says", () => {
    const stack = (message: string): string =>
      `TypeError: ${message}\n    at handle (/app/dist/worker.js:10:5)\n    at run (/app/dist/main.js:3:1)\n`;
    const [one, same] = [named({ log_tail: stack("a is null") }), named({ log_tail: stack("b of undefined") })];
    expect(one.signature).toBe(same.signature);
    expect(one.template).toContain("TypeError in handle");
  });

  test("keeps to what the worker itself says that it is", () => {
    const failure = nameFailure(BOOK, sighting({ data: { fingerprint: "billing-down" } }), words());
    expect(failure.template).toBe("billing-down");
  });
});

describe("Ledger", () => {
  const failure = (more: Partial<Failure>): Failure => ({ ...named({}), attempt: 1, ...more });

  test("knows an attempt that died, and not the next", () => {
    const ledger = new Ledger(null);
    ledger.count(failure({}), "pattern-1");
    expect(ledger.isKnown(failure({ at_ms: 5000 }))).toBe(true);
    expect(ledger.isKnown(failure({ attempt: 2, at_ms: 5000 }))).toBe(false);
  });

  test("leaves its part as it is while nothing is counted", () => {
    const part = { deaths: [] };
    expect(new Ledger(part).part()).toBe(part);
  });

  test("remembers the last 2,000 deaths and no more", () => {
    const ledger = new Ledger(null);
    for (let nth = 0; nth < 5000; nth++) ledger.count(failure({ worker_id: `worker-scan-${nth}` }), "pattern-1");
    expect(ledger.part()?.deaths).toHaveLength(2000);
    expect(ledger.part()?.deaths.at(-1)?.worker_id).toBe("worker-scan-4999");
  });
});

describe("the policy", () => {
  test("refuses a time zone that there is not, by name", () => {
    const read = readFailurePatternPolicy({ daily_report: { timezone: "Mars/Olympus" } });
    expect(read.ok ? [] : read.problems.map(({ field }) => field)).toEqual(["daily_report.timezone"]);
    expect(failurePatternPolicy.complete({}).daily_report.timezone).toBe("UTC");
  });
});
