/** Guarantee: each reported event starts its hook, once, with the event on its input; and no hook can hold anything up. */
import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { openLog } from "../../lib/platform/log.js";
import { packageRoot } from "../../lib/platform/package.js";
import { isAlive } from "../../lib/platform/processes.js";
import { ASKED_HOOKS, type AskedHook, askHook, type HookQuestion } from "../../lib/runtime/asked-hooks.js";
import { type HookLimits, Hooks } from "../../lib/runtime/hooks.js";
import type { EventType } from "../../lib/schema/catalogue.js";
import { type EventRecord, makeEvent } from "../../lib/schema/events.js";
import type { Layout } from "../../lib/store/layout.js";
import { temporaryLayout } from "../unit/store/temporary-home.js";
import { Healing } from "./support/healing.js";
import { SHORT } from "./support/monitored.js";

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + 10_000; !holds(); ) {
    if (performance.now() >= end) throw new Error(`Not within 10 s: ${what}`);
    await pause(10);
  }
}

class Bench {
  readonly layout: Layout = temporaryLayout();
  readonly hooks: Hooks;
  #count = 0;

  constructor(limits: Partial<HookLimits> = {}) {
    const log = openLog(this.layout.daemonLog("auto-fix"), { name: "auto-fix" });
    this.hooks = new Hooks(this.layout, log, limits);
    onTestFinished(() => {
      this.hooks.close();
      log.close();
    });
  }

  write(name: string, body: string, mode = 0o750): string {
    const path = join(this.layout.hooksDir, name);
    writeFileSync(path, `#!/bin/sh\n${body}\n`);
    chmodSync(path, mode);
    return path;
  }

  out(name: string): string {
    return join(this.layout.home.home, name);
  }

  text(name: string): string {
    return existsSync(this.out(name)) ? readFileSync(this.out(name), "utf8") : "";
  }

  report(type: EventType, data: Record<string, unknown> = {}): EventRecord {
    this.#count += 1;
    const stamp = { id: `e${this.#count}`, atMs: Date.now(), monoMs: 0 };
    const record = makeEvent(stamp, 0, "auto-fix", type, { worker_id: "scan-1" }, { message: "m", data });
    this.hooks.reported(record);
    return record;
  }

