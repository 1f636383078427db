/** What should have come of each fault, and what did: judged from the files, at the end. @module */

import type { Told } from "../shared/chronicle.js";
import { POISON } from "./cast.js";
import { doneTwiceOrLost, repeatsRecognised } from "./once.js";
import { isAboutHeartbeats } from "./outage.js";
import type { World } from "./world.js";

export interface Finding {
  readonly ok: boolean;
  readonly happened: string;
}

export interface Outcome {
  readonly fault: string;
  readonly expected: string;
  readonly judge: (world: World) => Finding;
}

const DEATHS = ["zombie_detected", "worker_exited"] as const;

export const OUTCOMES: readonly Outcome[] = [
  replaced("crawl-1: killed with -9", "comes back at once", "crawl-1", ["killed"]),
  {
    fault: "index-1: silent while a child computes",
    expected: "a warning, and nothing else",
    judge: judgeBusy,
  },
  replaced("render-1: event loop blocked", "ended and replaced", "render-1", ["blocked"]),
  replaced("mail-1: stops beating", "ended and replaced", "mail-1", ["hung"]),
  { fault: "sync-1: paused with SIGSTOP", expected: "left alone, shown as paused", judge: judgePaused },
  replaced("thumb-1: leaks memory", "killed by its limit and replaced", "thumb-1", ["memory_limit"]),
  {
    fault: "ledger-1: exits with 78",
    expected: "no restart until its file changes, then one",
    judge: judgeConfiguration,
  },
  { fault: `parse-1: task ${POISON} kills it`, expected: "quarantined after 3 deaths", judge: judgePoison },
  replaced("crawl-2: killed as the daemons are", "comes back once", "crawl-2", ["killed"]),
  replaced("crawl-3: killed while no daemon runs", "comes back once", "crawl-3", ["killed"]),
  {
    fault: "daemons: all four killed with -9",
    expected: "nothing lost, nothing done twice",
    judge: judgeOnce,
  },
  {
    fault: "heartbeats/: cannot be read",
    expected: "nobody is killed, the cause is named",
    judge: judgeOutage,
  },
  { fault: "report-1, serve-1: nothing", expected: "left alone", judge: judgeWell },
];

function replaced(fault: string, expected: string, workerId: string, reasons: readonly string[]): Outcome {
  return { fault, expected, judge: (world) => judgeReplaced(world, workerId, reasons) };
}

function judgeReplaced(world: World, workerId: string, reasons: readonly string[]): Finding {
  const { fleet, notes } = world;
  const ends = deathsOf(world, workerId);
  const launches = fleet.launches(workerId);
  const reason = ends[0]?.reason ?? "";
  const ok = launches.length === 2 && ends.length === 1 && reasons.includes(reason) && fleet.isHealthy(workerId);
  if (!ok) return { ok, happened: whatIs(world, workerId) };
  const afterMs = (launches[1]?.started_at_ms ?? 0) - (notes.faultAtMs.get(workerId) ?? 0);
  return { ok, happened: `ended (${reason}); healthy as attempt 2, begun ${seconds(afterMs)} after the fault` };
}

function judgeBusy(world: World): Finding {
  const { chronicle, fleet } = world;
  const warned = chronicle.of("index-1", "worker_busy");
  const resumed = chronicle.of("index-1", "heartbeat_resumed").at(-1);
  const isFirst = fleet.launches("index-1").length === 1 && deathsOf(world, "index-1").length === 0;
  const ok = warned.length === 1 && resumed !== undefined && isFirst && fleet.isHealthy("index-1");
  if (!ok) return { ok, happened: whatIs(world, "index-1") };
  const silent = Math.round(Number(resumed.data.silent_seconds));
  return { ok, happened: `busy (${warned[0]?.reason}); beat again after ${silent} s, still attempt 1` };
}

function judgePaused(world: World): Finding {
  const { chronicle, fleet, notes } = world;
  const isFirst = fleet.launches("sync-1").length === 1 && deathsOf(world, "sync-1").length === 0;
  const said = chronicle.of("sync-1", "worker_paused").length;
  const ok = said === 1 && notes.pausedShown === "paused" && isFirst && fleet.isHealthy("sync-1");
  if (!ok) return { ok, happened: `shown as ${notes.pausedShown}; ${whatIs(world, "sync-1")}` };
  return { ok, happened: "shown as paused; healthy after SIGCONT, still attempt 1" };
}

