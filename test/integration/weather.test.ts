/**
 * Guarantee: whatever lies in the folders and however the host fails, the monitor says so once, signals nobody for it,
 * goes on watching, and recovers by itself.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { packageRoot } from "../../lib/platform/package.js";
import { until } from "./support/command-line.js";
import { Monitored, SHORT } from "./support/monitored.js";

const FIELD = join(packageRoot(), "test", "fixtures", "field-like");
const REQUIRED = { heartbeat: { mode: "required" as const } };
const IS_ROOT = process.geteuid?.() === 0;

let home: Monitored;
let atEnd: (() => void)[] = [];
afterEach(async () => {
  for (const action of atEnd.reverse()) action();
  atEnd = [];
  await home.close();
});

/** What is no JSON on purpose is kept under another name, out of the way of formatters. */
function copyField(folder: string, to: string): void {
  for (const name of readdirSync(join(FIELD, folder))) {
    const path = join(to, name.replace(/\.txt$/, ""));
    cpSync(join(FIELD, folder, name), path);
    chmodSync(path, 0o640);
  }
}

function ofType(type: string): Record<string, unknown>[] {
  return home.events("daemon").filter((event) => event.event_type === type);
}

function mount(...args: string[]): boolean {
  return spawnSync("mount", args, { stdio: "ignore" }).status === 0;
}

/** Time is what these tests are about: a whole second or more must pass while nothing happens. */
async function pass(ms: number): Promise<void> {
  const end = performance.now() + ms;
  await until(() => performance.now() >= end, `${ms} ms have passed`);
}

describe("files as they are found in the field", () => {
  test("the monitor starts, reports each bad file once, signals nothing and does not storm", async () => {
    home = new Monitored();
    copyField("active", home.layout.activeDir);
    copyField("heartbeats", home.layout.heartbeatsDir);
    copyField("config", home.layout.configDir);
    symlinkSync("/etc/passwd", join(home.layout.activeDir, "worker-link-113.json"));
    writeFileSync(join(home.layout.activeDir, "worker-huge-114.json"), " ".repeat(1024 * 1024 + 1));
    const longAgo = new Date("2026-03-02T00:00:00Z");
    for (const dir of [home.layout.activeDir, home.layout.heartbeatsDir])
      for (const name of readdirSync(dir)) if (!name.includes("link")) utimesSync(join(dir, name), longAgo, longAgo);
    const before = readFileSync(join(home.layout.activeDir, "worker-cut-106.json"), "utf8");

    await home.start();
    await until(() => ofType("record_refused").length >= 12, "what is bad was reported");
    await pass(8000); // More than a threshold, and a scan of everything.
    const refused = ofType("record_refused").map((event) =>
      String((event.data as { path: string }).path).replace(/.*\//, ""),
    );
    expect(refused.sort()).toEqual([
      "two words.json",
      "worker-comma-107.json",
      "worker-cut-106.json",
      "worker-docs-103.json",
      "worker-empty-108.json",
      "worker-huge-114.json",
      "worker-link-113.json",
      "worker-list-112.json",
      "worker-other-109.json",
      "worker-path-111.json",
      "worker-scan-101.json",
      "worker-time-110.json",
    ]);
    const sentences = ofType("record_refused").map((event) => String((event.data as { problem: string }).problem));
    expect(sentences.some((text) => text.includes("worker-comma-107.json") && text.includes("line 5"))).toBe(true);
    expect(sentences.some((text) => text.includes("worker-time-110.json") && text.includes("created_at"))).toBe(true);
    expect(readFileSync(join(home.layout.activeDir, "worker-cut-106.json"), "utf8")).toBe(before);
    expect(home.events("heartbeat").length + home.events("zombie-cleanup").length).toBeLessThan(40);
    expect(home.log()).not.toMatch(/SIGTERM|SIGKILL|error/i);
    expect(ofType("policy_refused")).toEqual([]);
    expect(home.events("heartbeat").some((event) => event.event_type === "fleet_hold_started")).toBe(true);
    expect(home.requests()).toEqual([]);
  });

  test("a probe that cannot be asked is no answer, and nothing more", async () => {
    home = new Monitored();
    await home.start();
    for (const [id, probe] of Object.entries({
      port: { kind: "tcp" as const, address: "localhost:99999" },
      protocol: { kind: "http" as const, url: "ftp://localhost/" },
      path: { kind: "file" as const, path: "/proc/1/fd/999/x" },
      program: { kind: "command" as const, command: "/nowhere" },
    }))
      home.specs.createActive({ worker_id: id, worker_type: id, status: "running", probe });
    await until(() => home.requests().length === 4, "none of them ever answered");
    expect(home.isAlive(home.monitor?.pid ?? 0)).toBe(true);
  });
});

describe("files of another user", () => {
  /** A daemon that has no more rights than its files give it, though it is root, so that it can read this checkout wherever it lies. */
  const WITHOUT_OVERRIDE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];

  test.skipIf(!IS_ROOT)("one spec that may not be read is said, and the workers after it are watched", async () => {
    home = new Monitored();
    const pid = await home.spawn("b", "exec sleep 600");
    process.kill(pid, "SIGKILL");
    await until(() => existsSync(home.layout.exit("b", 1)), "its launcher has written how it ended");
    home.specs.createActive(home.specOf("a", "exec sleep 600"));
    spawnSync("chown", ["65534:65534", home.layout.activeSpec("a")]);
    await home.start(WITHOUT_OVERRIDE);
    await until(() => home.requests().length === 1, "the death of b is filed");
    expect(home.requests()).toEqual(["b-restart.json"]);
    await until(() => ofType("record_refused").length === 1, "a is said to be closed");
    expect(ofType("record_refused")[0]).toMatchObject({
      reason: "EACCES",
      message: 'Cannot read worker spec "worker-specs/active/a.json": it may not be read (EACCES)',
    });
    spawnSync("chown", ["0:0", home.layout.activeSpec("a")]);
    await until(() => home.isShown("a"), "a is watched as soon as it may be read");
  });
});

