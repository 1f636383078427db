/** What the heartbeat monitor knows, hears and does; plain data that is journaled and replayed. @module */

import type { GuardState } from "../../lib/domain/mass-guard.js";
import type { GapHistogram } from "../../lib/domain/phi.js";
import type { OwnThresholds } from "../../lib/domain/thresholds.js";
import type { ProcessLook } from "../../lib/domain/verdict.js";
import type { ReportEffect } from "../../lib/runtime/reporting.js";
import type { EndReason, WorkerState } from "../../lib/schema/catalogue.js";
import type { DesiredState, HoldAct, ProcessIdentity } from "../../lib/schema/records.js";

/** The process of an attempt, as its launch record or an adoption says. */
export interface KnownProcess {
  readonly identity: ProcessIdentity;
  readonly launcher_pid: number | null;
  readonly launcher_start_time: number | null;
  readonly origin: "launched" | "adopted";
  readonly may_signal: boolean;
  readonly started_at_ms: number;
  readonly memory_limit_enforced_by: string | null;
  readonly memory_folder: string | null;
}

/** What a spec says that matters to the monitor. */
export interface SpecFacts {
  readonly worker_type: string;
  readonly task_id: string | null;
  readonly status: string;
  readonly attempt: number;
  readonly mode: "required" | "optional" | "none" | null;
  readonly has_heartbeat: boolean;
  readonly has_launch: boolean;
  readonly own: OwnThresholds;
  readonly probe: boolean;
  readonly stop: { readonly signal: string; readonly scope: "main" | "group"; readonly grace_ms: number };
  readonly restart_when: "on-failure" | "always" | "never";
  readonly max_runtime_ms: number | null;
  readonly memory_limit_bytes: number | null;
  readonly tokens_used: number;
  readonly incident_id: string | null;
  /** An adopted process, or the process that the monitor itself wrote before; used when there is no launch record. */
  readonly process: KnownProcess | null;
  /** Its process was started on this host in another boot: it is certainly dead. */
  readonly other_boot: boolean;
  readonly in_spec_beat: {
    readonly key: string;
    /** The same of the fields that only older workers write. */
    readonly legacy_key: string;
    readonly score: number | null;
    /** The score in an older worker's own field: `score` may be the monitor's, decayed, and must not decay twice. */
    readonly legacy_score: number | null;
    readonly sequence: number | null;
  } | null;
}

export interface LastBeat {
  readonly arrived_mono_ms: number;
  readonly arrived_at_ms: number;
  readonly sequence: number | null;
  readonly reported: number | null;
  readonly progress: number | null;
  readonly progress_since_mono_ms: number;
  /** Since when the reported score is below the minimum. */
  readonly low_since_mono_ms: number | null;
}

/** How an attempt ended, as its launcher saw it. */
export interface ExitFacts {
  readonly exit_code: number | null;
  readonly signal: string | null;
  readonly signal_inferred: boolean;
  readonly wait_status: number | null;
  readonly ended_at_ms: number;
  readonly oom_kills: number;
  /** A person's forced restart is under way, which ended it: no failure, and its request is there already. */
  readonly wanted?: boolean;
}

/** The steps by which an attempt is brought to its end. */
export interface Ending {
  readonly reason: EndReason;
  /** What decided, such as `idle` or `exit_record`. */
  readonly evidence: string;
  /** Silent or unwell workers are zombies; a worker that exited by itself is not. */
  readonly zombie: boolean;
  readonly phase: "hook" | "stopping" | "killing" | "gathering" | "filing";
  readonly since_mono_ms: number;
  /** When SIGKILL follows; null if never. */
  readonly kill_at_mono_ms: number | null;
  readonly kills: number;
  readonly signalled: boolean;
  readonly exit: ExitFacts | null;
  readonly silent_ms: number | null;
  readonly failed_said: boolean;
}