function judgeConfiguration(world: World): Finding {
  const { chronicle, fleet, notes } = world;
  const waits = chronicle.of("ledger-1", "worker_restart_deferred").filter(({ reason }) => reason === "exit_class");
  const [first, second, third] = fleet.launches("ledger-1");
  const startedAtMs = second?.started_at_ms ?? 0;
  const mendedAtMs = notes.ledgerMendedAtMs ?? Number.POSITIVE_INFINITY;
  const ok =
    waits.length > 0 &&
    first !== undefined &&
    startedAtMs >= mendedAtMs &&
    third === undefined &&
    fleet.isHealthy("ledger-1");
  if (!ok) return { ok, happened: whatIs(world, "ledger-1") };
  const waitedMs = mendedAtMs - first.started_at_ms;
  return {
    ok,
    happened: `waited ${seconds(waitedMs)} for its file; attempt 2 begun ${seconds(startedAtMs - mendedAtMs)} after its change`,
  };
}

function judgePoison(world: World): Finding {
  const { chronicle, fleet } = world;
  const quarantined = chronicle.of("parse-1", "task_quarantined").length;
  const attempts = fleet.launches("parse-1").length;
  const hold = fleet.holds().find((name) => name.includes(POISON));
  const ok = quarantined === 1 && attempts === 3 && hold !== undefined && fleet.spec("parse-1") === null;
  if (!ok) return { ok, happened: `quarantined ${quarantined} times, hold ${hold}; ${whatIs(world, "parse-1")}` };
  return { ok, happened: `held after ${attempts} attempts by holds/${hold}` };
}

function judgeOnce(world: World): Finding {
  const { daemons, notes } = world;
  const faults = [...daemons.unexpected, ...doneTwiceOrLost(world)];
  if (faults.length > 0) return { ok: false, happened: faults.join("; ") };
  const downMs = (notes.daemonsBackAtMs ?? 0) - (notes.daemonsKilledAtMs ?? 0);
  const ok = daemons.starts === 2;
  const deaths = world.chronicle.of(null, ...DEATHS).length;
  const repeats = repeatsRecognised(world);
  const also = repeats === 0 ? "" : ` (${repeats} repeated and recognised)`;
  return { ok, happened: `back after ${seconds(downMs)}; ${deaths} deaths, one request for each${also}` };
}

function judgeOutage(world: World): Finding {
  const { chronicle, notes } = world;
  const from = notes.outageFromMs;
  if (from === null) return { ok: false, happened: "it did not come to that" };
  const suspicion = chronicle.of(null, "detector_suspect").find((told) => told.atMs >= from && isAboutHeartbeats(told));
  const trusted = chronicle.of(null, "detector_trusted").some((told) => told.atMs >= (notes.outageToMs ?? 0));
  const killed = chronicle.of(null, ...DEATHS).filter((told) => told.atMs >= from);
  const ok = suspicion !== undefined && trusted && killed.length === 0 && notes.outageToMs !== null;
  const named = /heartbeats\/ [^;]*/.exec(suspicion?.message ?? "")?.[0] ?? "the cause was not named";
  if (ok) return { ok, happened: `${named}; nobody was killed` };
  const who = killed.map(({ workerId, reason }) => `${workerId} (${reason})`).join(", ");
  return { ok, happened: `${named}; trusted again: ${trusted ? "yes" : "no"}; killed: ${who || "nobody"}` };
}

function judgeWell(world: World): Finding {
  const ids = ["report-1", "serve-1"];
  const bad = ids.filter((id) => world.fleet.launches(id).length !== 1 || !world.fleet.isHealthy(id));
  if (bad.length > 0) return { ok: false, happened: bad.map((id) => `${id}: ${whatIs(world, id)}`).join("; ") };
  return { ok: true, happened: "both healthy, still attempt 1" };
}

function deathsOf(world: World, workerId: string): readonly Told[] {
  return world.chronicle.of(workerId, ...DEATHS);
}

/** What there is instead of what was expected. */
function whatIs(world: World, workerId: string): string {
  const attempts = world.fleet.launches(workerId).length;
  const ends = deathsOf(world, workerId).map(({ attempt, reason }) => `${attempt} ended (${reason})`);
  const last = world.chronicle.of(workerId).at(-1);
  const state = world.fleet.state(workerId) ?? "not active";
  return `${attempts} attempts, ${state}; ${ends.join(", ") || "none ended"}; last: ${last?.type ?? "no event"}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
