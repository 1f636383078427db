/** Guarantee: a shadow policy says what it would do, changes nothing, and is in force with one move. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "./support/command-line.js";
import { Monitored } from "./support/monitored.js";

const PATIENT = {
  heartbeat_interval_seconds: 1,
  heartbeat_timeout_seconds: 20,
  zombie_threshold_seconds: 60,
  verify_delay_seconds: 0.5,
};
const HASTY = { ...PATIENT, heartbeat_timeout_seconds: 2, zombie_threshold_seconds: 3 };
const REQUIRED = { heartbeat: { mode: "required" as const } };

let home: Monitored;
beforeEach(() => {
  home = new Monitored(PATIENT);
});
afterEach(() => home.close());

const shadowFile = (): string => join(home.layout.shadowDir, "heartbeat-policy.json");

/** As an editor does: written beside, then moved. */
function putShadow(policy: unknown, name = "heartbeat-policy.json"): void {
  mkdirSync(home.layout.shadowDir, { recursive: true, mode: 0o750 });
  const next = join(home.layout.shadowDir, ".next");
  writeFileSync(next, typeof policy === "string" ? policy : JSON.stringify(policy), { mode: 0o640 });
  renameSync(next, join(home.layout.shadowDir, name));
}

const decisions = (): Record<string, unknown>[] => home.line.lines("decisions", "heartbeat-monitor.jsonl");
const news = (type: string): string[] =>
  home
    .events("daemon")
    .filter((event) => event.event_type === type)
    .map((event) => String((event.data as { policy?: unknown }).policy));

describe("a shadow heartbeat policy", () => {
  test("says once that it would have ended a worker that then beats again, and touches nothing", async () => {
    putShadow(HASTY);
    await home.start();
    expect(news("policy_loaded")).toEqual(["heartbeat-policy", "config/shadow/heartbeat-policy.json"]);
    const pid = await home.spawn("a", "exec sleep 600", REQUIRED);
    await until(() => home.types("a").includes("worker_registered"), "it is watched");
    home.beat("a", { sequence: 1 });
    await until(() => home.state("a") === "healthy", "it is healthy");
    await until(() => decisions().length > 0, "the shadow has said something");
    home.beat("a", { sequence: 2 });
    await until(() => home.types("a").includes("heartbeat_resumed"), "it beats again");
    const [would, ...others] = decisions();
    expect(others).toEqual([]);
    expect(would).toMatchObject({ subject: "a", verdict: "zombie", reason: "hung", mode: "shadow" });
    expect(String(would?.decision_id)).toMatch(/-shadow$/);
    expect(existsSync(home.layout.policyText(String(would?.policy_hash)))).toBe(true);
    expect(home.isAlive(pid)).toBe(true);
    expect(home.requests()).toEqual([]);
    expect(home.types("a")).not.toContain("zombie_detected");
    const { out, code } = await home.line.heald("replay", "--json");
    expect(JSON.parse(out)).toMatchObject({ ok: true, differences: [] });
    expect(code).toBe(0);
    expect((await home.line.heald("why", "a")).out).toMatch(/zombie \[shadow/);
    const [report] = await home.line.json<Record<string, unknown>[]>("shadow", "report");
    expect(report).toMatchObject({
      policy: "config/shadow/heartbeat-policy.json",
      running: true,
      decisions: 1,
      agreement: 0,
      verdicts: { zombie: { both: 0, otherwise: 0, only_live: 0, only_shadow: 1 } },
      would_have_killed: [{ worker_id: "a", attempt: 1, reason: "hung", fate: "went_on" }],
    });
    const { out: told } = await home.line.heald("shadow", "report");
    expect(told).toMatch(/would have killed a \(attempt 1\) at [\d:]+, hung; it\s+beat\s+again\s+\d+s\s+later/);
  });

  test("is in force with one move, and is no shadow any more", async () => {
    putShadow(HASTY);
    await home.start();
    await home.spawn("a", "exec sleep 600", REQUIRED);
    await until(() => home.types("a").includes("worker_registered"), "it is watched");
    home.beat("a", { sequence: 1 });
    await until(() => home.state("a") === "healthy", "it is healthy");
    renameSync(shadowFile(), home.layout.config("heartbeat-policy"));
    await until(() => home.zombies().length === 1, "the policy that was a shadow ends the silent worker");
    expect(news("shadow_ended")).toEqual(["config/shadow/heartbeat-policy.json"]);
    expect(decisions().map(({ mode }) => mode)).toContain("live");
  });

  test("is refused by name where it is bad, and by the same name where no policy runs as a shadow", async () => {
    putShadow({ ...HASTY, zombie_treshold_seconds: 3 });
    putShadow("{}", "healing-policies.json");
    await home.start();
    await until(() => news("policy_refused").length === 2, "both are refused");
    expect(news("policy_refused").sort()).toEqual([
      "config/shadow/healing-policies.json",
      "config/shadow/heartbeat-policy.json",
    ]);
    putShadow(HASTY);
    await until(() => news("policy_loaded").includes("config/shadow/heartbeat-policy.json"), "the next one runs");
    expect(JSON.parse(readFileSync(home.layout.runFile("heartbeat-monitor"), "utf8"))).toHaveProperty("policy_hash");
  });
});
