/** The heartbeat monitor of a made-up history: beats, ends and silences reach its core as its sources would offer them. @module */
import { core } from "../../daemons/heartbeat-monitor/decide.js";
import type { Effect, Event, ExitFacts, FleetPart, Slice, SpecFacts } from "../../daemons/heartbeat-monitor/facts.js";
import { type HeartbeatPolicy, heartbeatPolicy } from "../../daemons/heartbeat-monitor/policy.js";
import type { Answer } from "../../lib/runtime/core.js";
import type { EventRecord } from "../../lib/schema/events.js";
import type { Layout } from "../../lib/store/layout.js";
import type { Fleet, Member } from "./fleet.js";
import { Host } from "./host.js";
import type { SimulatedTime } from "./time.js";

const PULSE_MS = 1000;

export interface MonitoringOptions {
  readonly layout: Layout;
  readonly time: SimulatedTime;
  readonly fleet: Fleet;
  readonly intervalSeconds: number;
  /** Share of the beats that come two thirds of an interval late. */
  readonly lateShare: number;
  readonly onReported: (record: EventRecord) => void;
  /** A request was filed. */
  readonly onRequest: (member: Member, request: Readonly<Record<string, unknown>>) => void;
}

type Settings = HeartbeatPolicy["settings"];

export class Monitoring {
  readonly #options: MonitoringOptions;
  readonly host: Host<Slice, Event, Effect, Settings>;
  readonly #members: ReadonlyMap<string, Member>;

  constructor(options: MonitoringOptions) {
    this.#options = options;
    this.#members = new Map(options.fleet.members.map((member) => [member.id, member]));
    const { layout, time, intervalSeconds } = options;
    this.host = new Host({
      core,
      policy: heartbeatPolicy,
      raw: {
        heartbeat_interval_seconds: intervalSeconds,
        heartbeat_timeout_seconds: intervalSeconds * 3,
        zombie_threshold_seconds: intervalSeconds * 5,
      },
      layout,
      time,
      perform: (effect) => this.#perform(effect),
      onReported: options.onReported,
    });
  }

  get decisions(): number {
    return this.host.decisions;
  }

  get fleetPart(): FleetPart | null {
    return this.host.loop.part<FleetPart>("fleet");
  }

  start(): void {
    this.host.offer({ kind: "starting" });
    this.#pulse(0);
    this.host.offer({ kind: "holds", holds: [] });
    this.host.offer({ kind: "ready", monitored: {}, suspects: {} });
    this.#options.time.callAfter(PULSE_MS, () => this.#tick());
  }

  /** An attempt was started: its spec and its launch record are there. */
  begin(member: Member): void {
    const { time, fleet } = this.#options;
    const { attempt } = member;
    this.host.offer({ kind: "spec", worker_id: member.id, spec: specOf(member) });
    const { process } = member;
    this.host.offer({ kind: "launch", worker_id: member.id, attempt, process, launcher_alive: true });
    this.#beatLater(member, attempt, 100 + fleet.chance() * 2000);
    const way = fleet.wayOf(member);
    time.callAfter(fleet.lifeMs(member), () => {
      if (member.attempt !== attempt || !member.isAlive) return;
      member.words = way.words;
      if (way.exit === "hang") member.isBeating = false;
      else this.#end(member, { ...way.exit, signal_inferred: way.exit.signal !== null });
    });
  }

  #end(member: Member, how: Pick<ExitFacts, "exit_code" | "signal" | "oom_kills" | "signal_inferred">): void {
    member.isAlive = false;
    member.isBeating = false;
    member.exit = { ...how, wait_status: null, ended_at_ms: Math.round(this.#options.time.atMs) };
    this.host.offer({ kind: "exit", worker_id: member.id, attempt: member.attempt, exit: member.exit });
  }

  #tick(): void {
    this.#pulse(PULSE_MS);
    this.#options.time.callAfter(PULSE_MS, () => this.#tick());
  }

