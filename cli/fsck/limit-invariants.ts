/** Invariants of what is lent or held for a while: tokens, holds, quarantines. @module */
import { taskHoldName } from "../../daemons/worker-restart/facts.js";
import type { TaskPart } from "../../daemons/worker-restart/state.js";
import { readInstant } from "../../lib/schema/primitives.js";

import type { Facts } from "./facts.js";
import type { Found, Invariant } from "./finding.js";
import { waits } from "./request-invariants.js";

const OWN_HANDS = new Set(["worker-restart", "auto-fix", "heartbeat-monitor", "failure-pattern"]);
/** A hold is written right after the quarantine is decided. */
const HOLD_MS = 10_000;

export const LIMIT_INVARIANTS: readonly Invariant[] = [
  {
    name: "leases-add-up",
    sentence:
      "The tokens used are at least what the leases took and did not return, and at most the budget; no lease returned more than it took.",
    severity: "wrong",
    repair: "",
    check: ({ budget }) => {
      const value = budget?.value;
      if (value == null) return [];
      const leases = Object.entries(value.leases ?? {});
      const taken = leases.reduce((sum, [, { allocated, returned }]) => sum + allocated - (returned ?? 0), 0);
      const about = "token-budget.json";
      return [
        ...leases
          .filter(([, { allocated, returned }]) => (returned ?? 0) > allocated)
          .map(([name]) => ({ about: name, message: "returned more tokens than it took" })),
        ...(taken > value.total_used
          ? [{ about, message: `its leases took ${taken} tokens, total_used says ${value.total_used}` }]
          : []),
        ...(value.total_used > value.total_budget
          ? [
              {
                about,
                message: `${value.total_used} tokens are used of ${value.total_budget}`,
                severity: "warning" as const,
              },
            ]
          : []),
      ];
    },
  },
  {
    name: "leases-have-attempts",
    sentence: "Every lease that was not returned belongs to an attempt that is alive or being started.",
    severity: "wrong",
    repair: "",
    check: (facts) => {
      const alive = new Set(
        facts.specs.flatMap(({ place, workerId, attempt }) =>
          place === "active" ? `${workerId}.attempt-${attempt}` : [],
        ),
      );
      const unreadable = facts.specs.some(({ place, value }) => place === "active" && value === null);
      return Object.entries(facts.budget?.value?.leases ?? {})
        .filter(([name, { returned }]) => returned == null && !alive.has(name) && !unreadable)
        .filter(([name]) => !isInHand(facts, name))
        .map(([name, { allocated }]) => ({
          about: name,
          message: `holds ${allocated} tokens, and no such attempt is active`,
        }));
    },
  },
  {
    name: "holds-expire",
    sentence: "A hold that a daemon set has an expiry. (One that a person leaves without ends after an hour.)",
    severity: "wrong",
    repair: "",
    check: ({ holds }) =>
      holds.flatMap(({ shown, value }): Found[] => {
        if (value === null || !OWN_HANDS.has(value.by ?? "") || readInstant(value.expires_at) !== null) return [];
        return [{ about: shown, message: `was set by ${value.by} and has no expiry` }];
      }),
  },
  {
    name: "quarantines-hold",
    sentence: "While its worker waits for a restart, a quarantined task has a hold.",
    severity: "wrong",
    repair: "",
    check: (facts) => {
      const held = new Set(facts.holds.map(({ name }) => name));
      const targets = new Set(facts.holds.flatMap(({ value }) => value?.name ?? []));
      return quarantined(facts)
        .filter(({ taskId }) => !held.has(taskHoldName(taskId)) && !targets.has(taskId))
        .filter(({ sinceMs, workers }) => facts.nowMs - sinceMs > HOLD_MS && workers.some((id) => waits(facts, id)))
        .map(({ taskId }) => ({ about: taskId, message: "is quarantined and waits, and no hold names it" }));
    },
  },
];

/** The monitor or worker-restart is about to return it, or would be at its next start. */
function isInHand(facts: Facts, leaseName: string): boolean {
  const workerId = leaseName.slice(0, leaseName.lastIndexOf(".attempt-"));
  return (["heartbeat-monitor", "worker-restart"] as const).some((daemon) => {
    const state = facts.states.get(daemon);
    if (facts.running.has(daemon) || state === undefined) return false;
    return (
      state.pending.some((entry) => JSON.stringify(entry.effects).includes(`"${workerId}"`)) ||
      (daemon === "heartbeat-monitor" && (state.parts?.has(`worker:${workerId}`) ?? false))
    );
  });
}

function quarantined(facts: Facts) {
  const parts = facts.states.get("worker-restart")?.parts ?? new Map<string, unknown>();
  // Lifted by removing the hold, or by its expiry; worker-restart notices at its next look, so only a running one is asked.
  if (!facts.running.has("worker-restart")) return [];
  const workersOf = (taskId: string): string[] =>
    facts.requests.flatMap(({ value }) => (value?.task_id === taskId ? value.worker_id : []));
  return [...parts].flatMap(([key, part]) => {
    const sinceMs = key.startsWith("task:") ? (part as TaskPart).quarantined_at_ms : null;
    if (sinceMs === null) return [];
    const taskId = key.slice("task:".length);
    return [{ taskId, sinceMs, workers: workersOf(taskId) }];
  });
}
