/** How a worker's own thresholds stand in heartbeat events, where operators grep for "timeout" and mean the event. Pure. @module */
import type { OwnThresholds } from "../../lib/domain/thresholds.js";

/** The same thresholds in words that no search for an event finds. */
export function saidOf({ timeout_seconds, ...others }: OwnThresholds): Readonly<Record<string, unknown>> {
  return { ...others, critical_after_seconds: timeout_seconds };
}

/** Reads them back. Events of earlier versions have the thresholds' own names. */
export function heardIn(said: unknown): OwnThresholds {
  if (typeof said !== "object" || said === null) return {};
  const { critical_after_seconds, ...others } = said as OwnThresholds & { readonly critical_after_seconds?: number };
  return critical_after_seconds === undefined ? others : { ...others, timeout_seconds: critical_after_seconds };
}
