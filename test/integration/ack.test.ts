/** Guarantee: a person takes an escalation with one command, the event says so once, and the policy is obeyed as it is edited. */
import { mkdirSync, writeFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { openLog } from "../../lib/platform/log.js";
import { Notifications } from "../../lib/runtime/notifying.js";
import { Reporter } from "../../lib/runtime/reporting.js";
import { Layout } from "../../lib/store/layout.js";
import { CommandLine, until } from "./support/command-line.js";

function opened(): { readonly line: CommandLine; readonly layout: Layout; start(): Notifications } {
  const line = new CommandLine();
  onTestFinished(() => line.close());
  const layout = new Layout({
    home: line.home,
    coordination: line.coordination,
    logs: `${line.home}/agents/logs`,
    namedBy: "flag",
  });
  mkdirSync(layout.daemonLogsDir, { recursive: true });
  const log = openLog(layout.daemonLog("auto-fix"), { name: "auto-fix" });
  let stamps = 0;
  const start = (): Notifications => {
    const reporter = new Reporter(layout, "auto-fix", log, () => {
      stamps += 1;
      return { id: `s${stamps}`, atMs: Date.now(), monoMs: 0 };
    });
    const notifications = new Notifications({ layout, log, reporter }, "auto-fix");
    onTestFinished(() => notifications.stop());
    notifications.start();
    return notifications;
  };
  return { line, layout, start };
}

const escalate = ({ notifier }: Notifications, incident_id: string): void =>
  notifier.notify({
    ...{ kind: "escalated", incident_id, severity: "critical", component: "scan", title: "a leak" },
    ...{ seen: "it grew", tried: [], suggested: "", command: "" },
  });

const acknowledgements = (line: CommandLine): Record<string, unknown>[] =>
  line.lines("events", "auto-fix-events.jsonl").filter((event) => event.event_type === "escalation_acknowledged");

describe("heald ack", () => {
  test("lists what is open, takes one by the beginning of its name, and the event is written once", async () => {
    const { line, start } = opened();
    const notifications = start();
    expect((await line.heald("ack")).out).toContain("No escalations are open");
    escalate(notifications, "inc-a1");
    escalate(notifications, "inc-b2");
    expect(await line.json<unknown>("ack")).toMatchObject([
      { incident_id: "inc-a1", component: "scan", title: "a leak", acknowledged_by: null },
      { incident_id: "inc-b2" },
    ]);
    expect(await line.heald("ack", "inc-a", "--why", "on it")).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^inc-a1 {2}taken by person:/),
    });
    await until(() => acknowledgements(line).length > 0, "the event is written");
    expect(acknowledgements(line)).toMatchObject([
      { incident_id: "inc-a1", data: { why: "on it" }, source: "auto-fix" },
    ]);
    expect((await line.heald("ack", "inc-a1")).out).toMatch(/has it already/);
    await until(() => line.list("auto-fix", "acknowledgements").length === 0, "the file is taken up");
    expect(notifications.notifier.figures()).toMatchObject({ escalations_unacknowledged: 1 });
    expect(acknowledgements(line)).toHaveLength(1);
  });

  test("says what it cannot take, and by its exit code", async () => {
    const { line, start } = opened();
    const notifications = start();
    escalate(notifications, "inc-a1");
    escalate(notifications, "inc-a2");
    expect(await line.heald("ack", "inc-9")).toMatchObject({
      code: 3,
      err: expect.stringContaining("No open escalation"),
    });
    expect(await line.heald("ack", "inc-a")).toMatchObject({
      code: 4,
      err: expect.stringContaining("begins 2 incidents"),
    });
    expect(line.list("auto-fix", "acknowledgements")).toEqual([]);
  });

  test("while auto-fix is down is taken up at its next start", async () => {
    const { line, start } = opened();
    const notifications = start();
    escalate(notifications, "inc-a1");
    notifications.stop();
    const ran = await line.heald("ack", "inc-a1");
    expect(ran.out + ran.err).toContain("auto-fix does not run");
    expect(acknowledgements(line)).toEqual([]);
    expect(start().notifier.incident("inc-a1")?.acknowledged?.by).toMatch(/^person:/);
    expect(acknowledgements(line)).toHaveLength(1);
  });
});

describe("notification-policy.json", () => {
  test("is obeyed as it is edited; a bad one is refused by name and the last good one stays", async () => {
    const { line, layout, start } = opened();
    const notifications = start();
    const path = layout.config("notification-policy");
    const told = (): Record<string, unknown>[] => {
      return line.list("auto-fix", "notify", "sent").map((name) => line.read("auto-fix", "notify", "sent", name));
    };
    writeFileSync(path, JSON.stringify({ routes: [], digest: { channels: ["log"], interval_seconds: 0.1 } }));
    await until(() => line.lines("events", "daemon-events.jsonl").length >= 2, "the policy is in force");
    escalate(notifications, "inc-1");
    await until(() => told().length === 1, "the digest is sent");
    expect(told()[0]).toMatchObject({ channel: "log", message: { kind: "digest" } });
    writeFileSync(path, JSON.stringify({ routes: [{ channels: ["nobody"] }] }));
    const refused = (): unknown[] =>
      line.lines("events", "daemon-events.jsonl").filter((event) => event.event_type === "policy_refused");
    await until(() => refused().length === 1, "it is refused");
    expect(refused()).toMatchObject([{ message: expect.stringContaining('names no channel: "nobody"') }]);
    escalate(notifications, "inc-2");
    await until(() => told().length === 2, "the last good one is in force");
    expect((await line.heald("policy", "check")).code).toBe(78);
  });
});
