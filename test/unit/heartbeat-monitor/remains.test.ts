/** Guarantee: an attempt is ended with all that it started, and nobody who only lives beside it is touched. */
import { expect, onTestFinished, test } from "vitest";
import { Remains } from "../../../daemons/heartbeat-monitor/remains.js";
import { descendantsOf, type Identity, isCorpse, readStat } from "../../../lib/platform/processes.js";
import { identityNow, killQuietly, start, until } from "../platform/helpers.js";
import { temporaryLayout } from "../store/temporary-home.js";

const isOver = (pid: number): boolean => {
  const stat = readStat(pid);
  return stat === null || isCorpse(stat);
};

/** A program in the group of this test, as one that was started from a shell without job control, with two children. */
async function adopted(): Promise<{ readonly identity: Identity; readonly children: readonly number[] }> {
  const script = "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 60' & sleep 60 & wait";
  const { pid } = start("sh", ["-c", script]);
  const found = (): number[] => {
    const stat = readStat(pid);
    return stat === null ? [] : descendantsOf(stat).map((child) => child.pid);
  };
  await until("its children are there", () => found().length === 3);
  const children = found();
  onTestFinished(() => children.forEach(killQuietly));
  return { identity: identityNow(pid), children };
}

test("one that leads no group is ended by itself and with its children, and its group lives on", async () => {
  const { identity, children } = await adopted();
  const beside = start("sleep", ["60"]);
  expect(readStat(identity.pid)?.pgrp).toBe(readStat(beside.pid)?.pgrp);
  const remains = new Remains(temporaryLayout());
  // Its stop signal goes to the program alone, which does not heed it.
  expect(remains.signal("w-1.attempt-1", identity, "SIGTERM", "main")).toEqual({ answer: "sent", reach: "main" });
  expect(remains.signal("w-1.attempt-1", identity, "SIGKILL", "group")).toEqual({ answer: "sent", reach: "main" });
  await until("all of it is over", () => [identity.pid, ...children].every(isOver));
  expect(isOver(beside.pid)).toBe(false);
});

test("of one that leads no group and is gone, the children are ended that were noted while it ran", async () => {
  const { identity, children } = await adopted();
  const remains = new Remains(temporaryLayout());
  remains.signal("w-1.attempt-1", identity, "SIGTERM", "main");
  killQuietly(identity.pid);
  await until("the program is over", () => isOver(identity.pid));
  expect(remains.signal("w-1.attempt-1", identity, "SIGKILL", "group")).toMatchObject({ answer: "sent" });
  await until("its children are over", () => children.every(isOver));
});

test("where the pid is another process's by now, that one is left alone, whatever group it is in", async () => {
  const stranger = start("sleep", ["60"]);
  const identity = { ...identityNow(stranger.pid), start_time: 1 };
  const remains = new Remains(temporaryLayout());
  expect(remains.signal("w-1.attempt-1", identity, "SIGKILL", "group")).toMatchObject({ answer: "reused" });
  expect(isOver(stranger.pid)).toBe(false);
});

test("one that is an ancestor of the monitor is refused, and so are its children", () => {
  const remains = new Remains(temporaryLayout());
  const sibling = start("sleep", ["60"]);
  const outcome = remains.signal("w-1.attempt-1", identityNow(process.ppid), "SIGKILL", "group");
  expect(outcome.answer).toBe("refused");
  expect(isOver(sibling.pid)).toBe(false);
});
