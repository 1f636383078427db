/**
 * Takes from the events of other daemons what calls a person, and what says that it is over. Pure; every text is cut,
 * because a log may be written by anybody.
 *
 * @module
 */
import type { EventType } from "../../lib/schema/catalogue.js";
import { isId, readInstant } from "../../lib/schema/primitives.js";

/** What an event says to whoever calls people, cut to what matters here. */
export interface Sign {
  readonly event_type: SignType;
  /** Whether it says that something is over; else it calls a person. */
  readonly ends: boolean;
  /** By the clock of the daemon that wrote it. */
  readonly at_ms: number;
  /** What it is about: `worker:<id>`, `type:<worker type>`, `daemon:<name>`, `hold:<name>` or `fleet`. */
  readonly subject: string;
  readonly worker_id: string | null;
  readonly worker_type: string | null;
  readonly task_id: string | null;
  readonly incident_id: string | null;
  readonly message: string;
  /** Restarts that were tried, where the event says so. */
  readonly attempts: number | null;
}

interface CallWords {
  /** What is so, after the subject's name. */
  readonly title: string;
  readonly suggested: string;
  /** The command to run; `{name}` is the subject's. */
  readonly command: string;
  /** Events that say of the same subject that this is over. */
  readonly ends: readonly EventType[];
}

/** The worker works, has finished, or is left alone because a person wants it so; or a person began it anew. */
const AT_REST = [
  "worker_restarted",
  "worker_completed",
  "worker_stopped",
  "worker_unwatched",
  "worker_registered",
] as const satisfies readonly EventType[];
/** And also: a person has taken the request back, has started the worker by other means, or wants it stopped. */
const STARTED = [
  ...AT_REST,
  "worker_restart_refused",
  "worker_restart_deferred",
] as const satisfies readonly EventType[];
/** And also, of a worker that is alive: it is well again. */
const WELL = [...AT_REST, "heartbeat_resumed"] as const satisfies readonly EventType[];

/**
 * Events after which heald does not mend the matter by itself, or not soon: somebody should look.
 *
 * What is followed by a restart (a death, a time-out, a failed attempt) is not among them: it ends well, or in one of these.
 */
export const CALLS = {
  worker_restart_exhausted: {
    title: "is given up for now",
    suggested: "find out why it ends, and start it again when that is mended",
    command: "heald why {name}",
    ends: STARTED,
  },
  worker_restart_deferred: {
    title: "cannot be started",
    suggested: "write what it lacks; it is started as soon as that is there",
    command: "heald why {name}",
    ends: STARTED,
  },
  task_quarantined: {
    title: "had a task that costs its workers",
    suggested: "look at the task and its evidence; remove its hold to try again",
    command: "heald why {name}",
    ends: STARTED,
  },
  zombie_cleanup_failed: {
    title: "cannot be ended",
    suggested: "look at its processes, and end what is left",
    command: "heald why {name}",
    ends: [...AT_REST, "zombie_cleanup_completed"],
  },
  worker_stuck: {
    title: "makes no progress",
    suggested: "look what it waits for; a restart may not help",
    command: "heald why {name}",
    ends: WELL,
  },
  worker_unhealthy: {
    title: "reports poor health",
    suggested: "look at its log; restart it if it does not recover",
    command: "heald logs {name}",
    ends: WELL,
  },
  worker_paused: {
    title: "stays paused",
    suggested: "let it go on, or stop it",
    command: "heald why {name}",
    ends: WELL,
  },
  fleet_hold_started: {
    title: "many workers look dead at once",
    suggested: "look for a common cause: the host, the network, a service that all of them need",
    command: "heald status",
    ends: ["fleet_hold_ended"],
  },
  mass_zombification_alert: {
    title: "many workers look dead at once",
    suggested: "look for a common cause: the host, the network, a service that all of them need",
    command: "heald status",
    ends: ["fleet_hold_ended"],
  },
  circuit_breaker_tripped: {
    title: "is not restarted any more",
    suggested: "find out why its workers end, and close the breaker when that is mended",
    command: "heald breaker ls",
    ends: ["circuit_breaker_reset"],
  },
  weather_started: {
    title: "cannot write",
    suggested: "look at the disk, the permissions and the limits of the host",
    command: "heald doctor",
    ends: ["weather_ended", "daemon_started"],
  },
  hold_defaulted: {
    title: "cannot be read, and holds everything",
    suggested: "mend the hold's file, or remove it",
    command: "heald hold ls",
    ends: ["hold_expired", "hold_started"],
  },
} as const satisfies Partial<Record<EventType, CallWords>>;

