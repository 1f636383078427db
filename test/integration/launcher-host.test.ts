/** Guarantee: a start through the host is the same start, and one that the host cannot make is made without it, once. */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { joined, LauncherHost, type Packed, pack } from "../../lib/platform/launcher-host.js";
import { launcherScript, startThroughHost } from "../../lib/platform/launching.js";
import {
  ended,
  environmentOf,
  fieldsOf,
  type Home,
  isAlive,
  logOf,
  makeHome,
  started,
  until,
} from "./support/launched.js";

let home: Home;
let host: LauncherHost;
let troubles: string[];
let starts: string;
beforeEach(() => {
  home = makeHome();
  troubles = [];
  starts = join(home.folder, "coordination", "run", "starts");
  host = new LauncherHost({ folder: starts, onTrouble: (sentence) => troubles.push(sentence), reapEveryMs: 50 });
  host.open();
});
afterEach(async () => {
  host.close();
  await home.close();
});

describe("a program that was started through a host", () => {
  test("gets its arguments, variables and signals as from a launcher of the daemon's own", async () => {
    const nasty = ["a b", "$(touch /nonexistent)", "'", '"', "*", "-n", "--", "", "line\nbreak", "\\n", "é", "{}", ""];
    const show = "printf '[%s]' \"$@\"; echo; grep -E '^(SigIgn|SigBlk)' /proc/self/status; env | grep ^GREETING";
    const request = home.request("w-1", "", {
      args: ["-c", show, "sh", ...nasty],
      env: { GREETING: "two words $(false) `false` \"'\\ é", HEALD_WORKER_ID: "forged" },
    });
    startThroughHost(request, host);
    expect((await ended(request)).exit_code).toBe(0);
    const words = logOf(request);
    expect(words).toContain(nasty.map((each) => `[${each}]`).join(""));
    expect(words).toMatch(/SigBlk:\t0+\nSigIgn:\t0+\n/);
    expect(words).toContain("GREETING=two words $(false) `false` \"'\\ é");
    expect(troubles).toEqual([]);
  });

  test("gets variables that nobody else can read, to the letter, in no command line and in no file that stays", async () => {
    const value = fc.string({ unit: fc.constantFrom(..." \n\t'\"$`\\*?[]{}~-=#aé\u0081\u0088\u00a0"), maxLength: 12 });
    const values = [...fc.sample(value, 40), "", "\n", "\n\n", "a\n", "\\"];
    const secrets = values.map((each, nth) => [`SECRET_${nth}`, `s3cr3t${each}`]);
    const env = { EMPTY: "", BREAKS: "\n\nx\n", ...Object.fromEntries(secrets) };
    const request = home.request("w-1", "while :; do sleep 1; done", { env });
    startThroughHost(request, host);
    const { pid, launcher_pid } = await started(request);
    await until(() => fieldsOf(pid)?.[3] === String(pid), "the program leads a session");
    expect(environmentOf(pid)).toEqual(
      expect.arrayContaining(Object.entries(env).map(([name, word]) => `${name}=${word}`)),
    );
    for (const each of [pid, launcher_pid, host.pid as number])
      expect(readFileSync(`/proc/${each}/cmdline`, "utf8")).not.toContain("s3cr3t");
    await until(() => readdirSync(starts).length === 0, "the file is gone");
    expect(troubles).toEqual([]);
  });

  test.each([
    ["gone", (file: string) => rmSync(file)],
    ["empty", (file: string) => truncateSync(file)],
    ["cut short", (file: string) => truncateSync(file, statSync(file).size - 2)],
  ])(
    "does not begin when the file with its variables is %s, and leaves the attempt to the next start",
    async (_, spoil) => {
      const hostPid = host.pid as number;
      process.kill(hostPid, "SIGSTOP");
      const request = home.request("w-1", "exit 3", { env: { GREETING: "hello" } });
      startThroughHost(request, host);
      const [name] = readdirSync(starts);
      const file = join(starts, name as string);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      spoil(file);
      process.kill(hostPid, "SIGCONT");
      const other = home.request("w-2", "exit 0");
      startThroughHost(other, host);
      expect((await ended(other)).exit_code).toBe(0);
      expect(existsSync(request.paths.claim)).toBe(false);
      startThroughHost(request, host);
      expect(await ended(request)).toMatchObject({ exit_code: 3 });
      expect(troubles).toEqual([]);
    },
  );

  test("is started all the same where its variables cannot be written to a file", async () => {
    mkdirSync(dirname(starts), { recursive: true });
    writeFileSync(starts, "in the way");
    const request = home.request("w-1", "[ $GREETING = hello ]", { env: { GREETING: "hello" } });
    startThroughHost(request, host);
    expect((await ended(request)).exit_code).toBe(0);
  });

  test("runs in a session of its own, and its launcher's command line names the worker", async () => {
    const request = home.request("w-1", "while :; do sleep 1; done");
    startThroughHost(request, host);
    const { pid, launcher_pid } = await started(request);
    await until(() => fieldsOf(pid)?.[3] === String(pid), "the program leads a session");
    expect(environmentOf(pid)).toContain("HEALD_WORKER_ID=w-1");
    expect(readFileSync(`/proc/${launcher_pid}/cmdline`, "utf8")).toContain("w-1");
    expect(fieldsOf(launcher_pid)?.[1]).toBe(String(host.pid));
  });

  test("goes on when the host is closed, and its end is still recorded", async () => {
    const request = home.request("w-1", "until [ -e go ]; do sleep 0.02; done; exit 4");
    startThroughHost(request, host);
    const { pid } = await started(request);
    const hostPid = host.pid as number;
    host.close();
    await until(() => !isAlive(hostPid), "the host has ended");
    expect(isAlive(pid)).toBe(true);
    writeFileSync(join(home.folder, "go"), "");
    expect(await ended(request)).toMatchObject({ pid, exit_code: 4 });
  });
});

