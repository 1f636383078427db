/** Guarantee: looking writes nothing; a repair mends what it says, loses nothing, and does nothing the second time. */
import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { entriesOf } from "../../../cli/fsck/entries.js";
import { examineHome } from "../../../cli/fsck/examine.js";
import { type Planned, planOf } from "../../../cli/fsck/plan.js";
import { carryOut, type Done } from "../../../cli/fsck/repair.js";
import { acquireSingle } from "../../../lib/platform/locks.js";
import { identityOf } from "../../../lib/platform/processes.js";
import { writeInstant } from "../../../lib/schema/primitives.js";
import { age } from "../store/temporary-home.js";
import { SoundHome, THEN, TYPE, WORKER } from "./sound-home.js";

const DEAD_CLAIM = `${WORKER}-restart.1700000000000001.999999999-1-00000000.json`;
const TEMPORARY = "circuit-breakers/.scan-worker.json.999999999.3.tmp";

async function planFor(home: SoundHome): Promise<readonly Planned[]> {
  return planOf((await examineHome(home.layout, { settleSeconds: 0 })).findings);
}

async function repaired(home: SoundHome): Promise<readonly Done[]> {
  const { findings, facts } = await examineHome(home.layout, { settleSeconds: 0 });
  return carryOut(home.layout, planOf(findings), facts);
}

/** Names, kinds, modes, times and contents of everything below a folder, as one text. */
function fingerprint(folder: string): string {
  const lines = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .sort()
    .map((name) => {
      const path = join(folder, name);
      const stat = lstatSync(path);
      const content = stat.isFile() ? readFileSync(path) : stat.isSymbolicLink() ? readlinkSync(path) : "";
      return `${name} ${stat.mode} ${stat.mtimeMs} ${stat.ino} ${createHash("sha256").update(content).digest("hex")}`;
    });
  return lines.join("\n");
}

/** Breaks everything that can be mended. */
function breakAll(home: SoundHome): void {
  rmSync(home.layout.version);
  rmSync(home.layout.status);
  rmSync(home.layout.prometheus);
  rmSync(home.at("patterns/pattern-index.json"));
  chmodSync(home.layout.holdsDir, 0o777);
  home.write("worker-specs/zombie/note.json", "keep me");
  home.write(TEMPORARY, "{");
  age(home.at(TEMPORARY), 60);
  home.write(`restart/claimed/${DEAD_CLAIM}`, { worker_id: WORKER, worker_type: TYPE, reason: "lost" });
  appendFileSync(home.layout.eventLog("heartbeat"), '{"event_id":');
  home.write("state/auto-fix.json", "{");
}

describe("fsck", () => {
  test("writes nothing, whatever it finds", async () => {
    const home = new SoundHome();
    breakAll(home);
    symlinkSync("/etc/passwd", home.at("worker-specs/active/link-1.json"));
    const before = fingerprint(home.layout.home.home);
    const { findings } = await examineHome(home.layout, { settleSeconds: 0 });
    expect(findings.length).toBeGreaterThan(9);
    expect(planOf(findings).length).toBeGreaterThan(8);
    expect(fingerprint(home.layout.home.home)).toBe(before);
  });

  test("looks a second time, and forgets what was in flight in the first", async () => {
    const home = new SoundHome();
    home.write(`restart/claimed/${DEAD_CLAIM}`, { worker_id: WORKER, worker_type: TYPE });
    home.write("desired/scan-1.json", "{");
    const pauses: number[] = [];
    const pause = async (ms: number): Promise<void> => {
      pauses.push(ms);
      rmSync(home.at(`restart/claimed/${DEAD_CLAIM}`));
    };
    const { findings, looks } = await examineHome(home.layout, { settleSeconds: 60, pause });
    expect(pauses).toEqual([60_000]);
    expect([looks, findings.map(({ about }) => about)]).toEqual([2, ["desired/scan-1.json"]]);
  });

  test("does not look a second time at a sound home", async () => {
    expect((await examineHome(new SoundHome().layout, { settleSeconds: 60 })).looks).toBe(1);
  });
});

