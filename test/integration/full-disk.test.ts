/** Guarantee: on a full disk each command says which file it cannot write and why, and a person can still hold everything. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { packageRoot } from "../../lib/platform/package.js";
import { openHome, resolveHome } from "../../lib/store/home.js";
import { CommandLine, MAIN } from "./support/command-line.js";

const canMount = process.geteuid?.() === 0;
const FULL = "the disk is full (ENOSPC)";

let at: CommandLine;
let filler: string;

beforeEach((context) => {
  at = new CommandLine();
  filler = join(at.home, "filler");
  if (!canMount) return;
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "heald-full", at.home]).status !== 0)
    return context.skip("nothing can be mounted here");
  const home = resolveHome({}, at.home, at.home);
  if (home !== null) openHome(home, { create: true, claimOwnership: false });
  writeFileSync(at.path("worker-specs", "active", "a.json"), '{"worker_id":"a","worker_type":"t","status":"running"}');
});

afterEach(async () => {
  if (canMount) spawnSync("umount", ["-l", at.home]);
  await at.close();
});

function fill(): void {
  spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=4k"], { stdio: "ignore" });
}

describe.skipIf(!canMount)("on a full disk", () => {
  test.each([
    [["spawn", "--type", "t", "--task-id", "x", "--", "sleep", "1"], "worker-specs/active/worker-t-1.json"],
    [["stop", "a"], "desired/a.json"],
    [["restart", "a"], "restart/queue/a-restart.json"],
    [["hold", "add", "a"], "holds/worker.a"],
    [["beat", "a"], "heartbeats/a.json"],
    [["metric", "a", "x=1"], "metrics/samples.jsonl"],
  ])("heald %j names the file that it cannot write, and changes nothing", async (args, file) => {
    fill();
    expect(await at.heald(...args)).toMatchObject({
      code: 1,
      err: expect.stringContaining(`heald: Cannot write "${at.path(file)}": ${FULL}`),
    });
    expect([at.list("holds"), at.list("desired"), at.list("worker-specs", "active")]).toEqual([[], [], ["a.json"]]);
  });

  test("heald pause holds everything by an empty file, and says for how long", async () => {
    fill();
    const ran = await at.heald("pause", "--for", "2h");
    expect(ran).toMatchObject({ code: 0, out: "Everything is held for an hour; heald resume ends it.\n" });
    expect(ran.err).toBe(
      `heald: Cannot write "${at.path("holds", "all")}": ${FULL}; an empty file there, which says neither who nor why, holds everything for an hour\n`,
    );
    expect(await at.json("hold", "ls")).toMatchObject([
      { name: "all", acts: ["kill", "restart", "fix"], defaulted: true },
    ]);
    expect((await at.heald("resume")).out).toContain("Resumed");
  });

  test("heald daemons start says what the daemon said, though there is no room for its words", async () => {
    fill();
    const ran = await at.heald("daemons", "start", "heartbeat-monitor");
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(
      /^heald: heartbeat-monitor did not start \(exit code 1\): heartbeat-monitor: Cannot start: Cannot write "[^"]+": the disk is full \(ENOSPC\)\n$/,
    );
  });

  test("a daemon in the foreground names the file once, and what is wrong", async () => {
    fill();
    const main = join(packageRoot(), "dist", "daemons", "heartbeat-monitor", "main.js");
    for (const command of [
      [MAIN, "daemon", "heartbeat-monitor"],
      [main, "--home", at.home],
    ]) {
      const ran = await at.run(process.execPath, command);
      expect(ran.code).toBe(1);
      expect(ran.err).toMatch(/^heartbeat-monitor: Cannot start: Cannot write "[^"]+": the disk is full \(ENOSPC\)\n$/);
    }
  });
});
