/** Guarantee: a pid file that several homes share always names a daemon that runs, and goes on to mean the one it means. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { openLog } from "../../../lib/platform/log.js";
import { identityOf } from "../../../lib/platform/processes.js";
import { type LastRun, PidFile } from "../../../lib/runtime/identity-files.js";
import type { Layout } from "../../../lib/store/layout.js";
import { temporaryLayout } from "../store/temporary-home.js";

const DAEMON = "heartbeat-monitor";

/** A process with a command line of its own, as a daemon's title is. */
async function processCalled(title: string): Promise<ChildProcess & { readonly pid: number }> {
  const child = spawn("/bin/sleep", ["300"], { argv0: title, stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  const { pid } = child;
  if (pid === undefined) throw new Error("It did not start");
  const line = (): string => readFileSync(`/proc/${pid}/cmdline`, "utf8");
  for (const end = performance.now() + 10_000; !line().startsWith(title); await pause(5))
    if (performance.now() > end) throw new Error(`Not within 10 s: it is called ${title}`);
  return Object.assign(child, { pid });
}

class Bench {
  readonly layout: Layout = temporaryLayout();
  readonly extra = join(this.layout.home.home, "cortex-heartbeat.pid");
  readonly own = this.layout.pidFile(DAEMON);

  write(lastRun: LastRun | null = null): PidFile {
    const log = openLog(this.layout.daemonLog(DAEMON), { console: "none", name: DAEMON });
    const file = new PidFile(this.own, this.extra, DAEMON, lastRun, log);
    file.write();
    log.close();
    return file;
  }

  get text(): string {
    return readFileSync(this.extra, "utf8");
  }

  get warnings(): unknown[] {
    const path = this.layout.daemonLog(DAEMON);
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => (JSON.parse(line) as { msg: unknown }).msg);
  }
}

const mine = `${process.pid}\n`;

test("the pid file of the home can be read by its user and group alone, one outside of it by everybody", () => {
  const before = process.umask(0o022);
  onTestFinished(() => void process.umask(before));
  const bench = new Bench();
  bench.write();
  const modes = [bench.own, bench.extra].map((path) => (statSync(path).mode & 0o777).toString(8));
  expect(modes).toEqual(["640", "644"]);
});

describe("a pid file outside of the home", () => {
  test("that names a living daemon of another home is left alone, and mentioned", async () => {
    const bench = new Bench();
    const { pid } = await processCalled("heartbeat-monitor-daemon");
    writeFileSync(bench.extra, `${pid}\n`);
    const file = bench.write();
    expect(bench.text).toBe(`${pid}\n`);
    expect(readFileSync(bench.own, "utf8")).toBe(mine);
    expect(bench.warnings).toEqual([
      `"${bench.extra}" names pid ${pid}, the heartbeat-monitor of another home; it is left alone, and ${bench.own} names this one`,
    ]);
    file.remove();
    expect(bench.text).toBe(`${pid}\n`);
    expect(existsSync(bench.own)).toBe(false);
  });

  test("that names the last daemon of this home is ours, also while that one is still ending", async () => {
    const bench = new Bench();
    const { pid } = await processCalled("heartbeat-monitor-daemon");
    const identity = identityOf(pid);
    if (identity === null) throw new Error("It has ended");
    writeFileSync(bench.extra, `${pid}\n`);
    bench.write({ policy_hash: null, process: identity });
    expect(bench.text).toBe(mine);
    expect(bench.warnings).toEqual([]);
  });

  test("that names the number of this home's last daemon, which another home's has now, is left alone", async () => {
    const bench = new Bench();
    const { pid } = await processCalled("heartbeat-monitor-daemon");
    writeFileSync(bench.extra, `${pid}\n`);
    bench.write({ policy_hash: null, process: { pid, start_time: 1 } });
    expect(bench.text).toBe(`${pid}\n`);
  });

  test.each(["auto-fix-daemon", "tail"])("whose number went to a %s is replaced", async (title) => {
    const bench = new Bench();
    const { pid } = await processCalled(title);
    writeFileSync(bench.extra, `${pid}\n`);
    bench.write();
    expect(bench.text).toBe(mine);
    expect(bench.warnings).toEqual([]);
  });

  test("that names a process that has ended is replaced", () => {
    const bench = new Bench();
    writeFileSync(bench.extra, `${spawnSync("true").pid}\n`);
    bench.write();
    expect(bench.text).toBe(mine);
  });

  test("that is a link, or holds no number, is left alone, and mentioned", () => {
    const [linked, other] = [new Bench(), new Bench()];
    symlinkSync("elsewhere", linked.extra);
    writeFileSync(other.extra, "my notes");
    for (const bench of [linked, other]) {
      bench.write();
      expect(bench.warnings).toEqual([expect.stringContaining("is not a pid file of ours; it is left alone")]);
    }
    expect(existsSync(join(linked.layout.home.home, "elsewhere"))).toBe(false);
    expect(other.text).toBe("my notes");
  });
});
