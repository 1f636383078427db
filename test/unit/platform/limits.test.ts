import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { TaskTimedOut } from "../../../lib/errors.js";
import { cpuPressure, limits } from "../../../lib/platform/host.js";
import { readStat } from "../../../lib/platform/processes.js";
import { runProgram } from "../../../lib/platform/programs.js";
import { notifySystemd, watchdogIntervalMs } from "../../../lib/platform/readiness.js";
import { every } from "../../../lib/platform/schedule.js";
import { bulkhead } from "../../../lib/platform/tasks.js";
import { killQuietly, temporaryFolder, until } from "./helpers.js";

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("bulkhead()", () => {
  test("runs as many tasks at once as it has places, and more once it is given more", async () => {
    const places = bulkhead(2);
    let release = (): void => undefined;
    const gate = new Promise<void>((done) => {
      release = done;
    });
    const results = Promise.all([1, 2, 3, 4].map((number) => places.run(() => gate.then(() => number))));
    await until("two run", () => places.pending === 2);
    expect(places.size).toBe(2);
    places.setConcurrency(3);
    await until("three run", () => places.pending === 3);
    expect(places.size).toBe(1);
    release();
    expect(await results).toEqual([1, 2, 3, 4]);
    await places.onIdle();
    expect(places.pending + places.size).toBe(0);
  });

  test("aborts a task at its time-out, and gives its place to the next", async () => {
    const places = bulkhead(1, 50);
    let aborted = false;
    const slow = places.run((signal) => new Promise(() => signal.addEventListener("abort", () => (aborted = true))));
    const next = places.run(() => "next");
    await expect(slow).rejects.toThrow(new TaskTimedOut(50));
    expect(aborted).toBe(true);
    expect(await next).toBe("next");
  });

  test("gives a task's own failure to its caller and goes on", async () => {
    const places = bulkhead(1, 1000);
    await expect(places.run(() => Promise.reject(new RangeError("no")))).rejects.toThrow(RangeError);
    expect(await places.run(() => 1)).toBe(1);
  });
});

describe("every()", () => {
  test("runs a task at its times, never two at once, and not after it was stopped", async () => {
    let running = 0;
    let most = 0;
    let runs = 0;
    const schedule = every("* * * * * *", "Europe/Berlin", async () => {
      most = Math.max(most, ++running);
      runs++;
      await until("the next second has passed", () => Date.now() % 1000 > 100 && Date.now() % 1000 < 900, 2000);
      running--;
    });
    onTestFinished(() => schedule.stop());
    await until("it ran twice", () => runs >= 2);
    schedule.stop();
    expect(most).toBe(1);
    const after = runs;
    const stoppedAtMs = performance.now();
    await until("two more seconds have passed", () => performance.now() > stoppedAtMs + 2100);
    expect(runs).toBe(after);
  });

  test("makes up once for times that passed while the process was blocked", async () => {
    let runs = 0;
    const due = new Date(Date.now() + 1500);
    const next = new Date(due.getTime() + 1000);
    const cron = `${due.getSeconds()},${next.getSeconds()} * * * * *`;
    const schedule = every(cron, undefined, () => {
      runs++;
    });
    onTestFinished(() => schedule.stop());
    await until("the timer is armed", () => Date.now() > due.getTime() - 1400);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5000);
    expect(runs).toBe(0);
    await until("it ran", () => runs > 0);
    const ranAtMs = performance.now();
    await until("a second has passed", () => performance.now() > ranAtMs + 1000);
    expect(runs).toBe(1);
  });

  test("tells a failure to whoever asked for it, and runs again", async () => {
    const errors: unknown[] = [];
    const task = (): void => {
      throw new Error("no");
    };
    const schedule = every("* * * * * *", undefined, task, (error) => errors.push(error));
    onTestFinished(() => schedule.stop());
    await until("it failed twice", () => errors.length >= 2);
    expect(errors[0]).toMatchObject({ message: "no" });
  });

  test("refuses an expression or a time zone that is not valid", () => {
    for (const cron of ["0 3 * * *", "*/5 * * * * *"]) every(cron, undefined, () => undefined).stop();
    for (const cron of ["", "61 * * * *", "daily"]) expect(() => every(cron, undefined, () => undefined)).toThrow();
    expect(() => every("0 3 * * *", "Moon/Crater", () => undefined)).toThrow();
  });
});

