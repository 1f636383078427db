/** heartbeat-monitor: its sources, wired to its core. @module */
import { type DaemonContext, type DaemonDefinition, startDaemon } from "../../lib/runtime/daemon.js";
import type { Flags } from "../../lib/runtime/flags.js";
import { loadTotals } from "../../lib/store/metrics.js";
import { BeatSource } from "./beat-source.js";
import { core } from "./decide.js";
import type { Effect, Event, FleetPart, Slice, WorkerPart } from "./facts.js";
import { LeaseSource } from "./lease-source.js";
import { OutputSource } from "./output-source.js";
import { Performer } from "./perform.js";
import { type HeartbeatSettings, heartbeatPolicy } from "./policy.js";
import { ProbeSource } from "./probe-source.js";
import { readyFacts } from "./recount.js";
import { Remains } from "./remains.js";
import { SampleSource } from "./sample-source.js";
import { Shelter } from "./shelter.js";
import { SpecSource } from "./spec-source.js";
import { StatusFile } from "./status.js";
import { SweepSource } from "./sweep-source.js";
import { warmUpOf } from "./warm-up.js";

type Definition = DaemonDefinition<
  Slice,
  Event,
  Effect,
  HeartbeatSettings,
  Parameters<typeof heartbeatPolicy.complete>[0]
>;

const WRITING_STATUS = "writing status.json";

const definition: Definition = {
  name: "heartbeat-monitor",
  policy: heartbeatPolicy,
  retention: (settings) => ({ zombieHours: settings.zombie_retention_hours }),
  core,
  open: (context) => {
    const beats = new BeatSource(context);
    const remains = new Remains(context.layout);
    const specs = new SpecSource(context, remains);
    const status = new StatusFile(context);
    const shelter = new Shelter(context);
    const samples = new SampleSource(context, beats);
    const { heartbeats_received: before } = loadTotals(context.layout, "heartbeat-monitor", ["heartbeats_received"]);
    specs.onMet = (workerId) => beats.greet(workerId);
    const leases = new LeaseSource(context);
    const performer = new Performer(context, beats, specs, remains, leases);
    context.reporter.onReported(() => status.touch());
    // Which no event tells of.
    specs.onWish = () => status.touch();
    const pulse = new SweepSource(context, () => {
      beats.check();
      status.pulse(
        (piece) => shelter.runPiece(WRITING_STATUS, piece),
        () => shelter.worked(WRITING_STATUS),
      );
    });
    performer.onFiled = () => pulse.noteEnd();
    // First of all, so that nothing is concluded from a silence that only this start is to blame for. Having no time of
    // its own, its scan is called only when bad weather is over.
    const starting = {
      name: "starting",
      start: () => context.offer({ kind: "starting" }),
      scan: () => context.offer({ kind: "weathered" }),
      stop: () => {},
    };
    const ready = {
      name: "ready",
      start: () => context.offer({ kind: "ready", ...readyFacts(workersOf(context)) }),
      stop: () => {},
    };
    return {
      perform: performer.perform,
      sources: [
        starting,
        pulse,
        specs,
        beats,
        new ProbeSource(context),
        new OutputSource(context),
        samples,
        leases,
        ready,
        warmUpOf(context),
      ],
      figures: () => figuresOf(context, (context.countsOn() ? before : 0) + beats.received),
      policyChanged: () => lookAtAll(context),
      reopen: () => samples.reopen(),
      // A beat that a shadow's look finds is everybody's: it is delivered once.
      askForShadow: (effect) => {
        const looked = effect.kind === "look" ? performer.lookFor(effect) : undefined;
        const beat = looked?.looked.beat ?? null;
        if (looked !== undefined && beat !== null) context.offer({ kind: "beat", worker_id: looked.worker_id, beat });
        return looked;
      },
      beforeWake: (key) => beats.readAgain(key.slice("worker:".length)),
    };
  },
};

function workersOf(context: DaemonContext<Event, HeartbeatSettings>): WorkerPart[] {
  return [...context.partsWith<WorkerPart>("worker:").values()];
}

function lookAtAll(context: DaemonContext<Event, HeartbeatSettings>): void {
  for (const worker_id of [...context.partsWith<WorkerPart>("worker:").keys()])
    context.offer({ kind: "woke", worker_id });
}

function figuresOf(context: DaemonContext<Event, HeartbeatSettings>, received: number): Record<string, unknown> {
  const fleet = context.part<FleetPart>("fleet");
  const states: Record<string, number> = {};
  let monitored = 0;
  for (const worker of context.partsWith<WorkerPart>("worker:").values()) {
    monitored += 1;
    states[worker.state] = (states[worker.state] ?? 0) + 1;
  }
  const lags = [...(fleet?.detection_lags_ms ?? [])].sort((a, b) => a - b);
  const at = (share: number): number | null => lags[Math.min(lags.length - 1, Math.floor(share * lags.length))] ?? null;
  return {
    workers_monitored: monitored,
    heartbeats_received: received,
    workers_by_state: states,
    zombies_detected: fleet?.zombies_detected ?? 0,
    detection_lag_ms: { p50: at(0.5), p99: at(0.99), max: lags.at(-1) ?? null },
  };
}

/** Runs until it is told to stop. Returns the exit code. */
export function run(flags: Flags): Promise<number> {
  return startDaemon(definition, flags);
}
