/** Words in a spec that mean nothing, and what they are taken for: an older file must work on, and its writer must hear of it. Pure. @module */
import { stopSignalOf, whyNoStopSignal } from "../../lib/schema/stop-signals.js";
import type { WorkerSpecRecord } from "../../lib/schema/worker-spec.js";

/** One sentence for each, without the file's name. */
export function oddWordsIn({ launch }: WorkerSpecRecord): string[] {
  const signal = launch?.stop?.signal ?? null;
  const problem = signal === null ? null : whyNoStopSignal(signal);
  return problem === null ? [] : [`launch.stop.signal ${problem}; ${stopSignalOf(signal)} is sent`];
}
