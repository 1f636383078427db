/** When the incident that a new attempt inherits is over, for an attempt of which no beat tells so. @module */
import type { WorkerPart } from "./facts.js";
import type { Turn } from "./turn.js";

/** What worker-restart asks of a new attempt too (`success_after_seconds`), where its policy does not say otherwise. */
export const PROVED_MS = 30_000;

/**
 * From when on the attempt, if it lives, has recovered from the failure that it was started after, on the monotonic clock.
 *
 * Null where no incident is open, where a beat is awaited and tells it, and while the worker is anything but healthy.
 */
export function recoversAtMs({ incident_id, mode, state, started_mono_ms }: WorkerPart): number | null {
  const isOpen = incident_id !== null && mode !== "required" && state === "healthy";
  return isOpen && started_mono_ms !== null ? started_mono_ms + PROVED_MS : null;
}

/** Closes the incident of an attempt that was alive at an instant of the monotonic clock, if it had proved itself by then. */
export function closeIfRecovered(turn: Turn, aliveMonoMs: number): void {
  const recoversAt = turn.worker === null ? null : recoversAtMs(turn.worker);
  if (recoversAt !== null && aliveMonoMs >= recoversAt) turn.set({ incident_id: null, incident_opened_mono_ms: null });
}
