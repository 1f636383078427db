import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { CONFIGURED } from "../../../lib/schema/worker-sentences.js";
import { inSpecBeatOf, RESTART_STATES, statusOf, tokensOf } from "../../../lib/schema/worker-spec.js";
import type { Layout } from "../../../lib/store/layout.js";
import { SpecStore } from "../../../lib/store/specs.js";
import { age, temporaryLayout } from "./temporary-home.js";

const FIXTURES = fileURLToPath(new URL("../../fixtures/worker-specs", import.meta.url));

function put(layout: Layout, workerId: string, text: string): string {
  const path = layout.activeSpec(workerId);
  writeFileSync(path, text);
  return path;
}

function okValue(store: SpecStore, workerId: string) {
  const reading = store.readActive(workerId, Date.now());
  if (reading.kind !== "ok") throw new Error(`not readable: ${JSON.stringify(reading)}`);
  return reading.value;
}

describe("SpecStore reading", () => {
  test("reads the three dialects of older systems", () => {
    const layout = temporaryLayout();
    const store = new SpecStore(layout);
    for (const name of readdirSync(FIXTURES).filter((entry) => entry.endsWith(".json"))) {
      const text = readFileSync(join(FIXTURES, name), "utf8");
      put(layout, (JSON.parse(text) as { worker_id: string }).worker_id, text);
    }
    expect(store.listActive()).toEqual(["early-worker-0A1B2C3D", "worker-index-001", "worker-writing-012"]);
    const [early, index, writing] = store.listActive().map((id) => okValue(store, id)) as [never, never, never];
    expect([early, index, writing].map(statusOf)).toEqual(["running", "running", "running"]);
    expect([early, index, writing].map(tokensOf)).toEqual([
      { allocated: 12000, used: 350 },
      { allocated: 8000, used: 1200 },
      { allocated: 10000, used: 0 },
    ]);
    expect(inSpecBeatOf(writing)).toEqual({ atMs: Date.parse("2025-11-20T22:04:45.250Z"), score: 87, sequence: 4 });
  });

  test.each(RESTART_STATES)(
    "reads %s, and the page says which of these words is written, and where else to look",
    (state) => {
      const layout = temporaryLayout();
      put(layout, "worker-1", JSON.stringify({ worker_id: "worker-1", worker_type: "t", restart: { state } }));
      expect(okValue(new SpecStore(layout), "worker-1").restart?.state).toBe(state);
      const sentence = CONFIGURED["restart.state"] ?? "";
      expect([sentence.includes(state), sentence.includes("deferred")]).toEqual([true, true]);
    },
  );

  test("names the line of a spec with a hole in it, relative to the coordination directory", () => {
    const layout = temporaryLayout();
    const path = put(layout, "early-worker-broken", readFileSync(join(FIXTURES, "hole-in-value.txt"), "utf8"));
    age(path, 10);
    expect(new SpecStore(layout).readActive("early-worker-broken", Date.now())).toMatchObject({
      kind: "bad",
      sentence:
        'Cannot read worker spec "worker-specs/active/early-worker-broken.json": line 4, column 24: not valid JSON',
    });
  });

  test("refuses a spec whose id is not its file's name", () => {
    const layout = temporaryLayout();
    put(layout, "worker-a", '{"worker_id":"worker-b"}');
    expect(new SpecStore(layout).readActive("worker-a", Date.now())).toMatchObject({
      kind: "bad",
      problems: [{ field: "worker_id", message: 'must be the file\'s name "worker-a", got "worker-b"' }],
    });
  });

  test("lists names that are no ids apart, and passes over temporary and other files", () => {
    const layout = temporaryLayout();
    for (const name of [".x.json.1.tmp", "notes.txt", "a b.json", "w.attempt-2.json", "good.json", "..json"]) {
      writeFileSync(join(layout.activeDir, name), "{}");
    }
    const store = new SpecStore(layout);
    expect(store.listActive()).toEqual(["good"]);
    expect(store.listBadNames()).toEqual(["a b.json", "w.attempt-2.json"]);
  });

  test("does not follow a link out of the folder", () => {
    const layout = temporaryLayout();
    symlinkSync("/etc/hostname", layout.activeSpec("linked"));
    const store = new SpecStore(layout);
    expect(store.readActive("linked", Date.now())).toMatchObject({ kind: "bad", code: "symlink" });
    expect(store.mergeActive("linked", 1, { status: "running" })).toBe("gone");
    expect(store.removeActive("linked", 1)).toBe(false);
  });
});