describe("runProgram()", () => {
  test("returns output and exit code, passes arguments without a shell, and adds to the environment", async () => {
    const script =
      "console.log(process.argv[1], process.env.HEALD_X, !!process.env.PATH); console.error('e'); process.exit(3)";
    const result = await runProgram(process.execPath, ["-e", script, "$(id);*"], { env: { HEALD_X: "x y" } });
    expect(result).toEqual({
      exitCode: 3,
      signal: null,
      timedOut: false,
      stdout: "$(id);* x y true\n",
      stderr: "e\n",
    });
  });

  test("gives the input to the program, and does not mind one that reads none of it", async () => {
    expect((await runProgram("cat", [], { input: "ü".repeat(1000) })).stdout).toBe("ü".repeat(1000));
    expect((await runProgram("true", [], { input: "x".repeat(1_000_000) })).exitCode).toBe(0);
    expect((await runProgram("cat", [])).stdout).toBe("");
  });

  test("says why a program did not start", async () => {
    expect(await runProgram("/nonexistent/hook", [])).toMatchObject({ exitCode: null, failedToStart: "ENOENT" });
    const path = join(temporaryFolder(), "hook");
    writeFileSync(path, "#!/bin/sh\n", { mode: 0o644 });
    expect(await runProgram(path, [])).toMatchObject({ exitCode: null, failedToStart: "EACCES" });
  });

  test("keeps the beginning of a long output and lets the program finish", async () => {
    const result = await runProgram("sh", ["-c", "head -c 1000000 /dev/zero | tr '\\0' x; exit 4"], {
      maxOutputBytes: 1000,
    });
    expect(result.stdout).toBe("x".repeat(1000));
    expect(result.exitCode).toBe(4);
  });

  test("ends the whole group at the time-out, those that ignore the first signal too", async () => {
    const folder = temporaryFolder();
    const script = "(trap '' TERM; echo $BASHPID >stubborn; while :; do sleep 0.1; done) & wait";
    const result = await runProgram("bash", ["-c", script], { cwd: folder, timeoutMs: 400 });
    expect(result).toMatchObject({ exitCode: null, signal: "SIGTERM", timedOut: true });
    const stubborn = Number(readFileSync(join(folder, "stubborn"), "utf8"));
    onTestFinished(() => killQuietly(stubborn));
    await until("the stubborn child is gone", () => readStat(stubborn) === null || readStat(stubborn)?.state === "Z");
  });

  test("does not wait for a grandchild that keeps the output open", async () => {
    const begun = performance.now();
    const result = await runProgram("sh", ["-c", "sleep 20 & echo $!"]);
    killQuietly(Number(result.stdout));
    expect(result.exitCode).toBe(0);
    expect(performance.now() - begun).toBeLessThan(5000);
  });

  test("reports the signal that ended a program", async () => {
    expect(await runProgram("sh", ["-c", "kill -SEGV $$"])).toMatchObject({ exitCode: null, signal: "SIGSEGV" });
  });
});

describe("notifySystemd()", () => {
  function fakeNotify(script: string): string {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "bin"));
    writeFileSync(join(folder, "bin", "systemd-notify"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    vi.stubEnv("PATH", `${join(folder, "bin")}${delimiter}${process.env.PATH}`);
    return folder;
  }

  test("passes the state on as one argument when a service manager listens, else runs nothing", async () => {
    const folder = fakeNotify(`printf '%s|%s' "$#" "$1" >"$(dirname "$0")/../said"`);
    const said = join(folder, "said");
    vi.stubEnv("NOTIFY_SOCKET", "");
    notifySystemd("STOPPING=1");
    vi.stubEnv("NOTIFY_SOCKET", "/run/none");
    notifySystemd("STATUS=4 workers; all well");
    await until("it was said", () => existsSync(said) && readFileSync(said, "utf8") !== "");
    expect(readFileSync(said, "utf8")).toBe("1|STATUS=4 workers; all well");
  });

  test("tells a failure", async () => {
    fakeNotify("exit 7");
    vi.stubEnv("NOTIFY_SOCKET", "/run/none");
    const errors: string[] = [];
    notifySystemd("READY=1", (error) => errors.push(error.message));
    await until("it is told", () => errors.length > 0);
    expect(errors).toEqual(['Cannot notify systemd of "READY=1": systemd-notify ended with 7']);
  });
});

describe("watchdogIntervalMs()", () => {
  test.each([
    ["30000000", "", 30_000],
    ["30000000", String(process.pid), 30_000],
    ["30000000", "1", null],
    ["", "", null],
    ["0", "", null],
    ["soon", "", null],
  ])("for WATCHDOG_USEC=%j and WATCHDOG_PID=%j is %s", (microseconds, pid, expected) => {
    vi.stubEnv("WATCHDOG_USEC", microseconds);
    vi.stubEnv("WATCHDOG_PID", pid);
    expect(watchdogIntervalMs()).toBe(expected);
  });
});

describe("the host", () => {
  test("tells its limits", async () => {
    const ulimit = async (flag: string) => (await runProgram("sh", ["-c", `ulimit ${flag}`])).stdout.trim();
    const { openFiles, inotify } = limits();
    expect(String(openFiles.hard ?? "unlimited")).toBe(await ulimit("-Hn"));
    expect(openFiles.soft).toBeGreaterThan(0);
    expect(inotify.max_user_watches).toBe(Number(readFileSync("/proc/sys/fs/inotify/max_user_watches", "utf8")));
    expect(inotify.max_user_instances).toBeGreaterThan(0);
  });

  test.runIf(existsSync("/proc/pressure/cpu"))("tells the pressure on its CPUs as a percentage", () => {
    const pressure = cpuPressure();
    expect(pressure).toBeGreaterThanOrEqual(0);
    expect(pressure).toBeLessThanOrEqual(100);
  });
});
