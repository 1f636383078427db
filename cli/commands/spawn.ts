/** `heald spawn`: a new worker, also while no daemon runs. @module */
import { existsSync } from "node:fs";
import { UsageError } from "../../lib/errors.js";
import { exitRecordSchema, launchRecordSchema } from "../../lib/schema/records.js";
import type { WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import type { Layout } from "../../lib/store/layout.js";
import { readRecord } from "../../lib/store/records.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { openForProcesses } from "../home.js";
import { checkedId, flagOption, listOption, numberOption, secondsOption, textOption } from "../options.js";
import { daemonState } from "../running.js";
import { note, print, printJson } from "../screen.js";
import { createWorker, foldersOfStart, launch, type Order } from "../spawning.js";

const STARTED_MS = 5000;
const POLL_MS = 10;

export const command: CommandDefinition = {
  summary: "start a new worker",
  description:
    "Its template says how to start it (coordination/worker-specs/templates/<type>.json, else the one that comes with heald); what is given here overrides it. What the worker requires must be there. Works while no daemon runs; nobody watches the worker then.",
  arguments: "[command...]",
  options: [
    { flags: "--type <type>", description: "type of worker" },
    { flags: "--task-id <id>", description: "task that it works on" },
    { flags: "--id <id>", description: "its id; else worker-<type without -worker>-<n>" },
    { flags: "--zombie-after <duration>", description: "silence after which it counts as dead (15, 90s, 5m)" },
    { flags: "--max-runtime <duration>", description: "how long it may run" },
    { flags: "--memory <mb>", description: "memory limit in MiB" },
    { flags: "--tokens <count>", description: "tokens that it may use" },
    { flags: "--deadline <time>", description: "when its work must be done" },
    { flags: "--priority <priority>", description: "kept in its spec" },
    { flags: "--cwd <dir>", description: "working directory" },
    { flags: "--env <name=value...>", description: "environment variables" },
    {
      flags: "--override-requires",
      description: "start it although something it requires is missing; kept in its spec",
    },
    JSON_OPTION,
  ],
  examples: [
    "heald spawn --type test-worker --task-id try-1",
    "heald spawn --type scan-worker --task-id t7 --zombie-after 2m -- /opt/scan/run --depth 3",
  ],
  run: spawnWorker,
};

async function spawnWorker(call: Call): Promise<number> {
  const order = orderOf(call);
  const layout = openForProcesses(call, foldersOfStart);
  const record = await createWorker(layout, order, Date.now());
  await launch(layout, record);
  const outcome = await outcomeOf(layout, record);
  const { worker_id, attempt = 1 } = record;
  const log = layout.workerLog(worker_id, attempt as number);
  if (flagOption(call.options, "json")) printJson({ worker_id, worker_type: order.type, attempt, ...outcome, log });
  else print(`${worker_id}  attempt ${attempt}  ${sentenceOf(outcome)}  log ${log}`);
  if (!daemonState(layout, "heartbeat-monitor").running)
    note("heartbeat-monitor does not run: nobody watches this worker; start it with heald daemons start");
  return outcome.pid === null ? 1 : 0;
}

function orderOf({ options, args }: Call): Order {
  const type = textOption(options, "type");
  if (type === undefined) throw new UsageError("--type is missing");
  const id = textOption(options, "id");
  const taskId = textOption(options, "taskId") ?? null;
  if (taskId !== null && (taskId === "" || taskId.length > 512))
    throw new UsageError("--task-id must have 1 to 512 characters");
  return {
    type: checkedId(type, "--type"),
    taskId,
    id: id === undefined ? undefined : checkedId(id, "--id"),
    command: args,
    cwd: textOption(options, "cwd"),
    env: listOption(options, "env"),
    zombieAfterSeconds: secondsOption(options, "zombieAfter", "--zombie-after"),
    maxRuntimeSeconds: secondsOption(options, "maxRuntime", "--max-runtime"),
    memoryLimitMb: numberOption(options, "memory", "--memory", { min: 1, max: 1_048_576 }),
    tokens: numberOption(options, "tokens", "--tokens", { min: 0, max: 1e12, whole: true }),
    deadline: textOption(options, "deadline"),
    priority: textOption(options, "priority"),
    overrideRequires: flagOption(options, "overrideRequires"),
  };
}

interface Outcome {
  readonly pid: number | null;
  readonly exit_code: number | null;
}

/** Waits for the program's pid: the launcher's record, or how it ended at once. */
async function outcomeOf(layout: Layout, record: WorkerSpecRecord): Promise<Outcome> {
  const attempt = record.attempt ?? 1;
  const claim = layout.launch(record.worker_id, attempt);
  const exit = layout.exit(record.worker_id, attempt);
  for (const until = performance.now() + STARTED_MS; performance.now() < until; ) {
    const started = readRecord(claim, launchRecordSchema, { maxBytes: 65_536, nowMs: Date.now() });
    const ended = existsSync(exit) ? readRecord(exit, exitRecordSchema, { maxBytes: 65_536, nowMs: Date.now() }) : null;
    if (started.kind === "ok" && typeof started.value.pid === "number")
      return { pid: started.value.pid, exit_code: ended?.kind === "ok" ? (ended.value.exit_code ?? null) : null };
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return { pid: null, exit_code: null };
}

function sentenceOf({ pid, exit_code }: Outcome): string {
  if (pid === null) return "has not begun yet (its launcher is waiting)";
  return exit_code === null ? `runs as pid ${pid}` : `ran as pid ${pid} and ended with ${exit_code}`;
}
