/** Guarantee: a worker that outgrows its limit is ended by the kernel where a cgroup can be had, and the record says so. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startLauncher } from "../../lib/platform/launching.js";
import { oomKills, prepareMemoryLimit, releaseMemoryLimit } from "../../lib/platform/memory-limit.js";
import { ended, type Home, makeHome, started, until } from "./support/launched.js";

const NO_CGROUP = "no writable memory cgroup on this host: the monitor samples instead";

describe("a memory limit on this host", () => {
  let home: Home;
  beforeEach(() => {
    home = makeHome();
  });
  afterEach(async () => {
    await home.close();
  });

  test("has the kernel end a program that allocates beyond it, and counts that kill in the exit record", async (context) => {
    const request = home.request(`limit-${process.pid}`, "", {
      command: process.execPath,
      args: ["-e", "const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1));"],
      memoryLimitMb: 64,
    });
    startLauncher(request);
    const launch = await started(request);
    if (launch.memory_limit_enforced_by === "sampling") return context.skip(NO_CGROUP);
    const folder = launch.memory_folder as string;
    expect(launch.memory_limit_enforced_by).toMatch(/^cgroup[12]$/);
    expect(launch.memory_limit_mb).toBe(64);
    expect(folder.endsWith(`/heald/limit-${process.pid}.attempt-1`)).toBe(true);
    const record = await ended(request, 20_000);
    expect(record).toMatchObject({ exit_code: 137, signal: "SIGKILL", memory: { oom_kill: 1 } });
    expect(oomKills(folder)).toBe(1);
    await until(() => releaseMemoryLimit(folder), "the empty cgroup can be removed");
    expect(existsSync(folder)).toBe(false);
    expect(releaseMemoryLimit(folder)).toBe(true);
    removeIfEmpty(dirname(folder));
  });

  test("is felt by what the program starts as well", async (context) => {
    const grow = 'x=aaaaaaaaaaaaaaaa; while :; do x="$x$x"; done';
    const request = home.request(`tree-${process.pid}`, `sh -c '${grow}'; echo "child ended with $?"`, {
      memoryLimitMb: 32,
    });
    startLauncher(request);
    const launch = await started(request);
    if (launch.memory_limit_enforced_by === "sampling") return context.skip(NO_CGROUP);
    const record = await ended(request, 20_000);
    expect(record.memory?.oom_kill).toBeGreaterThanOrEqual(1);
    await until(() => releaseMemoryLimit(launch.memory_folder as string), "the empty cgroup can be removed");
    removeIfEmpty(dirname(launch.memory_folder as string));
  });

  test("leaves no trace on a program that stays below it", async (context) => {
    const request = home.request(`modest-${process.pid}`, "exit 0", { memoryLimitMb: 64 });
    startLauncher(request);
    const launch = await started(request);
    if (launch.memory_limit_enforced_by === "sampling") return context.skip(NO_CGROUP);
    expect(await ended(request)).toMatchObject({ exit_code: 0, memory: { oom_kill: 0 } });
    await until(() => releaseMemoryLimit(launch.memory_folder as string), "the empty cgroup can be removed");
    removeIfEmpty(dirname(launch.memory_folder as string));
  });

  test("is released only when nobody is in it, and starts again with a count of zero", async (context) => {
    const limit = prepareMemoryLimit(`again-${process.pid}`, 1, 64);
    if (limit.folder === undefined) return context.skip(NO_CGROUP);
    const request = home.request(`again-${process.pid}`, "until [ -e go ]; do sleep 0.02; done", { memoryLimitMb: 64 });
    startLauncher(request);
    expect((await started(request)).memory_folder).toBe(limit.folder);
    expect(releaseMemoryLimit(limit.folder)).toBe(false);
    // A second start of the same attempt must not touch the cgroup of the one that runs.
    startLauncher(request);
    expect(existsSync(limit.folder)).toBe(true);
    writeFileSync(join(home.folder, "go"), "");
    await ended(request);
    const folder = limit.folder;
    await until(() => releaseMemoryLimit(folder), "the empty cgroup can be removed");
    removeIfEmpty(dirname(folder));
  });
});

describe("prepareMemoryLimit()", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "heald-cgroup-"));
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  /** A folder tree that looks like cgroup v2: files are plain, so nothing here proves what a kernel does. */
  const unified = (path: string, files: Record<string, string>) => {
    const folder = join(root, path);
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  };
  const view = (membership: string) => ({
    membership,
    mounts: `25 20 0:22 / / rw - ext4 /dev/x rw\n30 25 0:26 / ${root} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n`,
  });

  test("uses the unit's own group when systemd put the daemon into a sub-group of it", () => {
    unified("system.slice/heald.service", {
      "cgroup.procs": "",
      "cgroup.controllers": "cpu memory\n",
      "cgroup.subtree_control": "",
    });
    unified("system.slice/heald.service/daemon", { "cgroup.procs": "1\n", "cgroup.subtree_control": "" });
    unified("system.slice/heald.service/heald", { "cgroup.subtree_control": "" });
    const limit = prepareMemoryLimit("w-1", 2, 1.5, view("0::/system.slice/heald.service/daemon\n"));
    const folder = join(root, "system.slice/heald.service/heald/w-1.attempt-2");
    expect(limit).toEqual({
      enforcedBy: "cgroup2",
      folder,
      procsFile: join(folder, "cgroup.procs"),
      countersFile: join(folder, "memory.events"),
    });
    expect(readFileSync(join(folder, "memory.max"), "utf8")).toBe("1572864");
    for (const above of ["heald.service", "heald.service/heald"]) {
      expect(readFileSync(join(root, "system.slice", above, "cgroup.subtree_control"), "utf8")).toBe("+memory");
    }
  });

  test("never enables a controller in a group that holds processes", () => {
    unified("user.slice/session-1.scope", {
      "cgroup.procs": "1\n",
      "cgroup.controllers": "memory\n",
      "cgroup.subtree_control": "",
    });
    expect(prepareMemoryLimit("w-1", 1, 64, view("0::/user.slice/session-1.scope\n"))).toEqual({
      enforcedBy: "sampling",
    });
    expect(readFileSync(join(root, "user.slice/session-1.scope/cgroup.subtree_control"), "utf8")).toBe("");
  });

  test("never makes a group beside a unit, which is systemd's to manage", () => {
    unified("system.slice", {
      "cgroup.procs": "",
      "cgroup.controllers": "memory\n",
      "cgroup.subtree_control": "memory\n",
    });
    unified("system.slice/heald.service", {
      "cgroup.procs": "1\n",
      "cgroup.controllers": "memory\n",
      "cgroup.subtree_control": "",
    });
    expect(prepareMemoryLimit("w-1", 1, 64, view("0::/system.slice/heald.service\n"))).toEqual({
      enforcedBy: "sampling",
    });
    expect(existsSync(join(root, "system.slice/heald"))).toBe(false);
  });

  test.each([
    ["no cgroup is mounted", { membership: "0::/a\n", mounts: "" }],
    [
      "the group lies outside of what is mounted",
      { membership: "4:memory:/../b\n", mounts: "30 25 0:26 / /x rw - cgroup cgroup rw,memory\n" },
    ],
    ["nothing is known", { membership: "", mounts: "" }],
  ])("answers sampling when %s", (_, given) => {
    expect(prepareMemoryLimit("w-1", 1, 64, given)).toEqual({ enforcedBy: "sampling" });
  });

  test("refuses a limit that is no positive number", () => {
    expect(() => prepareMemoryLimit("w-1", 1, 0)).toThrow(
      'Cannot limit memory of "w-1": wanted a positive limit, got 0',
    );
    expect(() => prepareMemoryLimit("w-1", 1, Number.NaN)).toThrow(RangeError);
  });

  test("reads no count where the kernel gives none", () => {
    expect(oomKills(root)).toBeNull();
  });
});

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    // Somebody else's attempts are in there.
    expect(["EBUSY", "ENOTEMPTY", "ENOENT"]).toContain((error as NodeJS.ErrnoException).code);
  }
}