export interface WorkerPart {
  readonly worker_id: string;
  readonly spec: SpecFacts;
  readonly mode: "required" | "optional" | "none";
  readonly process: KnownProcess | null;
  /** When the process was started, as well as is known on the monotonic clock: the wall clock may be set meanwhile. */
  readonly started_mono_ms: number | null;
  readonly state: WorkerState;
  readonly state_since_mono_ms: number;
  readonly state_since_at_ms: number;
  /** From when silence counts: first sight, launch, or the last beat. */
  readonly silent_from_mono_ms: number;
  readonly last_beat: LastBeat | null;
  /** Why its latest beat does not count; missing or null where it does, or where there is none. */
  readonly beats_refused?: string | null;
  /** When that beat was written, as well as is known. */
  readonly beats_refused_mono_ms?: number | null;
  /** The gaps between its beats, as far as they were observed; only where the detector learns from them. */
  readonly gaps?: GapHistogram;
  /** The level of silence that was last said, so that each is said once. */
  readonly said: "none" | "late" | "warning" | "critical";
  /** The verdict that was last said while silent. */
  readonly said_verdict: string | null;
  readonly looks: readonly ProcessLook[];
  /** When the next look is due apart from the thresholds; null for none. */
  readonly look_due_mono_ms: number | null;
  readonly log_bytes: number | null;
  readonly log_moved: boolean;
  readonly incident_id: string | null;
  readonly incident_opened_mono_ms: number | null;
  /** The 10-second bucket in which it became suspect. */
  readonly suspect_bucket: number | null;
  /** Let through by the mass guard. */
  readonly released: boolean;
  readonly desired: DesiredState;
  /** It was sent its stop signal for a person's wish that was taken back since, and may still heed it. */
  readonly asked_to_stop?: boolean;
  readonly ending: Ending | null;
  readonly block_written_mono_ms: number | null;
  readonly block_key: string | null;
  readonly alerted_mono_ms: number | null;
  /** Gate that was last said to hold back an ending; one decision for each change. */
  readonly held_by: string | null;
  /** `zombie_detected` was said of this incident. */
  readonly zombie_said: boolean;
  /** A hold on kills was in force when it was last due. */
  readonly under_hold: boolean;
  /** After a hold on kills, one full time-out is observed before anything is decided. */
  readonly observe_until_mono_ms: number | null;
  readonly gone_since_mono_ms: number | null;
  readonly resume_at_mono_ms: number | null;
}

export interface HoldFacts {
  readonly name: string;
  readonly scope: "worker" | "worker_type" | "target" | "all" | "named";
  /** The worker, type, task or target that is held; empty for all. */
  readonly target: string;
  readonly acts: readonly HoldAct[];
  readonly starts_at_ms: number;
  readonly expires_at_ms: number;
  /** false while nothing was said of it yet. */
  readonly said?: boolean;
}

/** The small summary of the fleet that every decision may read. */
export interface FleetPart {
  readonly ready_mono_ms: number;
  /** The last pulse; an event long after it means that the monitor itself did not run. 0 before the first. */
  readonly pulse_mono_ms: number;
  /** No verdict before this instant: fresh observation is needed first. */
  readonly trust_from_mono_ms: number;
  /** Why the monitor suspects itself; null while it trusts itself. */
  readonly suspect_because: string | null;
  /** What cannot be read now, with the code; while there is any, silence is ours and not the workers'. */
  readonly unreadable: Readonly<Record<string, string>>;
  readonly local_health: number;
  readonly monitored: Readonly<Record<string, number>>;
  /** Suspects by type and 10-second bucket. */
  readonly suspects: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly guard: GuardState;
  readonly guard_incident: string | null;
  /** Workers that are due and that only the guard keeps back; at most 256 are remembered. */
  readonly waiting: readonly { readonly worker_id: string; readonly worker_type: string }[];
  /** Instants of cleanups in the last minute, monotonic. */
  readonly cleanups: readonly number[];
  readonly holds: readonly HoldFacts[];
  readonly host: "running" | "stopping" | "unknown";
  readonly boot_slot_mono_ms: number;
  readonly zombies_detected: number;
  readonly detection_lags_ms: readonly number[];
}

export interface Slice {
  readonly worker: WorkerPart | null;
  readonly fleet: FleetPart;
}

/** Context of one look: the process, its output, and its beat, read in the same step. */
export interface Looked {
  readonly look: ProcessLook | null;
  readonly same_host: boolean;
  readonly same_namespace: boolean;
  readonly same_boot: boolean;
  readonly log_bytes: number | null;
  readonly launcher_alive: boolean;
  /** Its process is gone, no launcher tells how, and worker-restart was ending it for a person's request with force. */
  readonly restart_forced?: boolean;
  readonly exit: ExitFacts | null;
  readonly beat: BeatFacts | null;
}

export interface BeatFacts {
  readonly attempt: number | null;
  readonly sequence: number | null;
  readonly reported: number | null;
  readonly progress: number | null;
  readonly pid: number | null;
  /** How long ago the beat arrived: 0 when it was seen arriving, else from the file's age. */
  readonly age_ms: number;
  /** Of a beat that was seen changing, but late: how long ago it changed. */
  readonly ago_ms?: number;
  /** Changes with every beat. */
  readonly key: string;
}

/** What is left of an attempt. */
export interface RemainsFacts {
  /** Its processes that still run. */
  readonly left: number;
  /** Its last words; empty while something of it runs. */
  readonly log_tail: string;
}

