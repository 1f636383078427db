/** Guarantee: on a full disk every write fails by name, nothing that was there is lost, and all goes on when there is room. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { weatherCode } from "../../../lib/platform/files.js";
import { openHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { EventLogWriter, Tailer } from "../../../lib/store/logs.js";
import { Mailbox } from "../../../lib/store/mailbox.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { returnTokens, takeLease } from "../../../lib/store/tokens.js";
import { homeIn, temporaryFolder } from "./temporary-home.js";

const NAME = "worker-1-restart.json";

/** A file system of one megabyte; null if this user cannot mount one. */
function smallDisk(): string | null {
  const folder = join(temporaryFolder(), "disk");
  mkdirSync(folder);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]).status !== 0) return null;
  onTestFinished(() => {
    spawnSync("umount", [folder]);
  });
  return folder;
}

/** Fills the disk to its last byte; returns how to make room again. */
function fill(folder: string): () => void {
  const path = join(folder, "filler");
  for (let bytes = 256 * 1024; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(bytes), { flag: "a" });
    } catch (error) {
      if (weatherCode(error) !== "ENOSPC") throw error;
    }
  }
  return () => unlinkSync(path);
}

async function codeOf(action: () => unknown): Promise<string | null> {
  try {
    await action();
    return "done";
  } catch (error) {
    return weatherCode(error);
  }
}

const canMount = process.geteuid?.() === 0;
if (!canMount) console.warn("A full disk is not tried: only root can mount a small one");

describe.skipIf(!canMount)("a full disk", () => {
  test("stops every write by name, loses nothing, and is over when there is room", async (context) => {
    const folder = smallDisk();
    if (folder === null) return context.skip("this container may not mount a small disk");
    const home = homeIn(folder);
    openHome(home, { create: true, claimOwnership: true });
    const layout = new Layout(home);
    const { queueDir, claimedDir: claimed, doneDir: done, failedRequestsDir: failed, rejectedDir: rejected } = layout;
    const mailbox = new Mailbox(queueDir, { claimed, done, failed, rejected });
    const specs = new SpecStore(layout);
    const log = new EventLogWriter(layout.eventLog("heartbeat"), {
      maxBytes: 1,
      archiveDir: layout.archiveDir,
      owner: true,
    });
    specs.createActive({ worker_id: "worker-1", mine: "kept" });
    mailbox.file(NAME, { worker_id: "worker-1" });
    log.append({ n: 1 });
    writeFileSync(layout.tokenBudget, '{"total_budget":10,"total_used":0}');
    await takeLease(layout, "worker-1.attempt-1", 5);

    const makeRoom = fill(folder);
    const held = mailbox.claim(NAME) as string;
    const long = "x".repeat(8000);
    const writes: (() => unknown)[] = [
      () => specs.mergeActive("worker-1", 1, { status: "running" }),
      () => specs.createActive({ worker_id: "worker-2" }),
      () => specs.fileZombie({ worker_id: "worker-1" }, 1),
      () => mailbox.file("worker-2-restart.json", {}),
      () => mailbox.settle(held, "done", { verdict: "started" }),
      () => mailbox.putBack(held, NAME, { worker_id: "worker-1" }),
      () => mailbox.reject(held, "why"),
      () => log.append({ n: 2, long }),
      () => returnTokens(layout, "worker-1.attempt-1", 1),
    ];
    for (const write of writes) expect([String(write), await codeOf(write)]).toEqual([String(write), "ENOSPC"]);
    expect(JSON.parse(readFileSync(layout.activeSpec("worker-1"), "utf8"))).toEqual({
      worker_id: "worker-1",
      mine: "kept",
    });
    expect([queueDir, done, failed, rejected].flatMap((each) => readdirSync(each))).toEqual([]);
    expect(readdirSync(claimed)).toHaveLength(1);
    expect(readdirSync(layout.activeDir)).toEqual(["worker-1.json"]);

    makeRoom();
    for (const write of writes.slice(0, 4)) expect(await codeOf(write)).toBe("done");
    expect(mailbox.putBack(held, NAME, { worker_id: "worker-1", deferred: { gate: "holds" } })).toBe(true);
    log.append({ n: 3 });
    expect(await returnTokens(layout, "worker-1.attempt-1", 1)).toEqual({ returned: 4, again: false });
    const tailer = new Tailer(log.path, null, { maxLineBytes: 65_536 });
    const whole = tailer.read().lines.filter((line) => line.text.endsWith("}"));
    expect(whole.map((line) => (JSON.parse(line.text) as { n: number }).n)).toEqual([1, 3]);
    tailer.close();
    log.close();
    expect(mailbox.list()).toEqual([NAME, "worker-2-restart.json"]);
  });
});

describe.skipIf(!canMount)("a read-only disk", () => {
  test("can be read, and says EROFS for every write", async (context) => {
    const folder = smallDisk();
    if (folder === null) return context.skip("this container may not mount a small disk");
    const home = homeIn(folder);
    openHome(home, { create: true, claimOwnership: true });
    const layout = new Layout(home);
    const specs = new SpecStore(layout);
    specs.createActive({ worker_id: "worker-1" });
    if (spawnSync("mount", ["-o", "remount,ro", folder]).status !== 0) return context.skip("cannot be made read-only");
    expect(specs.readActive("worker-1", Date.now())).toMatchObject({ kind: "ok" });
    expect(await codeOf(() => specs.mergeActive("worker-1", 1, { status: "running" }))).toBe("EROFS");
    expect(await codeOf(() => specs.removeActive("worker-1", 1))).toBe("EROFS");
    expect(await codeOf(() => openHome(home, { create: true, claimOwnership: true }))).toBe("done");
    expect(specs.listActive()).toEqual(["worker-1"]);
  });
});
