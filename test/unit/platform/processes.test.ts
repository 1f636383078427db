import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { bootId } from "../../../lib/platform/clock.js";
import {
  familyOf,
  hasGroupMembers,
  isAlive,
  isGroupGone,
  isSame,
  look,
  memoryOfTree,
  presenceOf,
  readStat,
} from "../../../lib/platform/processes.js";
import { identityNow, killQuietly, start, temporaryFolder, until } from "./helpers.js";

/** Starts a program and waits until it runs (not the copy of this process that becomes it). */
async function running(command: string, args: readonly string[], options = {}): Promise<number> {
  const child = start(command, args, options);
  await until(`${command} runs`, () => readStat(child.pid)?.comm === command);
  return child.pid;
}

describe("readStat()", () => {
  test("reads the kernel's fields although the program's name holds spaces and parentheses", async () => {
    const folder = temporaryFolder();
    const program = join(folder, "a) R 1 (b");
    writeFileSync(program, readFileSync("/bin/sleep"), { mode: 0o755 });
    const child = start(program, ["60"]);
    await until("the program sleeps", () => {
      const found = readStat(child.pid);
      return found?.comm === "a) R 1 (b" && found.state === "S";
    });
    // Stopped, so that two readings of its memory are of one moment.
    child.kill("SIGSTOP");
    await until("it is stopped", () => readStat(child.pid)?.state === "T");
    const stat = readStat(child.pid);
    expect(stat).toMatchObject({ pid: child.pid, ppid: process.pid, threads: 1 });
    const raw = readFileSync(`/proc/${child.pid}/stat`, "latin1");
    const fields = raw.slice(raw.lastIndexOf(")") + 2).split(" ");
    expect(stat?.pgrp).toBe(Number(fields[2]));
    expect(stat?.session).toBe(Number(fields[3]));
    expect(stat?.start_time).toBe(Number(fields[19]));
    expect(stat?.rss_pages).toBe(Number(fields[21]));
  });

  test("returns null for a pid that nobody has", () => {
    expect(readStat(spawnSync("true").pid)).toBeNull();
  });
});

describe("isSame()", () => {
  test("knows a living process again, and says gone after its end", async () => {
    const child = start("sleep", ["60"]);
    const identity = identityNow(child.pid);
    expect(isSame(identity)).toBe("same");
    child.kill("SIGKILL");
    await until("it is gone", () => isSame(identity) === "gone");
    expect(isAlive(child.pid)).toBe(false);
  });

  test.each([
    ["reused", { start_time: 1 }],
    ["other_boot", { boot_id: "earlier" }],
    ["other_namespace", { pid_ns: "1" }],
    ["other_host", { host: "elsewhere" }],
    ["other_host", { host: "elsewhere", boot_id: "earlier", pid_ns: "1" }],
  ])("says %s for %o", (expected, difference) => {
    expect(isSame({ ...identityNow(process.pid), ...difference })).toBe(expected);
  });

  test("tells a corpse that its parent has not waited for from a living process", async () => {
    // The child ends after the shell has become a sleep, which never waits for it.
    const parent = start("sh", ["-c", "sleep 0.2 & echo $! >corpse; exec sleep 60"], { cwd: temporaryFolderOf() });
    const folder = lastFolder;
    await until("the parent is a sleep", () => readStat(parent.pid)?.comm === "sleep");
    const pid = Number(readFileSync(join(folder, "corpse"), "utf8"));
    await until("the child is a corpse", () => readStat(pid)?.state === "Z");
    const identity = identityNow(pid);
    expect(isAlive(pid)).toBe(true);
    expect(isSame(identity)).toBe("same");
    expect(presenceOf(identity)).toBe("unreaped");
    expect(look(identity)).toMatchObject({ presence: "unreaped", state: "Z", group_members: 0 });
  });
});

let lastFolder = "";
function temporaryFolderOf(): string {
  lastFolder = temporaryFolder();
  return lastFolder;
}

describe("isGroupGone()", () => {
  test("says no while the leader or anybody of its group is there, and yes when all are gone", async () => {
    const folder = temporaryFolder();
    const script = "sleep 60 & echo $! >child; read line";
    const leader = start("sh", ["-c", script], { cwd: folder, detached: true, stdio: ["pipe", "ignore", "ignore"] });
    let child = 0;
    await until("its child runs", () => {
      child = existsSync(join(folder, "child")) ? Number(readFileSync(join(folder, "child"), "utf8")) : 0;
      return child > 0;
    });
    const identity = identityNow(leader.pid);
    expect(isGroupGone(identity)).toBe(false);
    leader.kill("SIGKILL");
    await until("the leader is gone", () => isSame(identity) === "gone");
    expect(isGroupGone(identity)).toBe(false);
    process.kill(child, "SIGKILL");
    await until("the group is gone", () => isGroupGone(identity));
    expect(isAlive(child)).toBe(false);
  });

  test("says no of a process that leads no group, as long as it is there", () => {
    const child = start("sleep", ["60"]);
    expect(isGroupGone(identityNow(child.pid))).toBe(false);
  });

  test("says no of a process of another boot or host: nothing is known of it", () => {
    const gone = { ...identityNow(process.pid), pid: spawnSync("true").pid };
    expect(isGroupGone(gone)).toBe(true);
    expect(isGroupGone({ ...gone, boot_id: "another" })).toBe(false);
    expect(isGroupGone({ ...gone, host: "another" })).toBe(false);
  });
});