export type Event =
  | { readonly kind: "spec"; readonly worker_id: string; readonly spec: SpecFacts | null }
  | {
      readonly kind: "launch";
      readonly worker_id: string;
      readonly attempt: number;
      readonly process: KnownProcess | null;
      readonly launcher_alive: boolean;
    }
  | { readonly kind: "beat"; readonly worker_id: string; readonly beat: BeatFacts }
  /** Its latest beat does not count, and for another reason than the one before. */
  | { readonly kind: "beats_refused"; readonly worker_id: string; readonly why: string; readonly age_ms: number }
  | {
      readonly kind: "exit";
      readonly worker_id: string;
      readonly attempt: number;
      readonly exit: ExitFacts;
      /** Looked at together with the exit, where it was known whose remains to look for. */
      readonly remains?: RemainsFacts;
    }
  | { readonly kind: "vanished"; readonly worker_id: string; readonly attempt: number }
  | { readonly kind: "stat"; readonly worker_id: string; readonly attempt: number; readonly paused: boolean }
  | { readonly kind: "memory"; readonly worker_id: string; readonly attempt: number; readonly rss_bytes: number }
  | { readonly kind: "looked"; readonly worker_id: string; readonly attempt: number; readonly looked: Looked }
  | { readonly kind: "desired"; readonly worker_id: string; readonly desired: DesiredState }
  | {
      readonly kind: "hook_answered";
      readonly worker_id: string;
      readonly attempt: number;
      readonly later: boolean;
      readonly message: string;
    }
  | {
      readonly kind: "signalled";
      readonly worker_id: string;
      readonly attempt: number;
      readonly answer: string;
      readonly why: string | null;
    }
  | {
      readonly kind: "gathered";
      readonly worker_id: string;
      readonly attempt: number;
      readonly log_tail: string;
      readonly left: number;
      readonly exit: ExitFacts | null;
      /** The launcher lives and is about to say how it ended. */
      readonly exit_pending: boolean;
      /** The attempt has a claim although no process of it is known: it may be about to run. */
      readonly claimed: boolean;
      /** The process that the claim names, where it was not known before. */
      readonly process?: KnownProcess;
    }
  | { readonly kind: "filed"; readonly worker_id: string; readonly attempt: number }
  | { readonly kind: "released"; readonly worker_id: string }
  | { readonly kind: "woke"; readonly worker_id: string }
  | { readonly kind: "effect_failed"; readonly worker_id: string; readonly effect: string; readonly message: string }
  | { readonly kind: "holds"; readonly holds: readonly HoldFacts[] }
  | {
      readonly kind: "pulse";
      readonly gap_ms: number;
      readonly expected_ms: number;
      readonly suspended_ms: number;
      readonly stepped_ms: number;
      readonly late: boolean;
      /** How late the loop came to its timer; not in records from before it was measured. */
      readonly loop_delay_ms?: number;
      readonly cpu_pressure: number | null;
      readonly host: "running" | "stopping" | "unknown";
    }
  /** The monitor begins to read: nothing is concluded before it is ready. */
  | { readonly kind: "starting" }
  /** Everything has been read once. Its counts are of the workers' own parts, which alone survive a kill for certain. */
  | { readonly kind: "ready"; readonly monitored: FleetPart["monitored"]; readonly suspects: FleetPart["suspects"] }
  /** The host could not be written to for a while; nor could the workers, as it may be. */
  | { readonly kind: "weathered" }
  | { readonly kind: "unreadable"; readonly what: string; readonly code: string };

/** What the monitor does. Every one is harmless to repeat; `look`, `release` and `rescan` are not even journaled. */
export type Effect =
  | ReportEffect
  | {
      readonly kind: "look";
      readonly worker_id: string;
      readonly attempt: number;
      readonly process: KnownProcess | null;
    }
  | { readonly kind: "release"; readonly worker_ids: readonly string[] }
  | { readonly kind: "rescan" }
  | {
      readonly kind: "write_block";
      readonly worker_id: string;
      readonly attempt: number;
      readonly patch: Readonly<Record<string, unknown>>;
    }
  | {
      readonly kind: "run_hook";
      readonly worker_id: string;
      readonly attempt: number;
      readonly hook: "before_kill";
      readonly input: Readonly<Record<string, unknown>>;
      readonly timeout_ms: number;
    }
  | {
      readonly kind: "signal";
      readonly worker_id: string;
      readonly attempt: number;
      readonly process: KnownProcess;
      readonly signal: string;
      readonly scope: "main" | "group";
    }
  | {
      readonly kind: "gather";
      readonly worker_id: string;
      readonly attempt: number;
      readonly process: KnownProcess | null;
      /** Nobody has started it, as far as is known: its claim is taken, so that nobody starts it any more. */
      readonly withdraw: boolean;
    }
  | {
      readonly kind: "file_end";
      readonly worker_id: string;
      readonly attempt: number;
      readonly into: "zombie" | "completed";
      readonly patch: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: "remove_active"; readonly worker_id: string; readonly attempt: number }
  | { readonly kind: "return_tokens"; readonly worker_id: string; readonly attempt: number; readonly used: number }
  | { readonly kind: "file_request"; readonly worker_id: string; readonly request: Readonly<Record<string, unknown>> }
  | {
      readonly kind: "forget_files";
      readonly worker_id: string;
      readonly attempt: number;
      readonly memory_folder: string | null;
    };
