/** `heald beat`: one beat, for scripts and for trying things out. @module */
import { NotFound } from "../../lib/errors.js";
import { utc } from "../../lib/platform/clock.js";
import { replaceFile } from "../../lib/platform/files.js";
import { type Beat, beatSchema } from "../../lib/schema/records.js";
import type { Layout } from "../../lib/store/layout.js";
import { readRecord } from "../../lib/store/records.js";
import { attemptOf, SpecStore } from "../../lib/store/specs.js";
import type { Call, CommandDefinition } from "../command.js";
import { openForWriting } from "../home.js";
import { checkedId, numberOption, textOption } from "../options.js";

export const command: CommandDefinition = {
  summary: "beat once for a worker",
  description:
    "Replaces coordination/heartbeats/<id>.json. It starts a program for each beat; in a loop, source scripts/lib/worker-heartbeat-emitter.sh instead. A pid is written only if HEALD_PID names one.",
  arguments: "<id>",
  options: [
    { flags: "--score <0-100>", description: "health score (default: 100)" },
    { flags: "--progress <0-100>", description: "how much of the work is done" },
    { flags: "--activity <text>", description: "what it is doing" },
    { flags: "--attempt <n>", description: "attempt (default: HEALD_ATTEMPT, else the active spec's)" },
  ],
  examples: ["heald beat worker-scan-1", 'heald beat "$HEALD_WORKER_ID" --score 80 --progress 35 --activity fetching'],
  run: beat,
};

function beat(call: Call): undefined {
  const workerId = checkedId(call.args[0] as string, "A worker id");
  const layout = openForWriting(call, ({ heartbeatsDir }) => [heartbeatsDir]);
  const attempt = attemptFor(call, layout, workerId);
  const percent = { min: 0, max: 100 };
  const progress = numberOption(call.options, "progress", "--progress", percent);
  const activity = textOption(call.options, "activity");
  const pid = Number(process.env.HEALD_PID);
  const path = layout.heartbeat(workerId);
  const last = readRecord(path, beatSchema, { maxBytes: 65_536, nowMs: Date.now() });
  const sequence = last.kind === "ok" && last.value.attempt === attempt ? (last.value.sequence ?? 0) + 1 : 1;
  const record: Beat = {
    worker_id: workerId,
    attempt,
    ...(process.env.HEALD_WORKER_ID === workerId && Number.isInteger(pid) && pid > 0 ? { pid } : {}),
    sequence,
    timestamp: utc(Date.now()),
    health_score: numberOption(call.options, "score", "--score", percent) ?? 100,
    ...(progress === undefined ? {} : { progress }),
    ...(activity === undefined ? {} : { activity: activity.slice(0, 1024) }),
  };
  replaceFile(path, `${JSON.stringify(record)}\n`);
}

/** @throws {NotFound} If nobody said which attempt and no such worker is active: a mistyped id must not beat into nowhere. */
function attemptFor(call: Call, layout: Layout, workerId: string): number {
  const given = numberOption(call.options, "attempt", "--attempt", { min: 0, max: 1e9, whole: true });
  if (given !== undefined) return given;
  const own = Number(process.env.HEALD_ATTEMPT);
  if (process.env.HEALD_WORKER_ID === workerId && Number.isInteger(own) && process.env.HEALD_ATTEMPT !== "") return own;
  const reading = new SpecStore(layout).readActive(workerId, Date.now());
  if (reading.kind === "ok") return attemptOf(reading.value);
  throw new NotFound(
    reading.kind === "bad" ? reading.sentence : `No active worker ${JSON.stringify(workerId)}: nothing was written`,
  );
}
