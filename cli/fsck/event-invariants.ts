/** Invariants of the logs, and of what the events tell: deaths, incidents. @module */
import type { WorkerPart as MonitorPart } from "../../daemons/heartbeat-monitor/facts.js";
import type { WorkerPart as RestartPart } from "../../daemons/worker-restart/state.js";
import type { Facts } from "./facts.js";
import type { Found, Invariant } from "./finding.js";
import { waits, workerOf } from "./request-invariants.js";
import type { Detection, OpenIncident, Repeat } from "./stories.js";

/** A cleanup may wait for its grace, its hooks and its turn. */
const CLEANUP_MS = 3_600_000;

export const EVENT_INVARIANTS: readonly Invariant[] = [
  {
    name: "logs",
    sentence: "Every log can be opened and read.",
    severity: "wrong",
    repair: "",
    check: ({ logs }) =>
      logs.flatMap(({ shown, problem }) =>
        problem === null ? [] : [{ about: shown, message: `cannot be read: ${problem}` }],
      ),
  },
  {
    name: "lines",
    sentence: "Every line of a log is a record of it. A line that a killed writer left cut off is noted.",
    severity: "wrong",
    repair: "",
    check: ({ logs }) =>
      logs.flatMap(({ shown, bad, badCount, cutOffCount }): Found[] => {
        const first = bad.find(({ cutOff }) => !cutOff);
        const cut = bad.find(({ cutOff }) => cutOff);
        return [
          ...(first === undefined
            ? []
            : [
                {
                  about: shown,
                  message: `${lines(badCount)} no record of it; the first, at byte ${first.offset}: ${first.problem}`,
                },
              ]),
          ...(cut === undefined
            ? []
            : [
                {
                  about: `${shown} (cut off)`,
                  message: `${lines(cutOffCount)} cut off by a writer that was killed, the first at byte ${cut.offset}`,
                  severity: "note" as const,
                },
              ]),
        ];
      }),
  },
  {
    name: "tails",
    sentence: "The last line of a log has its newline.",
    severity: "warning",
    repair: "a newline is appended, as the next writer would do it",
    check: ({ logs }) =>
      logs.flatMap(({ shown, path, torn, size }): Found[] =>
        torn === null || torn.bytes === 0
          ? []
          : [
              {
                about: shown,
                message: `its last line, from byte ${torn.offset}, has no newline`,
                repair: { kind: "close-line", path, size },
              },
            ],
      ),
  },
  {
    name: "order",
    sentence: "Events stand in the order of their times, give or take a day, and none is from the future.",
    severity: "warning",
    repair: "",
    check: ({ logs }) =>
      logs.flatMap(({ shown, misplaced }) =>
        misplaced === null
          ? []
          : [{ about: shown, message: `the event at byte ${misplaced.offset} is ${misplaced.problem}` }],
      ),
  },
  {
    name: "event-logs",
    sentence: "Every event stands in the log that the catalogue names for it.",
    severity: "wrong",
    repair: "",
    check: ({ logs }) =>
      logs.flatMap(({ shown, stranger }) =>
        stranger === null
          ? []
          : [
              {
                about: shown,
                message: `has a ${stranger.event_type} at byte ${stranger.offset}, which belongs into another log`,
              },
            ],
      ),
  },
  repeatOf("event_id", "event-ids", "No two events have one event_id."),
  repeatOf("detection", "deaths-once", "The death of an attempt is detected once in its incident."),
  repeatOf("start", "starts-once", "An attempt is started once in an incident."),
  {
    name: "deaths-have-outcomes",
    sentence:
      "Within a minute (--within) every death that was seen has an outcome: a request that waits or is in hand, a next attempt, a refusal, or a person who was told.",
    severity: "wrong",
    repair: "",
    check: (facts) => {
      const outcomes = outcomesIn(facts);
      return [...facts.stories.detections.values()]
        .filter((death) => facts.nowMs - death.atMs > facts.outcomeMs && !hasOutcome(facts, outcomes, death))
        .map(({ workerId, attempt, eventType, incidentId, deferredBy }) => ({
          about: `${workerId} #${attempt}`,
          message: `${eventType} (incident ${incidentId ?? "none"}) was followed by nothing${
            deferredBy === null ? "" : `: its request, put off by ${deferredBy}, is gone`
          }`,
        }));
    },
  },
  {
    name: "incidents-resolve",
    sentence: "The worker of an open incident is not well, is on probation, or waits for its restart.",
    severity: "wrong",
    repair: "",
    check: (facts) =>
      [...facts.stories.incidents.values()]
        .filter((incident) => facts.nowMs - incident.atMs > facts.outcomeMs && isWell(facts, incident))
        .map(({ workerId, incidentId, eventType }) => ({
          about: incidentId,
          message: `was opened by a ${eventType} of ${workerId} and never closed; the worker is healthy`,
        })),
  },
];

