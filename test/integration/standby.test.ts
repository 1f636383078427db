/** Guarantee: a start by a launcher that stood by is the same start, and one that it cannot make is made otherwise, once. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type HostedStart, LauncherHost } from "../../lib/platform/launcher-host.js";
import { frequentWords, type LaunchRequest, launcherScript, startThroughHost } from "../../lib/platform/launching.js";
import { StandbyLaunchers } from "../../lib/platform/standby.js";
import {
  Form,
  Forms,
  LINE_FIELD_END,
  lineFilledIn,
  lineOfForm,
  lineWithWords,
  MARK,
  shortener,
  textOf,
} from "../../lib/platform/standby-lines.js";
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

let home: Home;
let host: LauncherHost;
let standby: StandbyLaunchers;
let troubles: string[];
let count: number;
/** Starts that no launcher took. */
let left: HostedStart[];

beforeEach(async () => {
  home = makeHome();
  await open(home.folder);
});
afterEach(async () => {
  close();
  await home.close();
});

async function open(folder: string): Promise<void> {
  troubles = [];
  left = [];
  count = 2;
  const onTrouble = (sentence: string): void => void troubles.push(sentence);
  host = new LauncherHost({ folder: startsIn(folder), onTrouble, reapEveryMs: 50 });
  host.open();
  standby = new StandbyLaunchers({
    folder: pipesIn(folder),
    exits: exitsIn(folder),
    words: wordsIn(folder),
    count: () => count,
    host,
    onTrouble,
  });
  standby.open();
  await ready(2);
}

function pipesIn(folder: string): string {
  return join(folder, "coordination", "run", "standby");
}

function startsIn(folder: string): string {
  return join(folder, "coordination", "run", "starts");
}

function exitsIn(folder: string): string {
  return join(folder, "coordination", "exits");
}

function wordsIn(folder: string): readonly string[] {
  return frequentWords(folder, join(folder, "coordination"));
}

function close(): void {
  standby.close();
  host.close();
}

/** Each stands by as soon as its session waits. */
async function ready(wanted: number): Promise<void> {
  await until(() => standby.size === wanted && waiting().length === wanted, `${wanted} launchers stand by`);
}

function allPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

interface Waiting {
  readonly launcher: number;
  readonly session: number;
}

/** Those that stand by, the next one first: launchers that were made by the host, with the sessions that wait. */
function waiting(): Waiting[] {
  const launchers = childrenOf(host.pid as number).filter((pid) => commandOf(pid).includes("standby"));
  return launchers.flatMap((launcher) => {
    const [session] = childrenOf(launcher);
    const isReady =
      session !== undefined && fieldsOf(session)?.[3] === String(session) && fieldsOf(session)?.[0] === "S";
    return isReady && commandOf(session).includes("launcher.sh session") ? [{ launcher, session }] : [];
  });
}

function start(request: LaunchRequest): void {
  const take = (each: HostedStart): boolean => {
    if (!standby.start(each)) left.push(each);
    return true;
  };
  startThroughHost(request, { start: take });
}

const WAIT = "until [ -e go ]; do sleep 0.02; done";

