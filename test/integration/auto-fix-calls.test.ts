/** Guarantee: what the other daemons find and do not mend reaches a person by the real daemons, once, and so does its end. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BEATS, Healing, type Json } from "./support/healing.js";
import { until } from "./support/launched.js";
import { HttpReceiver } from "./support/receivers.js";

let healing: Healing;

beforeEach(() => {
  // Telling people is no fix: a dry run, which is what heald init sets up, tells as well.
  healing = new Healing({ dry_run: true });
});

afterEach(() => healing.close());

const EXHAUSTIBLE = {
  ...{ max_retries: 1, retry_interval_seconds: 0.2, first_retry_delay_seconds: 0, fast_exit_seconds: 0 },
  ...{ jitter: "none", success_after_seconds: 1, circuit_breaker_enabled: false, restart_budgets: [] },
  rate_limits: { per_task_min_interval_seconds: 0 },
};

/** A worker that ends with 3 until somebody has made the file. */
const endsUntil = (file: string): string => `[ -e "${file}" ] || exit 3\n${BEATS}`;

async function receiving(): Promise<HttpReceiver> {
  const hook = await new HttpReceiver().listen();
  healing.config("notification-policy", {
    channels: { hook: { kind: "webhook", url: hook.url } },
    routes: [{ channels: ["hook"] }],
    escalation: { steps: [] },
    repeat: { times_max: 0 },
    digest: { channels: [] },
    delivery: { first_retry_seconds: 0.2, max_retry_seconds: 1 },
  });
  return hook;
}

const kinds = ({ received }: HttpReceiver): string[] =>
  received.map(({ body }) => `${String(body.kind)} ${String(body.title)}`);

test("a worker whose retries are spent calls a person once, through a kill of auto-fix, and says so when it is back", async () => {
  const hook = await receiving();
  const mended = join(healing.line.home, "mended");
  healing.config("worker-restart-policy", EXHAUSTIBLE);
  healing.template("press", endsUntil(mended));
  await healing.start("heartbeat-monitor", "worker-restart", "auto-fix");
  const spawned = await healing.line.heald("spawn", "--type", "press", "--task-id", "t1", "--id", "press-1");
  expect(spawned.code).toBe(0);
  await until(() => hook.received.length > 0, "a person is called", 30_000);
  const [{ body }] = hook.received as [(typeof hook.received)[0]];
  const [given] = healing.events("worker_restart_exhausted", "worker-restart") as [Json];
  expect(body).toMatchObject({
    ...{ kind: "escalated", severity: "critical", component: "press", incident_id: given.incident_id },
    ...{ title: "press-1 is given up for now", seen: given.message, tried: ["restarted it once"] },
    command: "heald why press-1",
  });

  // Killed between a service's answer and the note of it, a message goes again under its key.
  const isFiled = (): boolean => healing.line.list("auto-fix", "notify", "sent").some((name) => !name.startsWith("."));
  await until(isFiled, "the message is filed as sent");
  await healing.kill("auto-fix");
  await healing.start("auto-fix");
  expect(await healing.line.json<Json[]>("ack")).toMatchObject([
    { incident_id: given.incident_id, component: "press", title: "press-1 is given up for now" },
  ]);
  expect((await healing.line.heald("ack", String(given.incident_id), "--why", "on it")).code).toBe(0);
  await healing.said("escalation_acknowledged");

  writeFileSync(mended, "");
  expect((await healing.line.heald("retry", "press-1", "--now")).code).toBe(0);
  await until(() => hook.received.length > 1, "the end is told", 30_000);
  await until(() => healing.state("press-1") === "healthy", "the worker is well", 20_000);
  expect(kinds(hook)).toEqual(["escalated press-1 is given up for now", "resolved press-1 is given up for now"]);
  expect(hook.received[1]?.body.incident_id).toBe(given.incident_id);
  expect(healing.events("escalation_opened")).toHaveLength(1);
  expect(healing.events("escalation_resolved")).toHaveLength(1);
  expect(await healing.line.json<Json[]>("ack")).toEqual([]);
  const fsck = await healing.line.heald("fsck", "--within", "1s");
  expect(fsck.out).toContain("invariants over");
  expect(fsck.out).not.toMatch(/^wrong/m);
  const why = await healing.line.heald("why", "press-1");
  expect(why.out).toContain("is given up for now");
}, 120_000);

test("what was found while auto-fix was down is told when it is back, and nothing where people are not to be told", async () => {
  const hook = await receiving();
  healing.config("worker-restart-policy", EXHAUSTIBLE);
  healing.template("press", "exit 3");
  await healing.start("heartbeat-monitor", "worker-restart", "auto-fix");
  await healing.kill("auto-fix");
  const spawn = (id: string) => healing.line.heald("spawn", "--type", "press", "--task-id", `task-${id}`, "--id", id);
  const given = (): Json[] => healing.events("worker_restart_exhausted", "worker-restart");
  await spawn("press-1");
  await until(() => given().length === 1, "press-1 is given up", 30_000);
  await healing.start("auto-fix");
  await until(() => hook.received.length > 0, "a person is called", 20_000);

  // Who wants it stopped need not be called any more.
  expect((await healing.line.heald("stop", "press-1")).code).toBe(0);
  await until(() => hook.received.length > 1, "it is over", 20_000);

  healing.config("auto-fix-policy", { enabled: true, dry_run: true, notification_enabled: false });
  const loads = (): Json[] =>
    healing.events("policy_loaded", "daemon").filter(({ data }) => (data as Json).policy === "auto-fix-policy");
  // Twice by its starts.
  await until(() => loads().length > 2, "the policy is in force", 20_000);
  await spawn("press-2");
  await healing.said("escalation_opened", 2);
  await healing.line.heald("stop", "press-2");
  await healing.said("escalation_resolved", 2);
  expect(kinds(hook)).toEqual(["escalated press-1 is given up for now", "resolved press-1 is given up for now"]);
  expect(await healing.line.json<Json[]>("ack")).toEqual([]);
}, 120_000);
