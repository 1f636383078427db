/** Makes the recorded history of a fleet, for the benchmarks that read one; see bench/history/make.ts. @module */

import { round } from "./figures.js";
import { readyHistory, type Wanted } from "./history/ready.js";
import type { Result } from "./main.js";

export async function history(wanted: Wanted): Promise<Result> {
  const startMs = performance.now();
  const made = readyHistory(wanted);
  const seconds = (performance.now() - startMs) / 1000;
  const { folder: home, policy, events, decisions, events_mib, decisions_mib } = made;
  made.remove();
  return {
    name: "history",
    what: "a recorded history, made by the daemons' own cores on the real loop in simulated time",
    policy,
    home,
    leaves_out: "launch and exit records, beats, samples and journals: they are not written",
    workers: wanted.workers,
    hours: wanted.hours,
    seed: wanted.seed,
    folder: wanted.folder,
    events,
    decisions: Object.values(decisions).reduce((sum, count) => sum + count, 0),
    events_mib,
    decisions_mib,
    seconds: round(seconds),
  };
}