describe("a host that fails", () => {
  test.skipIf(!IS_ROOT)("a full disk: said once, watching goes on, and everything is made up for", async () => {
    home = new Monitored();
    if (!mount("-t", "tmpfs", "-o", "size=2m,mode=0750", "tmpfs", home.line.coordination))
      return console.warn("skipped: no tmpfs can be mounted here");
    atEnd.push(() => spawnSync("umount", ["-l", home.line.coordination]));
    home.layOut();
    await home.start();
    const pid = await home.spawn("a", "exec sleep 600");
    await until(() => home.types("a").includes("worker_registered"), "it is watched");
    await until(() => /"state":"healthy"[^}]*"pid":\d/.test(readFileSync(home.layout.status, "utf8")), "it is shown");
    const filler = join(home.line.coordination, "filler");
    spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=4k"], { stdio: "ignore" });
    process.kill(pid, "SIGKILL");
    await pass(3000);
    expect(home.isAlive(home.monitor?.pid ?? 0)).toBe(true);
    expect(home.requests()).toEqual([]);
    // What it wrote last is that all are well; who asks is told what is so.
    const asked = await home.line.heald("status");
    expect(asked.code).toBe(1);
    expect(asked.out).toMatch(/^not green {2}1 worker, 1 in trouble, 3 daemons down, the disk is full$/m);
    expect(asked.out).toContain(`worker a is gone (pid ${pid}), and status.json still says "healthy"`);
    expect(asked.out).toContain("the disk that holds coordination/ is full");
    unlinkSync(filler);
    await until(() => home.requests().length === 1, "the death is filed after all");
    await until(() => ofType("weather_ended").length === 1, "it says that it works again");
    expect(home.types("a")).toEqual(["worker_registered", "worker_exited"]);
    expect(home.zombies()).toEqual(["a.attempt-1.json"]);
    expect(home.log().match(/Cannot write \(ENOSPC\)/g) ?? []).toHaveLength(1);
    // What was only half written of a journal is not left in it: nothing is wrong with the home afterwards.
    const found = JSON.parse((await home.line.heald("fsck", "--once", "--json")).out) as { findings: object[] };
    expect(found.findings.filter((each) => "invariant" in each && each.invariant === "journals")).toEqual([]);
  });

  test.skipIf(!IS_ROOT)("a read-only file system: watching goes on, and what was seen is made up for", async () => {
    home = new Monitored();
    const { coordination } = home.line;
    await home.start();
    const pid = await home.spawn("a", "exec sleep 600");
    await until(() => home.types("a").includes("worker_registered"), "it is watched");
    // Laid over the folder, since one that is open for writing cannot be made read-only.
    if (!mount("--bind", coordination, coordination)) return console.warn("skipped: nothing can be mounted here");
    const unmount = (): void => void spawnSync("umount", ["-l", coordination], { stdio: "ignore" });
    atEnd.push(unmount);
    expect(mount("-o", "remount,ro,bind", coordination)).toBe(true);
    process.kill(pid, "SIGKILL");
    await pass(2500);
    expect(home.isAlive(home.monitor?.pid ?? 0)).toBe(true);
    expect(home.zombies()).toEqual([]);
    unmount();
    await until(() => home.requests().length === 1, "the death is filed after all");
    expect(home.zombies()).toEqual(["a.attempt-1.json"]);
    expect(home.types("a")).toEqual(["worker_registered", "worker_exited"]);
  });

  test("no free descriptor: nobody is killed for it, and it goes on when there are some again", async () => {
    home = new Monitored({ ...SHORT, heartbeat_interval_seconds: 1 });
    const monitor = await home.start();
    const beating = await home.spawn("a", BEATS);
    await until(() => home.state("a") === "healthy", "it beats");
    const open = readdirSync(`/proc/${monitor}/fd`).length;
    expect(spawnSync("prlimit", ["--pid", String(monitor), `--nofile=${open - 2}:4096`]).status).toBe(0);
    await pass(5000);
    expect(home.isAlive(monitor)).toBe(true);
    expect(home.isAlive(beating)).toBe(true);
    spawnSync("prlimit", ["--pid", String(monitor), "--nofile=4096:4096"]);
    process.kill(beating, "SIGKILL");
    await until(() => home.requests().length === 1, "it sees a death again");
    expect(home.types("a").filter((type) => type.startsWith("zombie"))).toEqual([]);
  });

  test("heartbeats/ moved away: nobody is killed, the cause is named, and it is trusted again when it is back", async () => {
    home = new Monitored();
    await home.start();
    const beating = await home.spawn("a", BEATS);
    await until(() => home.state("a") === "healthy", "it beats");
    const away = `${home.layout.heartbeatsDir}.away`;
    renameSync(home.layout.heartbeatsDir, away);
    await until(
      () => home.events("heartbeat").some((event) => event.event_type === "detector_suspect"),
      "the monitor suspects itself",
    );
    await pass(4000);
    expect(home.isAlive(beating)).toBe(true);
    renameSync(away, home.layout.heartbeatsDir);
    await until(
      () => home.events("heartbeat").some((event) => event.event_type === "detector_trusted"),
      "it trusts itself again",
    );
    const [suspect] = home.events("heartbeat").filter((event) => event.event_type === "detector_suspect");
    expect(suspect?.message).toBe("No verdicts for now: heartbeats/ cannot be read (ENOENT); nobody is killed for it");
    expect(home.events("heartbeat").filter((event) => event.event_type === "detector_suspect")).toHaveLength(1);
    const silent = await home.spawn("b", "exec sleep 600", REQUIRED);
    await until(() => !home.isAlive(silent), "verdicts are given again");
    expect(home.isAlive(beating)).toBe(true);
  });
});

