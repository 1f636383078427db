/** Guarantee: under a real systemd it is known that the host goes down as soon as it does, and not forgotten when nobody answers any more. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { until } from "./support/launched.js";
import { bootSystemd } from "./support/real-systemd.js";

/** What is known, line by line, as a daemon would know it that systemd does not end. */
const KNOWS = `
import { appendFileSync } from "node:fs";
import { HostWatch } from "/opt/heald/dist/lib/platform/host-watch.js";
process.on("SIGTERM", () => undefined);
const say = (what) => appendFileSync(process.argv[2], what + " " + Date.now() + "\\n");
const host = new HostWatch({ onChange: () => say(host.state) });
host.look();
await host.first;
say("first");
setInterval(() => host.look(), 1000);
`;

test("a host that is told to power off is known to stop, and so it stays when systemd answers no more", async (context) => {
  const lab = bootSystemd();
  if ("why" in lab) return context.skip(lab.why);
  onTestFinished(() => lab.off(), 60_000);
  // Something to stop, as a host has it: without, all is over in a tenth of a second.
  const unit = "[Service]\nExecStart=/bin/sleep 600\nExecStop=/bin/sleep 2\n";
  const service =
    'printf %s "$1" > /run/systemd/system/slow.service && systemctl daemon-reload && systemctl start slow';
  expect(lab.run("sh", "-c", service, "sh", unit)).toMatchObject({ status: 0 });
  const script = join(lab.shared, "knows.mjs");
  const known = join(lab.shared, "known");
  writeFileSync(script, KNOWS);
  const said = (): string[] => (existsSync(known) ? readFileSync(known, "utf8").split("\n").slice(0, -1) : []);
  const start = 'setsid "$1" "$2" "$3" >/dev/null 2>&1 &';
  expect(lab.run("sh", "-c", start, "sh", process.execPath, script, known)).toMatchObject({ status: 0 });
  await until(() => said().length === 2, "it knows that the host runs", 20_000);
  expect(said().map((line) => line.split(" ")[0])).toEqual(["running", "first"]);
  const fromMs = Date.now();
  lab.run("systemctl", "poweroff");
  await until(() => said().length === 3, "it knows that the host stops", 20_000);
  const [state, atMs] = (said()[2] as string).split(" ");
  expect(state).toBe("stopping");
  // In time for what ends of it: not at the next of the questions that are asked every ten seconds.
  expect(Number(atMs) - fromMs).toBeLessThan(5000);
  // Nobody answers any more from here on.
  await until(() => lab.run("true").status !== 0, "the host is down", 30_000);
  expect(said()).toHaveLength(3);
}, 120_000);