describe("a repair", () => {
  test("of everything at once leaves a sound home, and a second one has nothing to do", async () => {
    const home = new SoundHome();
    breakAll(home);
    const done = await repaired(home);
    expect(done.filter(({ outcome }) => outcome !== "done")).toEqual([]);
    const after = await examineHome(home.layout, { settleSeconds: 0 });
    // The line that was cut off stays in the log as it is, and is known for what it is.
    expect(after.findings.map(({ invariant, severity }) => [invariant, severity])).toEqual([["lines", "note"]]);
    const before = fingerprint(home.layout.coordination);
    expect(await repaired(home)).toEqual([]);
    expect(fingerprint(home.layout.coordination)).toBe(before);
  });

  test("that is asked for twice at once is done once", async () => {
    const home = new SoundHome();
    breakAll(home);
    const { findings, facts } = await examineHome(home.layout, { settleSeconds: 0 });
    await carryOut(home.layout, planOf(findings), facts);
    const again = await carryOut(home.layout, planOf(findings), facts);
    const mended = new Set(again.filter(({ outcome }) => outcome === "failed").map(({ message }) => message));
    expect([...mended]).toEqual([]);
    expect(home.mailbox().list()).toEqual([`${WORKER}-restart.json`]);
  });

  test("moves strays aside with their content, and never over another", async () => {
    const home = new SoundHome();
    home.write("worker-specs/zombie/note.json", "first");
    await repaired(home);
    home.write("worker-specs/zombie/note.json", "second");
    await repaired(home);
    expect(readFileSync(home.at("aside/worker-specs/zombie/note.json"), "utf8")).toBe("first");
    expect(readFileSync(home.at("aside/worker-specs/zombie/note.json.2"), "utf8")).toBe("second");
    expect(await home.findings()).toEqual([]);
  });

  test("of a stray that others can write takes that away and moves it, and fails at neither", async () => {
    const home = new SoundHome();
    home.write("launches/notes.txt", "keep me");
    chmodSync(home.at("launches/notes.txt"), 0o666);
    const done = await repaired(home);
    expect(done.map(({ planned, outcome }) => [planned.repair.kind, outcome])).toEqual([
      ["set-mode", "done"],
      ["set-aside", "done"],
    ]);
    expect(lstatSync(home.at("aside/launches/notes.txt")).mode & 0o777).toBe(0o640);
  });

  test("leaves a checkpoint that was written anew meanwhile", async () => {
    const home = new SoundHome();
    const sound = readFileSync(home.at("state/auto-fix.json"), "utf8");
    home.write("state/auto-fix.json", "{");
    const { findings, facts } = await examineHome(home.layout, { settleSeconds: 0 });
    rmSync(home.at("state/auto-fix.json"));
    home.write("state/auto-fix.json", sound);
    const [done] = await carryOut(home.layout, planOf(findings), facts);
    expect(done?.outcome).toBe("not_needed");
    expect(readFileSync(home.at("state/auto-fix.json"), "utf8")).toBe(sound);
  });

  test("puts a dead daemon's request back to wait with all that it says", async () => {
    const home = new SoundHome();
    home.write(`restart/claimed/${DEAD_CLAIM}`, { worker_id: WORKER, worker_type: TYPE, reason: "by hand", mine: 1 });
    await repaired(home);
    expect(home.read(`restart/queue/${WORKER}-restart.json`)).toMatchObject({ reason: "by hand", mine: 1 });
    expect(await home.findings()).toEqual([]);
  });

  test("leaves a claim alone that a restart on probation accounts for", async () => {
    const home = new SoundHome();
    home.write(`restart/claimed/${DEAD_CLAIM}`, { worker_id: WORKER, worker_type: TYPE });
    home.rememberAlso("worker-restart", {
      [`worker:${WORKER}`]: { run: { claimed: home.at(`restart/claimed/${DEAD_CLAIM}`) }, waiting: null },
    });
    expect(await planFor(home)).toEqual([]);
  });

  test("is not made while the daemon runs whose file it is", async () => {
    const home = new SoundHome();
    home.write(`restart/claimed/${DEAD_CLAIM}`, { worker_id: WORKER, worker_type: TYPE });
    const identity = identityOf(process.pid);
    if (identity === null) throw new Error("This process is not in /proc");
    const lock = await acquireSingle(home.layout.lockFile("worker-restart"), identity);
    if ("heldBy" in lock) throw new Error("The lock is taken");
    try {
      const [done] = await repaired(home);
      expect(done).toMatchObject({ outcome: "skipped" });
      expect(done?.message).toBe("worker-restart runs: stop it first (heald daemons stop worker-restart)");
      expect(home.mailbox().list()).toEqual([]);
    } finally {
      lock.release();
    }
  });

  test("does not close a line to which its writer has come back", async () => {
    const home = new SoundHome();
    const log = home.layout.eventLog("heartbeat");
    appendFileSync(log, '{"event_type":"note",');
    const { findings, facts } = await examineHome(home.layout, { settleSeconds: 0 });
    appendFileSync(log, `"at_ms":${THEN}}\n`);
    const [done] = await carryOut(home.layout, planOf(findings), facts);
    expect(done?.outcome).toBe("not_needed");
    expect(readFileSync(log, "utf8").endsWith("}\n")).toBe(true);
    expect(await home.findings()).toEqual([]);
  });

  test("does not follow a link that was put in a file's place meanwhile", async () => {
    const home = new SoundHome();
    const outside = join(home.layout.home.home, "outside.txt");
    writeFileSync(outside, "no newline", { mode: 0o666 });
    const log = home.layout.eventLog("daemon");
    writeFileSync(log, '{"event_type"', { mode: 0o644 });
    const { findings, facts } = await examineHome(home.layout, { settleSeconds: 0 });
    rmSync(log);
    symlinkSync(outside, log);
    const mode = lstatSync(outside).mode;
    const done = await carryOut(home.layout, planOf(findings), facts);
    expect(done.map(({ outcome }) => outcome)).toEqual(["failed", "failed"]);
    expect(readFileSync(outside, "utf8")).toBe("no newline");
    expect(lstatSync(outside).mode).toBe(mode);
  });

  test("only takes permissions away", async () => {
    const home = new SoundHome();
    for (const { path, kind } of entriesOf(home.layout, true)) chmodSync(path, kind === "folder" ? 0o777 : 0o666);
    for (const { repair } of await planFor(home))
      if (repair.kind === "set-mode") expect(repair.mode & ~lstatSync(repair.path).mode).toBe(0);
    await repaired(home);
    expect(await home.findings()).toEqual([]);
  });

  test("of what is derived makes it the same again", async () => {
    const home = new SoundHome();
    const derived = ["metrics/heald.prom", "patterns/pattern-index.json", `circuit-breakers/${TYPE}.json`];
    for (let nth = 0; nth < 5; nth++) {
      const timestamp = writeInstant(THEN + 10_000 + nth * 1000);
      appendFileSync(home.layout.history, `{"worker_type":"${TYPE}","result":"failure","timestamp":"${timestamp}"}\n`);
    }
    rmSync(home.layout.breaker(TYPE));
    home.remember("worker-restart", {});
    await repaired(home);
    const texts = () =>
      derived.map((path) => readFileSync(home.at(path), "utf8").replace(/"updated_at":"[^"]*",?/, ""));
    const before = texts();
    expect(before[2]).toContain('"state":"half-open"');
    for (const path of [...derived, "status.json"]) rmSync(home.at(path));
    expect((await repaired(home)).map(({ planned }) => planned.about).sort()).toEqual(
      [...derived, "status.json"].sort(),
    );
    expect(texts()).toEqual(before);
    expect(home.read("status.json")).toMatchObject({ workers: [{ worker_id: WORKER }] });
  });
});
