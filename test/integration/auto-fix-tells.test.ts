/** What people and programs are told of a fix, by the real daemons: every event has its hook, every edge reaches its channel. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EVENTS } from "../../lib/schema/catalogue.js";
import { BEATS, Healing, type Json } from "./support/healing.js";
import { until } from "./support/launched.js";
import { HttpReceiver, MailReceiver, status } from "./support/receivers.js";

let healing: Healing;

beforeEach(() => {
  healing = new Healing({
    categories: { workflow: { requires_approval: true } },
    approval: { expires_after_seconds: 60 },
  });
});

afterEach(() => healing.close());

const SECRET = "correct-horse-battery-staple";

test("each event of a fix's whole life starts its hook, once, whatever the type", async () => {
  const told = join(healing.line.home, "told");
  writeFileSync(told, "");
  for (const type of Object.keys(EVENTS)) {
    const hook = healing.line.path("hooks", type);
    writeFileSync(hook, `#!/bin/sh\ncat >> "${told}"\n`);
    chmodSync(hook, 0o750);
  }
  healing.template("press", BEATS, { processing: { batch_size: 100 } });
  healing.fix([
    { type: "modify-worker-spec", changes: [{ field: "processing.batch_size", operation: "multiply", value: 0.5 }] },
    { type: "alert-oncall" },
  ]);
  await healing.start("heartbeat-monitor", "worker-restart", "failure-pattern", "auto-fix");
  await healing.spawn("press", "press-1");
  healing.publish("press", ["press-1"]);
  await healing.said("fix_pending");
  const id = String(healing.data("fix_pending").run_id);
  await healing.line.heald("fix", "approve", id);
  await healing.said("escalation_opened");
  await healing.line.heald("ack", String(healing.events("escalation_opened")[0]?.incident_id));
  await healing.said("escalation_acknowledged");
  await healing.line.heald("fix", "undo", id);
  await healing.said("fix_undone");
  process.kill(healing.launch("press-1", 1)?.pid as number, "SIGKILL");
  await until(() => healing.events("worker_restarted", "worker-restart").length > 0, "the worker came back", 20_000);
  const written = (): Json[] =>
    ["heartbeat", "zombie-cleanup", "worker-restart", "failure-pattern", "auto-fix"].flatMap((log) =>
      healing.line.lines("events", `${log}-events.jsonl`),
    );
  const heard = (): string[] =>
    readFileSync(told, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => String((JSON.parse(line) as Json).event_id));
  await until(
    () => {
      const ids = new Set(heard());
      return written().every((event) => ids.has(String(event.event_id)));
    },
    "all hooks ran",
    20_000,
  );
  const ids = heard();
  for (const event of written())
    expect([event.event_type, ids.filter((each) => each === event.event_id).length]).toEqual([event.event_type, 1]);
  const types = new Set(written().map((event) => event.event_type));
  for (const type of [
    "fix_matched",
    "fix_pending",
    "fix_approved",
    "fix_applied",
    "escalation_opened",
    "escalation_acknowledged",
    "fix_undone",
  ])
    expect([type, types.has(type)]).toEqual([type, true]);
}, 90_000);

/** A zone in which it is about noon now, wherever the test runs. */
function zoneOfNoon(): string {
  const hours = 12 - new Date().getUTCHours();
  // Etc/GMT-3 is three hours ahead of UTC; the zones go from 14 ahead to 12 behind.
  return hours === 0 ? "Etc/GMT" : `Etc/GMT${hours > 0 ? "-" : "+"}${Math.abs(hours)}`;
}

test("quiet hours of another zone hold a proposal back, and let the call of a person through to a server that had no time", async () => {
  const hook = await new HttpReceiver().listen();
  hook.behaviours.push(status(429, { "retry-after": "1" }), status(500));
  const mail = await new MailReceiver().listen({ user: "heald", password: SECRET });
  const secret = join(healing.line.home, "mail-password");
  writeFileSync(secret, `${SECRET}\n`, { mode: 0o600 });
  healing.env.HEALD_TEST_TOKEN = SECRET;
  healing.config("notification-policy", {
    channels: {
      hook: { kind: "webhook", url: hook.url, headers: { Authorization: "Bearer env:HEALD_TEST_TOKEN" } },
      post: {
        ...{
          kind: "mail",
          host: "127.0.0.1",
          port: mail.port,
          security: "none",
          from: "heald@example.org",
          to: ["ann@example.org"],
        },
        ...{ user: "heald", password: `file:${secret}` },
      },
    },
    routes: [{ channels: ["hook"] }],
    escalation: { steps: [{ after_seconds: 1, channels: ["post"] }] },
    quiet_hours: { timezone: zoneOfNoon(), windows: [{ from: "10:00", to: "14:00" }] },
    delivery: { first_retry_seconds: 0.2, max_retry_seconds: 1 },
  });
  healing.config("auto-fix-policy", {
    ...{ enabled: true, dry_run: false, categories: { workflow: { requires_approval: true } } },
    approval: { expires_after_seconds: 3 },
  });
  healing.template("press");
  healing.fix([{ type: "fallback-mode" }]);
  await healing.start("auto-fix");
  healing.publish("press", ["press-1"]);
  await healing.said("fix_expired");
  await until(() => mail.mails.length > 0, "the mail of the chain has arrived", 20_000);
  await until(() => hook.received.length >= 3, "the call has got through", 20_000);
  // The proposal waits for the end of the quiet hours; that nobody has answered does not.
  expect(new Set(hook.received.map((each) => each.body.kind))).toEqual(new Set(["escalated"]));
  expect(new Set(hook.received.slice(0, 3).map((each) => each.headers["idempotency-key"])).size).toBe(1);
  expect((hook.received[1]?.atMs ?? 0) - (hook.received[0]?.atMs ?? 0)).toBeGreaterThanOrEqual(950);
  expect(mail.mails[0]).toMatchObject({ to: ["ann@example.org"], user: "heald" });
  expect(mail.mails[0]?.text).toContain("heald fix show");
  const taken = await healing.line.heald("ack", String(healing.events("escalation_opened")[0]?.incident_id));
  expect(taken.code).toBe(0);
  await healing.said("escalation_acknowledged");
  const log = readFileSync(join(healing.line.home, "agents", "logs", "system", "auto-fix-daemon.log"), "utf8");
  const state = readFileSync(healing.layout.notifyState, "utf8");
  expect(`${log}${state}`).not.toContain(SECRET);
  expect(log).toMatch(/answered with 429/);
}, 90_000);
