/** Shows the state of daemons, as a table or as JSON. @module */
import type { DaemonState } from "./running.js";
import { paint, print, tableLines } from "./screen.js";
import { age } from "./times.js";

export function asJson(state: DaemonState) {
  const { name, running, stopped, identity, version, startedAt, policyHash, loopLagMs } = state;
  return {
    name,
    running,
    stopped,
    pid: running ? (identity?.pid ?? null) : null,
    version,
    started_at: startedAt,
    policy_hash: policyHash,
    loop_lag_ms: loopLagMs,
  };
}

export function printDaemons(states: readonly DaemonState[], nowMs: number): void {
  for (const line of daemonLines(states, nowMs)) print(line);
}

/** The lines of the table, for `print`. */
export function daemonLines(states: readonly DaemonState[], nowMs: number): string[] {
  const rows = states.map(({ name, running, stopped, identity, version, startedAt, loopLagMs }) => [
    name,
    stopped ? paint("yellow", "stopped (SIGSTOP)") : running ? paint("green", "runs") : paint("red", "does not run"),
    running ? String(identity?.pid) : "-",
    running ? age(startedAt, nowMs) : "-",
    running ? (version ?? "-") : "-",
    running && loopLagMs !== null ? `${loopLagMs} ms` : "-",
  ]);
  return tableLines(["DAEMON", "STATE", "PID", "FOR", "VERSION", "LOOP LAG"], rows);
}