describe("a program that was started by a launcher that stood by", () => {
  test("gets its arguments, variables, descriptors and signals as from any other", async () => {
    const nasty = [
      "a b",
      "$(touch /nonexistent)",
      "'",
      '"',
      "*",
      "-n",
      "--",
      "",
      "\\n",
      "\t",
      "é",
      "{}",
      home.folder,
      "",
    ];
    const show =
      "printf '[%s]' \"$@\"; echo; grep -E '^(SigIgn|SigBlk)' /proc/self/status; env | grep ^GREETING; ls -l /proc/$$/fd";
    const request = home.request("w-1", "", {
      args: ["-c", show, "sh", ...nasty],
      env: { GREETING: "two words $(false) `false` \"'\\ é", HEALD_WORKER_ID: "forged" },
    });
    start(request);
    expect((await ended(request)).exit_code).toBe(0);
    const words = logOf(request);
    expect(words).toContain(nasty.map((each) => `[${each}]`).join(""));
    expect(words).toMatch(/SigBlk:\t0+\nSigIgn:\t0+\n/);
    expect(words).toContain("GREETING=two words $(false) `false` \"'\\ é");
    expect(words).toMatch(/ 0 -> \/dev\/null\n/);
    expect(words).not.toMatch(/ ([3-9]|\d\d) -> (socket|\/.*attempt-1\.json)/);
    expect(left).toEqual([]);
  });

  test("finds in its environment what it would find otherwise", async () => {
    const byStandby = home.request("w-1", "env -u HEALD_PID | sort");
    start(byStandby);
    await ended(byStandby);
    const otherwise = home.request("w-2", "env -u HEALD_PID | sort");
    startThroughHost(otherwise, { start: () => false });
    await ended(otherwise);
    expect(logOf(byStandby)).toContain("HEALD_WORKER_ID=w-1\n");
    expect(logOf(byStandby).replaceAll("w-1", "w-2")).toBe(logOf(otherwise));
  });

  test("runs in a session of its own, outside of which its launcher stays, and is identified in its launch record", async () => {
    const launcher = waiting()[0]?.launcher;
    const request = home.request("w-1", WAIT);
    start(request);
    const record = await started(request);
    expect(record).toMatchObject({ worker_id: "w-1", attempt: 1, launcher_pid: launcher, has_log: true });
    expect(record).toMatchObject({ command: "sh", memory_limit_enforced_by: null, cwd: home.folder });
    expect(fieldsOf(record.pid)?.slice(1, 4)).toEqual([String(launcher), String(record.pid), String(record.pid)]);
    expect(String(record.start_time)).toBe(fieldsOf(record.pid)?.[19]);
    expect(String(record.launcher_start_time)).toBe(fieldsOf(record.launcher_pid)?.[19]);
    expect(fieldsOf(record.launcher_pid)?.[3]).toBe(String(host.pid));
    expect(Math.abs(record.started_at_ms - Date.now())).toBeLessThan(5000);
    await until(() => environmentOf(record.pid).includes(`HEALD_PID=${record.pid}`), "the program knows its own pid");
  });

  test("goes on when the daemon ends, and its end is still recorded", async () => {
    const request = home.request("w-1", `${WAIT}; exit 4`);
    start(request);
    const { pid, start_time } = await started(request);
    const others = waiting();
    close();
    const processes = others.flatMap((other) => [other.launcher, other.session]);
    await until(() => !processes.some(isAlive), "those that stood by have ended");
    expect(isAlive(pid)).toBe(true);
    writeFileSync(join(home.folder, "go"), "");
    const end = await ended(request);
    expect(end).toMatchObject({ pid, start_time, worker_id: "w-1", attempt: 1, exit_code: 4 });
    expect(Math.abs(end.ended_at_ms - Date.now())).toBeLessThan(5000);
    expect(Math.abs(Date.parse(end.ended_at) - Date.now())).toBeLessThan(5000);
    expect(troubles).toEqual([]);
  });

  test("has 126 or 127 and a line in the log where it cannot be started", async () => {
    const missing = home.request("w-1", "", { command: "no-such-program" });
    start(missing);
    expect((await ended(missing)).exit_code).toBe(127);
    expect(logOf(missing)).toContain("no-such-program");
    const nowhere = home.request("w-2", "", { cwd: "no-such-folder" });
    start(nowhere);
    expect((await ended(nowhere)).exit_code).toBe(126);
  });

  test("is killed like any other: the record has the signal", async () => {
    const request = home.request("w-1", "kill -9 $$");
    start(request);
    expect(await ended(request)).toMatchObject({ exit_code: 137, signal: "SIGKILL", signal_inferred: true });
  });
});

