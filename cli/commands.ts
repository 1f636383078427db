/** The list of subcommands: name, one line, and where its module is. Loading this loads none of them. @module */
import type { CommandDefinition } from "./command.js";

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly group: string;
  load(): Promise<{ readonly command: CommandDefinition }>;
}

const FIRST = "See and steer:";
const RUN = "Run:";
const WORKERS = "Workers:";
const MORE = "More:";

export const COMMANDS: readonly CommandEntry[] = [
  entry(FIRST, "status", "what runs, what does not, and why", () => import("./commands/status.js")),
  entry(FIRST, "top", "the fleet, live", () => import("./commands/top.js")),
  entry(FIRST, "workers", "the workers that should be alive", () => import("./commands/workers.js")),
  entry(FIRST, "why", "the story of a worker, an incident or a decision", () => import("./commands/why.js")),
  entry(FIRST, "logs", "what a worker printed", () => import("./commands/logs.js")),
  entry(FIRST, "retry", "start a worker again that failed or waits", () => import("./commands/retry.js")),
  entry(FIRST, "hold", "leave something alone for a while", () => import("./commands/hold.js")),
  entry(FIRST, "pause", "hold everything", () => import("./commands/pause.js")),
  entry(FIRST, "resume", "end the hold on everything", () => import("./commands/resume.js")),
  entry(FIRST, "fix", "fixes that wait for a person, and fixes applied", () => import("./commands/fix.js")),
  entry(FIRST, "fixes", "the fixes that are known, and how far each is trusted", () => import("./commands/fixes.js")),
  entry(FIRST, "ack", "take an escalation, so that nobody else is called", () => import("./commands/ack.js")),
  entry(FIRST, "doctor", "look for what is wrong with this installation", () => import("./commands/doctor.js")),
  entry(RUN, "init", "make the folders and the first policies", () => import("./commands/init.js")),
  entry(RUN, "up", "run all four daemons in the foreground", () => import("./commands/up.js")),
  entry(RUN, "daemon", "run one daemon in the foreground", () => import("./commands/daemon.js")),
  entry(RUN, "daemons", "start, stop and list daemons in the background", () => import("./commands/daemons.js")),
  entry(WORKERS, "spawn", "start a new worker", () => import("./commands/spawn.js")),
  entry(WORKERS, "stop", "end workers and keep them down", () => import("./commands/stop.js")),
  entry(WORKERS, "drain", "let workers finish and start no more", () => import("./commands/drain.js")),
  entry(WORKERS, "restart", "end workers and start them again", () => import("./commands/restart.js")),
  entry(WORKERS, "adopt", "watch a process that is already running", () => import("./commands/adopt.js")),
  entry(WORKERS, "beat", "beat once for a worker", () => import("./commands/beat.js")),
  entry(WORKERS, "cleanup", "end what zombies left running", () => import("./commands/cleanup.js")),
  entry(MORE, "drill", "practise on the daemons that run", () => import("./commands/drill.js")),
  entry(MORE, "breaker", "list and reset circuit breakers", () => import("./commands/breaker.js")),
  entry(MORE, "patterns", "what fails again and again, and why", () => import("./commands/patterns.js")),
  entry(
    MORE,
    "policy",
    "check policies, show what is in force, and put another in force",
    () => import("./commands/policy.js"),
  ),
  entry(MORE, "events", "the events of all logs in order", () => import("./commands/events.js")),
  entry(MORE, "replay", "recompute recorded decisions from their records", () => import("./commands/replay.js")),
  entry(MORE, "fsck", "check that everything in the home fits together", () => import("./commands/fsck.js")),
  entry(
    MORE,
    "backtest",
    "what another policy would have done with the recorded history",
    () => import("./commands/backtest.js"),
  ),
  entry(MORE, "shadow", "what policies in config/shadow would have done", () => import("./commands/shadow.js")),
  entry(MORE, "metric", "append a sample of a worker or a component", () => import("./commands/metric.js")),
  entry(MORE, "group", "group the lines of a text by template", () => import("./commands/group.js")),
];

function entry(group: string, name: string, summary: string, load: CommandEntry["load"]): CommandEntry {
  return { group, name, summary, load };
}
