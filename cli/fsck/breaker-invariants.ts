/** Invariants of circuit breakers: their files, what worker-restart remembers of them, and the history. @module */
import { join } from "node:path";
import { breakerRecord } from "../../daemons/worker-restart/breakers.js";
import type { TypePart } from "../../daemons/worker-restart/state.js";
import { breakerAt } from "../../lib/domain/breaker.js";
import { BREAKER_CLOSED, type BreakerState } from "../../lib/domain/breaker-state.js";
import type { BreakerFact, BreakerHistory, Facts } from "./facts.js";
import type { Found, Invariant } from "./finding.js";

const NO_HISTORY: BreakerHistory = { all: BREAKER_CLOSED, sinceReset: [BREAKER_CLOSED], lastAtMs: 0 };

export const BREAKER_INVARIANTS: readonly Invariant[] = [
  {
    name: "breaker-names",
    sentence: "A breaker is that of the worker type that its file's name says.",
    severity: "wrong",
    repair: "",
    check: ({ breakers }) =>
      breakers.flatMap(({ shown, workerType, value }) =>
        value === null || value.worker_type === workerType
          ? []
          : [{ about: shown, message: `its worker_type is ${JSON.stringify(value.worker_type)}` }],
      ),
  },
  {
    name: "breakers-as-remembered",
    sentence: "While worker-restart runs, a breaker's file says what worker-restart remembers.",
    severity: "wrong",
    repair: "",
    check: (facts) => {
      if (!facts.running.has("worker-restart")) return [];
      return facts.breakers.flatMap(({ shown, workerType, value }): Found[] => {
        const part = facts.states.get("worker-restart")?.parts?.get(`type:${workerType}`) as TypePart | undefined;
        if (value === null || part === undefined) return [];
        const known = breakerRecord(workerType, part.breaker).state;
        return known === value.state
          ? []
          : [{ about: shown, message: `is ${value.state}; worker-restart takes it for ${known}` }];
      });
    },
  },
  {
    name: "breakers-as-history-says",
    sentence: "A breaker is as the restart history makes it, unless a person set it.",
    severity: "wrong",
    repair: "a missing file is written from the history, where worker-restart remembers nothing of the type",
    check: (facts) =>
      [...new Set([...facts.breakerHistory.keys(), ...facts.breakers.map((each) => each.workerType)])].flatMap(
        (workerType): Found[] => {
          const history = facts.breakerHistory.get(workerType) ?? NO_HISTORY;
          const breaker = facts.breakers.find((each) => each.workerType === workerType);
          const { lastAtMs } = history;
          // A policy that was changed since may make another breaker of the same lines.
          if (facts.breakerPolicy === null || (lastAtMs > 0 && facts.restartPolicyAtMs > lastAtMs)) return [];
          return breaker === undefined ? missing(facts, workerType, history) : differing(facts, breaker, history);
        },
      ),
  },
];

function missing(facts: Facts, workerType: string, { all }: BreakerHistory): Found[] {
  const isRemembered = facts.states.get("worker-restart")?.parts?.has(`type:${workerType}`) ?? false;
  const state = now(facts, workerType, all);
  // Removed by a person while worker-restart is down: a reset, which it will obey.
  if (isRemembered || state === "closed") return [];
  const path = join(facts.coordination, "circuit-breakers", `${workerType}.json`);
  return [
    {
      about: `circuit-breakers/${workerType}.json`,
      message: `is not there; the history makes it ${state}`,
      repair: { kind: "rebuild-breaker", path, worker_type: workerType, owner: "worker-restart" },
    },
  ];
}

function differing(facts: Facts, { shown, workerType, value }: BreakerFact, history: BreakerHistory): Found[] {
  if (value === null || value.reason === "by_hand" || isOrder(facts, workerType, value.state)) return [];
  const states = history.sinceReset.map((state) => now(facts, workerType, state));
  const isClosedByHistory = states.every((state) => state === "closed");
  const isOpenByHistory = states.every((state) => state !== "closed");
  if (value.state === "closed" && isOpenByHistory && !isBehind(facts, workerType, history))
    return [{ about: shown, message: `is closed; the history makes it ${states[0]}` }];
  // Expired leases re-open without a line in the history; only the first opening is certain to be in it.
  if (value.state === "open" && value.reason === "failures" && isClosedByHistory)
    return [{ about: shown, message: "is open because of failures; the history makes it closed" }];
  return [];
}

/** While worker-restart is down, a file that says something else than it remembers is a person's order, which it will obey. */
function isOrder(facts: Facts, workerType: string, state: BreakerState["state"]): boolean {
  if (facts.running.has("worker-restart")) return false;
  const part = facts.states.get("worker-restart")?.parts?.get(`type:${workerType}`) as TypePart | undefined;
  return part?.breaker.state !== state;
}

/** While worker-restart is down, lines are added that it has not read yet. */
function isBehind(facts: Facts, workerType: string, { all, lastAtMs }: BreakerHistory): boolean {
  if (facts.running.has("worker-restart")) return false;
  const part = facts.states.get("worker-restart")?.parts?.get(`type:${workerType}`) as TypePart | undefined;
  if (part === undefined) return true;
  const seenMs = Math.max(part.breaker.last_failure_ms ?? 0, ...part.breaker.outcomes.map((outcome) => outcome.at_ms));
  return seenMs < Math.max(lastAtMs, all.last_failure_ms ?? 0);
}

function now(facts: Facts, workerType: string, state: BreakerState): BreakerState["state"] {
  return facts.breakerPolicy === null
    ? state.state
    : breakerAt(state, facts.nowMs, facts.breakerPolicy(workerType)).state;
}