describe("StandbyLaunchers", () => {
  test("starts nothing where another launcher has the claim, and writes no record for it", async () => {
    const request = home.request("w-1", "echo once >> marks; until [ -e go ]; do sleep 0.02; done; exit 5");
    startThroughHost(request, { start: () => false });
    const first = await started(request);
    const launcher = waiting()[0]?.launcher;
    start(request);
    await until(() => !isAlive(launcher as number), "the second launcher has ended");
    expect(existsSync(request.paths.exit)).toBe(false);
    writeFileSync(join(home.folder, "go"), "");
    expect(await ended(request)).toMatchObject({ pid: first.pid, exit_code: 5 });
    expect(readFileSync(join(home.folder, "marks"), "utf8")).toBe("once\n");
  });

  test("lets one of two through that start the same attempt at once, ten times", async () => {
    for (let round = 0; round < 10; round++) {
      await ready(2);
      const request = home.request(`w-${round}`, `echo $$ >> marks-${round}`);
      start(request);
      start(request);
      expect((await ended(request)).exit_code).toBe(0);
      expect(
        readFileSync(join(home.folder, `marks-${round}`), "utf8")
          .trim()
          .split("\n"),
      ).toHaveLength(1);
    }
  });

  test.each(["launcher", "session"] as const)(
    "loses no start when the %s was killed that was given it",
    async (whom) => {
      const { launcher, session } = waiting()[0] as Waiting;
      for (const pid of [launcher, session]) process.kill(pid, "SIGSTOP");
      const request = home.request("w-1", "echo once >> marks; exit 3");
      start(request);
      expect(left).toEqual([]);
      const [victim, other] = whom === "launcher" ? [launcher, session] : [session, launcher];
      process.kill(victim, "SIGKILL");
      await until(() => !isAlive(victim), `the ${whom} is gone`);
      if (isAlive(other)) process.kill(other, "SIGCONT");
      expect(await ended(request)).toMatchObject({ exit_code: 3 });
      await until(() => startedHere(home.folder).length === 0, "nothing of it is left");
      expect(readFileSync(join(home.folder, "marks"), "utf8")).toBe("once\n");
    },
  );

  test("leaves a start to others whose claim was taken away while it was stopped", async () => {
    const { launcher, session } = waiting()[0] as Waiting;
    process.kill(session, "SIGSTOP");
    const request = home.request("w-1", "echo $HEALD_PID >> marks");
    start(request);
    startThroughHost(request, { start: () => false });
    const { pid } = await ended(request);
    process.kill(session, "SIGCONT");
    await until(() => !isAlive(launcher), "the launcher that stood by has ended");
    expect(readFileSync(join(home.folder, "marks"), "utf8")).toBe(`${pid}\n`);
  });

  test("has no claim while its log cannot be opened, and starts nothing once another has it", async () => {
    const { launcher } = waiting()[0] as Waiting;
    const request = home.request("w-1", "echo stalled >> marks");
    mkdirSync(join(request.paths.log, ".."), { recursive: true });
    execFileSync("mkfifo", [request.paths.log]);
    start(request);
    await until(() => commandOf(launcher) !== "" && standby.size === 1, "it was told");
    const other = home.request("w-1", "echo other >> marks", { paths: { ...request.paths, log: "/dev/null" } });
    startThroughHost(other, { start: () => false });
    expect((await ended(other)).exit_code).toBe(0);
    const reader = openSync(request.paths.log, constants.O_RDWR | constants.O_NONBLOCK);
    await until(() => !isAlive(launcher), "the one that was stalled has ended");
    closeSync(reader);
    expect(readFileSync(join(home.folder, "marks"), "utf8")).toBe("other\n");
  });

  test("goes on asking for launchers while they cannot be made", async () => {
    let asked = 0;
    const ask = (): boolean => {
      asked += 1;
      return false;
    };
    const folder = join(home.folder, "others");
    const none = new StandbyLaunchers({
      folder,
      exits: exitsIn(home.folder),
      words: [],
      count: () => 1,
      host: { ask },
      onTrouble: () => {},
      pauseMs: 2,
    });
    none.open();
    await until(() => asked >= 3, "it has asked again");
    none.close();
  });

  test("does not make the home anew that is gone before its daemon, and says nothing of it", () => {
    const folder = join(home.folder, "coordination");
    rmSync(folder, { recursive: true });
    close();
    close();
    expect(existsSync(folder)).toBe(false);
    expect(troubles).toEqual([]);
    mkdirSync(folder);
  });

  test("gives an attempt back when the disk is too full to write its claim", async (context) => {
    const small = mountSmall(64);
    if (small === null) return context.skip("needs the right to mount a tmpfs");
    const full = makeHome(small.folder);
    close();
    await open(small.folder);
    try {
      const request = full.request("w-1", "exit 0");
      mkdirSync(join(request.paths.log, ".."), { recursive: true });
      fill(join(small.folder, "ballast"));
      const launcher = waiting()[0]?.launcher;
      start(request);
      await until(() => !isAlive(launcher as number), "the launcher has ended");
      await until(() => startedHere(small.folder).length === 0, "nothing of it is left");
      expect(existsSync(request.paths.claim)).toBe(false);
      rmSync(join(small.folder, "ballast"));
      await ready(2);
      start(request);
      expect((await ended(request)).exit_code).toBe(0);
      expect(readWhole<{ pid?: number }>(request.paths.claim)?.pid).toBeGreaterThan(1);
    } finally {
      close();
      await full.close().catch(() => undefined);
      small.unmount();
    }
  });

  test("makes others for those that were used, and as many as are wanted", async () => {
    start(home.request("w-1", WAIT));
    await ready(2);
    count = 3;
    standby.refill();
    await ready(3);
    for (const id of ["w-2", "w-3", "w-4", "w-5"]) start(home.request(id, WAIT));
    expect(left.map(({ ofLauncher }) => ofLauncher[0])).toEqual(["w-5.attempt-1"]);
  });

  test("has no more than are wanted when fewer are", async () => {
    const [first, second] = waiting() as [Waiting, Waiting];
    count = 1;
    standby.refill();
    await until(() => !isAlive(second.launcher), "one has ended");
    expect(isAlive(first.launcher)).toBe(true);
    const request = home.request("w-1", WAIT);
    start(request);
    await started(request);
    count = 0;
    standby.refill();
    start(home.request("w-2", WAIT));
    expect(left.map(({ ofLauncher }) => ofLauncher[0])).toEqual(["w-2.attempt-1"]);
    expect(standby.size).toBe(0);
  });

  test("passes over those that were killed while they stood by", async () => {
    const [first, second] = waiting() as [Waiting, Waiting];
    for (const pid of [first.launcher, first.session]) process.kill(pid, "SIGKILL");
    await until(() => !isAlive(first.launcher) && !isAlive(first.session), "one is gone");
    const request = home.request("w-1", "exit 0");
    start(request);
    expect(left).toEqual([]);
    expect((await ended(request)).exit_code).toBe(0);
    expect((await started(request)).launcher_pid).toBe(second.launcher);
  });

  test("ends with the daemon also while it is being made, and leaves no pipe on disk", async () => {
    for (const isThere of [false, true]) {
      const pipe = join(pipesIn(home.folder), "1-1");
      if (isThere) execFileSync("mkfifo", [pipe]);
      const words = ["standby", pipe, "exits", LINE_FIELD_END, MARK, "022", "boot", "setsid", "word", ""].join(
        "\u001f",
      );
      const { status } = spawnSync("/bin/sh", [launcherScript(), "item", "\u001f", words], { timeout: 10_000 });
      expect(status).toBe(isThere ? 0 : 75);
    }
    close();
    await open(home.folder);
    expect(readdirSync(pipesIn(home.folder))).toEqual([]);
    expect(troubles).toEqual([]);
  });

  test("leaves no process behind, whenever it is closed", async () => {
    const made = (): number[] =>
      allPids().filter((pid) => commandOf(pid).includes(`standby\u001f${pipesIn(home.folder)}`));
    const onTrouble = (sentence: string): void => void troubles.push(sentence);
    for (let round = 0; round < 30; round++) {
      close();
      host = new LauncherHost({ folder: startsIn(home.folder), onTrouble });
      const folder = pipesIn(home.folder);
      const exits = exitsIn(home.folder);
      standby = new StandbyLaunchers({ folder, exits, words: wordsIn(home.folder), count: () => 3, host, onTrouble });
      host.open();
      standby.open();
      await pause(round);
    }
    close();
    await until(() => made().length === 0, "all launchers that stood by have ended");
    expect(troubles).toEqual([]);
  });

  test("starts nothing and says so where there can be no pipes", async () => {
    const bare = makeHome();
    writeFileSync(join(bare.folder, "coordination", "run"), "");
    const onTrouble = (sentence: string): void => void troubles.push(sentence);
    const folder = pipesIn(bare.folder);
    const exits = exitsIn(bare.folder);
    const none = new StandbyLaunchers({ folder, exits, words: [], count: () => 1, host, onTrouble });
    none.open();
    expect(none.size).toBe(0);
    none.close();
    expect(troubles[0]).toMatch(/^No launchers stand by: .*run\/standby/);
    await bare.close();
  });

  test("is told only what differs from earlier starts, where it was made after one of them", async () => {
    const first = home.request("w-1", "exit 1");
    start(first);
    expect((await ended(first)).exit_code).toBe(1);
    const [before] = waiting();
    await ready(2);
    const [after] = waiting().filter(({ launcher }) => launcher !== before?.launcher);
    // It would be the second's turn; the first was made before anything was known.
    const second = home.request("w-2", "exit 1");
    start(second);
    expect((await ended(second)).exit_code).toBe(1);
    const record = await started(second);
    expect(record).toMatchObject({ worker_id: "w-2", attempt: 1, args: ["-c", "exit 1"], log: second.paths.log });
    expect([record.launcher_pid, record.pid]).toEqual([after?.launcher, after?.session]);
  });

  test("shows nobody what a worker has in its environment", async () => {
    const request = home.request("w-1", WAIT, { env: { SECRET: "xyzzy" } });
    start(request);
    const { launcher_pid } = await started(request);
    await ready(2);
    const commands = [launcher_pid, ...waiting().flatMap(({ launcher, session }) => [launcher, session])].map(
      commandOf,
    );
    for (const command of commands) expect(command).not.toContain("xyzzy");
    expect(commands).toHaveLength(5);
  });

  test("records no end of which anybody but its own session tells", async () => {
    const { launcher, session } = waiting()[0] as Waiting;
    process.kill(session, "SIGKILL");
    // What may be left of a line that the session had not read to its end.
    for (const sign of ["began", "BEGAN"])
      writeFileSync(`/proc/${launcher}/fd/4`, [sign, "w-9.attempt-1", "1", "1", "1", "\n"].join(LINE_FIELD_END));
    await until(() => !isAlive(launcher), "the launcher has ended");
    expect(readdirSync(exitsIn(home.folder))).toEqual([]);
  });

  test("takes no start that cannot be told in a line", () => {
    const start = { variables: {}, ofLauncher: ["a"], ofProgram: ["b"], program: ["sh"], exits: "", blanks: [] };
    expect(textOf(start)).toBe(["0", "a", "b", "sh", ""].join(LINE_FIELD_END));
    const shorten = shortener(["/home", "/home/ops"]);
    expect(lineWithWords("/home/ops/x /home/x", shorten)).toBe(`0${MARK}b/x ${MARK}a/x\n`);
    expect(lineWithWords("x".repeat(5000), shorten)).toBeNull();
    expect(lineFilledIn(23, ["w-1", "7"])).toBe(["123", "w-1", "7", "\n"].join(LINE_FIELD_END));
    expect(lineFilledIn(23, ["x".repeat(5000)])).toBeNull();
    expect(textOf({ ...start, variables: { IFS: "x" } })).toBeNull();
    expect(textOf({ ...start, program: ["-x"] })).toBeNull();
    for (const word of ["two\nlines", "\u001f", LINE_FIELD_END, MARK]) {
      expect(textOf({ ...start, program: ["sh", word] })).toBeNull();
      if (word !== "\u001f") expect(textOf({ ...start, blanks: [word] })).toBeNull();
    }
  });

  test("remembers the forms that were needed last, and no more than fit", () => {
    const forms = new Forms();
    for (const each of ["a", "b", "c", "b"]) forms.learn(each.repeat(1500), ["w-1"]);
    expect(forms.known.map(({ text }) => text[1])).toEqual(["b", "c"]);
    expect(forms.find("c".repeat(1500), ["w-1"])).toBe(forms.known[0]);
    expect(forms.find("a".repeat(1500), ["w-1"])).toBeNull();
    forms.learn("d".repeat(5000), ["w-1"]);
    expect(forms.known.map(({ text }) => text[1])).toEqual(["c", "b"]);
    expect(forms.find("b".repeat(1500), ["w-1"])).toBe(forms.known[0]);
    expect(forms.known.map(({ text }) => text[1])).toEqual(["b", "c"]);
  });

  test("knows a start by the form of an earlier one, whatever is different in them, and no other", () => {
    const forms = new Forms();
    forms.learn("0 w-1.7 /w-1/7.log t-w-1 x7 inc-1 1795", ["w-1", "7", "t-w-1", "inc-1", "1795"]);
    const [form] = forms.known as [Form];
    expect(form.text.replaceAll(MARK, "$")).toBe("00 $a.$b /$a/$b.log $c x7 $d $e");
    expect(form.fits("0 shard.12 /shard/12.log  x7 i 9", ["shard", "12", "", "i", "9"])).toBe(true);
    expect(form.fits("0 shard.12 /shard/12.log  x8 i 9", ["shard", "12", "", "i", "9"])).toBe(false);
    expect(form.fits("0 shard.12 /shard/12.log  x7 i 9.", ["shard", "12", "", "i", "9"])).toBe(false);
    expect(form.fits("", [])).toBe(false);
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom("a", "1", "-", ".") })), fc.string(), (blanks, text) => {
        fc.pre(![...blanks, text].some((each) => each.includes(MARK)));
        expect(new Form(text, blanks).fits(text, blanks)).toBe(true);
      }),
    );
  });

  describe.each(["words", "form"] as const)("with a %s", (way) => {
    test("hands over whatever it takes, to the letter", () => {
      const words = frequentWords("/home/ops a*b$(x)", "/home/ops a*b$(x)/coordination");
      const blanks = ["w-1.x", "12", "", "inc-1", "1795968409633"];
      const piece = fc.constantFrom(...words, ...blanks, ..." \t'\"$`\\*?[]{}~-=;&|<>aébtz0\u00a0");
      const field = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(""));
      // The launcher's own way of reading a line and taking it apart, and then each field in brackets.
      const script = readFileSync(launcherScript(), "utf8");
      const read = script.slice(script.indexOf("heald_l_with_fields() {"), script.indexOf("# Sets heald_l_boot_ms"));
      const show =
        "show() { for field; do printf '[%s]' \"$field\"; done; }; heald_l_end=$1 heald_l_mark=$2; exec 4<&0; shift 2";
      const program = `${read}${show}\nheald_l_read_line "$@"; heald_l_with_fields show`;
      const shorten = shortener(words);
      fc.assert(
        fc.property(fc.array(field, { maxLength: 6 }), (fields) => {
          const told = { variables: {}, ofLauncher: [], ofProgram: [], program: ["sh", ...fields], exits: "", blanks };
          const text = textOf(told) as string;
          const other = new Form("another", ["w-1"]);
          const forms = [other, new Form(text, blanks)].map(lineOfForm);
          const filledIn = [...forms, lineFilledIn(words.length + 2, blanks)].join("");
          const { stdout } = spawnSync("sh", ["-c", program, "sh", LINE_FIELD_END, MARK, ...words], {
            encoding: "utf8",
            input: way === "form" ? filledIn : (lineWithWords(text, shorten) ?? ""),
          });
          expect(stdout).toBe(["0", "sh", ...fields].map((each) => `[${each}]`).join(""));
        }),
        { numRuns: 60 },
      );
    });
  });

  test("starts nothing where a form's number is none", () => {
    const script = readFileSync(launcherScript(), "utf8");
    const read = script.slice(script.indexOf("heald_l_with_fields() {"), script.indexOf("# Sets heald_l_boot_ms"));
    for (const number of ["", "x", "2}$(echo evil)", "-1", "7"]) {
      const program = `${read}heald_l_end=$1 heald_l_mark=$2; exec 4<&0; heald_l_read_line "$@"; echo went on`;
      const { stdout, status } = spawnSync("sh", ["-c", program, "sh", LINE_FIELD_END, MARK], {
        encoding: "utf8",
        input: `1${number}${LINE_FIELD_END}w-1${LINE_FIELD_END}\n`,
      });
      expect([stdout, status]).toEqual(["", 64]);
    }
  });
});
