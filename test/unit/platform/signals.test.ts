import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  ancestors,
  groupMembers,
  hasGroupMembers,
  leadsNoGroup,
  readStat,
  signalIdentity,
} from "../../../lib/platform/processes.js";
import { identityNow, killQuietly, start, temporaryFolder, until } from "./helpers.js";

describe("ancestors()", () => {
  test("begins with the parent and ends with the first process", () => {
    expect(ancestors()[0]).toBe(process.ppid);
    expect(ancestors().at(-1)).toBe(1);
  });
});

describe("signalIdentity() to one process", () => {
  test("ends the process that was recorded, and says gone from then on", async () => {
    const child = start("sleep", ["60"]);
    const identity = identityNow(child.pid);
    expect(signalIdentity(identity, "SIGTERM", "main")).toEqual({ answer: "sent" });
    await until("it is gone", () => readStat(child.pid) === null);
    expect(signalIdentity(identity, "SIGTERM", "main")).toEqual({ answer: "gone" });
  });

  test("leaves a process alone whose pid is the recorded one and whose start is not", async () => {
    const child = start("sleep", ["60"]);
    const identity = { ...identityNow(child.pid), start_time: 1 };
    expect(signalIdentity(identity, "SIGKILL", "main")).toEqual({ answer: "reused" });
    expect(signalIdentity(identity, "SIGKILL", "group")).toEqual({ answer: "reused" });
    expect(readStat(child.pid)?.state).not.toBe("Z");
  });

  test.each([-1, 0, 1, 1.5, Number.NaN])("refuses pid %s", (pid) => {
    const identity = { ...identityNow(process.pid), pid };
    const refusal = { answer: "refused", why: `pid ${pid} is never signalled` };
    expect(signalIdentity(identity, "SIGWINCH", "main")).toEqual(refusal);
    expect(signalIdentity(identity, "SIGWINCH", "group", { leaderGone: true })).toEqual(refusal);
  });

  test("refuses this process and its ancestors", () => {
    expect(signalIdentity(identityNow(process.pid), "SIGWINCH", "main").why).toBe(`pid ${process.pid} is this process`);
    expect(signalIdentity(identityNow(process.ppid), "SIGWINCH", "main")).toEqual({
      answer: "refused",
      why: `pid ${process.ppid} is an ancestor of this process`,
    });
  });

  test("refuses what belongs to another host or namespace, and holds a process of an earlier boot for gone", () => {
    const child = start("sleep", ["60"]);
    const identity = identityNow(child.pid);
    expect(signalIdentity({ ...identity, host: "elsewhere" }, "SIGKILL", "main").answer).toBe("refused");
    expect(signalIdentity({ ...identity, pid_ns: "1" }, "SIGKILL", "main").answer).toBe("refused");
    expect(signalIdentity({ ...identity, boot_id: "earlier" }, "SIGKILL", "main").answer).toBe("gone");
    expect(signalIdentity(identity, "SIGCONT", "main").answer).toBe("sent");
  });

  test("says gone for a corpse", async () => {
    const folder = temporaryFolder();
    const parent = start("sh", ["-c", "sleep 0.2 & echo $! >corpse; exec sleep 60"], { cwd: folder });
    await until("the parent is a sleep", () => readStat(parent.pid)?.comm === "sleep");
    const pid = Number(readFileSync(join(folder, "corpse"), "utf8"));
    await until("the child is a corpse", () => readStat(pid)?.state === "Z");
    expect(signalIdentity(identityNow(pid), "SIGKILL", "main").answer).toBe("gone");
  });
});

describe("signalIdentity() to a group", () => {
  test("ends the leader and its children", async () => {
    const child = start("sh", ["-c", "sleep 60 & wait"], { detached: true });
    const identity = identityNow(child.pid);
    await until("both are there", () => groupMembers(child.pid).length === 2);
    expect(signalIdentity(identity, "SIGKILL", "group")).toEqual({ answer: "sent" });
    await until("the group is gone", () => !hasGroupMembers(child.pid));
  });

  test("refuses a group that the process does not lead", () => {
    const child = start("sleep", ["60"]);
    const group = readStat(child.pid)?.pgrp;
    const identity = identityNow(child.pid);
    expect(signalIdentity(identity, "SIGWINCH", "group")).toEqual({
      answer: "refused",
      why: `pid ${child.pid} does not lead its group ${group}`,
    });
  });

  test("tells beforehand of a process in a group of another", () => {
    const follower = start("sleep", ["60"]);
    const leader = start("sleep", ["60"], { detached: true });
    expect([follower, leader].map(({ pid }) => leadsNoGroup(identityNow(pid)))).toEqual([true, false]);
    const reused = { ...identityNow(follower.pid), start_time: 1 };
    expect(leadsNoGroup(reused)).toBe(false);
  });

  test("signals what is left after the leader only when asked to", async () => {
    const child = start("sh", ["-c", "sleep 60 & wait"], { detached: true });
    const identity = identityNow(child.pid);
    await until("both are there", () => groupMembers(child.pid).length === 2);
    process.kill(child.pid, "SIGKILL");
    await until("the leader is gone", () => readStat(child.pid) === null);
    expect(signalIdentity(identity, "SIGKILL", "group")).toEqual({ answer: "gone" });
    expect(groupMembers(child.pid)).toHaveLength(1);
    expect(signalIdentity(identity, "SIGKILL", "group", { leaderGone: true })).toEqual({ answer: "sent" });
    await until("the group is gone", () => !hasGroupMembers(child.pid));
    expect(signalIdentity(identity, "SIGKILL", "group", { leaderGone: true })).toEqual({ answer: "gone" });
  });

  test("refuses what is left of a group that was started in another session", async () => {
    // With job control the shell gives its background job a group of its own inside the shell's session.
    const folder = temporaryFolder();
    const script = "set -m; sh -c 'echo $$ >leader; sleep 62 & sleep 0.3' & wait; read line";
    const shell = start("bash", ["-c", script], { cwd: folder, detached: true, stdio: ["pipe", "ignore", "ignore"] });
    let leader = 0;
    await until("the job runs", () => {
      leader = Number(readText(join(folder, "leader")));
      return leader > 0 && groupMembers(leader).length >= 2;
    });
    const identity = identityNow(leader);
    await until("the leader is gone", () => readStat(leader) === null);
    const [left] = groupMembers(leader);
    const outcome = signalIdentity(identity, "SIGKILL", "group", { leaderGone: true });
    expect(outcome.answer).toBe("refused");
    expect(outcome.why).toBe(`pid ${left?.pid} of the group is in the session ${shell.pid}`);
    killQuietly(left?.pid as number);
  });
});

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