export type CallType = keyof typeof CALLS;
/** A sign that calls a person. */
export type Trouble = Sign & { readonly event_type: CallType };
type EndType = (typeof CALLS)[CallType]["ends"][number];
export type SignType = CallType | EndType;

const ENDS: ReadonlySet<string> = new Set(Object.values(CALLS).flatMap(({ ends }) => [...ends]));

const MESSAGE_MAX = 160;
const HOLD_MAX = 120;
/** An incident's name is one word of ours; another's text is not taken for one. */
const INCIDENT = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
/** Gates that no time opens: somebody has to write something. */
const FOR_EVER: ReadonlySet<unknown> = new Set(["no_template", "exit_class"]);
/** Of the ways in which a request comes to nothing: the worker runs, or a person has it in hand. */
const IN_HAND: ReadonlySet<unknown> = new Set(["already_running", "withdrawn"]);

type Json = Readonly<Record<string, unknown>>;

export function isTrouble(sign: Sign): sign is Trouble {
  return !sign.ends;
}

/** Whether an event of the second kind ends what one of the first began. */
export function endsCall(call: CallType, by: SignType): boolean {
  return (CALLS[call].ends as readonly string[]).includes(by);
}

/** What an event says; null if nothing to anybody. */
export function signOf(event: Json): Sign | null {
  const type = String(event.event_type);
  if (!Object.hasOwn(CALLS, type) && !ENDS.has(type)) return null;
  const event_type = type as SignType;
  const at_ms = typeof event.at_ms === "number" ? event.at_ms : readInstant(event.timestamp);
  const data = dataOf(event);
  const subject = subjectOf(event_type, event, data);
  if (at_ms === null || !Number.isFinite(at_ms) || subject === null || !counts(event_type, event)) return null;
  const incident = event.incident_id;
  return {
    event_type,
    ends: !Object.hasOwn(CALLS, event_type) || isWanted(event),
    at_ms,
    subject,
    worker_id: idOrNull(event.worker_id),
    worker_type: idOrNull(event.worker_type),
    task_id: idOrNull(event.task_id),
    incident_id: typeof incident === "string" && INCIDENT.test(incident) ? incident : null,
    message: String(event.message ?? "").slice(0, MESSAGE_MAX),
    attempts: typeof data.attempts === "number" && Number.isFinite(data.attempts) ? data.attempts : null,
  };
}

/** The restart waits because a person wants the worker stopped. */
const isWanted = ({ event_type, reason }: Json): boolean =>
  event_type === "worker_restart_deferred" && reason === "desired";

/** Some events say it only in some cases. */
function counts(type: SignType, event: Json): boolean {
  switch (type) {
    case "worker_restart_deferred":
      return FOR_EVER.has(event.reason) || isWanted(event);
    case "worker_restart_refused":
      return IN_HAND.has(event.reason);
    case "worker_paused":
      return event.reason === "still";
    case "circuit_breaker_tripped":
      // Whoever opens it need not be told.
      return event.reason !== "by_hand";
    case "hold_defaulted":
      return event.reason === "unreadable";
    case "hold_started":
      // Not of the one that cannot be read: of the one that was mended.
      return event.reason !== "unreadable";
    case "worker_registered":
      // A later attempt has still to prove itself.
      return event.attempt === 1;
    default:
      return true;
  }
}

function subjectOf(type: SignType, event: Json, data: Json): string | null {
  switch (type) {
    case "fleet_hold_started":
    case "fleet_hold_ended":
    case "mass_zombification_alert":
      return "fleet";
    case "circuit_breaker_tripped":
    case "circuit_breaker_reset":
      return named("type", event.worker_type);
    case "weather_started":
    case "weather_ended":
    case "daemon_started":
      return named("daemon", data.daemon);
    case "hold_defaulted":
    case "hold_started":
    case "hold_expired":
      return typeof data.hold === "string" && data.hold !== "" ? `hold:${data.hold.slice(0, HOLD_MAX)}` : null;
    default:
      return named("worker", event.worker_id);
  }
}

const named = (kind: string, id: unknown): string | null => (isId(id) ? `${kind}:${id}` : null);

const idOrNull = (value: unknown): string | null => (isId(value) ? value : null);

function dataOf({ data }: Json): Json {
  return typeof data === "object" && data !== null && !Array.isArray(data) ? (data as Json) : {};
}