describe("LauncherHost", () => {
  test("loses no start when a launcher of its was killed, which makes xargs give up", async () => {
    const first = home.request("w-1", "while :; do sleep 1; done");
    startThroughHost(first, host);
    const { launcher_pid } = await started(first);
    process.kill(launcher_pid, "SIGKILL");
    await until(() => !isAlive(launcher_pid), "the launcher is gone");
    for (const id of ["w-2", "w-3", "w-4"]) startThroughHost(home.request(id, `echo ${id} >> marks`, {}), host);
    for (const id of ["w-2", "w-3", "w-4"]) expect((await ended(home.request(id, ""))).exit_code).toBe(0);
    const marks = readFileSync(join(home.folder, "marks"), "utf8").trim().split("\n").sort();
    expect(marks).toEqual(["w-2", "w-3", "w-4"]);
    expect(troubles[0]).toMatch(/^The process that starts launchers failed \(.+\); starting them without it for 10 s$/);
  });

  test("is not troubled by workers that are killed", async () => {
    for (const id of ["w-1", "w-2"]) {
      const request = home.request(id, "kill -9 $$");
      startThroughHost(request, host);
      expect((await ended(request)).exit_code).toBe(137);
    }
    expect(troubles).toEqual([]);
  });

  test("loses no start when its process is killed", async () => {
    const hostPid = host.pid as number;
    process.kill(hostPid, "SIGSTOP");
    const request = home.request("w-1", "exit 3");
    startThroughHost(request, host);
    expect(existsSync(request.paths.claim)).toBe(false);
    process.kill(hostPid, "SIGKILL");
    expect(await ended(request)).toMatchObject({ exit_code: 3 });
    expect(troubles).toHaveLength(1);
  });

  test("leaves no launcher unreaped", async () => {
    const request = home.request("w-1", "exit 0");
    startThroughHost(request, host);
    await ended(request);
    const { launcher_pid } = await started(request);
    await until(() => fieldsOf(launcher_pid) === null, "the launcher has ended and is reaped");
  });

  test("takes no start whose variables mean something to a shell, or that is too long", () => {
    const start = { variables: {}, ofLauncher: ["a"], ofProgram: [], ofHost: () => [], program: ["sh"] };
    expect(pack(start)).not.toBeNull();
    for (const name of ["IFS", "heald_l_variables"]) expect(pack({ ...start, variables: { [name]: "x" } })).toBeNull();
    expect(pack({ ...start, variables: { A: "x".repeat(70_000) } })).toBeNull();
    expect(pack({ ...start, variables: { A: "\u001f" } })).toBeNull();
    expect(pack({ ...start, program: ["sh", "x".repeat(70_000)] })).toBeNull();
    expect(pack({ ...start, program: ["sh", "\u001f"] })).toBeNull();
  });

  test("removes what an earlier life has left, once no launcher can be about to read it", async () => {
    mkdirSync(starts, { recursive: true });
    for (const name of ["1-old", "1-new"]) writeFileSync(join(starts, name), "A=b");
    utimesSync(join(starts, "1-old"), 1, 1);
    await until(() => !existsSync(join(starts, "1-old")), "the old one is gone");
    expect(readdirSync(starts)).toEqual(["1-new"]);
  });

  test("hands over whatever it takes, to the letter", () => {
    const field = fc.string({ unit: fc.constantFrom(..." \n\t'\"$`\\*?[]{}~-=;&|<>aé\u00a0"), maxLength: 12 });
    // The launcher's own way of taking an item apart, and then each field in brackets.
    const script = readFileSync(launcherScript(), "utf8");
    const unpack = script.slice(script.indexOf("heald_l_with_fields() {"), script.indexOf("# Waits for the line"));
    const show = `${unpack}show() { for field; do printf '[%s]' "$field"; done; }
      heald_l_end=$1 heald_l_line=$2; heald_l_with_fields show`;
    fc.assert(
      fc.property(fc.array(field, { maxLength: 6 }), (program) => {
        const packed = pack({ variables: {}, ofLauncher: [], ofProgram: [], ofHost: () => [], program });
        expect(packed).not.toBeNull();
        const item = joined((packed as Packed).fields);
        const words = spawnSync("sh", ["-c", show, "sh", "\u001f", item], { encoding: "utf8" }).stdout;
        expect(words).toBe(["0", ...program].map((each) => `[${each}]`).join(""));
      }),
      { numRuns: 60 },
    );
  });
});
