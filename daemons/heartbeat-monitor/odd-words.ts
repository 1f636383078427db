/** Words in a spec that mean nothing, and what they are taken for: an older file must work on, and its writer must hear of it. Pure. @module */
import { nearestName, show } from "../../lib/schema/problems.js";
import { stopSignalOf, whyNoStopSignal } from "../../lib/schema/stop-signals.js";
import { STATUS_ALIASES, STATUSES, statusOf, type WorkerSpecRecord } from "../../lib/schema/worker-spec.js";

/** One sentence for each, without the file's name. */
export function oddWordsIn(spec: WorkerSpecRecord): string[] {
  return [oddStatus(spec), oddStopSignal(spec)].filter((sentence) => sentence !== null);
}

function oddStatus(spec: WorkerSpecRecord): string | null {
  const { status } = spec;
  if (status == null || [...STATUSES, ...STATUS_ALIASES].includes(status)) return null;
  const near = nearestName(status, STATUSES);
  const hint = near === null ? "" : `; did you mean ${near}`;
  return `status must be a known one, got ${show(status)}${hint}; it is read as ${statusOf(spec)}`;
}

function oddStopSignal({ launch }: WorkerSpecRecord): string | null {
  const signal = launch?.stop?.signal ?? null;
  const problem = signal === null ? null : whyNoStopSignal(signal);
  return problem === null ? null : `launch.stop.signal ${problem}; ${stopSignalOf(signal)} is sent`;
}
