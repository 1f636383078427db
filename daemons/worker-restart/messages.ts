/** What reaches worker-restart's core and what it asks for, as plain values. @module */
import type { BreakerState, Outcome } from "../../lib/domain/breaker-state.js";
import type { Decided, Stamped, Wake } from "../../lib/runtime/core.js";
import type { ReportEffect } from "../../lib/runtime/reporting.js";
import type { EventSubject } from "../../lib/schema/events.js";
import type { ReadTo, Slice } from "./state.js";

/** How the attempt ended that a request is about. */
export interface Ended {
  readonly exit_code: number | null;
  readonly ran_ms: number | null;
  readonly by_itself: boolean;
}

/** A request with every default filled in. Instants are wall-clock milliseconds. */
export interface Request {
  readonly reason: string;
  readonly by_person: boolean;
  readonly requested_by: string | null;
  /** The attempt that ended; null if the one who asks does not know. */
  readonly attempt: number | null;
  readonly incident_id: string | null;
  readonly filed_at_ms: number;
  readonly not_before_ms: number | null;
  readonly expires_at_ms: number | null;
  readonly force: boolean;
  readonly override: readonly string[];
  /** Whether this restart costs a retry, and its failure counts for the breaker. */
  readonly spends: boolean;
  readonly ended: Ended | null;
  /** A person's request in which the monitor tells of a death: how the attempt ended, where that counts against it. */
  readonly tells_of?: string;
  /** Its file says nothing of a deferral: nobody has deferred it yet, or a person has written it anew. */
  readonly bare?: boolean;
}

/** What was found on disk and in /proc when the request was looked at. */
export interface Facts {
  /** Absent in what was recorded before it was asked. */
  readonly host?: "running" | "stopping" | "unknown";
  readonly hold: { readonly name: string; readonly why: string; readonly until_ms: number } | null;
  /** Whether the hold of a quarantined task stands. */
  readonly task_held: boolean;
  readonly desired: "running" | "stopped" | "draining" | null;
  readonly when: "on-failure" | "always" | "never";
  /** The highest attempt of which there is a trace. */
  readonly highest: number;
  readonly next_exists: boolean;
  /** `untouchable`: the pid of an adopted process that heald must not end. */
  readonly active: { readonly attempt: number; readonly alive: boolean; readonly untouchable?: number } | null;
  readonly requires: readonly { readonly what: string; readonly met: boolean }[];
  /** Why it is not known how to start it; null if it is. */
  readonly unlaunchable: string | null;
  readonly deadline_ms: number | null;
  readonly tokens: { readonly wanted: number; readonly left: number } | null;
  readonly survivors: readonly number[];
  /** Fingerprint of command, script arguments, template and overrides. */
  readonly files: string;
  readonly hook: boolean;
  /** The account as the last spec has it: what is left where the state was lost. */
  readonly attempts: number;
  readonly lifetime: number;
  /** Another request for this worker that waits already. */
  readonly other: string | null;
  /** The back-off that its template asks for, seconds; the policy's where it asks for none. */
  readonly retry?: { readonly initial: number; readonly max: number };
}

export interface Subject {
  readonly worker_id: string;
  readonly worker_type: string;
  readonly task_id: string | null;
}

export type Event =
  | (Subject & { readonly kind: "request"; readonly name: string; readonly request: Request; readonly facts: Facts })
  | (Subject & { readonly kind: "request-gone"; readonly name: string })
  | (Subject & { readonly kind: "settled"; readonly name: string })
  | { readonly kind: "request-unreadable"; readonly name: string; readonly why: string }
  | (Subject & {
      readonly kind: "started";
      readonly name: string;
      readonly attempt: number;
      readonly claimed: string;
    })
  | (Subject & {
      readonly kind: "not-started";
      readonly name: string;
      readonly attempt: number;
      readonly claimed: string | null;
      /** `there`: the attempt exists already; `gone`: the request was withdrawn; `tokens`: none left; `failed`: the host or the spec. */
      readonly why: "there" | "gone" | "tokens" | "failed";
      readonly message: string;
      readonly permanent: boolean;
    })
  | (Subject & {
      readonly kind: "hook-answered";
      readonly name: string;
      readonly later: boolean;
      readonly note: string;
    })
  | (Subject & { readonly kind: "launched"; readonly attempt: number; readonly at_ms: number })
  | (Subject & {
      readonly kind: "checked";
      readonly attempt: number;
      /** Where the attempt's spec was found; `stopped`: among the completed, but a person had it stopped. */
      readonly found: "active" | "zombie" | "completed" | "stopped" | "failed" | "gone";
      readonly alive: boolean;
      readonly beaten: boolean;
      readonly must_beat: boolean;
    })
  | (Subject & { readonly kind: "resume" })
  | (Subject & { readonly kind: "sweep" })
  | { readonly kind: "look-due" | "check-due"; readonly worker_id: string }
  | {
      readonly kind: "history";
      readonly worker_type: string;
      readonly outcome: Outcome;
      readonly read_to: ReadTo;
      /** Written to a file that was rotated before, after lines of the next one were read. */
      readonly is_late?: boolean;
    }
  /** A line that does not count, and must not count later either. */
  | {
      readonly kind: "history-passed-over";
      readonly worker_type: string;
      readonly read_to: ReadTo;
      readonly is_late?: boolean;
    }
  | {
      readonly kind: "breaker-by-hand";
      readonly worker_type: string;
      readonly wanted: BreakerState["state"];
      readonly next_probe_at_ms: number | null;
      readonly removed: boolean;
      /** The end of the history: nothing before it counts any more. */
      readonly read_to: ReadTo | null;
    }
  | { readonly kind: "breaker-due"; readonly worker_type: string };