const SHARED_MEMORY = "/dev/shm";
const HAS_OTHER_FILE_SYSTEM = existsSync(SHARED_MEMORY) && statSync(SHARED_MEMORY).dev !== statSync(tmpdir()).dev;

describe("SpecStore.mergeActive()", () => {
  test.skipIf(!HAS_OTHER_FILE_SYSTEM)("merges into a folder that is on a file system of its own", () => {
    const layout = temporaryLayout();
    const elsewhere = mkdtempSync(join(SHARED_MEMORY, "heald-active-"));
    onTestFinished(() => rmSync(elsewhere, { recursive: true, force: true }));
    rmSync(layout.activeDir, { recursive: true });
    symlinkSync(elsewhere, layout.activeDir);
    put(layout, "w", '{"worker_id":"w","attempt":1}');
    expect(new SpecStore(layout).mergeActive("w", 1, { status: "running" })).toBe("merged");
    expect(readdirSync(elsewhere)).toEqual(["w.json"]);
    expect(okValue(new SpecStore(layout), "w").status).toBe("running");
    expect(readdirSync(dirname(layout.activeDir)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("changes the four blocks only, and keeps unknown fields and the order of keys", () => {
    const layout = temporaryLayout();
    const before = {
      zeta: [1],
      worker_id: "w",
      heartbeat: { mine: "x", score_of_old: 1 },
      alpha: { deep: { er: null } },
    };
    const path = put(layout, "w", JSON.stringify(before));
    const patch = { status: "running", heartbeat: { status: "healthy", score_of_old: 2 }, execution: { pid: 7 } };
    expect(new SpecStore(layout).mergeActive("w", 1, patch)).toBe("merged");
    expect(readFileSync(path, "utf8")).toBe(
      `${JSON.stringify(
        {
          zeta: [1],
          worker_id: "w",
          heartbeat: { mine: "x", score_of_old: 2, status: "healthy" },
          alpha: { deep: { er: null } },
          status: "running",
          execution: { pid: 7 },
        },
        null,
        2,
      )}\n`,
    );
  });

  test("does not write when nothing changes", () => {
    const layout = temporaryLayout();
    const path = put(layout, "w", '{"worker_id":"w"}');
    const store = new SpecStore(layout);
    store.mergeActive("w", 1, { status: "running" });
    const before = statSync(path).ino;
    expect(store.mergeActive("w", 1, { status: "running" })).toBe("merged");
    expect(statSync(path).ino).toBe(before);
  });

  test("says whose file it is not, and that it is gone", () => {
    const layout = temporaryLayout();
    const store = new SpecStore(layout);
    expect(store.mergeActive("w", 1, { status: "running" })).toBe("gone");
    put(layout, "w", '{"worker_id":"w","attempt":2}');
    expect(store.mergeActive("w", 1, { status: "running" })).toBe("other_attempt");
    put(layout, "w", '{"worker_id":"w","att');
    expect(store.mergeActive("w", 1, { status: "running" })).toBe("gone");
    expect(readFileSync(layout.activeSpec("w"), "utf8")).toBe('{"worker_id":"w","att');
  });

  test("keeps a person's edit that lands between its read and its write", () => {
    const layout = temporaryLayout();
    const path = put(layout, "w", '{"worker_id":"w","priority":1}');
    let edits = 0;
    // Read while the merge is being put together: the latest moment at which a person can come in between.
    const patch = {
      heartbeat: {
        get status() {
          if (edits++ === 0) {
            writeFileSync(`${path}.person`, '{"worker_id":"w","priority":9,"note":"mine"}');
            renameSync(`${path}.person`, path);
          }
          return "healthy";
        },
      },
    };
    expect(new SpecStore(layout).mergeActive("w", 1, patch)).toBe("merged");
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ priority: 9, note: "mine" });
    expect(edits).toBe(2);
  });

  test("gives up after three edits in a row and leaves the person's text", () => {
    const layout = temporaryLayout();
    const path = put(layout, "w", '{"worker_id":"w","n":0}');
    let edits = 0;
    const patch = {
      heartbeat: {
        get status() {
          writeFileSync(path, `{"worker_id":"w","n":${String(++edits).padStart(edits, "1")}}`);
          return "healthy";
        },
      },
    };
    expect(new SpecStore(layout).mergeActive("w", 1, patch)).toBe("changed");
    expect(edits).toBe(3);
    expect(JSON.parse(readFileSync(path, "utf8"))).not.toHaveProperty("heartbeat");
    expect(readdirSync(layout.activeDir)).toEqual(["w.json"]);
  });

  test("writes through no link that somebody laid where it writes before it renames", () => {
    const layout = temporaryLayout();
    const victim = join(layout.coordination, "victim");
    writeFileSync(victim, "untouched");
    put(layout, "w-1", JSON.stringify({ worker_id: "w-1", attempt: 1, status: "pending" }));
    const drafts = dirname(layout.activeDir);
    for (const middle of ["merge", ...Array.from({ length: 500 }, (_, nth) => String(nth))])
      symlinkSync(victim, join(drafts, `.w-1.json.${process.pid}.${middle}.tmp`));
    expect(new SpecStore(layout).mergeActive("w-1", 1, { status: "running" })).toBe("merged");
    expect(readFileSync(victim, "utf8")).toBe("untouched");
    expect(lstatSync(layout.activeSpec("w-1")).isSymbolicLink()).toBe(false);
  });

  test("keeps the file's mode", () => {
    const layout = temporaryLayout();
    const path = put(layout, "w", '{"worker_id":"w"}');
    chmodSync(path, 0o600);
    new SpecStore(layout).mergeActive("w", 1, { status: "running" });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
});

describe("SpecStore attempts", () => {
  test("creates an active spec once", () => {
    const layout = temporaryLayout();
    const store = new SpecStore(layout);
    expect(store.createActive({ worker_id: "w", attempt: 1 })).toBe(true);
    expect(store.createActive({ worker_id: "w", attempt: 2 })).toBe(false);
    expect(okValue(store, "w").attempt).toBe(1);
  });

  test("removes an active spec only while it belongs to the attempt that ended", () => {
    const layout = temporaryLayout();
    const store = new SpecStore(layout);
    store.createActive({ worker_id: "w", attempt: 2 });
    expect(store.removeActive("w", 1)).toBe(false);
    expect(store.removeActive("w", 2)).toBe(true);
    expect(store.removeActive("w", 2)).toBe(false);
  });

  test("files evidence once and never changes it", () => {
    const layout = temporaryLayout();
    const store = new SpecStore(layout);
    expect(store.fileZombie({ worker_id: "w", attempt: 1, status: "zombie" }, 1)).toBe(true);
    expect(store.fileZombie({ worker_id: "w", attempt: 1, status: "other" }, 1)).toBe(false);
    expect(JSON.parse(readFileSync(layout.zombieSpec("w", 1), "utf8"))).toMatchObject({ status: "zombie" });
  });

  test("makes a spec again from the newest evidence that can be read", () => {
    const layout = temporaryLayout();
    const store = new SpecStore(layout);
    store.fileZombie({ worker_id: "w", attempt: 9, task_id: "nine" }, 9);
    store.fileCompleted({ worker_id: "w", attempt: 10, task_id: "ten" }, 10);
    store.fileZombie({ worker_id: "w-other", attempt: 12, task_id: "another worker" }, 12);
    writeFileSync(layout.failedSpec("w", 11), "{");
    expect(store.latestEvidence("w")?.task_id).toBe("ten");
    expect(store.latestEvidence("unknown")).toBeNull();
  });

  test("knows an attempt by any trace it left", () => {
    const layout = temporaryLayout();
    const store = new SpecStore(layout);
    expect(store.hasTrace("w", 1)).toBe(false);
    for (const [attempt, path] of [layout.launch("w", 2), layout.exit("w", 3), layout.zombieSpec("w", 4)].entries()) {
      writeFileSync(path, "");
      expect(store.hasTrace("w", attempt + 2)).toBe(true);
    }
    expect(store.hasTrace("w", 5)).toBe(false);
    expect(store.highestAttempt("w")).toBe(4);
    store.createActive({ worker_id: "w", attempt: 7 });
    expect(store.highestAttempt("w")).toBe(7);
    mkdirSync(join(layout.archivedDir, "2026-11-01"));
    writeFileSync(join(layout.archivedDir, "2026-11-01", "w.attempt-30.json"), "{}");
    expect(store.highestAttempt("w")).toBe(30);
    expect(store.highestAttempt("nobody")).toBe(0);
  });
});