describe("two monitors", () => {
  test("started at once: one runs, the other leaves with 75", async () => {
    home = new Monitored();
    const runs = [home.runToEnd(), home.runToEnd()];
    const first = await Promise.race(runs);
    expect(first.code).toBe(75);
    const pid = Number(readFileSync(home.layout.pidFile("heartbeat-monitor"), "utf8"));
    process.kill(pid, "SIGTERM");
    const codes = (await Promise.all(runs)).map(({ code }) => code).sort();
    expect(codes).toEqual([0, 75]);
  });

  test("a stopped holder keeps its lock; a dead one's is taken at once", async () => {
    home = new Monitored();
    const holder = await home.start();
    process.kill(holder, "SIGSTOP");
    const second = await home.runToEnd();
    expect(second.code).toBe(75);
    expect(second.err).toContain(`as pid ${holder}`);
    await home.kill();
    const startedAt = performance.now();
    await home.start();
    expect(performance.now() - startedAt).toBeLessThan(4000);
  });

  test("another host's directory is refused with 4, a newer format with 78, and nothing is touched", async () => {
    home = new Monitored();
    mkdirSync(home.layout.runDir, { recursive: true });
    const owner = join(home.layout.runDir, "owner.json");
    const text = JSON.stringify({ host: "another-host", pid_ns: "1" });
    writeFileSync(owner, text);
    expect((await home.runToEnd()).code).toBe(4);
    expect(readFileSync(owner, "utf8")).toBe(text);
    const version = join(home.line.coordination, "VERSION");
    writeFileSync(version, '{"format":99,"heald":"9.9.9"}');
    const listed = listing();
    const refused = await home.runToEnd();
    expect(refused.code).toBe(78);
    expect(refused.err).toMatch(/format/);
    expect(listing()).toEqual(listed);
    expect(existsSync(home.layout.pidFile("heartbeat-monitor"))).toBe(false);
  });

  test.skipIf(!IS_ROOT)("a daemon that finds the disk full when it starts says so in one line, and ends with 1", () => {
    home = new Monitored();
    expect(mount("-t", "tmpfs", "-o", "size=64k", "heald-full", home.line.home)).toBe(true);
    atEnd.push(() => void spawnSync("umount", [home.line.home]));
    const filled = spawnSync("dd", ["if=/dev/zero", `of=${join(home.line.home, "ballast")}`, "bs=1k"]);
    expect(filled.status).toBe(1);
    const main = join(packageRoot(), "dist", "daemons", "heartbeat-monitor", "main.js");
    const ended = spawnSync(process.execPath, [main, "--home", home.line.home], { encoding: "utf8" });
    expect(ended.stderr).toMatch(
      /^heartbeat-monitor: Cannot start: Cannot write "[^"]+": the disk is full \(ENOSPC\)\n$/,
    );
    expect(ended.status).toBe(1);
  });
});

const BEATS = `while :; do printf '{"worker_id":"%s"}' "$HEALD_WORKER_ID" > "$HEALD_HEARTBEAT_FILE.t" && mv "$HEALD_HEARTBEAT_FILE.t" "$HEALD_HEARTBEAT_FILE"; sleep 0.3; done 2> /dev/null`;

function listing(): string[] {
  return (readdirSync(home.line.coordination, { recursive: true }) as string[])
    .map((name) => `${name} ${statSync(join(home.line.coordination, name)).mtimeMs}`)
    .sort();
}
