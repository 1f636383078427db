/** Invariants of what the daemons remember: checkpoints, journals, and the places up to which logs were read. @module */
import type { WorkerPart as MonitorPart } from "../../daemons/heartbeat-monitor/facts.js";
import type { TypePart } from "../../daemons/worker-restart/state.js";
import type { FollowedLog } from "../../lib/domain/followed-log.js";
import type { DaemonName } from "../../lib/schema/records.js";
import { statusOf } from "../../lib/schema/worker-spec.js";
import type { Facts } from "./facts.js";
import type { Found, Invariant } from "./finding.js";

const NOT_ALIVE = new Set(["completed", "failed", "zombie"]);

export const STATE_INVARIANTS: readonly Invariant[] = [
  {
    name: "checkpoints",
    sentence: "Every checkpoint can be read, and its parts are as their daemon writes them.",
    severity: "wrong",
    repair: "the file is moved to aside/ while its daemon is down, which would pass it over and write another",
    check: ({ states, entries }) =>
      [...states].flatMap(([daemon, { checkpoint, oddPart }]): Found[] => {
        if (oddPart !== null)
          return [
            { about: `state/${daemon}.json`, message: `${daemon} does not write its part "${oddPart}" like this` },
          ];
        if (checkpoint === null || checkpoint.problem === null) return [];
        const { path, shown, problem } = checkpoint;
        const entry = entries.find((each) => each.path === path);
        const about = { about: shown, message: `cannot be read: ${problem}` };
        if (entry === undefined) return [about];
        const { inode, mtimeMs } = entry;
        return [{ ...about, repair: { kind: "set-aside", path, inode, mtimeMs, owner: daemon } }];
      }),
  },
  {
    name: "journals",
    sentence: "Every line of a journal can be read. A last line that was cut off was never carried out, and is noted.",
    severity: "wrong",
    repair: "a newline is appended to a last line that was cut off, while its daemon is down",
    check: ({ states }) =>
      [...states].flatMap(([daemon, { journal }]): Found[] => {
        if (journal === null) return [];
        const { path, shown, size, bad, torn, problem } = journal;
        if (problem !== null) return [{ about: shown, message: `cannot be read: ${problem}` }];
        const first = bad[0];
        return [
          ...(first === undefined
            ? []
            : [
                {
                  about: shown,
                  message: `${bad.length} unreadable lines, the first is line ${first.line}: ${first.problem}`,
                },
              ]),
          ...(torn
            ? [
                {
                  about: `${shown} (cut off)`,
                  message: "its last line was cut off by a kill",
                  severity: "note" as const,
                  repair: { kind: "close-line", path, size, owner: daemon } as const,
                },
              ]
            : []),
        ];
      }),
  },
  {
    name: "places",
    sentence: "The place up to which a daemon has read a log lies within that log.",
    severity: "warning",
    repair: "",
    check: (facts) =>
      placesOf(facts).flatMap(({ daemon, log, inode, offset }): Found[] => {
        const file = facts.logs.find((each) => each.log === log && each.inode === inode);
        // Replaced by a person, or expired: the daemon reads the log anew and says so.
        if (file === undefined || offset <= file.size) return [];
        return [
          {
            about: `${daemon} in ${file.shown}`,
            message: `has read up to byte ${offset}; the file has ${file.size}`,
          },
        ];
      }),
  },
  {
    name: "monitor-knows-workers",
    sentence: "While heartbeat-monitor runs, it watches every active worker, in the attempt that its spec says.",
    severity: "wrong",
    repair: "",
    check: (facts) => {
      const parts = facts.states.get("heartbeat-monitor")?.parts;
      if (!facts.running.has("heartbeat-monitor") || parts == null) return [];
      const startedAtMs = facts.startedAtMs.get("heartbeat-monitor") ?? facts.nowMs;
      return facts.specs.flatMap(({ place, shown, value, workerId, attempt, mtimeMs }): Found[] => {
        if (place !== "active" || value === null || value.worker_id !== workerId) return [];
        if (NOT_ALIVE.has(statusOf(value)) || facts.nowMs - Math.max(mtimeMs, startedAtMs) <= facts.outcomeMs)
          return [];
        const part = parts.get(`worker:${workerId}`) as MonitorPart | undefined;
        if (part === undefined) return [{ about: shown, message: "is not watched" }];
        const known = part.spec.attempt;
        return known === attempt
          ? []
          : [{ about: shown, message: `is attempt ${attempt}; attempt ${known} is watched` }];
      });
    },
  },
];

interface Place {
  readonly daemon: DaemonName;
  /** The name of the log, as in its facts. */
  readonly log: string;
  readonly inode: number;
  readonly offset: number;
}

function placesOf({ states }: Facts): Place[] {
  const places: Place[] = [];
  for (const [daemon, { parts }] of states) {
    for (const [key, part] of parts ?? []) {
      if (part === null || typeof part !== "object") continue;
      const [kind, name] = [key.slice(0, key.indexOf(":")), key.slice(key.indexOf(":") + 1)];
      if (kind === "log") {
        const { checkpoint } = part as Partial<FollowedLog>;
        if (checkpoint != null) places.push({ daemon, log: name, inode: checkpoint.inode, offset: checkpoint.offset });
      } else if (daemon === "worker-restart" && kind === "type") {
        const { read_to } = part as Partial<TypePart>;
        if (read_to == null) continue;
        const inode = Number.parseInt(read_to.file, 10);
        places.push({ daemon, log: "worker-restart-history", inode, offset: read_to.offset });
      }
    }
  }
  return places;
}
