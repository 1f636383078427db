/** Guarantee: a process killed before any of its links, renames and unlinks leaves the old state or the new. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Layout } from "../../../lib/store/layout.js";
import { EventLogWriter, Tailer } from "../../../lib/store/logs.js";
import { Mailbox } from "../../../lib/store/mailbox.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { compiled } from "./compiled.js";
import { temporaryLayout } from "./temporary-home.js";

const NAME = "worker-1-restart.json";
const CALLS = ["rename", "link", "unlink"] as const;
const hasStrace = spawnSync("strace", ["-V"]).status === 0;
if (!hasStrace) console.warn("Crash windows are not swept: strace is not installed");

let program = "";
beforeAll(() => {
  program = compiled("crashing-process.ts");
});

function mailboxOf(layout: Layout): Mailbox {
  const { queueDir, claimedDir: claimed, doneDir: done, failedRequestsDir: failed, rejectedDir: rejected } = layout;
  return new Mailbox(queueDir, { claimed, done, failed, rejected });
}

/** Kills the transaction before its n-th call of a kind; false once it has fewer than n. */
function killAt(layout: Layout, transaction: string, call: string, nth: number): boolean {
  const inject = `inject=${call}:signal=SIGKILL:when=${nth}`;
  const traced = ["-f", "-qq", "-o", "/dev/null", "-e", `trace=${call}`, "-e", inject];
  const run = spawnSync("strace", [...traced, process.execPath, program, transaction, layout.home.home], {
    encoding: "utf8",
  });
  if (run.signal === "SIGKILL") return true;
  if (run.status !== 0) throw new Error(`${transaction} failed: ${run.stderr}`);
  return false;
}

/** Runs a transaction with a kill at every place; returns how many places there were. */
function sweep(transaction: string, prepare: (layout: Layout) => void, check: (layout: Layout) => void): number {
  let places = 0;
  for (const call of CALLS) {
    for (let nth = 1; ; nth++) {
      const layout = temporaryLayout();
      prepare(layout);
      const wasKilled = killAt(layout, transaction, call, nth);
      check(layout);
      if (!wasKilled) break;
      places++;
    }
  }
  return places;
}

/** Where the one request is after recovery, each place in which a reader would find it. */
function lives(layout: Layout): string[] {
  const mailbox = mailboxOf(layout);
  const found = mailbox.orphans().map(() => "orphan");
  found.push(...mailbox.list().map(() => "queue"));
  for (const [place, folder] of [
    ["done", layout.doneDir],
    ["failed", layout.failedRequestsDir],
    ["rejected", layout.rejectedDir],
  ] as const) {
    for (const name of readdirSync(folder)) {
      if (!name.endsWith(".json") || name.startsWith(".")) continue;
      const record = JSON.parse(readFileSync(join(folder, name), "utf8")) as { verdict?: string };
      if (record.verdict !== "superseded") found.push(place);
    }
  }
  return found;
}

const withRequest = (layout: Layout) => void mailboxOf(layout).file(NAME, { worker_id: "worker-1" });

describe.skipIf(!hasStrace)("a kill in the middle", () => {
  test("of filing leaves the whole request or none", () => {
    const places = sweep(
      "file",
      () => {},
      (layout) => {
        const found = mailboxOf(layout).list();
        for (const name of found)
          expect(JSON.parse(readFileSync(join(layout.queueDir, name), "utf8"))).toEqual({ worker_id: "worker-1" });
        expect(found.length).toBeLessThanOrEqual(1);
      },
    );
    expect(places).toBeGreaterThanOrEqual(2);
  });

  test.each(["settle", "putBack", "reject"])("of %s leaves the request in exactly one place", (transaction) => {
    const places = sweep(transaction, withRequest, (layout) => expect(lives(layout)).toHaveLength(1));
    expect(places).toBeGreaterThanOrEqual(3);
  });

  test("of a merge leaves the old spec or the new, whole", () => {
    const before = { worker_id: "worker-1", mine: 1 };
    const places = sweep(
      "merge",
      (layout) => void new SpecStore(layout).createActive(before),
      (layout) => {
        const found: unknown = JSON.parse(readFileSync(layout.activeSpec("worker-1"), "utf8"));
        expect([before, { ...before, status: "running", execution: { pid: 5 } }]).toContainEqual(found);
        expect(new SpecStore(layout).listActive()).toEqual(["worker-1"]);
      },
    );
    expect(places).toBeGreaterThanOrEqual(1);
  });

  test("of a burial leaves the spec until its evidence and its request are there", () => {
    const places = sweep(
      "bury",
      (layout) => void new SpecStore(layout).createActive({ worker_id: "worker-1", attempt: 1 }),
      (layout) => {
        const store = new SpecStore(layout);
        if (store.listActive().length === 1) return;
        expect(store.latestEvidence("worker-1")).toMatchObject({ status: "zombie" });
        expect(mailboxOf(layout).list()).toEqual([NAME]);
      },
    );
    expect(places).toBeGreaterThanOrEqual(4);
  });

  test("of a rotation loses no line, and the next rotation completes it", () => {
    const places = sweep(
      "rotate",
      (layout) => writeFileSync(layout.eventLog("heartbeat"), '{"n":1}\n{"n":2}\n'),
      (layout) => {
        const path = layout.eventLog("heartbeat");
        const log = new EventLogWriter(path, { maxBytes: 1, archiveDir: layout.archiveDir, owner: true });
        log.append({ n: 3 });
        log.rotateIfLarge(Date.now(), "x");
        log.append({ n: 4 });
        log.close();
        const archives = readdirSync(layout.archiveDir).sort();
        const texts = [...archives.map((name) => join(layout.archiveDir, name)), path].map((each) =>
          readFileSync(each, "utf8"),
        );
        const found = texts
          .join("")
          .trimEnd()
          .split("\n")
          .map((line) => (JSON.parse(line) as { n?: number }).n);
        expect(found.filter((n) => n !== undefined)).toEqual([1, 2, 3, 4]);
        for (const text of texts.slice(0, -1)) expect(text).toMatch(/"log_rotated".*\n$/);
        const tailer = new Tailer(path, null, { maxLineBytes: 1000 });
        expect(tailer.read().lines.map((line) => line.text)).toEqual(['{"n":4}']);
        tailer.close();
      },
    );
    expect(places).toBeGreaterThanOrEqual(2);
  });

  test("is found by this sweep where a transaction is wrong", () => {
    let losses = 0;
    sweep("brokenSettle", withRequest, (layout) => {
      try {
        if (lives(layout).length !== 1) losses++;
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        losses++;
      }
    });
    expect(losses).toBeGreaterThanOrEqual(1);
  });
});
