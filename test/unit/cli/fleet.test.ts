/** Guarantee: `heald status` and status.json call the same fleet well. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { readFleet } from "../../../cli/fleet.js";
import { BLANK_FLEET } from "../../../daemons/heartbeat-monitor/decide.js";
import type { FleetPart } from "../../../daemons/heartbeat-monitor/facts.js";
import { StatusFile } from "../../../daemons/heartbeat-monitor/status.js";
import { freeBytes } from "../../../lib/platform/files.js";
import { identityOf } from "../../../lib/platform/processes.js";
import { type RunFile, writeRunFile } from "../../../lib/runtime/identity-files.js";
import { DAEMONS, type DaemonName } from "../../../lib/schema/records.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { policyOf } from "../../scenario/monitor-world.js";
import { temporaryFolder } from "../store/temporary-home.js";

let folder: string;
let layout: Layout;
let fleet: FleetPart;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-fleet-"));
  const home = resolveHome({}, folder, folder);
  if (home === null) throw new Error("No home");
  openHome(home, { create: true, claimOwnership: false });
  layout = new Layout(home);
  fleet = BLANK_FLEET;
  for (const name of DAEMONS) seemsToRun(name);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** This process stands in for a daemon. */
function seemsToRun(name: DaemonName): void {
  writeRunFile(layout, name, self());
}

function self(): RunFile {
  const identity = identityOf(process.pid);
  if (identity === null) throw new Error("No identity");
  return { ...identity, version: "1", started_at: Date.now(), policy_hash: "x", loop_lag_ms: 0 };
}

/** As the monitor has written it, and as the command shows it. */
function both() {
  const context = {
    layout,
    policy: () => policyOf(),
    part: (key: string) => (key === "fleet" ? fleet : null),
    partsWith: () => new Map(),
    wakeOf: () => null,
  };
  const file = new StatusFile(context as unknown as ConstructorParameters<typeof StatusFile>[0]);
  file.write();
  return { monitor: file.compose(Date.now()), command: readFleet(layout, Date.now()) };
}

const request = (id: string): void =>
  writeFileSync(join(layout.queueDir, `${id}-restart.json`), JSON.stringify({ worker_id: id, worker_type: "t" }));

