/** Guarantee: each event that heald does not mend calls a person, by words of ours and ids that are ids, whoever wrote it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { edgeOf } from "../../../daemons/auto-fix/edges.js";
import { CALLS, type CallType, endsCall, signOf } from "../../../daemons/auto-fix/signs.js";
import { packageRoot } from "../../../lib/platform/package.js";
import { EVENTS, type EventType } from "../../../lib/schema/catalogue.js";
import type { EventRecord } from "../../../lib/schema/events.js";

const CALL_TYPES = Object.keys(CALLS) as CallType[];
/** Critical, and followed by what heald does about it: a look, a restart, or one of the calls. */
const MENDED: readonly EventType[] = [
  ...(["heartbeat_timeout", "worker_blocked", "worker_hung", "zombie_detected", "worker_restart_failed"] as const),
];

const exhausted = {
  ...{ event_type: "worker_restart_exhausted", at_ms: 5, worker_id: "scan-1", worker_type: "scan", task_id: "t-1" },
  ...{ incident_id: "inc-1", message: "given up", data: { attempts: 3 } },
};

describe("the events that call a person", () => {
  test("are all that are critical and not mended by a daemon", () => {
    const critical = (Object.keys(EVENTS) as EventType[]).filter(
      (type) => EVENTS[type].severity === "critical" && EVENTS[type].log !== "auto-fix",
    );
    const unaccounted = critical.filter((type) => !Object.hasOwn(CALLS, type) && !MENDED.includes(type));
    expect(unaccounted).toEqual([]);
  });

  test("have ends, and say so by no event that always calls", () => {
    const ambiguous = CALL_TYPES.flatMap((type) => CALLS[type].ends.filter((end) => Object.hasOwn(CALLS, end)));
    for (const type of CALL_TYPES) expect(CALLS[type].ends.length).toBeGreaterThan(0);
    expect([...new Set(ambiguous)]).toEqual(["worker_restart_deferred"]);
    const deferred = { ...exhausted, event_type: "worker_restart_deferred" };
    expect(signOf({ ...deferred, reason: "no_template" })?.ends).toBe(false);
    expect(signOf({ ...deferred, reason: "desired" })?.ends).toBe(true);
    expect(signOf({ ...deferred, reason: "retries" })).toBeNull();
  });

  test("of a hold that could not be read end when it was mended, and not by its own beginning", () => {
    const hold = { at_ms: 5, message: "", data: { hold: "h.json" } };
    const started = signOf({ ...hold, event_type: "hold_started" });
    expect(started).toMatchObject({ ends: true, subject: "hold:h.json" });
    expect(endsCall("hold_defaulted", "hold_started")).toBe(true);
    expect(signOf({ ...hold, event_type: "hold_started", reason: "unreadable" })).toBeNull();
  });

  test("are on the page about notifications", () => {
    const page = readFileSync(join(packageRoot(), "docs", "notifications.md"), "utf8");
    for (const type of CALL_TYPES) expect(page).toContain(`\`${type}\``);
  });
});

describe("signOf()", () => {
  test("takes ids, the incident, the message and the number of restarts", () => {
    expect(signOf(exhausted)).toEqual({
      ...{
        event_type: "worker_restart_exhausted",
        ends: false,
        at_ms: 5,
        subject: "worker:scan-1",
        worker_id: "scan-1",
      },
      ...{ worker_type: "scan", task_id: "t-1", incident_id: "inc-1", message: "given up", attempts: 3 },
    });
  });

  test("reads the time of whoever writes no milliseconds", () => {
    const { at_ms: _, ...event } = exhausted;
    expect(signOf({ ...event, timestamp: "2026-11-21T00:00:05Z" })?.at_ms).toBe(Date.parse("2026-11-21T00:00:05Z"));
    expect(signOf(event)).toBeNull();
  });

  test.each([
    ["a worker that is a path", { worker_id: "../../etc/passwd" }],
    ["no worker", { worker_id: undefined }],
    ["a type that every object has", { event_type: "constructor" }],
    ["a time that is no number", { at_ms: Number.NaN }],
  ])("takes nothing from an event with %s", (_, fields) => {
    expect(signOf({ ...exhausted, ...fields })).toBeNull();
  });

  test("cuts what is long, and takes no text for an incident or a number", () => {
    const sign = signOf({
      ...exhausted,
      message: "m".repeat(9000),
      incident_id: "$(rm -rf /)",
      data: { attempts: "3" },
    });
    expect(sign).toMatchObject({ incident_id: null, attempts: null });
    expect(sign?.message).toHaveLength(160);
    expect(signOf({ ...exhausted, data: [] })).toMatchObject({ attempts: null });
    expect(signOf({ ...exhausted, message: undefined })?.message).toBe("");
  });
});

describe("endsCall()", () => {
  test("keeps apart what ends a worker's silence and what ends that it was given up", () => {
    expect(endsCall("worker_stuck", "heartbeat_resumed")).toBe(true);
    expect(endsCall("worker_restart_exhausted", "heartbeat_resumed")).toBe(false);
    expect(endsCall("zombie_cleanup_failed", "zombie_cleanup_completed")).toBe(true);
    expect(endsCall("worker_restart_exhausted", "zombie_cleanup_completed")).toBe(false);
  });
});

describe("edgeOf()", () => {
  test("goes by the component that a call names where it is about no worker type", () => {
    const record = {
      ...{ event_id: "e-1", event_type: "escalation_opened", timestamp: "", at_ms: 0, severity: "critical" },
      ...{ source: "auto-fix", incident_id: "inc-1-fleet", message: "m", data: { component: "fleet", title: "t" } },
    } as EventRecord;
    expect(edgeOf(record)).toMatchObject({ kind: "escalated", component: "fleet", title: "t", edge_id: "e-1" });
    expect(edgeOf({ ...record, worker_type: "scan" })).toMatchObject({ component: "scan" });
  });
});
