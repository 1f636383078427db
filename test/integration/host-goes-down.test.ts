/** Guarantee: while a real systemd takes the host down, nobody is restarted, and everybody who waited is when that is called off. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readSmall } from "../../lib/platform/files.js";
import { until } from "./support/launched.js";
import { bootSystemd } from "./support/real-systemd.js";

test("a request to restart waits while the host shuts down, says why, and goes on when that is called off", async (context) => {
  const lab = bootSystemd();
  if ("why" in lab) return context.skip(lab.why);
  onTestFinished(() => lab.off(), 60_000);
  const home = join(lab.shared, "home");
  const at = (...parts: string[]): string => join(home, "coordination", ...parts);
  for (const folder of ["restart/queue", "worker-specs/templates"]) mkdirSync(at(folder), { recursive: true });
  const ask = (id: string): void =>
    writeFileSync(at(`restart/queue/${id}-restart.json`), JSON.stringify({ worker_id: id, worker_type: "sleeper" }));
  const isLaunched = (id: string): boolean => existsSync(at(`launches/${id}.attempt-1.json`));
  const isDeferred = (id: string): boolean =>
    readSmall(at(`restart/queue/${id}-restart.json`), { maxBytes: 4096 })?.text.includes('"gate": "host"') ?? false;
  const template = { worker_type: "sleeper", launch: { command: "sleep", args: ["600"] } };
  writeFileSync(at("worker-specs/templates/sleeper.json"), JSON.stringify(template));
  // Without something that takes its time to stop, all is over in a tenth of a second.
  const unit = "[Service]\nExecStart=/bin/sleep 600\nExecStop=/bin/sleep 20\n";
  const service =
    'printf %s "$1" > /run/systemd/system/slow.service && systemctl daemon-reload && systemctl start slow';
  expect(lab.run("sh", "-c", service, "sh", unit)).toMatchObject({ status: 0 });
  const start =
    'HEALD_HOME="$2" setsid "$1" /opt/heald/dist/daemons/worker-restart/main.js --console none >/dev/null 2>&1 &';
  expect(lab.run("sh", "-c", start, "sh", process.execPath, home)).toMatchObject({ status: 0 });
  await until(() => existsSync(at("run/worker-restart.pid")), "the daemon is ready", 20_000);
  const isStopping = (): boolean => lab.run("systemctl", "is-system-running").out.includes("stopping");
  lab.run("systemctl", "--no-block", "poweroff");
  await until(isStopping, "the host stops", 10_000);
  const fromMs = Date.now();
  // systemd says that it stops some hundredths of a second before anything hints at it.
  let id = "";
  for (let nth = 1; !isDeferred(id); nth++) {
    id = `sleeper-${nth}`;
    ask(id);
    await until(() => isDeferred(id) || isLaunched(id), "it is started, or waits");
  }
  expect(Date.now() - fromMs).toBeLessThan(5000);
  const then = `${id}-more`;
  ask(then);
  await until(() => isDeferred(then), "nobody is started any more");
  expect([isLaunched(id), isLaunched(then)]).toEqual([false, false]);
  expect(lab.run("systemctl", "cancel")).toMatchObject({ status: 0 });
  await until(() => isLaunched(id) && isLaunched(then), "both are started", 15_000);
  const events = readFileSync(at("events/worker-restart-events.jsonl"), "utf8");
  expect(events.match(/"event_type":"worker_restart_deferred"/g)).toHaveLength(2);
}, 120_000);
