/** Guarantee: one attempt is started at most once, and how it ended is on disk, whoever else dies meanwhile. */
import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startLauncher } from "../../lib/platform/launching.js";
import {
  childrenOf,
  commandOf,
  ended,
  environmentOf,
  fieldsOf,
  fill,
  type Home,
  isAlive,
  logOf,
  makeHome,
  mountSmall,
  readWhole,
  started,
  startedHere,
  until,
} from "./support/launched.js";

const run = promisify(execFile);

let home: Home;
beforeEach(() => {
  home = makeHome();
});
afterEach(async () => {
  await home.close();
});

describe("a launched program", () => {
  test("runs in a session of its own, outside of which its launcher stays", async () => {
    const request = home.request("w-1", "while :; do sleep 1; done");
    const { launcherPid } = startLauncher(request);
    const record = await started(request);
    await until(() => fieldsOf(record.pid)?.[3] === String(record.pid), "the program leads a session");
    expect(fieldsOf(record.pid)?.[2]).toBe(String(record.pid));
    expect(fieldsOf(launcherPid)?.[3]).toBe(String(launcherPid));
    expect(fieldsOf(record.pid)?.[1]).toBe(String(launcherPid));
    expect(record.launcher_pid).toBe(launcherPid);
  });

  test("is identified by pid, start time, boot, pid namespace and host", async () => {
    const request = home.request("w-1", "while :; do sleep 1; done");
    startLauncher(request);
    const record = await started(request);
    expect(String(record.start_time)).toBe(fieldsOf(record.pid)?.[19]);
    expect(record.boot_id).toBe(readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
    expect(record).toMatchObject({
      worker_id: "w-1",
      attempt: 1,
      command: "sh",
      has_log: true,
      memory_limit_enforced_by: null,
    });
    expect(Math.abs(record.started_at_ms - Date.now())).toBeLessThan(5000);
    expect(record.started_at).toBe(`${new Date(record.started_at_ms).toISOString().slice(0, 19)}Z`);
    expect(statSync(request.paths.claim).mode & 0o777).toBe(0o640);
  });

  test("finds its own pid and what it needs to beat in its environment, and nothing that was meant for the daemon", async () => {
    const saved = { ...process.env };
    Object.assign(process.env, {
      NODE_OPTIONS: "--no-warnings",
      NOTIFY_SOCKET: "/run/x",
      WATCHDOG_USEC: "1",
      LISTEN_FDS: "1",
      HEALD_SPY: "1",
    });
    const request = home.request("w-1", "while :; do sleep 1; done", {
      env: { GREETING: "two words $(false) `false` \"'\\ é", HEALD_WORKER_ID: "forged", pid: "mine" },
      heartbeatIntervalSeconds: 5,
    });
    try {
      startLauncher(request);
    } finally {
      for (const name of Object.keys(process.env)) if (!(name in saved)) delete process.env[name];
      Object.assign(process.env, saved);
    }
    const { pid } = await started(request);
    await until(() => environmentOf(pid).includes(`HEALD_PID=${pid}`), "HEALD_PID is the program's own pid");
    const environment = environmentOf(pid);
    expect(environment).toContain("HEALD_WORKER_ID=w-1");
    expect(environment).toContain(`HEALD_HEARTBEAT_FILE=${request.paths.heartbeat}`);
    expect(environment).toContain("HEALD_HEARTBEAT_INTERVAL_SECONDS=5");
    expect(environment).toContain("GREETING=two words $(false) `false` \"'\\ é");
    expect(environment).toContain("pid=mine");
    expect(
      environment.filter((line) => /^(NODE_OPTIONS|NOTIFY_SOCKET|WATCHDOG_|LISTEN_|HEALD_SPY|heald_l_)/.test(line)),
    ).toEqual([]);
  });

  test("gets its arguments untouched, default signals, no descriptor of the launcher's, and its words in the log", async () => {
    const nasty = ["a b", "$(touch /nonexistent)", "'", '"', "*", "-n", "--", "", "line\nbreak", "\\n", "é"];
    const show =
      "printf '[%s]' \"$@\"; echo; grep -E '^(SigIgn|SigBlk|Umask)' /proc/self/status; ls -l /proc/$$/fd; echo oops >&2";
    const request = home.request("w-1", "", { args: ["-c", show, "sh", ...nasty] });
    startLauncher(request);
    expect((await ended(request)).exit_code).toBe(0);
    const words = logOf(request);
    expect(words).toContain(nasty.map((each) => `[${each}]`).join(""));
    expect(words).toMatch(/SigBlk:\t0+\nSigIgn:\t0+\n/);
    expect(words).toMatch(/ 0 -> \/dev\/null\n.* 1 -> .*attempt-1\.log\n.* 2 -> .*attempt-1\.log\n/);
    expect(words).not.toContain(`-> ${request.paths.claim}`);
    expect(words).toMatch(/oops\n$/);
    expect(readWhole<{ args: string[] }>(request.paths.claim)?.args).toEqual(["-c", show, "sh", ...nasty]);
    expect(statSync(request.paths.log).mode & 0o777).toBe(0o640);
  });

  test("is found relative to its working directory, which is relative to the home", async () => {
    mkdirSync(join(home.folder, "jobs"));
    writeFileSync(join(home.folder, "jobs", "job.sh"), '#!/bin/sh\npwd\necho "$PWD"\n', { mode: 0o755 });
    const request = home.request("w-1", "", { command: "./job.sh", args: [], cwd: "jobs" });
    startLauncher(request);
    await ended(request);
    expect(logOf(request)).toBe(`${home.folder}/jobs\n${home.folder}/jobs\n`);
  });

  test("outlives the daemon that started it, and so does its launcher", async () => {
    const request = home.request("w-1", "until [ -e go ]; do sleep 0.05; done; exit 4");
    const { launcherPid } = startLauncher(request);
    const { pid } = await started(request);
    await until(() => fieldsOf(pid)?.[3] === String(pid), "the program has left its launcher's session");
    // Neither hang-up of a terminal nor the signals that stop a daemon reach the program through its launcher.
    for (const signal of ["SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT"] as const) process.kill(-launcherPid, signal);
    expect(isAlive(launcherPid) && isAlive(pid)).toBe(true);
    writeFileSync(join(home.folder, "go"), "");
    expect(await ended(request)).toMatchObject({ pid, exit_code: 4 });
  });
});

describe("an exit record", () => {
  test.each([
    ["exit 0", { exit_code: 0 }],
    ["exit 78", { exit_code: 78 }],
    ["exit 255", { exit_code: 255 }],
    ["kill -9 $$", { exit_code: 137, signal: "SIGKILL", signal_inferred: true }],
    ["exit 137", { exit_code: 137, signal: "SIGKILL", signal_inferred: true }],
    ["kill -TERM $$", { exit_code: 143, signal: "SIGTERM", signal_inferred: true }],
    ["kill -INT $$", { exit_code: 130, signal: "SIGINT", signal_inferred: true }],
    ["kill -ABRT $$", { exit_code: 134, signal: "SIGABRT", signal_inferred: true }],
  ])("says how `%s` ended, and no more than a shell can know", async (script, wanted) => {
    const request = home.request("w-1", script);
    startLauncher(request);
    const record = await ended(request);
    const launch = await started(request);
    expect(record).toMatchObject({
      worker_id: "w-1",
      attempt: 1,
      pid: launch.pid,
      start_time: launch.start_time,
      boot_id: launch.boot_id,
      ...wanted,
    });
    expect("signal" in record).toBe("signal" in wanted);
    expect(Math.abs(record.ended_at_ms - Date.now())).toBeLessThan(5000);
    expect(record.ended_boot_ms).toBeGreaterThanOrEqual(launch.started_boot_ms);
  });

  test("has 127 and a line in the log for a command that does not exist", async () => {
    const request = home.request("w-1", "", { command: "no-such-program-here", args: [] });
    startLauncher(request);
    expect((await ended(request)).exit_code).toBe(127);
    expect(logOf(request)).toContain("no-such-program-here");
  });

  test("has 126 and a line in the log for a file that is not executable", async () => {
    writeFileSync(join(home.folder, "job"), "#!/bin/sh\n");
    chmodSync(join(home.folder, "job"), 0o644);
    const request = home.request("w-1", "", { command: "./job", args: [] });
    startLauncher(request);
    expect((await ended(request)).exit_code).toBe(126);
    expect(logOf(request)).toContain("./job");
  });

  test("has 126 and a line in the log for a working directory that does not exist", async () => {
    const request = home.request("w-1", "exit 0", { cwd: "missing" });
    startLauncher(request);
    expect((await ended(request)).exit_code).toBe(126);
    expect(logOf(request)).toContain("missing");
  });

  test("is written once the disk has room again, and not before it is whole", async (context) => {
    const small = mountSmall(128);
    if (small === null) return context.skip("needs the right to mount a tmpfs");
    const full = makeHome(small.folder);
    try {
      const request = full.request("w-1", "until [ -e /proc/self/fd/1 ] && [ -e go ]; do sleep 0.02; done; exit 5");
      const { launcherPid } = startLauncher(request);
      const { pid } = await started(request);
      writeFileSync(join(small.folder, "go"), "");
      process.kill(pid, "SIGSTOP");
      fill(join(small.folder, "ballast"));
      process.kill(pid, "SIGCONT");
      await until(() => !isAlive(pid), "the program has ended");
      await until(
        () => childrenOf(launcherPid).some((child) => commandOf(child).startsWith("sleep")),
        "the launcher waits to try again",
      );
      expect(existsSync(request.paths.exit)).toBe(false);
      rmSync(join(small.folder, "ballast"));
      expect(await ended(request)).toMatchObject({ pid, exit_code: 5 });
      await until(() => !isAlive(launcherPid), "the launcher has ended");
    } finally {
      await full.close().catch(() => undefined);
      small.unmount();
    }
  });

  test("comes back to a folder that was removed meanwhile", async () => {
    const request = home.request("w-1", "until [ -e go ]; do sleep 0.02; done; exit 6");
    startLauncher(request);
    await started(request);
    rmSync(join(home.folder, "coordination", "exits"), { recursive: true });
    rmSync(request.paths.claim);
    writeFileSync(join(home.folder, "go"), "");
    expect(await ended(request)).toMatchObject({ exit_code: 6, pid: expect.any(Number) });
  });

  test("does not replace one that exists", async () => {
    const request = home.request("w-1", "exit 1");
    writeFileSync(request.paths.exit, '{"by":"somebody"}\n');
    const { launcherPid } = startLauncher(request);
    await until(() => !isAlive(launcherPid), "the launcher has ended");
    expect(readFileSync(request.paths.exit, "utf8")).toBe('{"by":"somebody"}\n');
  });
});

describe("a claim", () => {
  test("lets one of two launchers through that start the same attempt at once, twenty times", async () => {
    for (let round = 0; round < 20; round += 1) {
      const request = home.request(`race-${round}`, "echo started >> marks; exit 0", { cwd: null });
      const first = startLauncher(request).launcherPid;
      const second = startLauncher(request).launcherPid;
      await until(() => !isAlive(first) && !isAlive(second), "both launchers have ended");
      expect((await ended(request)).exit_code).toBe(0);
    }
    expect(readFileSync(join(home.folder, "marks"), "utf8")).toBe("started\n".repeat(20));
  }, 60_000);

  test("without a pid proves that the program has not begun, wherever the launcher was killed", async () => {
    const outcomes = { unclaimed: 0, claimed: 0, running: 0 };
    for (let round = 0; round < 40; round += 1) {
      const request = home.request(`killed-${round}`, `echo begun > begun-${round}; while :; do sleep 1; done`);
      const { launcherPid } = startLauncher(request);
      const killAt = performance.now() + round * 0.15;
      while (performance.now() < killAt);
      process.kill(launcherPid, "SIGKILL");
      await until(() => !isAlive(launcherPid), "the launcher is gone");
      await until(() => settled(request.paths.claim, home.folder, round), "what was begun has settled");
      const text = existsSync(request.paths.claim) ? readFileSync(request.paths.claim, "utf8") : "";
      const record = text === "" ? null : (JSON.parse(text) as { pid?: number });
      const pid = record?.pid;
      if (pid === undefined) expect(existsSync(join(home.folder, `begun-${round}`))).toBe(false);
      else
        await until(() => environmentOf(pid).includes(`HEALD_WORKER_ID=killed-${round}`), "the pid is the program's");
      outcomes[record === null ? "unclaimed" : record.pid === undefined ? "claimed" : "running"] += 1;
    }
    expect(outcomes.unclaimed).toBeGreaterThan(0);
    expect(outcomes.running).toBeGreaterThan(0);
  }, 60_000);

  test("that was taken away from a stopped launcher starts nothing any more", async () => {
    // The launcher waits for a log that is a fifo nobody reads: after the claim, before the program.
    const request = home.request("w-1", "touch begun");
    mkdirSync(join(request.paths.log, ".."), { recursive: true });
    await run("mkfifo", [request.paths.log]);
    const { launcherPid } = startLauncher(request);
    await until(() => readWhole(request.paths.claim) !== null, "the attempt is claimed");
    expect(readWhole<{ pid?: number }>(request.paths.claim)?.pid).toBeUndefined();
    renameSync(request.paths.claim, join(home.folder, "aside.json"));
    // Open for both, so that the reader stays however often the writer comes and goes.
    const reader = openSync(request.paths.log, constants.O_RDWR | constants.O_NONBLOCK);
    await until(() => !isAlive(launcherPid), "the launcher has ended");
    closeSync(reader);
    expect(existsSync(join(home.folder, "begun"))).toBe(false);
    expect(existsSync(request.paths.exit)).toBe(false);
  });

  test("whose launcher was killed before the program began starts nothing any more", async () => {
    const request = home.request("w-1", "touch begun");
    mkdirSync(join(request.paths.log, ".."), { recursive: true });
    await run("mkfifo", [request.paths.log]);
    const { launcherPid } = startLauncher(request);
    await until(() => childrenOf(launcherPid).length === 1, "the child waits for its log");
    process.kill(launcherPid, "SIGKILL");
    await until(() => !isAlive(launcherPid), "the launcher is gone");
    expect(startedHere(home.folder)).toHaveLength(1);
    // Open for both, so that the reader stays however often the writer comes and goes.
    const reader = openSync(request.paths.log, constants.O_RDWR | constants.O_NONBLOCK);
    await until(() => startedHere(home.folder).length === 0, "the child has ended");
    closeSync(reader);
    expect(existsSync(join(home.folder, "begun"))).toBe(false);
    expect(readWhole<{ pid?: number }>(request.paths.claim)?.pid).toBeUndefined();
  });

  test("is given back when the disk is too full to write it", async (context) => {
    const small = mountSmall(64);
    if (small === null) return context.skip("needs the right to mount a tmpfs");
    const full = makeHome(small.folder);
    try {
      const request = full.request("w-1", "touch begun");
      mkdirSync(join(request.paths.log, ".."), { recursive: true });
      fill(join(small.folder, "ballast"));
      const { launcherPid } = startLauncher(request);
      await until(() => !isAlive(launcherPid), "the launcher has ended");
      expect(existsSync(request.paths.claim)).toBe(false);
      rmSync(join(small.folder, "ballast"));
      startLauncher(request);
      expect((await ended(request)).exit_code).toBe(0);
    } finally {
      await full.close().catch(() => undefined);
      small.unmount();
    }
  });
});

describe("startLauncher()", () => {
  test("runs a program although its log cannot be opened, and says so", async () => {
    const request = home.request("w-1", "exit 0");
    mkdirSync(request.paths.log, { recursive: true });
    startLauncher(request);
    expect((await ended(request)).exit_code).toBe(0);
    expect((await started(request)).has_log).toBe(false);
  });

  test("refuses a variable that no shell could hand on", () => {
    expect(() => startLauncher(home.request("w-1", "exit 0", { env: { "a-b": "1" } }))).toThrow(
      'Cannot start attempt 1 of "w-1": variable "a-b" must have letters, digits and _ in its name',
    );
    expect(startedHere(home.folder)).toEqual([]);
  });

  test("throws with EMFILE when this process has no descriptor left", async () => {
    const request = home.request("w-1", "exit 0");
    const limitOf = (soft: string) => execFileSync("prlimit", ["--pid", String(process.pid), `--nofile=${soft}:`]);
    const before = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] as string;
    const open: number[] = [];
    limitOf("256");
    try {
      expect(() => {
        for (;;) open.push(openSync("/dev/null", "r"));
      }).toThrow("EMFILE");
      expect(() => startLauncher(request)).toThrow(expect.objectContaining({ name: "LaunchFailed", code: "EMFILE" }));
      // Also with room for what is read before the start, but not for the pipe of the start itself.
      closeSync(open.pop() as number);
      expect(() => startLauncher(request)).toThrow(expect.objectContaining({ name: "LaunchFailed", code: "EMFILE" }));
    } finally {
      for (const descriptor of open) closeSync(descriptor);
      limitOf(before);
    }
    expect(existsSync(request.paths.claim)).toBe(false);
    startLauncher(request);
    expect((await ended(request)).exit_code).toBe(0);
  });

  test.for([["dash"], ["bash", "--posix"], ["busybox", "sh"]])(
    "would do the same with %s at /bin/sh",
    async (shell, context) => {
      const [name, ...options] = shell as [string, ...string[]];
      if (spawnSync(name, [...options, "-c", ":"]).error !== undefined) return context.skip(`${name} is not at hand`);
      const first = home.request("first", "until [ -e go ]; do sleep 0.02; done");
      const { launcherPid } = startLauncher(first);
      await started(first);
      // The same command line, for another worker.
      const words = readFileSync(`/proc/${launcherPid}/cmdline`, "utf8").split("\0").slice(1, -1);
      const args = words.map((word) => word.replaceAll("first", "second"));
      const env = Object.fromEntries(
        environmentOf(launcherPid)
          .filter(Boolean)
          .map((line) => line.split(/=(.*)/s).slice(0, 2)),
      );
      const second = home.request("second", "");
      const launcher = spawn(name, [...options, ...args], { detached: true, stdio: "ignore", cwd: "/", env });
      mkdirSync(join(second.paths.log, ".."), { recursive: true });
      const { pid, start_time } = await started(second);
      await until(() => fieldsOf(pid)?.[3] === String(pid), "the program leads a session");
      for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.kill(launcher.pid as number, signal);
      process.kill(pid, "SIGTERM");
      expect(await ended(second)).toMatchObject({
        worker_id: "second",
        pid,
        start_time,
        exit_code: 143,
        signal: "SIGTERM",
      });
      writeFileSync(join(home.folder, "go"), "");
    },
  );
});

/** Either the program has begun for good, or no process of this round is left. */
function settled(claim: string, folder: string, round: number): boolean {
  const tag = `HEALD_WORKER_ID=killed-${round}`;
  const alive = startedHere(folder).some((pid) => environmentOf(pid).includes(tag));
  return !alive || (existsSync(join(folder, `begun-${round}`)) && existsSync(claim));
}
