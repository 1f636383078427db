import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { requestOf } from "../../../daemons/worker-restart/request-file.js";

const NAMED = { worker_id: "scan-1", worker_type: "scan-worker" };
const MTIME_MS = Date.parse("2026-11-21T12:00:00.250Z");

describe("requestOf()", () => {
  test("takes a request that names nobody for a person's: it spends nothing and expires after an hour", () => {
    const request = requestOf({ ...NAMED, created_at: "2026-11-21T12:00:00Z" }, MTIME_MS);
    expect(request).toMatchObject({ by_person: true, spends: false, filed_at_ms: MTIME_MS });
    expect(request.expires_at_ms).toBe(Date.parse("2026-11-21T13:00:00Z"));
  });

  test("lets a request that tells of a death wait for ever, unless it names an expiry", () => {
    const death = { ...NAMED, requested_by: "heartbeat-monitor", attempt: 2 };
    expect(requestOf(death, MTIME_MS).expires_at_ms).toBeNull();
    expect(requestOf({ ...death, expires_at: "2026-11-21T14:00:00Z" }, MTIME_MS).expires_at_ms).toBe(
      Date.parse("2026-11-21T14:00:00Z"),
    );
  });

  test("lets a person's retry wait for ever too where it stands for the death of an attempt", () => {
    const retry = { ...NAMED, requested_by: "person:ops", attempt: 2, ended: { exit_code: 1 } };
    expect(requestOf(retry, MTIME_MS)).toMatchObject({ by_person: true, spends: false, expires_at_ms: null });
  });

  test("takes one that says it was made after its file for one that was made with it, so that it expires", () => {
    const later = { ...NAMED, created_at: "2099-01-01T00:00:00Z" };
    expect(requestOf(later, MTIME_MS).expires_at_ms).toBe(MTIME_MS + 3_600_000);
    const deferred = { ...later, deferred: { gate: "holds" } };
    expect(requestOf(deferred, MTIME_MS)).toMatchObject({ filed_at_ms: MTIME_MS, expires_at_ms: MTIME_MS + 3_600_000 });
    // Clocks of two hosts may differ by minutes.
    const soon = { ...NAMED, created_at: "2026-11-21T12:04:00Z" };
    expect(requestOf(soon, MTIME_MS).expires_at_ms).toBe(Date.parse("2026-11-21T13:04:00Z"));
  });

  test("expires as the page of the format says", () => {
    const page = readFileSync(new URL("../../../docs/formats/restart-request.md", import.meta.url), "utf8");
    const [, sentence] = /^\| `expires_at` \| instant \| (.*) \|$/m.exec(page) ?? [];
    expect(sentence).toBe(
      "After this it is refused. Unless given: one hour after created_at, and never for one that tells of a death (with attempt, and by a daemon or with ended).",
    );
    const hours = (more: object): number | null => {
      const { expires_at_ms } = requestOf({ ...NAMED, created_at: "2026-11-21T12:00:00Z", ...more }, MTIME_MS);
      return expires_at_ms === null ? null : (expires_at_ms - Date.parse("2026-11-21T12:00:00Z")) / 3_600_000;
    };
    const ended = { exit_code: 1 };
    expect([hours({}), hours({ attempt: 1 }), hours({ ended }), hours({ requested_by: "auto-fix" })]).toEqual([
      1, 1, 1, 1,
    ]);
    expect([hours({ attempt: 1, ended }), hours({ attempt: 1, requested_by: "auto-fix" })]).toEqual([null, null]);
  });

  test("says of a person's request that it tells of a death, where that counts against the worker", () => {
    const told = { ...NAMED, requested_by: "person:ops", attempt: 2, ended: { class: "signal", spends_retry: true } };
    expect(requestOf(told, MTIME_MS).tells_of).toBe("signal");
    const reboot = { ...told, ended: { class: "host_reboot", spends_retry: false } };
    expect(requestOf(reboot, MTIME_MS).tells_of).toBeUndefined();
    expect(requestOf({ ...told, requested_by: "heartbeat-monitor" }, MTIME_MS).tells_of).toBeUndefined();
    expect(requestOf({ ...told, ended: null }, MTIME_MS).tells_of).toBeUndefined();
  });

  test("says of a file whether a deferral stands in it", () => {
    expect(requestOf(NAMED, MTIME_MS).bare).toBe(true);
    expect(requestOf({ ...NAMED, deferred: { gate: "holds" } }, MTIME_MS).bare).toBeUndefined();
  });

  test("counts from the file's own time, and after a deferral from the time that it was made", () => {
    const deferred = { ...NAMED, created_at: "2026-11-21T11:00:00Z", deferred: { gate: "holds" } };
    expect(requestOf(deferred, MTIME_MS).filed_at_ms).toBe(Date.parse("2026-11-21T11:00:00Z"));
  });

  test.each([
    ["a crash of its own", { signal: "SIGSEGV", by_itself: true }, true],
    ["a kill from outside", { signal: "SIGKILL", by_itself: true }, false],
    ["an exit code", { exit_code: 78, by_itself: true }, true],
    ["an end that we made", { exit_code: 143, by_itself: false }, false],
  ])("says whether the attempt ended by itself: %s", (_name, ended, byItself) => {
    const request = requestOf({ ...NAMED, requested_by: "heartbeat-monitor", attempt: 1, ended }, MTIME_MS);
    expect(request.ended?.by_itself).toBe(byItself);
  });

  test("spends no retry for a reboot of the host", () => {
    const death = { ...NAMED, requested_by: "heartbeat-monitor", attempt: 1 };
    expect(requestOf({ ...death, reason: "host_reboot" }, MTIME_MS).spends).toBe(false);
    expect(requestOf({ ...death, reason: "exited" }, MTIME_MS).spends).toBe(true);
  });
});
