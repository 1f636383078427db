/** `heald retry`: start again what failed or waits. @module */
import { Refused } from "../../lib/errors.js";
import { presenceOf } from "../../lib/platform/processes.js";
import type { Layout } from "../../lib/store/layout.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { openForWriting } from "../home.js";
import { knownIdentity } from "../identities.js";
import { flagOption, textOption } from "../options.js";
import { fileRequest, HOLD_GATES, waitsUntilMs, wantRunning } from "../requests.js";
import { daemonState } from "../running.js";
import { note, print, printJson } from "../screen.js";
import { findWorker, type Worker } from "../subjects.js";
import { localTime } from "../times.js";
import { refuseUnwatched } from "../unwatched.js";

/** What only makes an automatic restart wait. Who wants it now passes it over by name. */
export const PATIENCE_GATES = ["not_before", "backoff", "retries", "budgets"];

export const command: CommandDefinition = {
  summary: "start a worker again that failed or waits",
  description:
    "Files a request for worker-restart; it spends no retry. What a request that waits already says stays: whose incident it is, gates to pass, its times. Of a worker that still runs after heald stop or drain it takes that wish back, and files nothing. Gates that protect (holds, circuit breaker, rate limits, requirements) are still asked: heald why <id> tells which one it waits for. Without worker-restart the request waits in the queue.",
  arguments: "<id>",
  options: [
    { flags: "--now", description: "do not wait for back-off, retries, budgets and the time that a request is for" },
    { flags: "--override-hold", description: "pass the holds, also that of a quarantined task; logged" },
    { flags: "--why <text>", description: "kept in the request" },
    JSON_OPTION,
  ],
  examples: ["heald retry worker-scan-1", "heald retry worker-scan-1 --now --why 'disk is free again'"],
  run: retry,
};

function retry(call: Call): undefined {
  const layout = openForWriting(call, ({ queueDir }) => [queueDir]);
  const worker = findWorker(layout, call.args[0] as string);
  const pid = pidOf(worker, layout);
  if (pid !== null) return letRun(layout, worker.workerId, pid, call);
  refuseUnwatched(layout, worker.workerId, "retry");
  const override = [
    ...(flagOption(call.options, "now") ? PATIENCE_GATES : []),
    ...(flagOption(call.options, "overrideHold") ? HOLD_GATES : []),
  ];
  const order = { reason: "retry", force: false, override, why: textOption(call.options, "why") } as const;
  const nowMs = Date.now();
  const filed = fileRequest(layout, worker, order, nowMs);
  if (flagOption(call.options, "json")) printJson({ worker_id: worker.workerId, filed, override });
  else print(`${worker.workerId}  ${filed === "filed" ? "retry requested" : "the request that waited is now a retry"}`);
  const untilMs = waitsUntilMs(layout, worker.workerId, nowMs);
  if (untilMs !== null)
    note(`it is for ${localTime(untilMs, nowMs)} and not before; heald retry ${worker.workerId} --now does not wait`);
  if (!daemonState(layout, "worker-restart").running)
    note("worker-restart does not run: the request waits in the queue until heald daemons start");
}

function pidOf(worker: Worker, layout: Layout): number | null {
  const identity = worker.isActive ? knownIdentity(layout, worker.spec) : null;
  return identity !== null && presenceOf(identity) === "same" ? identity.pid : null;
}

/**
 * One that runs needs no start, only that nobody wants it down: that is taken back.
 *
 * @throws {Refused} If nobody does; worker-restart would settle a request as `already_running`, and it is better to say so at once.
 */
function letRun(layout: Layout, workerId: string, pid: number, { options }: Call): undefined {
  const before = wantRunning(layout, workerId, textOption(options, "why") ?? "retry", Date.now());
  if (before === null)
    throw new Refused(
      `Refused to retry ${workerId}: it runs as pid ${pid}; heald restart ${workerId} ends it and starts it again`,
    );
  if (flagOption(options, "json")) printJson({ worker_id: workerId, filed: null, desired: "running", before, pid });
  else
    print(`${workerId}  is wanted running again, no more ${before}; it runs as pid ${pid}, and nothing is requested`);
  if (!daemonState(layout, "heartbeat-monitor").running)
    note("heartbeat-monitor does not run: it learns of this when it is started");
}
