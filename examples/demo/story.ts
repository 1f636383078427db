/**
 * The demo's scenes, in order. Each breaks something and waits until the outcome is there, or its bound is over.
 *
 * A scene judges nothing: what came of it is judged at the end, from the files (outcomes.ts).
 * @module
 */
import { appendFileSync } from "node:fs";
import { waitFor } from "../shared/waiting.js";
import { PLAYERS, WELL_AT_START } from "./cast.js";
import { breakHeartbeats, isAboutHeartbeats, mendHeartbeats } from "./outage.js";
import { ZOMBIE_SECONDS } from "./stage.js";
import type { World } from "./world.js";

const START_MS = 20_000;
const NOTICE_MS = 12_000;
const RECOVERY_MS = 30_000;
/** Longer than any worker may be silent otherwise, so that a monitor that trusted it would have killed them all. */
const OUTAGE_MS = (ZOMBIE_SECONDS + 2) * 1000;

/** Those that are to come back as attempt 2 after the second and third scene. */
const REPLACED = ["crawl-1", "crawl-2", "crawl-3", "mail-1", "render-1", "thumb-1"];

export async function play(world: World): Promise<void> {
  await begin(world);
  await breakFive(world);
  await killDaemons(world);
  await recover(world);
  await mend(world);
  await blind(world);
}

async function begin(world: World): Promise<void> {
  const { daemons, fleet } = world;
  world.heading("Four daemons and twelve workers start");
  await daemons.start();
  await Promise.all(PLAYERS.map((player) => fleet.spawn(player)));
  world.say("demo", `${PLAYERS.length} workers of 10 types were started with "heald spawn"`);
  await waitFor(() => WELL_AT_START.every(({ id }) => fleet.isHealthy(id)), START_MS);
  const well = WELL_AT_START.filter(({ id }) => fleet.isHealthy(id)).length;
  world.say("demo", `${well} of them beat and are healthy; ledger-1 and parse-1 fail from the start`);
}

async function breakFive(world: World): Promise<void> {
  const { chronicle } = world;
  world.heading("Six workers fail, each in its own way");
  harm(world, "crawl-1", "crawl-1 is killed with -9", "SIGKILL");
  harm(world, "sync-1", "sync-1 is paused with SIGSTOP", "SIGSTOP");
  harm(world, "index-1", "index-1 hands work to a child and is silent while the child computes");
  harm(world, "render-1", "render-1 blocks its event loop");
  harm(world, "mail-1", "mail-1 stops beating and sleeps");
  harm(world, "thumb-1", "thumb-1 leaks memory, up to its limit of 128 MiB");
  // Looked for closely: mail-1 takes half a second to stop, and the daemons are to be killed within it.
  const isBeingReplaced = (): boolean => {
    world.refresh();
    return chronicle.of("mail-1", "zombie_detected").length > 0;
  };
  await waitFor(isBeingReplaced, NOTICE_MS, 2);
}

async function killDaemons(world: World): Promise<void> {
  const { daemons, notes } = world;
  world.heading("All four daemons are killed in the middle of it");
  harm(world, "crawl-2", "crawl-2 is killed with -9, and in the same instant", "SIGKILL");
  notes.daemonsKilledAtMs = Date.now();
  const killed = daemons.kill();
  world.say("fault", "all four daemons are killed with -9");
  await killed;
  harm(world, "crawl-3", "crawl-3 is killed with -9 while nobody watches", "SIGKILL");
  await daemons.start();
  notes.daemonsBackAtMs = Date.now();
}

async function recover(world: World): Promise<void> {
  const { chronicle, fleet } = world;
  world.heading("They take up what they were doing");
  const isBack = (id: string): boolean => fleet.launches(id).length === 2 && fleet.isHealthy(id);
  await waitFor(
    () =>
      REPLACED.every(isBack) &&
      fleet.isHealthy("index-1") &&
      chronicle.of("parse-1", "task_quarantined").length > 0 &&
      chronicle.of("ledger-1", "worker_restart_deferred").length > 0,
    RECOVERY_MS,
  );
}

async function mend(world: World): Promise<void> {
  const { fleet, notes, stage } = world;
  world.heading("What waits for a person gets one");
  const shown = await fleet.heald("workers", "--state", "paused");
  notes.pausedShown = /^sync-1 .*\bpaused\b/m.test(shown) ? "paused" : "something else";
  world.say("demo", '"heald workers --state paused" shows:');
  world.show(shown);
  world.say("demo", "sync-1 is continued with SIGCONT");
  fleet.signal("sync-1", "SIGCONT");
  world.say("demo", "ledger.conf, which ledger-1 reads, gets the account that it lacked");
  notes.ledgerMendedAtMs = Date.now();
  appendFileSync(stage.ledgerConfig, "account=4711\n");
  await waitFor(() => fleet.isHealthy("sync-1") && fleet.isHealthy("ledger-1"), NOTICE_MS);
}

async function blind(world: World): Promise<void> {
  const { chronicle, fleet, notes, stage } = world;
  world.heading("The monitor cannot read the heartbeats");
  notes.outageFromMs = Date.now();
  world.say("fault", breakHeartbeats(stage));
  const startedMs = performance.now();
  await waitFor(() => chronicle.of(null, "detector_suspect").some(isAboutHeartbeats), NOTICE_MS);
  // How long it lasts is part of the fault.
  await waitFor(() => performance.now() - startedMs >= OUTAGE_MS, OUTAGE_MS);
  mendHeartbeats(stage);
  notes.outageToMs = Date.now();
  world.say(
    "demo",
    `heartbeats/ is back as it was, after ${Math.round((notes.outageToMs - notes.outageFromMs) / 1000)} s`,
  );
  const since = notes.outageToMs;
  await waitFor(
    () =>
      chronicle.of(null, "detector_trusted").some((told) => told.atMs >= since) &&
      PLAYERS.every(({ id }) => id === "parse-1" || fleet.isHealthy(id)) &&
      [...REPLACED, "ledger-1"].every((id) => chronicle.of(id, "worker_restarted").length > 0),
    NOTICE_MS,
  );
}

function harm(world: World, workerId: string, text: string, signal?: NodeJS.Signals): void {
  world.notes.faultAtMs.set(workerId, Date.now());
  world.say("fault", text);
  if (signal === undefined) world.fleet.order(workerId);
  else world.fleet.signal(workerId, signal);
}