describe("look()", () => {
  test("sees a stopped process, and sees it go on", async () => {
    const pid = await running("sleep", ["60"]);
    const identity = identityNow(pid);
    process.kill(pid, "SIGSTOP");
    await until("it is stopped", () => look(identity).state === "T");
    expect(look(identity)).toMatchObject({ presence: "same", traced: false, frozen: false });
    process.kill(pid, "SIGCONT");
    await until("it goes on", () => look(identity).state === "S");
  });

  test("counts the CPU of a busy child to the children, not to the process that waits", async () => {
    const child = start("sh", ["-c", "sh -c 'while :; do :; done'; :"], { detached: true });
    const identity = identityNow(child.pid);
    await until("the child has used CPU", () => (look(identity).children_cpu_ms ?? 0) >= 100);
    expect(look(identity).cpu_ms).toBeLessThan(100);
    expect(look(identity).group_members).toBe(2);
  });

  test("keeps the CPU of children that have ended", async () => {
    const script = "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; read line";
    const child = start("sh", ["-c", script], { stdio: ["pipe", "ignore", "ignore"] });
    const identity = identityNow(child.pid);
    await until("the child has used CPU and is gone", () => {
      const found = look(identity);
      return (found.children_cpu_ms ?? 0) > 0 && found.state === "S" && childrenOf(child.pid) === "";
    });
    expect(look(identity).children_cpu_ms).toBeGreaterThan(0);
  });

  test("sees bytes that go through a pipe", async () => {
    const child = start("cat", [], { stdio: ["pipe", "ignore", "ignore"] });
    await until("cat waits", () => readStat(child.pid)?.comm === "cat" && readStat(child.pid)?.state === "S");
    const identity = identityNow(child.pid);
    const before = look(identity).io_bytes ?? Number.NaN;
    child.stdin?.write("x".repeat(1000));
    await until("cat has read and written", () => (look(identity).io_bytes ?? 0) >= before + 2000);
  });

  test("counts what is left of the group when the leader is gone", async () => {
    const child = start("sh", ["-c", "sleep 60 & sleep 60 & read line"], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    const identity = identityNow(child.pid);
    await until("all three are there", () => look(identity).group_members === 3);
    process.kill(child.pid, "SIGKILL");
    await until("the leader is gone", () => look(identity).presence === "gone");
    expect(look(identity).group_members).toBe(2);
    expect(hasGroupMembers(child.pid)).toBe(true);
    process.kill(-child.pid, "SIGKILL");
    await until("the group is gone", () => !hasGroupMembers(child.pid));
    expect(look(identity)).toMatchObject({ presence: "gone", group_members: 0 });
  });

  test("says nothing about a process of another boot but that", () => {
    const found = look({ ...identityNow(process.pid), boot_id: "earlier" });
    expect(Object.keys(found).sort()).toEqual(["at", "presence"]);
  });

  test.runIf(spawnSync("strace", ["-V"]).status === 0)("sees a tracer", async () => {
    const pid = await running("sleep", ["60"]);
    start("strace", ["-p", String(pid)]);
    await until("the tracer is seen", () => look(identityNow(pid)).traced === true);
  });

  const freezer = "/sys/fs/cgroup/freezer";
  test.runIf(process.geteuid?.() === 0 && existsSync(`${freezer}/cgroup.procs`))(
    "sees a frozen control group",
    async () => {
      const pid = await running("sleep", ["60"]);
      const group = join(freezer, `heald-test-${pid}`);
      mkdirSync(group);
      onTestFinished(async () => {
        writeFileSync(join(group, "freezer.state"), "THAWED");
        killQuietly(pid);
        await until("the group is empty", () => readFileSync(join(group, "cgroup.procs"), "utf8") === "");
        rmdirSync(group);
      });
      writeFileSync(join(group, "cgroup.procs"), String(pid));
      expect(look(identityNow(pid)).frozen).toBe(false);
      writeFileSync(join(group, "freezer.state"), "FROZEN");
      await until("it is frozen", () => look(identityNow(pid)).frozen === true);
    },
  );
});

function childrenOf(pid: number): string {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1");
}

describe("memoryOfTree()", () => {
  test("sums the process and its descendants, and is null for one that is gone", async () => {
    const script = "const b = Buffer.alloc(64 << 20, 1); setInterval(() => b.length, 1000)";
    const child = start("sh", ["-c", `"${process.execPath}" -e "${script}"; :`], { detached: true });
    const identity = identityNow(child.pid);
    await until("the grandchild has its memory", () => (memoryOfTree(identity) ?? 0) > 64 * 1024 * 1024);
    expect(memoryOfTree(identity)).toBeLessThan(512 * 1024 * 1024);
    process.kill(-child.pid, "SIGKILL");
    await until("it is gone", () => isSame(identity) === "gone");
    expect(memoryOfTree(identity)).toBeNull();
  });
});

describe("familyOf()", () => {
  test("finds a process that left its group and its parent, by its exact tag", async () => {
    const value = `${bootId()}-${process.pid}`;
    const env = { ...process.env, HEALD_TEST_TAG: value };
    const child = start("sh", ["-c", "setsid sleep 61 & read line"], { env, stdio: ["pipe", "ignore", "ignore"] });
    const tag = { name: "HEALD_TEST_TAG", value };
    const names = () => familyOf(tag).map((pid) => readStat(pid)?.comm);
    await until("both are there", () => names().sort().join() === "sh,sleep");
    process.kill(child.pid, "SIGKILL");
    await until("the parent is gone", () => readStat(child.pid) === null);
    const [orphan] = familyOf(tag);
    onTestFinished(() => killQuietly(orphan as number));
    expect(readStat(orphan as number)?.comm).toBe("sleep");
    expect(familyOf({ name: "HEALD_TEST_TAG", value: value.slice(0, -1) })).toEqual([]);
    expect(familyOf({ name: "EALD_TEST_TAG", value })).toEqual([]);
  });
});