  #pulse(gap_ms: number): void {
    const calm = { suspended_ms: 0, stepped_ms: 0, late: false, cpu_pressure: null, host: "running" } as const;
    this.host.offer({ kind: "pulse", gap_ms, expected_ms: PULSE_MS, ...calm });
  }

  #beatLater(member: Member, attempt: number, afterMs: number): void {
    const { time, fleet, intervalSeconds, lateShare } = this.#options;
    time.callAfter(afterMs, () => {
      if (member.attempt !== attempt || !member.isBeating) return;
      this.#beat(member);
      const stretch = fleet.chance() < lateShare ? 5 / 3 : 1;
      this.#beatLater(member, attempt, intervalSeconds * 1000 * stretch * (0.98 + fleet.chance() * 0.02));
    });
  }

  #beat(member: Member): void {
    member.sequence += 1;
    const { attempt, sequence } = member;
    const content = { attempt, sequence, reported: 100, progress: null, pid: null };
    const beat = { ...content, age_ms: 0, key: `${attempt}:${sequence}` };
    this.host.offer({ kind: "beat", worker_id: member.id, beat });
  }

  #memberOf(id: string): Member {
    return this.#members.get(id) as Member;
  }

  #perform(effect: Effect): Answer<Event> {
    switch (effect.kind) {
      case "look":
        return this.#look(effect.worker_id, effect.attempt);
      case "release":
        return effect.worker_ids.map((worker_id) => ({ kind: "released" as const, worker_id }));
      case "run_hook": {
        const { worker_id, attempt } = effect;
        return { kind: "hook_answered", worker_id, attempt, later: false, message: "no hook" };
      }
      case "signal": {
        const { worker_id, attempt } = effect;
        const member = this.#memberOf(worker_id);
        if (!member.isAlive) return { kind: "signalled", worker_id, attempt, answer: "gone", why: null };
        this.#options.time.callAfter(40, () => {
          if (member.attempt === attempt && member.isAlive)
            this.#end(member, { exit_code: 143, signal: "SIGTERM", oom_kills: 0, signal_inferred: true });
        });
        return { kind: "signalled", worker_id, attempt, answer: "sent", why: null };
      }
      case "gather":
        return this.#gather(effect.worker_id, effect.attempt);
      case "remove_active": {
        const member = this.#memberOf(effect.worker_id);
        member.isActive = false;
        this.#options.time.callAfter(20, () => {
          if (!member.isActive) this.host.offer({ kind: "spec", worker_id: member.id, spec: null });
        });
        return undefined;
      }
      case "file_request":
        this.#options.onRequest(this.#memberOf(effect.worker_id), effect.request);
        return undefined;
      case "forget_files":
        return { kind: "filed", worker_id: effect.worker_id, attempt: effect.attempt };
      default:
        return undefined; // Files that no daemon of this history reads.
    }
  }

  #look(worker_id: string, attempt: number): Event {
    const member = this.#memberOf(worker_id);
    const presence = member.isAlive ? "present" : "gone";
    const used = { cpuMs: 100, childrenCpuMs: 0, ioBytes: 4096 };
    const state = member.isAlive ? "S" : null;
    const look = { atMs: this.#options.time.monoMs, presence, state, traced: false, frozen: false, ...used } as const;
    const same = { same_host: true, same_namespace: true, same_boot: true };
    const rest = { log_bytes: 2048, launcher_alive: member.isAlive, exit: member.exit, beat: null };
    return { kind: "looked", worker_id, attempt, looked: { look, ...same, ...rest } };
  }

  #gather(worker_id: string, attempt: number): Event {
    const member = this.#memberOf(worker_id);
    const { exit, words } = member;
    const left = member.isAlive ? 1 : 0;
    return { kind: "gathered", worker_id, attempt, log_tail: words, left, exit, exit_pending: false, claimed: false };
  }
}

function specOf(member: Member): SpecFacts {
  return {
    worker_type: member.profile.type,
    task_id: member.taskId,
    status: "pending",
    attempt: member.attempt,
    mode: null,
    has_heartbeat: true,
    has_launch: true,
    own: {},
    probe: false,
    stop: { signal: "SIGTERM", scope: "main", grace_ms: 30_000 },
    restart_when: "on-failure",
    max_runtime_ms: null,
    memory_limit_bytes: null,
    tokens_used: 0,
    incident_id: null,
    process: null,
    other_boot: false,
    in_spec_beat: null,
  };
}