describe("a fleet", () => {
  test("has no fix that waits for a person where its proposal cannot be read", () => {
    const path = join(layout.autoFixDir, "pending", "run-1.json");
    writeFileSync(path, "{");
    utimesSync(path, 1000, 1000);
    const { monitor, command } = both();
    expect([monitor.pending, command.pending]).toEqual([[], []]);
    expect([monitor.ok, command.ok]).toEqual([true, true]);
  });

  test("is well when a worker waits for its restart that a person wants down, and not when it is wanted", () => {
    request("c");
    expect(both()).toMatchObject({ monitor: { ok: false }, command: { ok: false } });
    for (const state of ["stopped", "draining"]) {
      writeFileSync(layout.desired("c"), JSON.stringify({ state }));
      expect(both()).toMatchObject({
        monitor: { ok: true, summary: "1 worker, all well" },
        command: { ok: true, source: "monitor", workers: [{ worker_id: "c", desired: state }] },
      });
    }
  });

  test("is not well while a fix waits for a person, and both say so", () => {
    writeFileSync(join(layout.autoFixDir, "pending", "run-1.json"), "{}");
    const said = { ok: false, summary: "0 workers, 1 fix waits for a person" };
    expect(both()).toMatchObject({ monitor: said, command: said });
  });

  test("is told of in the same sentence, with whom the monitor holds, for each trouble and for none", () => {
    const same = (): string => {
      const { monitor, command } = both();
      expect([command.ok, command.summary]).toEqual([monitor.ok, monitor.summary]);
      return command.summary;
    };
    expect(same()).toBe("0 workers, all well");
    fleet = { ...BLANK_FLEET, guard: { ...BLANK_FLEET.guard, state: "holding", reason: "canary_lost" } };
    request("c");
    writeFileSync(join(layout.breakersDir, "t.json"), '{"worker_type":"t","state":"open"}');
    writeRunFile(layout, "auto-fix", { ...self(), pid: 2 ** 22 });
    expect(same()).toBe(
      "1 worker, 1 in trouble, 1 breaker not closed, 1 daemon down; silent workers are held (canary_lost)",
    );
  });

  test("is not well where a worker is gone that status.json calls healthy, and the sentence says which", () => {
    const { pid } = spawnSync("true");
    const identity = { ...identityOf(process.pid), pid };
    const rows = [{ worker_id: "a", state: "healthy", attempt: 1, pid, desired: "running" }];
    const status = { ok: true, summary: "1 worker, all well", workers: rows };
    writeFileSync(layout.status, JSON.stringify(status));
    const put = (spec: object): void => writeFileSync(layout.activeSpec("a"), JSON.stringify(spec));

    put({ worker_id: "a", attempt: 1, execution: identity });
    expect(readFleet(layout, Date.now())).toMatchObject({
      ok: false,
      summary: "1 worker, 1 in trouble",
      doubts: [`worker a is gone (pid ${pid}), and status.json still says "healthy"`],
      workers: [{ worker_id: "a", state: "exited", why: "its process is gone" }],
    });

    // The next attempt is there, and only not told of yet.
    put({ worker_id: "a", attempt: 2, execution: identity });
    expect(readFleet(layout, Date.now())).toMatchObject({ ok: true, doubts: [] });
    rmSync(layout.activeSpec("a"));
    expect(readFleet(layout, Date.now())).toMatchObject({ ok: true, doubts: [] });
  });

  test.skipIf(process.geteuid?.() !== 0)("is not well on a full disk, and both say so", (context) => {
    const small = join(temporaryFolder(), "small");
    mkdirSync(small);
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=512k", "tmpfs", small]).status !== 0)
      return context.skip("nothing can be mounted here");
    onTestFinished(() => void spawnSync("umount", ["-l", small]));
    const home = resolveHome({}, small, small);
    if (home === null) throw new Error("No home");
    openHome(home, { create: true, claimOwnership: false });
    layout = new Layout(home);
    for (const name of DAEMONS) seemsToRun(name);
    expect(both()).toMatchObject({ monitor: { ok: true }, command: { ok: true, doubts: [] } });
    // Room for a status.json is left, and for little else.
    writeFileSync(join(small, "ballast"), Buffer.alloc(freeBytes(small) - 40 * 1024));
    const said = { ok: false, summary: "0 workers, the disk is full" };
    expect(both()).toMatchObject({
      monitor: said,
      command: { ...said, doubts: [expect.stringContaining("coordination/ is full: daemons cannot write down")] },
    });
  });

  test("is called by the state of the files now, where the monitor has not seen the newest of them yet", () => {
    request("c");
    both();
    rmSync(join(layout.queueDir, "c-restart.json"));
    writeFileSync(join(layout.autoFixDir, "pending", "run-1.json"), "{}");
    expect(readFleet(layout, Date.now()).summary).toBe("1 worker, 1 in trouble, 1 fix waits for a person");
  });

  test("is told of with one where it is one, without the monitor too", () => {
    const spec = (id: string): void =>
      writeFileSync(layout.activeSpec(id), JSON.stringify({ worker_id: id, status: "pending" }));
    for (const name of DAEMONS) if (name !== "auto-fix") writeRunFile(layout, name, { ...self(), pid: 2 ** 22 });
    spec("c");
    expect(readFleet(layout, Date.now()).summary).toBe("1 of 4 daemons runs; 1 of 1 worker looks well");
    spec("d");
    expect(readFleet(layout, Date.now()).summary).toBe("1 of 4 daemons runs; 2 of 2 workers look well");
  });
});
