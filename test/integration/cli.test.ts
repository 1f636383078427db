/**
 * Guarantee: what a person types works on the files alone, with or without daemons, and says what it did in words, exit
 * codes and JSON. Runs the compiled command; `npm test` builds it first.
 */
import { spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { identityIn } from "../../cli/identities.js";
import { packageRoot } from "../../lib/platform/package.js";
import { presenceOf } from "../../lib/platform/processes.js";
import { CommandLine, finished, MAIN, until } from "./support/command-line.js";

let at: CommandLine;

beforeEach(() => {
  at = new CommandLine();
});

afterEach(() => at.close());

const sleeper = ["--type", "sleepy-worker", "--task-id", "t-1", "--", "sleep", "300"];

describe("the command line", () => {
  test("explains every command with an example, and exits 0", async () => {
    const { out } = await at.heald("--help");
    const names = [...out.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map((match) => match[1] as string);
    expect(names).toEqual(expect.arrayContaining(["status", "top", "why", "spawn", "drill", "events"]));
    const helps = await Promise.all(
      names.filter((name) => name !== "help").map(async (name) => ({ name, ...(await at.heald(name, "--help")) })),
    );
    for (const { name, code, out: text } of helps) {
      expect({ name, code }).toEqual({ name, code: 0 });
      expect(text).toMatch(new RegExp(`Examples:\\n(.*\\n)*? .*heald ${name}`));
      expect(text).toContain("--home <dir>");
    }
  });

  test("finds no home where none is named, and makes none", async () => {
    const ran = await at.run(process.execPath, [MAIN, "status"], { HEALD_HOME: "", TMPDIR: at.home });
    expect(ran.code).toBe(1);
    const elsewhere = join(at.home, "elsewhere");
    mkdirSync(elsewhere);
    const child = spawn(process.execPath, [MAIN, "status"], { cwd: elsewhere, env: { PATH: process.env.PATH } });
    expect(await finished(child)).toMatchObject({ code: 2, err: expect.stringContaining("Cannot find a home") });
    const named = await at.heald("status", "--home", elsewhere);
    expect(named).toMatchObject({ code: 78, err: expect.stringContaining("run heald init") });
    expect((await at.heald("spawn", "--home", elsewhere, ...sleeper)).code).toBe(78);
  });

  test("makes nothing in the coordination/ of another project, nor where HEALD_COORDINATION_DIR alone is named", async () => {
    const [project, elsewhere] = [join(at.home, "project"), join(at.home, "elsewhere")];
    for (const folder of [join(project, "coordination"), elsewhere]) mkdirSync(folder, { recursive: true });
    const run = (cwd: string, args: readonly string[], env: NodeJS.ProcessEnv) =>
      finished(
        spawn(process.execPath, [MAIN, ...args], { cwd, env: { PATH: process.env.PATH, ...env }, timeout: 10_000 }),
      );
    const acts = ["pause", "retry w-1", "beat w-1 --attempt 1", "metric a b=1", "spawn --type t -- sleep 300"];
    for (const act of [...acts, "stop --all", "daemon auto-fix", "daemons start", "up"]) {
      const ran = await run(project, act.split(" "), {});
      // Started all the same, they would carry no home in their environment by which the end of the test finds them.
      if (ran.code === 0) await run(project, ["daemons", "stop"], {});
      expect({ act, ...ran }).toMatchObject({ act, code: 78, out: "" });
      expect(ran.err).toMatch(/coordination": it is no home of heald: .*; heald init makes it one\n$/);
    }
    const named = await run(elsewhere, ["pause"], { HEALD_COORDINATION_DIR: at.coordination });
    expect([named.code, at.list("holds")]).toEqual([0, ["all"]]);
    expect([readdirSync(project), readdirSync(join(project, "coordination"))]).toEqual([["coordination"], []]);
    expect(readdirSync(elsewhere)).toEqual([]);
    expect((await run(project, ["init"], {})).code).toBe(0);
    expect((await run(project, ["pause"], {})).code).toBe(0);
  });

  test("makes for each command the folders that it needs in a home from before they were added", async () => {
    for (const name of readdirSync(at.coordination)) if (name !== "VERSION") rmSync(at.path(name), { recursive: true });
    const policy = join(at.home, "heartbeat-policy.json");
    writeFileSync(policy, '{"heartbeat_interval_seconds":20}');
    const pid = String(at.start("sleep", ["300"]).pid);
    const acts = [
      ...[
        ["spawn", ...sleeper],
        ["beat", "worker-sleepy-1"],
        ["stop", "worker-sleepy-1"],
        ["pause"],
        ["metric", "a", "b=1"],
      ],
      ...[
        ["adopt", "--pid", pid],
        ["restart", "worker-sleepy-1"],
        ["policy", "apply", policy, "--yes"],
      ],
    ];
    for (const act of acts) expect({ act, ...(await at.heald(...act)) }).toMatchObject({ act, code: 0 });
    expect(at.list()).toEqual([
      ...["VERSION", "config", "desired", "exits", "heartbeats", "holds", "launches", "metrics", "restart", "run"],
      "worker-specs",
    ]);
  });

  test("refuses a newer format and touches nothing", async () => {
    writeFileSync(at.path("VERSION"), '{"format":2,"heald":"9.0.0"}');
    const before = readdirSync(at.home, { recursive: true });
    for (const act of ["status", "pause", "init", "up", "daemons start", "daemons restart auto-fix"]) {
      const ran = await at.heald(...act.split(" "));
      expect({ act, ...ran }).toMatchObject({ act, code: 78, out: "" });
      expect(ran.err).toMatch(/its format is 2.* knows? formats up to 1\n$/);
    }
    expect(readdirSync(at.home, { recursive: true })).toEqual(before);
  });

  test("starts, adopts and signals nothing in another host's home, and says whose it is", async () => {
    const text = JSON.stringify({ host: "other", pid_ns: "1" });
    writeFileSync(at.path("run", "owner.json"), text);
    const pid = String(at.start("sleep", ["300"]).pid);
    const acts = [
      ["spawn", ...sleeper],
      ["adopt", "--pid", pid],
      ["cleanup"],
      ["cleanup", "--dry-run"],
      ["drill"],
      ["daemons", "stop"],
      ["daemons", "restart"],
      ["daemons", "start", "auto-fix"],
    ];
    for (const act of acts) {
      const ran = await at.heald(...act);
      expect({ act, ...ran }).toMatchObject({ act, code: 4, out: "" });
      expect(ran.err).toContain('it belongs to host "other", pid namespace 1');
    }
    expect([...at.list("worker-specs", "active"), ...at.list("launches")]).toEqual([]);
    expect([readdirSync(join(at.home, "agents", "logs", "system")), at.list("run")]).toEqual([[], ["owner.json"]]);
    expect(readFileSync(at.path("run", "owner.json"), "utf8")).toBe(text);
    expect((await at.heald("status")).out).toContain('this home belongs to host "other", pid namespace 1');
    expect(await at.json("status")).toMatchObject({ foreign_owner: { host: "other", pid_ns: "1" } });
    unlinkSync(at.path("run", "owner.json"));
    expect((await at.heald("spawn", ...sleeper)).code).toBe(0);
    expect(await at.json("status")).toMatchObject({ foreign_owner: null });
  });

  test("ends quietly when its reader goes away", async () => {
    appendFileSync(
      at.path("events", "daemon-events.jsonl"),
      '{"event_type":"daemon_started","message":"x"}\n'.repeat(20_000),
    );
    const ran = await at.run("sh", ["-c", `"${process.execPath}" "${MAIN}" events -n 20000 | head -1`]);
    expect(ran).toMatchObject({ code: 0, err: "" });
  });
});

describe("a wrong command line", () => {
  const shared = new CommandLine();
  afterAll(() => shared.close());

  test.each([
    [["statsu"], 2, /unknown command 'statsu'/],
    [["status", "--colour"], 2, /unknown option '--colour'/],
    [["spawn", "--task-id", "x"], 2, /--type is missing/],
    [["spawn", "--type", "../x"], 2, /--type must match .* got "\.\.\/x"/],
    [["workers", "--state", "sad"], 2, /--state must be one of .* got "sad"/],
    [["stop"], 2, /Name workers by their ids, or by --type, or all with --all/],
    [["hold", "add", "a", "--for", "soon"], 2, /--for must be a duration/],
    [["why", "nobody"], 3, /Nothing is known of "nobody"/],
    [["stop", "nobody"], 3, /No worker "nobody"/],
    [["cleanup", "nobody"], 3, /No worker "nobody"/],
    [["logs", "nobody"], 3, /No worker "nobody"/],
    [["beat", "nobody"], 3, /No active worker "nobody": nothing was written/],
    [["fix", "approve", "x"], 3, /No fix "x"/],
    [["breaker", "reset", "t"], 3, /No circuit breaker for "t"/],
    [["daemons", "start", "cron"], 3, /No daemon "cron"/],
    [["adopt"], 2, /--pid is missing/],
    [["adopt", "--pid", "1"], 4, /Refused to adopt pid 1/],
    [["adopt", "--pid", "1", "--id", "a", "--type", "b"], 4, /Refused to adopt pid 1/],
  ])("heald %j exits %i and says why", async (args, code, sentence) => {
    const ran = await shared.heald(...args);
    expect(ran).toMatchObject({ code, out: "" });
    expect(ran.err).toMatch(sentence);
    expect(ran.err).not.toMatch(/\n\s+at /);
  });
});

describe("heald init", () => {
  test("changes nothing that is there, and begins auto-fix as a dry run", async () => {
    writeFileSync(at.path("config", "auto-fix-policy.json"), '{"enabled":false}');
    expect((await at.heald("init")).out).toMatch(/^home .*\nmade .*failure-pattern-policy\.json\n/m);
    expect((await at.heald("init")).out).toContain("Nothing was missing.");
    expect(at.read("config", "auto-fix-policy.json")).toEqual({ enabled: false });
    expect(at.read("config", "failure-pattern-policy.json")).toHaveProperty("enabled");
  });
});

describe("heald spawn", () => {
  test("starts a worker while no daemon runs, and says that nobody watches it", async () => {
    const ran = await at.heald("spawn", ...sleeper);
    expect(ran.code).toBe(0);
    expect(ran.out).toMatch(/^worker-sleepy-1 {2}attempt 1 {2}runs as pid \d+ {2}log .*attempt-1\.log\n$/);
    expect(ran.err).toContain("heartbeat-monitor does not run: nobody watches this worker");
    const identity = identityIn(at.read("launches", "worker-sleepy-1.attempt-1.json"));
    expect(identity && presenceOf(identity)).toBe("same");
    expect(at.read("worker-specs", "active", "worker-sleepy-1.json")).toMatchObject({
      status: "pending",
      attempt: 1,
      task_id: "t-1",
    });
  });

  test("refuses a template with a stop signal that there is not, and doctor names it with the nearest", async () => {
    const launch = { command: "/bin/sleep", args: ["60"], stop: { signal: "SIGTEM" } };
    const template = { worker_type: "slow-worker", launch };
    writeFileSync(at.path("worker-specs", "templates", "slow-worker.json"), JSON.stringify(template), { mode: 0o640 });
    const why = 'launch.stop.signal must be a signal such as SIGTERM, got "SIGTEM"; did you mean SIGTERM';
    const { code, err } = await at.heald("spawn", "--type", "slow-worker", "--task-id", "t-1");
    expect({ code, err }).toEqual({ code: 4, err: `heald: Refused to spawn a "slow-worker": ${why}\n` });
    expect(at.list("worker-specs", "active")).toEqual([]);
    expect((await at.heald("doctor")).out).toContain(`template: slow-worker: ${why}; SIGTERM is sent`);
  });

  test("gives the program its environment, its arguments untouched, and a log", async () => {
    const spawned = await at
      .json<{ log: string }>(
        "spawn",
        "--type",
        "echo-worker",
        "--env",
        "COLOUR=dark blue",
        "A=1",
        "--id",
        "echo",
        "--",
        "sh",
        "-c",
        'echo "$HEALD_WORKER_ID $HEALD_ATTEMPT $COLOUR $A <$1>"',
        "sh",
        "--json",
      )
      .catch(async () => JSON.parse((await at.heald("why", "echo", "--json")).out));
    await until(
      () =>
        readFileSync(at.path("..", "agents", "logs", "workers", "echo", "attempt-1.log"), "utf8").includes("echo 1"),
      "it has printed",
    );
    expect((await at.heald("logs", "echo")).out).toBe("echo 1 dark blue 1 <--json>\n");
    expect(spawned).toBeDefined();
  });

  test("refuses an active id, and what nothing tells how to start", async () => {
    expect((await at.heald("spawn", "--id", "one", ...sleeper)).code).toBe(0);
    expect(await at.heald("spawn", "--id", "one", ...sleeper)).toMatchObject({
      code: 4,
      err: expect.stringContaining("it is active already"),
    });
    expect(await at.heald("spawn", "--type", "unheard-of")).toMatchObject({
      code: 3,
      err: expect.stringContaining("no template of that name"),
    });
  });

  describe("of a type that requires something", () => {
    const requires = [{ path: "model.bin" }, { tcp: "127.0.0.1:1" }, { worker_type: "store-worker" }];
    const template = (blocks: object): void =>
      writeFileSync(
        at.path("worker-specs", "templates", "needy-worker.json"),
        JSON.stringify({ worker_type: "needy-worker", launch: { command: "sleep", args: ["300"] }, ...blocks }),
        { mode: 0o640 },
      );

    test("refuses while that is missing, names it, and leaves nothing behind", async () => {
      template({ requires, token_budget: { allocated: 10 } });
      writeFileSync(at.path("token-budget.json"), '{"total_budget":100,"total_used":0}');
      expect(await at.heald("spawn", "--type", "needy-worker", "--id", "n")).toMatchObject({
        code: 4,
        out: "",
        err: expect.stringContaining(
          'Refused to spawn a "needy-worker": it requires path model.bin, tcp 127.0.0.1:1, a running store-worker; --override-requires',
        ),
      });
      expect(at.list("worker-specs", "active")).toEqual([]);
      expect([...at.list("launches"), ...at.list("desired")]).toEqual([]);
      expect(at.read("token-budget.json")).toMatchObject({ total_used: 0 });
      expect(existsSync(join(at.home, "agents", "logs", "workers", "n"))).toBe(false);
    });

    test("takes back spec and tokens of a worker whose launcher could not be started", async () => {
      template({ token_budget: { allocated: 10 }, launch: { command: "sleep", env: { A: "\u0000" } } });
      writeFileSync(at.path("token-budget.json"), '{"total_budget":100,"total_used":0}');
      const { code, err } = await at.heald("spawn", "--type", "needy-worker", "--id", "n");
      expect([code, err]).toEqual([1, expect.stringContaining("no NUL")]);
      expect(at.list("worker-specs", "active")).toEqual([]);
      expect(at.read("token-budget.json")).toMatchObject({ total_used: 0 });
    });

    test("starts it once all of it is there", async () => {
      template({ requires: [requires[0], requires[2]] });
      writeFileSync(join(at.home, "model.bin"), "");
      expect((await at.heald("spawn", "--type", "needy-worker")).code).toBe(4);
      expect((await at.heald("spawn", "--type", "store-worker", "--", "sleep", "300")).code).toBe(0);
      expect(await at.heald("spawn", "--type", "needy-worker")).toMatchObject({ code: 0 });
      expect(at.read("worker-specs", "active", "worker-needy-1.json")).not.toHaveProperty("passed_over");
    });

    test("takes a process that was adopted for running, and no longer than it lives", async () => {
      template({ requires: [requires[2]] });
      const store = at.start("sleep", ["300"]);
      await at.heald("adopt", "--pid", String(store.pid), "--type", "store-worker");
      expect((await at.heald("spawn", "--type", "needy-worker")).code).toBe(0);
      const ended = finished(store);
      store.kill("SIGKILL");
      await ended;
      expect((await at.heald("spawn", "--type", "needy-worker")).code).toBe(4);
    });

    test("starts it all the same when a person passes the gate by name, and keeps who and what in its spec", async () => {
      template({ requires });
      expect((await at.heald("spawn", "--type", "needy-worker", "--id", "n", "--override-requires")).code).toBe(0);
      expect(at.read("worker-specs", "active", "n.json").passed_over).toEqual([
        {
          gate: "requires",
          found: ["path model.bin", "tcp 127.0.0.1:1", "a running store-worker"],
          by: expect.stringMatching(/^person:./),
        },
      ]);
    });
  });

  test("works under the runbook's script names, with --timeout for the zombie threshold", async () => {
    const script = join(packageRoot(), "scripts", "spawn-worker.sh");
    const ran = await at.run(script, [
      "--type",
      "sleepy-worker",
      "--task-id",
      "t",
      "--timeout",
      "15",
      "--",
      "sleep",
      "300",
      "--timeout",
    ]);
    expect(ran.code).toBe(0);
    const spec = at.read("worker-specs", "active", "worker-sleepy-1.json");
    expect(spec).toMatchObject({
      overrides: { heartbeat: { zombie_threshold_seconds: 15 } },
      launch: { args: ["300", "--timeout"] },
    });
    const wizard = join(packageRoot(), "scripts", "wizards", "create-worker.sh");
    expect((await at.run(wizard, ["--type", "sleepy-worker", "--task-id", "w", "--", "sleep", "300"])).out).toContain(
      "worker-sleepy-2",
    );
  });
});

describe("steering", () => {
  test("stop, drain and restart write wishes and requests that carry the person, and need a yes for more than ten", async () => {
    for (let number = 1; number <= 11; number++)
      writeFileSync(
        at.path("worker-specs", "active", `w-${number}.json`),
        JSON.stringify({ worker_id: `w-${number}`, worker_type: "t" }),
      );
    expect(await at.heald("stop", "--all")).toMatchObject({
      code: 4,
      err: "heald: Refused to stop 11 workers without --yes\n",
    });
    expect(at.list("desired")).toEqual([]);
    expect((await at.heald("stop", "--all", "--yes", "--why", "move")).code).toBe(0);
    expect(at.list("desired")).toHaveLength(11);
    expect(at.read("desired", "w-3.json")).toMatchObject({
      state: "stopped",
      why: "move",
      by: expect.stringMatching(/^person:/),
    });
    expect((await at.heald("drain", "w-3")).out).toBe("w-3  is to finish\n");
    expect(at.read("desired", "w-3.json")).toMatchObject({ state: "draining" });
    expect((await at.heald("restart", "w-3", "--override-hold")).code).toBe(0);
    expect(at.read("restart", "queue", "w-3-restart.json")).toMatchObject({
      worker_id: "w-3",
      force: true,
      override: ["holds", "poison_task"],
      requested_by: expect.stringMatching(/^person:/),
    });
    expect(at.read("desired", "w-3.json")).toMatchObject({ state: "running" });
  });

  test("retry --now turns a request that waits into one that passes what only waits", async () => {
    writeFileSync(
      at.path("worker-specs", "failed", "w.attempt-4.json"),
      JSON.stringify({ worker_id: "w", worker_type: "t", attempt: 4 }),
    );
    writeFileSync(
      at.path("restart", "queue", "w-restart.json"),
      JSON.stringify({ worker_id: "w", worker_type: "t", attempt: 4, incident_id: "i", deferred: { gate: "backoff" } }),
    );
    expect(await at.heald("retry", "w", "--now")).toMatchObject({
      code: 0,
      out: "w  the request that waited is now a retry\n",
    });
    const request = at.read("restart", "queue", "w-restart.json");
    expect(request).toMatchObject({
      attempt: 4,
      incident_id: "i",
      reason: "retry",
      override: ["not_before", "backoff", "retries", "budgets"],
    });
    expect(request).not.toHaveProperty("deferred");
  });

  test("retry leaves a request its time, and says how to pass it", async () => {
    writeFileSync(
      at.path("worker-specs", "failed", "w.attempt-4.json"),
      JSON.stringify({ worker_id: "w", worker_type: "t", attempt: 4 }),
    );
    writeFileSync(
      at.path("restart", "queue", "w-restart.json"),
      JSON.stringify({ worker_id: "w", worker_type: "t", attempt: 4, not_before: "2999-06-01T12:00:00Z" }),
    );
    expect((await at.heald("retry", "w")).err).toMatch(
      /it is for 2999-06-01 \d\d:\d\d:00 and not before; heald retry w --now does not wait\n/,
    );
    expect(at.read("restart", "queue", "w-restart.json")).toMatchObject({ not_before: "2999-06-01T12:00:00Z" });
    expect((await at.heald("retry", "w", "--now")).err).not.toContain("not before");
  });

  test.each([
    ["drain", "draining"],
    ["stop", "stopped"],
  ])("retry takes back a %s of a worker that still runs, and requests nothing", async (command, state) => {
    await at.heald("spawn", "--id", "w", ...sleeper);
    const { pid } = at.read("launches", "w.attempt-1.json");
    await at.heald(command, "w");
    expect(await at.heald("retry", "w", "--now", "--why", "too early")).toMatchObject({
      code: 0,
      out: `w  is wanted running again, no more ${state}; it runs as pid ${pid}, and nothing is requested\n`,
    });
    expect(at.read("desired", "w.json")).toMatchObject({
      state: "running",
      why: "too early",
      by: expect.stringMatching(/^person:/),
    });
    await at.heald(command, "w");
    expect(await at.json("retry", "w")).toMatchObject({
      worker_id: "w",
      filed: null,
      desired: "running",
      before: state,
    });
    expect(at.list("restart", "queue")).toEqual([]);
    expect(await at.heald("retry", "w")).toMatchObject({
      code: 4,
      err: `heald: Refused to retry w: it runs as pid ${pid}; heald restart w ends it and starts it again\n`,
    });
  });

  test("pause holds everything, status exits 4 meanwhile, resume ends it and may be repeated", async () => {
    expect((await at.heald("pause", "--for", "10m", "--why", "lunch")).out).toContain("Everything is held for 10m");
    expect(await at.heald("status")).toMatchObject({ code: 4, out: expect.stringMatching(/held .*[\s\S]*lunch/) });
    expect((await at.heald("hold", "ls")).out).toMatch(
      /^HOLD +FOR +FORBIDS.*\nall +everything +kill, restart, fix +10m +person:.* +lunch\n$/,
    );
    expect((await at.heald("resume")).out).toContain("Resumed");
    expect(await at.heald("resume")).toMatchObject({
      code: 0,
      out: "Nothing to resume: there is no hold on everything.\n",
    });
  });

  test("hold add says that nothing has the name that it holds, and what has", async () => {
    await at.heald("spawn", "--id", "w-100", "--type", "b-worker", "--", "sleep", "300");
    const said = async (subject: string): Promise<string> => {
      const { code, out, err } = await at.heald("hold", "add", subject);
      expect({ subject, code }).toEqual({ subject, code: 0 });
      expect(out).toContain("no kill, no restart, no fix for 60m");
      return err;
    };
    for (const subject of ["w-100", "type:b-worker", "type:test-worker", "target:billing", "all"])
      expect({ subject, err: await said(subject) }).toEqual({ subject, err: "" });
    expect(await said("typo")).toBe("heald: no worker is called typo now: it is held when there is one\n");
    expect(await said("w-101")).toContain("it is held when there is one; did you mean w-100\n");
    expect(await said("b-worker")).toBe(
      "heald: no worker is called b-worker now, but a type is: heald hold add type:b-worker holds its workers\n",
    );
    expect(await said("type:nosuchtype")).toBe(
      "heald: no worker type is called nosuchtype now: it is held when there is one\n",
    );
    expect(await said("type:w-100")).toContain("but a worker is: heald hold add w-100 holds it");
    expect(at.list("holds")).toEqual(
      expect.arrayContaining(["worker.typo", "worker.b-worker", "worker_type.nosuchtype"]),
    );
  });

  test("breaker reset writes what an operator would write by hand, on one line, and keeps what people have added", async () => {
    writeFileSync(
      at.path("circuit-breakers", "t.json"),
      '{"worker_type":"t","state":"open","failure_count":6,"reason":"failures","ticket":"OPS-7"}',
    );
    expect((await at.heald("breaker", "ls")).out).toMatch(/t +open +6/);
    expect((await at.heald("breaker", "reset", "t")).out).toBe("t  closed\n");
    expect(at.read("circuit-breakers", "t.json")).toEqual({
      worker_type: "t",
      state: "closed",
      failure_count: 0,
      last_failure: null,
      last_reset: expect.stringMatching(/Z$/),
      manual_reset: true,
      ticket: "OPS-7",
    });
    expect(readFileSync(at.path("circuit-breakers", "t.json"), "utf8")).toContain('"state":"closed"');
  });

  test("fix names what is wrong with a proposal that cannot be read, and lets nobody approve it", async () => {
    writeFileSync(at.path("auto-fix", "pending", "b.json"), "{");
    const why = "line 1, column 2: not valid JSON";
    expect((await at.heald("fix", "ls")).out).toMatch(
      /b +unreadable +- +- +-.*\n.*it cannot be read: line 1, column 2/,
    );
    const { out } = await at.heald("fix", "show", "b");
    expect(out).toContain(`it cannot be read: ${why}`);
    expect(out).not.toMatch(/to approve|to decline|expires/);
    expect(await at.heald("fix", "approve", "b")).toMatchObject({ code: 4, err: `heald: Cannot approve b: ${why}\n` });
    expect(at.list("auto-fix", "pending")).toEqual(["b.json"]);
  });

  test("fix approves and rejects by moving the proposal, once", async () => {
    expect((await at.heald("fix", "ls")).out).toBe("No fixes: none is proposed and none was applied.\n");
    for (const name of ["run-1", "run-2"])
      writeFileSync(
        at.path("auto-fix", "pending", `${name}.json`),
        JSON.stringify({ why: "memory", risk: "low", subject: "t" }),
      );
    expect((await at.heald("fix", "ls")).out).toMatch(/run-1 +pending +t +low/);
    expect((await at.heald("fix", "show", "run-1")).out).toMatch(/^run-1 {2}pending\n[\s\S]* {2}why +memory\n/);
    expect((await at.heald("fix", "approve", "run-1")).out).toBe("run-1  approved\n");
    expect((await at.heald("fix", "reject", "run-2")).out).toBe("run-2  rejected\n");
    expect(await at.heald("fix", "approve", "run-1")).toMatchObject({
      code: 4,
      err: expect.stringContaining("it is in approved/"),
    });
    expect([at.list("auto-fix", "pending"), at.list("auto-fix", "approved"), at.list("auto-fix", "rejected")]).toEqual([
      [],
      ["run-1.json"],
      ["run-2.json"],
    ]);
  });

  test("beat counts on from the last beat and believes no pid but the worker's own", async () => {
    writeFileSync(
      at.path("worker-specs", "active", "w.json"),
      JSON.stringify({ worker_id: "w", worker_type: "t", attempt: 3 }),
    );
    await at.heald("beat", "w", "--score", "80", "--progress", "12.5", "--activity", "reading");
    const second = await at.run(process.execPath, [MAIN, "beat", "w"], { HEALD_PID: "1", HEALD_WORKER_ID: "another" });
    expect(second.code).toBe(0);
    expect(at.read("heartbeats", "w.json")).toMatchObject({
      worker_id: "w",
      attempt: 3,
      sequence: 2,
      health_score: 100,
    });
    expect(at.read("heartbeats", "w.json")).not.toHaveProperty("pid");
    expect((await at.heald("beat", "w", "--score", "101")).code).toBe(2);
  });

  test("adopt writes the process's identity and refuses it a second time", async () => {
    const child = at.start("sleep", ["300"]);
    const pid = String(child.pid);
    expect((await at.heald("adopt", "--pid", pid, "--id", "old", "--type", "legacy")).out).toBe(
      `old  adopted pid ${pid}; it is never signalled\n`,
    );
    expect(at.read("worker-specs", "active", "old.json")).toMatchObject({
      status: "running",
      restart: { when: "never" },
      execution: { pid: child.pid, origin: "adopted", may_signal: false },
    });
    expect(await at.heald("adopt", "--pid", pid, "--id", "new", "--type", "legacy")).toMatchObject({
      code: 4,
      err: expect.stringContaining("attempt 1 of old already"),
    });
    expect((await at.heald("workers")).out).toMatch(new RegExp(`old +legacy +unknown .*${pid}`));
  });

  test("stop says which hold on kills it passes", async () => {
    const { pid } = at.start("sleep", ["300"]);
    await at.heald("adopt", "--pid", String(pid), "--id", "mine", "--type", "legacy", "--may-signal");
    await at.heald("hold", "add", "mine");
    expect((await at.heald("stop", "mine")).out).toBe(
      'mine  is to be stopped (the hold "worker.mine" on kills is passed)\n',
    );
  });

  test("stop and restart say of a process that may not be signalled that nobody but the person ends it", async () => {
    for (const id of ["mine", "theirs"]) {
      const { pid } = at.start("sleep", ["300"]);
      const leave = id === "theirs" ? [] : ["--may-signal"];
      await at.heald("adopt", "--pid", String(pid), "--id", id, "--type", "legacy", ...leave);
      const remark = id === "theirs" ? ` (it was adopted without --may-signal: nobody but you ends pid ${pid})` : "";
      expect((await at.heald("restart", id)).out).toBe(`${id}  restart requested${remark}\n`);
      expect((await at.heald("stop", id)).out).toBe(`${id}  is to be stopped${remark}\n`);
    }
  });
});

describe("a worker that is known by its request alone", () => {
  const waits = (id: string, worker_type: string, more: object = {}): void =>
    writeFileSync(
      at.path("restart", "queue", `${id}-restart.json`),
      JSON.stringify({ worker_id: id, worker_type, deferred: { gate: "no_template", reason: "none" }, ...more }),
    );
  const desired = (id: string): unknown => at.read("desired", `${id}.json`).state;

  test("can be stopped, retried and cleaned up by its id, and has no attempt where there never was one", async () => {
    waits("q-1", "new-worker");
    waits("q-2", "new-worker", { attempt: 3 });
    expect(await at.heald("stop", "q-1")).toMatchObject({
      code: 0,
      out: "q-1  is to be stopped (it waits for a restart, which is put off)\n",
    });
    expect(desired("q-1")).toBe("stopped");
    expect((await at.heald("workers")).out).toMatch(
      /^q-1 +new-worker +exited \(wanted: stopped\) +- +- .*no_template\nq-2 +new-worker +exited +- +3 /m,
    );
    expect(await at.json("workers")).toMatchObject([
      { worker_id: "q-1", attempt: null },
      { worker_id: "q-2", attempt: 3 },
    ]);
    expect((await at.heald("why", "q-1")).out.replace(/\n +/g, " ")).toContain(
      "a restart waits at the gate no_template",
    );
    expect(await at.heald("cleanup", "q-1")).toMatchObject({ code: 0, out: "" });
    expect(await at.heald("retry", "q-1")).toMatchObject({
      code: 0,
      out: "q-1  the request that waited is now a retry\n",
    });
    expect(at.read("restart", "queue", "q-1-restart.json")).not.toHaveProperty("attempt");
    expect(desired("q-1")).toBe("running");
    for (const command of ["stop", "retry", "cleanup", "restart"])
      expect(await at.heald(command, "q-3")).toMatchObject({
        code: 3,
        err: expect.stringContaining('No worker "q-3"'),
      });
  });

  test("is stopped and drained with its type, and with all; restart is for active ones", async () => {
    await at.heald("spawn", "--id", "w", ...sleeper);
    waits("q-1", "new-worker");
    waits("w", "sleepy-worker");
    writeFileSync(at.path("restart", "queue", "by-hand.json"), '{"worker_id":"q-2","worker_type":"old-worker"}');
    expect((await at.heald("stop", "--type", "new-worker")).out).toMatch(/^q-1 {2}is to be stopped .*\n$/);
    const put = "is to finish (it waits for a restart, which is put off)";
    expect((await at.heald("drain", "--all")).out).toBe(`w  is to finish\nq-2  ${put}\nq-1  ${put}\n`);
    expect(["w", "q-1", "q-2"].map(desired)).toEqual(["draining", "draining", "draining"]);
    expect(await at.heald("stop", "--type", "no-worker")).toMatchObject({
      code: 3,
      err: 'heald: No active worker of type "no-worker", and none that waits for a restart\n',
    });
    expect((await at.heald("restart", "--all")).out).toBe("w  restart requested\n");
  });

  test("stays down once it is stopped, also where what it waited for comes", async () => {
    expect((await at.heald("daemons", "start", "worker-restart")).code).toBe(0);
    waits("q-1", "new-worker");
    const gate = () => (at.read("restart", "queue", "q-1-restart.json").deferred as { gate: string }).gate;
    await until(() => at.lines("events", "worker-restart-events.jsonl").length > 0, "it is in the queue");
    expect((await at.heald("stop", "--all")).out).toContain("q-1  is to be stopped");
    await until(() => gate() === "desired", "the wish is seen");
    writeFileSync(
      at.path("worker-specs", "templates", "new-worker.json"),
      JSON.stringify({ worker_type: "new-worker", launch: { command: "sleep", args: ["300"] } }),
      { mode: 0o640 },
    );
    waits("q-2", "new-worker");
    await until(() => at.list("launches").includes("q-2.attempt-1.json"), "another one of its type is started");
    expect([gate(), at.list("launches")]).toEqual(["desired", ["q-2.attempt-1.json"]]);
    expect((await at.heald("retry", "q-1")).code).toBe(0);
    await until(() => at.list("launches").includes("q-1.attempt-1.json"), "it is started");
  });
});

describe("a worker whose spec a person removed", () => {
  const spec = (attempt: number) => JSON.stringify({ worker_id: "w", worker_type: "t", status: "zombie", attempt });
  const evidence = (attempt: number): void =>
    writeFileSync(at.path("worker-specs", "zombie", `w.attempt-${attempt}.json`), spec(attempt));

  /** Starts an attempt and takes its spec away. Returns its pid. */
  async function forgotten(attempt: number): Promise<number> {
    expect((await at.heald("spawn", "--id", "w", "--type", "t", "--", "sleep", "300")).code).toBe(0);
    unlinkSync(at.path("worker-specs", "active", "w.json"));
    return Number(at.read("launches", `w.attempt-${attempt}.json`).pid);
  }

  async function killed(pid: number): Promise<void> {
    process.kill(pid, "SIGKILL");
    await until(() => at.list("exits").length > 0, "its end is recorded");
  }

  test("is left alone while it runs: nothing is started beside it, and each command names its pid and what to do", async () => {
    evidence(1);
    const pid = await forgotten(2);
    const todo = `kill ${pid} ends it, heald adopt --pid ${pid} --id w has it watched again`;
    for (const args of [["retry"], ["retry", "--now"], ["restart"]])
      expect(await at.heald(...args, "w")).toMatchObject({
        code: 4,
        err: `heald: Refused to ${args[0]} w: its attempt 2 runs as pid ${pid}, and nobody watches it, since its spec was removed; ${todo}\n`,
      });
    expect(at.list("restart", "queue")).toEqual([]);
    expect(await at.heald("cleanup", "w")).toMatchObject({
      code: 0,
      out: `w#1  nothing of it runs; its evidence is in zombie/\nw#2  runs as pid ${pid} and is left alone, since its spec was removed; ${todo}\n`,
    });
    expect((await at.heald("why", "w")).out.replace(/\n +/g, " ")).toContain(`now unwatched (attempt 2, pid ${pid})`);
    expect(await at.json("why", "w")).toMatchObject({
      now: {
        state: "unwatched",
        attempt: 2,
        pid,
        reasons: expect.arrayContaining([expect.stringContaining(`attempt 2 runs as pid ${pid}: ${todo}`)]),
      },
    });
    expect((await at.heald("stop", "w")).out).toBe(
      `w  is to be stopped (nobody watches it, and it runs as pid ${pid}: ${todo})\n`,
    );
  });

  test("is not cleaned up while its only attempt runs", async () => {
    const pid = await forgotten(1);
    expect(await at.heald("cleanup", "w")).toMatchObject({
      code: 4,
      out: "",
      err: expect.stringContaining(`Refused to clean up w: its attempt 1 runs as pid ${pid}, and nobody watches it`),
    });
    expect((await at.heald("adopt", "--pid", String(pid), "--id", "w")).code).toBe(0);
    expect(at.read("worker-specs", "active", "w.json")).toMatchObject({ attempt: 2, execution: { pid } });
  });

  test.each([["retry"], ["restart"]])(
    "is asked for by %s after its last attempt, not after its last evidence",
    async (command) => {
      evidence(1);
      await killed(await forgotten(2));
      expect((await at.heald("why", "w")).out.replace(/\n +/g, " ")).toContain(
        "its process is gone: heald retry w starts attempt 3",
      );
      expect((await at.heald(command, "w")).code).toBe(0);
      expect(at.read("restart", "queue", "w-restart.json")).toMatchObject({ attempt: 2, worker_type: "t" });
    },
  );

  test("is asked for by the type that its launch names, or an event; where nothing does, the way to start it is named", async () => {
    await killed(await forgotten(1));
    expect((await at.heald("retry", "w")).code).toBe(0);
    expect(at.read("restart", "queue", "w-restart.json")).toMatchObject({ attempt: 1, worker_type: "t" });
    unlinkSync(at.path("restart", "queue", "w-restart.json"));
    const { worker_type: _, ...launch } = at.read("launches", "w.attempt-1.json");
    writeFileSync(at.path("launches", "w.attempt-1.json"), JSON.stringify(launch));
    expect(await at.heald("retry", "w")).toMatchObject({
      code: 4,
      err: expect.stringContaining("nothing names its worker_type; heald spawn --id w --type <type> starts it"),
    });
    const told = {
      event_id: "e",
      event_type: "worker_unwatched",
      at_ms: 1,
      worker_id: "w",
      worker_type: "told-worker",
    };
    appendFileSync(at.path("events", "heartbeat-events.jsonl"), `${JSON.stringify(told)}\n`);
    expect((await at.heald("retry", "w")).code).toBe(0);
    expect(at.read("restart", "queue", "w-restart.json")).toMatchObject({ worker_type: "told-worker" });
  });

  test("comes back as its next attempt when a person asks for it, of its template; without one the request says so", async () => {
    for (const name of ["heartbeat-monitor", "worker-restart"])
      expect((await at.heald("daemons", "start", name)).code).toBe(0);
    expect((await at.heald("spawn", "--id", "w", "--type", "t", "--", "sleep", "300")).code).toBe(0);
    const seen = (type: string): boolean =>
      at.lines("events", "heartbeat-events.jsonl").some((event) => event.event_type === type);
    await until(() => seen("worker_registered"), "the monitor has seen it");
    unlinkSync(at.path("worker-specs", "active", "w.json"));
    await until(() => seen("worker_unwatched"), "the monitor has forgotten it");
    await killed(Number(at.read("launches", "w.attempt-1.json").pid));
    expect((await at.heald("retry", "w", "--now")).code).toBe(0);
    const gate = () => (at.read("restart", "queue", "w-restart.json").deferred as { gate?: unknown } | undefined)?.gate;
    await until(() => gate() !== undefined, "worker-restart has looked at it");
    expect(gate()).toBe("no_template");
    writeFileSync(
      at.path("worker-specs", "templates", "t.json"),
      JSON.stringify({ worker_type: "t", launch: { command: "sleep", args: ["300"] } }),
      { mode: 0o640 },
    );
    await until(() => at.list("launches").includes("w.attempt-2.json"), "the next attempt is started");
    await until(() => at.list("worker-specs", "active").includes("w.json"), "it has its spec");
    expect(at.read("worker-specs", "active", "w.json")).toMatchObject({ attempt: 2, worker_type: "t" });
  });
});

describe("heald adopt", () => {
  const sleeping = (): string => String(at.start("sleep", ["300"]).pid);

  test("needs the pid alone: id and type are given as spawn does", async () => {
    const pids = [sleeping(), sleeping(), sleeping()] as const;
    expect(await at.heald("adopt", "--pid", pids[0])).toMatchObject({
      code: 0,
      out: `worker-adopted-1  adopted pid ${pids[0]}; it is never signalled\n`,
    });
    expect(await at.json("adopt", "--pid", pids[1])).toMatchObject({ worker_id: "worker-adopted-2", attempt: 1 });
    expect((await at.heald("adopt", "--pid", pids[2], "--type", "web-worker")).out).toMatch(/^worker-web-1 {2}adopted/);
    expect(at.read("worker-specs", "active", "worker-adopted-1.json")).toMatchObject({
      worker_type: "adopted-worker",
      attempt: 1,
      restart: { when: "never" },
      execution: { pid: Number(pids[0]), origin: "adopted", may_signal: false },
    });
  });

  test("gives an id that has ended before its type back, and its next attempt", async () => {
    writeFileSync(
      at.path("worker-specs", "zombie", "old.attempt-4.json"),
      JSON.stringify({ worker_id: "old", worker_type: "billing", attempt: 4 }),
    );
    expect(await at.json("adopt", "--pid", sleeping(), "--id", "old")).toMatchObject({
      worker_id: "old",
      worker_type: "billing",
      attempt: 5,
    });
  });
});

describe("heald cleanup", () => {
  /** A worker whose evidence is filed while its processes, and a child of them, still run. */
  async function zombie(): Promise<void> {
    const ran = await at.heald(
      "spawn",
      "--id",
      "z",
      "--type",
      "t",
      "--",
      "sh",
      "-c",
      "trap '' TERM; sleep 300 & sleep 301 & wait; wait; sleep 300",
    );
    expect(ran.code).toBe(0);
    const spec = at.read("worker-specs", "active", "z.json");
    writeFileSync(
      at.path("worker-specs", "zombie", "z.attempt-1.json"),
      JSON.stringify({ ...spec, status: "zombie", launch: { stop: { grace_seconds: 0.2 } } }),
    );
    unlinkSync(at.path("worker-specs", "active", "z.json"));
  }

  test("ends what a zombie left running, records it, and does nothing the second time", async () => {
    await zombie();
    const identity = identityIn(at.read("launches", "z.attempt-1.json"));
    if (identity === null) throw new Error("no identity");
    expect((await at.heald("cleanup", "--dry-run")).out).toMatch(/^z#1 {2}would end \d processes: /);
    expect(presenceOf(identity)).toBe("same");
    expect((await at.heald("cleanup", "z")).out).toMatch(/^z#1 {2}ended [23] processes\n$/);
    expect(presenceOf(identity)).not.toBe("same");
    const types = at.lines("events", "zombie-cleanup-events.jsonl").map((event) => event.event_type);
    expect(types).toEqual(["zombie_cleanup_started", "zombie_process_terminated", "zombie_cleanup_completed"]);
    expect(await at.run(join(packageRoot(), "scripts", "cleanup-zombie-workers.sh"), ["z"])).toMatchObject({
      code: 0,
      out: "z#1  nothing of it runs; its evidence is in zombie/\n",
    });
    expect(at.lines("events", "zombie-cleanup-events.jsonl")).toHaveLength(3);
  });

  test("respects a hold unless it is overridden by name", async () => {
    await zombie();
    await at.heald("hold", "add", "type:t", "--acts", "kill");
    expect(await at.heald("cleanup", "z")).toMatchObject({
      code: 4,
      err: expect.stringContaining("--override-hold passes it"),
    });
    expect((await at.heald("cleanup", "z", "--override-hold")).code).toBe(0);
    const [started, ...rest] = at.lines("events", "zombie-cleanup-events.jsonl");
    const ordered = {
      by: expect.stringMatching(/^person:./),
      override: { gate: "holds", hold: "worker_type.t", by: expect.stringMatching(/^person:./) },
    };
    expect(started).toMatchObject({
      event_type: "zombie_cleanup_started",
      message: 'What attempt 1 left running is ended by hand, over the hold "worker_type.t"',
      data: ordered,
    });
    for (const line of rest) expect(line).toMatchObject({ data: ordered });
  });

  test("names the person in the log, and no hold where none was in the way", async () => {
    await zombie();
    expect((await at.heald("cleanup", "z", "--override-hold")).code).toBe(0);
    const [started] = at.lines("events", "zombie-cleanup-events.jsonl");
    expect(started).toMatchObject({ data: { by: expect.stringMatching(/^person:./), with: "heald cleanup" } });
    expect(started?.data).not.toHaveProperty("override");
  });

  test("signals nobody on the word of a launch record whose pid is another's now", async () => {
    const stranger = at.start("sleep", ["300"]);
    writeFileSync(
      at.path("worker-specs", "zombie", "s.attempt-1.json"),
      JSON.stringify({ worker_id: "s", worker_type: "t", attempt: 1 }),
    );
    const record = {
      worker_id: "s",
      attempt: 1,
      pid: stranger.pid,
      start_time: 1,
      boot_id: "x",
      pid_ns: "1",
      host: "h",
    };
    writeFileSync(at.path("launches", "s.attempt-1.json"), JSON.stringify(record));
    expect((await at.heald("cleanup", "s")).out).toContain("nothing of it runs");
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  });

  test("refuses a worker that is not silent", async () => {
    await at.heald("spawn", "--id", "alive", ...sleeper);
    expect(await at.heald("cleanup", "alive")).toMatchObject({
      code: 4,
      err: expect.stringContaining("heald stop alive"),
    });
  });
});

describe("looking", () => {
  test("status names the home first, is honest about a monitor that does not run, and gives JSON", async () => {
    const ran = await at.heald("status");
    expect(ran.code).toBe(1);
    expect(ran.out.split("\n")[0]).toBe(`home  ${at.home}  (named by HEALD_HOME)`);
    expect(ran.out).toContain("the heartbeat-monitor does not run: nothing is watched");
    const json = await at.json<{ home: string; ok: boolean; daemons: unknown[]; source: string }>("status");
    expect(json).toMatchObject({ home: at.home, ok: false, source: "files" });
    expect(json.daemons).toHaveLength(4);
  });

  test("status is not green while a policy is refused, and says which, where and why", async () => {
    writeFileSync(at.path("config", "worker-restart-policy.json"), '{"max_retrys":3}', { mode: 0o640 });
    const { code, out } = await at.heald("status");
    expect(code).toBe(1);
    expect(out).toMatch(
      /^Cannot load policy ".*worker-restart-policy\.json": max_retrys .*; the last good one is in force$/m,
    );
    expect(await at.json("status")).toMatchObject({
      ok: false,
      refused_policies: [expect.stringContaining("max_retrys")],
    });
  });

  test("logs, events and tables never print a control character that came from a file", async () => {
    const evil = "\u001b]0;owned\u0007\u001b[2J\u009b31m\u202e";
    await at.heald("spawn", "--id", "evil", "--type", "t", "--", "printf", `${evil}hello\\n`);
    appendFileSync(
      at.path("events", "heartbeat-events.jsonl"),
      `${JSON.stringify({ event_type: evil, worker_id: "evil", message: evil, timestamp: "2026-11-21T21:00:00Z" })}\n`,
    );
    writeFileSync(at.path("holds", "evil"), JSON.stringify({ why: evil, by: evil }));
    writeFileSync(at.path("worker-specs", "active", "bad.json"), JSON.stringify({ worker_id: evil }));
    for (const args of [
      ["logs", "evil"],
      ["events"],
      ["why", "evil"],
      ["hold", "ls"],
      ["hold", "ls", "--json"],
      ["status"],
      ["doctor"],
      ["events", "--json"],
    ]) {
      const { out, err } = await at.heald(...args);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
      expect({ args, found: /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/.test(out + err) }).toEqual({
        args,
        found: false,
      });
    }
    expect((await at.heald("logs", "evil")).out).toContain("hello");
  });

  test("why tells events and decisions in order, with the gates that were asked, within 80 columns", async () => {
    writeFileSync(at.path("worker-specs", "active", "w.json"), JSON.stringify({ worker_id: "w", worker_type: "t" }));
    const event = {
      event_id: "e-1",
      event_type: "zombie_detected",
      at_ms: 1000,
      worker_id: "w",
      attempt: 1,
      incident_id: "i-1",
      message: "It was silent for 300 s and its process did not move between two looks",
    };
    appendFileSync(at.path("events", "zombie-cleanup-events.jsonl"), `${JSON.stringify(event)}\n{"torn`);
    const gates = [
      { gate: "holds", value: null, threshold: null, passed: true },
      { gate: "circuit_breaker", value: "open", threshold: "closed", passed: false, passes_at: "2030-01-01T00:00:00Z" },
    ];
    appendFileSync(
      at.path("decisions", "worker-restart.jsonl"),
      `${JSON.stringify({ decision_id: "d-1", daemon: "worker-restart", at_ms: 2000, subject: "w", verdict: "deferred", reason: "circuit_breaker", message: "The breaker of t is open", gates, incident_id: "i-1", mode: "live", event: { worker_type: "t" } })}\n`,
    );
    appendFileSync(
      at.path("metrics", "worker-restart-history.jsonl"),
      `${JSON.stringify({ worker_type: "t", worker_id: "w", result: "failure", timestamp: "1970-01-01T00:00:03Z", reason: "relapsed" })}\n`,
    );
    const { out } = await at.heald("why", "w");
    const order = [
      "incident i-1",
      "zombie_detected",
      "deferred",
      "passed: holds none",
      "failed circuit_breaker, found open, wanted closed",
      "passes at 2030-01-01",
      "heald breaker reset t",
      "noted failure: relapsed",
      "now starting",
      "heartbeat-monitor does not run",
    ];
    expect(order.map((text) => out.indexOf(text))).toEqual(
      [...order.map((text) => out.indexOf(text))].sort((a, b) => a - b),
    );
    expect(order.filter((text) => !out.includes(text))).toEqual([]);
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    const told = await at.json<{ topic: string; steps: { gates?: unknown[] }[] }>("why", "d-1");
    expect(told.topic).toBe("decision");
    expect(told.steps.some((step) => step.gates?.length === 2)).toBe(true);
    expect((await at.heald("why", "e-1")).out).toContain("deferred");
  });

  test("events filters, merges the logs by time, and follows", async () => {
    const write = (log: string, at_ms: number, severity: string, worker_id: string): void =>
      appendFileSync(
        at.path("events", log),
        `${JSON.stringify({ event_type: "x", at_ms, severity, worker_id, message: `at ${at_ms}` })}\n`,
      );
    write("worker-restart-events.jsonl", 3000, "info", "a");
    write("heartbeat-events.jsonl", 2000, "critical", "b");
    write("heartbeat-events.jsonl", 4000, "warning", "a");
    const messages = async (...args: string[]) =>
      (await at.heald("events", "--json", ...args)).out
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { message: string }).message);
    expect(await messages()).toEqual(["at 2000", "at 3000", "at 4000"]);
    expect(await messages("--worker", "a", "--severity", "warning")).toEqual(["at 4000"]);
    expect(await messages("-n", "1")).toEqual(["at 4000"]);
    const follower = at.start(process.execPath, [MAIN, "events", "-f", "-n", "0", "--worker", "c"]);
    let seen = "";
    follower.stdout?.on("data", (text) => {
      seen += String(text);
    });
    let nextMs = 5000;
    await until(() => {
      write("worker-restart-events.jsonl", nextMs++, "info", "c");
      return seen.includes("at 50");
    }, "a new event is printed");
    follower.kill();
  });

  test("doctor names a bad spec by path, line and field, an unsafe policy and an unsafe hook, and changes nothing", async () => {
    writeFileSync(at.path("worker-specs", "active", "torn.json"), '{\n  "worker_id": "torn",\n}');
    utimesSync(at.path("worker-specs", "active", "torn.json"), 1000, 1000);
    writeFileSync(at.path("worker-specs", "active", "other.json"), '{"worker_id":"mine"}');
    writeFileSync(at.path("config", "auto-fix-policy.json"), "{}");
    chmodSync(at.path("config", "auto-fix-policy.json"), 0o666);
    writeFileSync(at.path("hooks", "before_kill"), "#!/bin/sh\n");
    chmodSync(at.path("hooks", "before_kill"), 0o777);
    writeFileSync(at.path("circuit-breakers", "scan.json"), '{"worker_type":"scan","state":"opn"}');
    writeFileSync(at.path("circuit-breakers", "copy.json"), '{"worker_type":"copy","state":"open"}');
    const { code, out } = await at.heald("doctor");
    expect(code).toBe(1);
    expect(out).toMatch(
      /wrong +circuit breaker: .*scan\.json": state must be one of .*got "opn"; heald breaker reset scan/,
    );
    expect(out).toMatch(/warning +circuit breaker: that of copy is open/);
    expect(out).toMatch(/wrong +worker spec: .*torn\.json": line 3, column 1/);
    expect(out).toMatch(/wrong +worker spec: .*other\.json": worker_id must be the file's name "other", got "mine"/);
    expect(out).toMatch(/wrong +auto-fix-policy: .*writable by others/);
    expect(out).toMatch(/wrong +hook: .*before_kill is refused: it is writable by others/);
  });

  test("policy check exits 78 for a policy that would be refused, and show fills in the defaults", async () => {
    expect((await at.heald("policy", "check")).code).toBe(0);
    writeFileSync(
      at.path("config", "heartbeat-policy.json"),
      '{"heartbeat_interval_seconds":10,"zombie_treshold_seconds":60}',
    );
    const checked = await at.heald("policy", "check");
    expect(checked.code).toBe(78);
    expect(checked.out).toMatch(/refused .*zombie_treshold_seconds.*zombie_threshold_seconds/);
    expect((await at.heald("policy", "show", "heartbeat-policy")).code).toBe(78);
    expect(await at.json("policy", "show", "auto-fix")).toMatchObject({
      policy: "auto-fix-policy",
      settings: { dry_run: true, max_fixes_per_hour: 10 },
    });
  });
});

describe("heald up", () => {
  test("runs all four daemons, starts a killed one again, and leaves the workers when it is stopped", async () => {
    const up = at.start(process.execPath, [MAIN, "up"]);
    const ended = finished(up);
    await until(() => at.list("run").filter((name) => name.endsWith(".pid")).length === 4, "four daemons are ready");
    await until(() => at.list().includes("status.json"), "the monitor tells the state of the fleet");
    const status = await at.heald("status");
    expect(status).toMatchObject({ code: 0, out: expect.stringMatching(/\ngreen /) });
    expect((await at.heald("spawn", "--id", "w", ...sleeper)).err).toBe("");
    const identity = identityIn(at.read("launches", "w.attempt-1.json"));
    const pid = (): number => Number(at.read("run", "auto-fix.json").pid);
    const first = pid();
    process.kill(first, "SIGKILL");
    await until(() => pid() !== first, "the killed daemon runs again");
    await until(() => at.list("run").includes("auto-fix.pid"), "it is ready again");
    up.kill("SIGINT");
    const { code, out } = await ended;
    expect(code).toBe(0);
    expect(out).toMatch(/^\d\d:\d\d:\d\d {2}auto-fix +ended with SIGKILL; it is started again in 1s$/m);
    expect(out).toMatch(/^\d\d:\d\d:\d\d {2}heartbeat-monitor +heartbeat-monitor .* is ready$/m);
    expect(identity && presenceOf(identity)).toBe("same");
    expect((await at.heald("daemons", "status")).code).toBe(1);
  });
});

describe("the daemons in the background", () => {
  test("start, are seen, count what they read, survive kill -9 without refusing a line twice, and stop", async () => {
    const log = at.path("events", "heartbeat-events.jsonl");
    appendFileSync(log, '{"event_type":"a"}\nnot an event\n{"event_type":"b"}\n');
    const names = ["failure-pattern", "auto-fix"];
    for (const name of names)
      expect(await at.heald("daemons", "start", name)).toMatchObject({
        code: 0,
        out: expect.stringMatching(new RegExp(`^${name} {2}started, pid \\d+\n$`)),
      });
    expect((await at.heald("daemons", "start", "failure-pattern")).out).toContain("runs already");
    expect((await at.heald("daemons", "status", "failure-pattern")).code).toBe(0);
    const pid = Number(readFileSync(at.path("run", "failure-pattern.pid"), "utf8"));
    process.kill(pid, "SIGKILL");
    appendFileSync(log, '{"event_type":"c"}\n');
    expect((await at.heald("daemons", "start", "failure-pattern")).code).toBe(0);
    await until(() => Number(readFigures("failure-pattern").events_read) >= 3, "the events were counted");
    expect(readFigures("failure-pattern")).toMatchObject({ unreadable_lines: 1, lag_bytes: 0 });
    const refused = at
      .lines("events", "daemon-events.jsonl")
      .filter((event) => event.event_type === "record_refused" && event.source === "failure-pattern");
    expect(refused).toHaveLength(1);
    expect((await at.heald("daemons", "stop")).code).toBe(0);
    expect((await at.heald("daemons", "status")).code).toBe(1);
    for (const name of names)
      expect(readFileSync(join(at.home, "agents", "logs", "system", `${name}-daemon.log`), "utf8")).not.toMatch(
        /error/i,
      );

    function readFigures(name: string): Record<string, unknown> {
      return at.list("metrics").includes(`${name}-metrics.json`) ? at.read("metrics", `${name}-metrics.json`) : {};
    }
  });

  test("a script runs its daemon in the foreground under the pid that it writes, and SIGTERM ends it with 0", async () => {
    const pidFile = join(at.home, "auto-fix.pid");
    const child = at.start(join(packageRoot(), "scripts", "daemons", "auto-fix-daemon.sh"), [
      "--pid-file",
      pidFile,
      "--console",
      "none",
    ]);
    const ended = finished(child);
    await until(() => at.list("run").includes("auto-fix.pid"), "it is ready");
    await until(
      () => existsSync(pidFile) && readFileSync(pidFile, "utf8") === `${child.pid}\n`,
      "the pid file holds its pid",
    );
    expect(readFileSync(`/proc/${child.pid}/cmdline`, "utf8")).toContain("auto-fix-daemon");
    const second = await at.heald("daemon", "auto-fix");
    expect(second).toMatchObject({
      code: 75,
      err: expect.stringContaining(`it already runs here as pid ${child.pid}`),
    });
    child.kill("SIGTERM");
    expect(await ended).toMatchObject({ code: 0 });
  });

  test("of two homes share a pid file without one taking it from the other", async () => {
    const other = new CommandLine();
    onTestFinished(() => other.close());
    const pidFile = join(at.home, "shared.pid");
    const start = (line: CommandLine) =>
      line.start(process.execPath, [MAIN, "daemon", "auto-fix", "--pid-file", pidFile, "--console", "none"]);
    const first = start(at);
    await until(() => at.list("run").includes("auto-fix.pid"), "the first is ready");
    const second = start(other);
    await until(() => other.list("run").includes("auto-fix.pid"), "the second is ready");
    expect(readFileSync(pidFile, "utf8")).toBe(`${first.pid}\n`);
    const log = join(other.home, "agents", "logs", "system", "auto-fix-daemon.log");
    const sentence = `names pid ${first.pid}, the auto-fix of another home; it is left alone`;
    await until(() => readFileSync(log, "utf8").includes(sentence), "the second says so");
    const ended = finished(second);
    second.kill("SIGTERM");
    await ended;
    expect(readFileSync(pidFile, "utf8")).toBe(`${first.pid}\n`);
  });
});