const lines = (count: number): string => (count === 1 ? "1 line is" : `${count} lines are`);

function repeatOf(what: Repeat["what"], name: string, sentence: string): Invariant {
  return {
    name,
    sentence,
    severity: "wrong",
    repair: "",
    check: ({ stories }) =>
      [...stories.repeats.values()]
        .filter((repeat) => repeat.what === what)
        .map(({ key }) => ({ about: key, message: "is there more than once" })),
  };
}

/** What says that a death had an outcome, by worker. */
interface Outcomes {
  /** The highest attempt that was launched or has a spec. */
  readonly attempts: ReadonlyMap<string, number>;
  /** When the latest request that is over, or in hand, was claimed. */
  readonly claimedAtMs: ReadonlyMap<string, number>;
}

function outcomesIn({ launches, specs, requests, nowMs }: Facts): Outcomes {
  const attempts = new Map<string, number>();
  for (const { workerId, attempt } of [...launches, ...specs])
    if (workerId !== null) attempts.set(workerId, Math.max(attempts.get(workerId) ?? 0, attempt ?? 0));
  const claimedAtMs = new Map<string, number>();
  for (const { place, filedAs, claimedAtMs: atMs } of requests)
    if (place !== "queue") {
      const workerId = workerOf(filedAs);
      // A rejected request has no time of its own.
      claimedAtMs.set(workerId, Math.max(claimedAtMs.get(workerId) ?? 0, atMs ?? nowMs));
    }
  return { attempts, claimedAtMs };
}

function hasOutcome(facts: Facts, outcomes: Outcomes, death: Detection): boolean {
  const { workerId, attempt, atMs } = death;
  if (waits(facts, workerId) || (outcomes.attempts.get(workerId) ?? 0) > attempt) return true;
  return (outcomes.claimedAtMs.get(workerId) ?? 0) >= atMs - 1000 || isInHand(facts, death);
}

/** The monitor is ending what is left of the attempt, or would go on with it at its next start. */
function isInHand(facts: Facts, { workerId, attempt, atMs }: Detection): boolean {
  const monitor = facts.states.get("heartbeat-monitor");
  const part = monitor?.parts?.get(`worker:${workerId}`) as MonitorPart | undefined;
  const isKnown = part?.spec.attempt === attempt;
  // A hold, a hook or the limit of cleanups keeps it back, for as long as that says.
  if (isKnown && part.held_by != null) return true;
  const isEnding = isKnown && (part.ending != null || part.state === "zombie");
  const isDown = !facts.running.has("heartbeat-monitor");
  // A person took the request back while worker-restart is down, which will say so at its start.
  const restarter = facts.states.get("worker-restart")?.parts?.get(`worker:${workerId}`) as RestartPart | undefined;
  if (!facts.running.has("worker-restart") && restarter?.waiting != null) return true;
  if (isEnding && (isDown || facts.nowMs - atMs < CLEANUP_MS)) return true;
  return isDown && (monitor?.pending ?? []).some((entry) => JSON.stringify(entry.effects).includes(`"${workerId}"`));
}

function isWell(facts: Facts, { workerId }: OpenIncident): boolean {
  const monitored = facts.states.get("heartbeat-monitor")?.parts?.get(`worker:${workerId}`) as MonitorPart | undefined;
  const spec = facts.specs.find((each) => each.place === "active" && each.workerId === workerId);
  const state = monitored?.state ?? spec?.value?.heartbeat?.status ?? null;
  if (state !== "healthy" || spec === undefined || waits(facts, workerId)) return false;
  const restarted = facts.states.get("worker-restart")?.parts?.get(`worker:${workerId}`) as RestartPart | undefined;
  return restarted?.run == null || restarted.run.succeeded_at_ms !== null;
}