  get log(): Record<string, unknown>[] {
    const path = this.layout.daemonLog("auto-fix");
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

describe("a hook", () => {
  test("gets the whole event on its standard input, and the home in its environment", async () => {
    const bench = new Bench();
    bench.write("zombie_detected", 'cat > out.json; echo "$HEALD_EVENT_TYPE $HEALD_HOME" > env; pwd > cwd');
    bench.hooks.start();
    const record = bench.report("zombie_detected", { text: "x".repeat(40_000) });
    await bench.hooks.idle();
    expect(JSON.parse(bench.text("out.json"))).toEqual(record);
    expect(bench.text("env")).toBe(`zombie_detected ${bench.layout.home.home}\n`);
    expect(bench.text("cwd")).toBe(`${bench.layout.home.home}\n`);
    expect(bench.log).toEqual([]);
  });

  test("is started for its own event only", async () => {
    const bench = new Bench();
    bench.write("worker_exited", "echo ran >> out");
    bench.hooks.start();
    bench.report("worker_restarted");
    bench.report("worker_exited");
    await bench.hooks.idle();
    expect(bench.text("out")).toBe("ran\n");
  });

  test("that is put there while the daemon runs is started for the next event, and one that is removed for none", async () => {
    const bench = new Bench();
    bench.hooks.start();
    bench.report("worker_exited");
    const path = bench.write("worker_exited", "echo ran >> out");
    await until(() => {
      bench.report("worker_exited");
      return bench.text("out") !== "";
    }, "the new hook runs");
    rmSync(path);
    bench.hooks.scan();
    await bench.hooks.idle();
    const before = bench.text("out");
    bench.report("worker_exited");
    await bench.hooks.idle();
    expect(bench.text("out")).toBe(before);
  });

  test("that is a link in a circle is not run and said once, and so is one whose name is no event's", async () => {
    const bench = new Bench();
    symlinkSync("loop", join(bench.layout.hooksDir, "loop"));
    symlinkSync("worker_exited", join(bench.layout.hooksDir, "worker_exited"));
    bench.write("worker_restarted", "echo ran >> out");
    bench.hooks.start();
    bench.hooks.scan();
    for (let times = 0; times < 3; times++) bench.report("worker_exited");
    bench.report("worker_restarted");
    await bench.hooks.idle();
    expect(bench.text("out")).toBe("ran\n");
    expect(bench.log.map(({ msg }) => msg)).toEqual([
      "hooks/loop is not run: names no event",
      "hooks/worker_exited is not run: it is a symbolic link",
    ]);
  });

  test("stays known while the folder cannot be read, which is said once", async () => {
    const bench = new Bench();
    const { hooksDir } = bench.layout;
    bench.write("worker_exited", "echo ran >> out");
    bench.hooks.scan();
    renameSync(hooksDir, `${hooksDir}.away`);
    symlinkSync(hooksDir, hooksDir);
    for (let times = 0; times < 3; times++) bench.hooks.scan();
    expect(bench.log.map(({ msg }) => msg)).toEqual([expect.stringMatching(/^hooks cannot be read: .*ELOOP/)]);
    rmSync(hooksDir);
    renameSync(`${hooksDir}.away`, hooksDir);
    bench.report("worker_exited");
    await bench.hooks.idle();
    expect(bench.text("out")).toBe("ran\n");
  });

  test("that fails is one line in the log, with its last words", async () => {
    const bench = new Bench();
    bench.write("worker_exited", "echo first >&2; echo no such room >&2; exit 3");
    bench.hooks.start();
    const record = bench.report("worker_exited");
    await bench.hooks.idle();
    expect(bench.log).toHaveLength(1);
    expect(bench.log[0]).toMatchObject({
      level: "warn",
      msg: "hooks/worker_exited ended with 3",
      event_id: record.event_id,
      last_line: "no such room",
    });
  });

  test("that closes its input at once or cannot be started does no harm", async () => {
    const bench = new Bench();
    bench.write("worker_exited", "exec 0<&-; exit 0");
    writeFileSync(join(bench.layout.hooksDir, "worker_busy"), "#!/no/such/shell\n", { mode: 0o750 });
    bench.hooks.start();
    bench.report("worker_exited", { text: "x".repeat(60_000) });
    bench.report("worker_busy");
    await bench.hooks.idle();
    expect(bench.log.map((line) => line.msg)).toEqual(["hooks/worker_busy could not be started (ENOENT)"]);
  });

  test("that hangs is ended after its time, with all that it started", async () => {
    const bench = new Bench({ timeoutMs: 300 });
    bench.write("worker_exited", "sleep 600 & echo $! > child; trap '' TERM; wait; sleep 600");
    bench.hooks.start();
    bench.report("worker_exited");
    await bench.hooks.idle();
    expect(bench.log.map((line) => line.msg)).toEqual(["hooks/worker_exited took longer than 0.3 s and was ended"]);
    const child = Number(bench.text("child"));
    expect(child).toBeGreaterThan(1);
    await until(() => !isAlive(child), "the hook's child has ended");
  });

  test.each([
    ["writable by others", 0o757, /writable by others/],
    ["not executable", 0o640, /not executable/],
  ])("that is %s is refused by name, once", async (_, mode, why) => {
    const bench = new Bench();
    bench.write("worker_exited", "echo ran > out", mode);
    bench.hooks.start();
    bench.report("worker_exited");
    bench.report("worker_exited");
    await bench.hooks.idle();
    expect(bench.text("out")).toBe("");
    expect(bench.log).toHaveLength(1);
    expect(bench.log[0]?.msg).toMatch(/^hooks\/worker_exited is not run: /);
    expect(bench.log[0]?.msg).toMatch(why);
  });

  test("that is a folder is refused, and one that names no event is said once with the nearest name", async () => {
    const bench = new Bench();
    mkdirSync(join(bench.layout.hooksDir, "worker_busy"));
    bench.write("worker_exitted", "true");
    bench.write("before_kill", "true");
    bench.hooks.start();
    bench.hooks.scan();
    bench.report("worker_busy");
    await bench.hooks.idle();
    expect(bench.log.map((line) => line.msg).sort()).toEqual([
      "hooks/worker_busy is not run: it is not a regular file",
      "hooks/worker_exitted is not run: names no event; did you mean worker_exited",
    ]);
  });
});

describe("hooks", () => {
  test("of one daemon run at most so many at once, and the others wait", async () => {
    const bench = new Bench({ concurrency: 2 });
    mkdirSync(bench.out("running"));
    bench.write(
      "worker_exited",
      'touch "running/$$"; ls running | wc -l >> seen; while [ ! -e go ]; do sleep 0.02; done; rm "running/$$"',
    );
    bench.hooks.start();
    for (let nth = 0; nth < 6; nth += 1) bench.report("worker_exited");
    await until(() => readdirSync(bench.out("running")).length === 2, "two hooks run");
    writeFileSync(bench.out("go"), "");
    await bench.hooks.idle();
    const seen = bench.text("seen").trim().split("\n").map(Number);
    expect(seen).toHaveLength(6);
    expect(Math.max(...seen)).toBeLessThanOrEqual(2);
  });

  test("that are too slow for their events are passed over with a count, not collected without end", async () => {
    const bench = new Bench({ concurrency: 1, waitingMax: 2 });
    bench.write("worker_exited", "echo ran >> out; while [ ! -e go ]; do sleep 0.02; done");
    bench.hooks.start();
    bench.report("worker_exited");
    await until(() => bench.text("out") !== "", "the first hook runs");
    for (let nth = 0; nth < 10; nth += 1) bench.report("worker_exited");
    writeFileSync(bench.out("go"), "");
    await bench.hooks.idle();
    bench.report("worker_exited");
    await bench.hooks.idle();
    expect(bench.text("out").trim().split("\n")).toHaveLength(4);
    expect(bench.log.map((line) => line.msg)).toEqual([
      "hooks are too slow: events are passed over until there is room",
      "8 events had no hook started for them",
    ]);
  });
});

/** What the hooks below write of how they were run: into the working directory, whatever that is. */
const TELL =
  'cat > "$HEALD_EVENT_TYPE.json"; echo "$HEALD_EVENT_TYPE $HEALD_HOME $HEALD_COORDINATION_DIR" > "$HEALD_EVENT_TYPE.env"';

describe("a hook that is asked first", () => {
  const question = (hook: AskedHook): HookQuestion => ({
    hook,
    source: "heartbeat-monitor",
    subject: { worker_id: "scan-1", attempt: 2, incident_id: "inc-1" },
    content: { message: "m", reason: "hung", data: { pid: 4711 } },
    timeoutMs: 300,
  });
  const stamp = { id: "s1", atMs: 1000, monoMs: 0 };

  async function asked(bench: Bench, hook: AskedHook = "before_kill") {
    const news: unknown[] = [];
    const log = openLog(bench.layout.daemonLog("auto-fix"), { name: "auto-fix" });
    const reporter = { news: (...what: unknown[]) => void news.push(what) };
    const answer = await askHook({ layout: bench.layout, log, reporter }, question(hook), { stamp });
    log.close();
    return { answer, news };
  }

  test.each(ASKED_HOOKS)(
    "%s is run as others are: in the home, with its environment, an event on its input",
    async (hook) => {
      const bench = new Bench();
      bench.write(hook, `${TELL}; echo no; echo not now; exit 75`);
      expect((await asked(bench, hook)).answer).toEqual({ later: true, note: "not now" });
      const { home } = bench.layout.home;
      expect(bench.text(`${hook}.env`)).toBe(`${hook} ${home} ${bench.layout.coordination}\n`);
      expect(JSON.parse(bench.text(`${hook}.json`))).toEqual({
        ...{ event_id: "s1-hook", event_type: hook, timestamp: "1970-01-01T00:00:01Z", at_ms: 1000, severity: "info" },
        ...{ source: "heartbeat-monitor", worker_id: "scan-1", attempt: 2, incident_id: "inc-1", reason: "hung" },
        ...{ message: "m", data: { pid: 4711 } },
      });
    },
  );

  test.each([
    ["exit 3", "hooks/before_kill ended with 3; it goes on"],
    ["kill -KILL $$", "hooks/before_kill was ended by SIGKILL; it goes on"],
    ["exec sleep 600", "hooks/before_kill took longer than 0.3 s and was ended; it goes on"],
  ])("holds nothing back where it does %j, and that is one line in the log", async (body, line) => {
    const bench = new Bench();
    bench.write("before_kill", body);
    expect((await asked(bench)).answer).toMatchObject({ later: false });
    expect(bench.log.map(({ msg }) => msg)).toEqual([line]);
  });

  test("is refused by name where others can write it", async () => {
    const bench = new Bench();
    bench.write("before_kill", "exit 75", 0o777);
    const { answer, news } = await asked(bench);
    expect(answer.later).toBe(false);
    expect(news).toEqual([["record_refused", expect.objectContaining({ reason: "unsafe" })]]);
  });

  test("by the daemons: both are told of the incident and the attempt that they are about", async () => {
    const healing = new Healing();
    onTestFinished(() => healing.close());
    healing.config("heartbeat-policy", SHORT);
    healing.template("mute-worker", "exec sleep 600", { heartbeat: { mode: "required" } });
    for (const hook of ASKED_HOOKS)
      writeFileSync(join(healing.layout.hooksDir, hook), `#!/bin/sh\n${TELL}\n`, { mode: 0o750 });
    await healing.start("heartbeat-monitor", "worker-restart");
    expect((await healing.line.heald("spawn", "--type", "mute-worker", "--task-id", "t", "--id", "m")).code).toBe(0);
    const told = (hook: AskedHook) => JSON.parse(readFileSync(join(healing.line.home, `${hook}.json`), "utf8"));
    await until(() => healing.launch("m", 2) !== null, "the worker is started again");
    const about = { worker_id: "m", worker_type: "mute-worker", task_id: "t", at_ms: expect.any(Number) };
    const [kill, restart] = [told("before_kill"), told("before_restart")];
    expect(kill).toMatchObject({
      ...about,
      ...{ event_type: "before_kill", source: "heartbeat-monitor", attempt: 1, incident_id: expect.any(String) },
      data: { pid: healing.launch("m", 1)?.pid, evidence: expect.any(String) },
    });
    expect(restart).toMatchObject({ ...about, source: "worker-restart", attempt: 2, incident_id: kill.incident_id });
    for (const hook of ASKED_HOOKS)
      expect(readFileSync(join(healing.line.home, `${hook}.env`), "utf8")).toBe(
        `${hook} ${healing.line.home} ${healing.line.coordination}\n`,
      );
  });
});

describe("a daemon", () => {
  test("starts hooks for its own events from the first to the last, and does not wait for them when it stops", async () => {
    const bench = new Bench();
    bench.write("daemon_started", "cat > started; echo $$ > pid; exec sleep 600");
    bench.write("daemon_stopped", "cat > stopped; echo late >&2; echo done > finished");
    bench.write("policy_loaded", "cat >> loaded");
    const main = join(packageRoot(), "dist", "daemons", "failure-pattern", "main.js");
    const daemon = spawn(process.execPath, [main, "--home", bench.layout.home.home, "--console", "none"], {
      stdio: "ignore",
    });
    const code = ended(daemon);
    onTestFinished(() => void daemon.kill("SIGKILL"));
    await until(() => bench.text("pid") !== "", "the hook for daemon_started runs");
    const hook = Number(bench.text("pid"));
    onTestFinished(() => {
      if (isAlive(hook)) process.kill(-hook, "SIGKILL");
    });
    const before = performance.now();
    daemon.kill("SIGTERM");
    expect(await code).toBe(0);
    expect(performance.now() - before).toBeLessThan(3000);
    expect(isAlive(hook)).toBe(true);
    process.kill(-hook, "SIGKILL");
    await until(() => bench.text("finished") === "done\n", "the hook for daemon_stopped has run to its end");
    expect(JSON.parse(bench.text("started"))).toMatchObject({ event_type: "daemon_started" });
    expect(JSON.parse(bench.text("stopped"))).toMatchObject({ event_type: "daemon_stopped" });
    expect(JSON.parse(bench.text("loaded"))).toMatchObject({ event_type: "policy_loaded" });
  });
});

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code));
  });
}