export type RequestEvent = Extract<Event, { kind: "request" }>;

export interface StartEffect extends Subject {
  readonly kind: "start";
  readonly name: string;
  readonly attempt: number;
  readonly incident_id: string;
  readonly attempts: number;
  readonly lifetime: number;
  /** Names the start in the spec: a spec with another id is another's. */
  readonly start_id: string;
  /** Taken up after a restart of the daemon: it may have been made before. */
  readonly resumed: boolean;
}

export type Effect =
  | ReportEffect
  | StartEffect
  | (Subject & { readonly kind: "look"; readonly name: string })
  /** Looks again at requests that wait: at all of one type, or at those that are next for a place among the starts under way. */
  | { readonly kind: "look-waiting"; readonly worker_type?: string; readonly gate?: "concurrency" }
  | {
      readonly kind: "defer";
      readonly name: string;
      readonly claimed: string | null;
      readonly deferred: {
        readonly gate: string;
        readonly reason: string;
        readonly next_at?: string;
        readonly count: number;
      };
    }
  | {
      readonly kind: "settle";
      /** Whose request it is; null if nothing waits for the answer. */
      readonly subject: Subject | null;
      readonly name: string;
      /** Null: it is still in the queue. */
      readonly claimed: string | null;
      readonly folder: "done" | "failed";
      readonly outcome: Readonly<Record<string, unknown>>;
    }
  /** Answered in its turn: what was to be settled before it is settled then. */
  | (Subject & { readonly kind: "confirm-settled"; readonly name: string })
  | { readonly kind: "reject"; readonly name: string; readonly why: string }
  | {
      readonly kind: "ask-hook";
      readonly name: string;
      readonly attempt: number;
      readonly subject: Subject;
      readonly seconds: number;
    }
  | (Subject & { readonly kind: "check"; readonly attempt: number })
  | { readonly kind: "append-history"; readonly record: Readonly<Record<string, unknown>> }
  | { readonly kind: "read-history" }
  /** Nothing to do: what changed without any other effect is journaled for its sake. */
  | { readonly kind: "keep-place" }
  | { readonly kind: "write-breaker"; readonly worker_type: string }
  | { readonly kind: "hold-task"; readonly task_id: string; readonly why: string; readonly until_ms: number }
  | (Subject & {
      readonly kind: "give-up";
      readonly attempt: number;
      readonly restart: Readonly<Record<string, unknown>>;
      readonly why: string;
    })
  | (Subject & {
      readonly kind: "end-old";
      readonly attempt: number;
      readonly since_ms: number;
      /** For how long it has been ended, whatever the wall clock says; missing in an older version's journal. */
      readonly waited_ms?: number;
    });

export type StampedEvent<Kind extends Event["kind"]> = Stamped<Extract<Event, { kind: Kind }>>;
export type Step = Decided<Slice, Effect>;
export type Act = Effect | Wake;

/** Whom the events of a decision are about. */
export const subjectOf = (of: Subject, attempt?: number, incidentId?: string): EventSubject => ({
  worker_id: of.worker_id,
  worker_type: of.worker_type,
  task_id: of.task_id ?? undefined,
  attempt,
  incident_id: incidentId,
});

export const plainSubject = (of: Subject): Subject => ({
  worker_id: of.worker_id,
  worker_type: of.worker_type,
  task_id: of.task_id,
});
