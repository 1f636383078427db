/** `heald adopt`: watch a process that somebody else started. @module */
import { NotFound, Refused, UsageError } from "../../lib/errors.js";
import { utc } from "../../lib/platform/clock.js";
import { ancestors, type Identity, identityOf } from "../../lib/platform/processes.js";
import type { Layout } from "../../lib/store/layout.js";
import { attemptOf, SpecStore } from "../../lib/store/specs.js";
import { resolveAttempt, TemplateStore } from "../../lib/store/templates.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { openForWriting } from "../home.js";
import { checkedId, flagOption, numberOption, textOption } from "../options.js";
import { person } from "../person.js";
import { print, printJson } from "../screen.js";
import { activeWorkers } from "../subjects.js";

export const command: CommandDefinition = {
  summary: "watch a process that is already running",
  description:
    "It is never signalled unless --may-signal says so. When it ends, it is started again from its type's template or from the command after --; without either its end is only reported.",
  arguments: "[command...]",
  options: [
    { flags: "--pid <n>", description: "the process" },
    { flags: "--id <id>", description: "its worker id" },
    { flags: "--type <type>", description: "its worker type" },
    { flags: "--task-id <id>", description: "task that it works on" },
    { flags: "--may-signal", description: "heald may end it" },
    JSON_OPTION,
  ],
  examples: [
    "heald adopt --pid 4711 --id billing-1 --type billing",
    "heald adopt --pid 4711 --id web-1 --type web --may-signal -- /opt/web/start",
  ],
  run: adopt,
};

function adopt(call: Call): undefined {
  const { options } = call;
  const pid = numberOption(options, "pid", "--pid", { min: 1, max: 4_194_304, whole: true });
  const [id, type] = [textOption(options, "id"), textOption(options, "type")];
  if (pid === undefined || id === undefined || type === undefined)
    throw new UsageError("--pid, --id and --type are needed");
  const workerId = checkedId(id, "--id");
  const workerType = checkedId(type, "--type");
  const layout = openForWriting(call);
  const identity = adoptable(layout, pid, flagOption(options, "maySignal"));
  const found = new TemplateStore(layout).resolve(workerType);
  if (found.kind === "bad") throw new Refused(found.sentence);
  const [command, ...args] = call.args;
  const overrides = command === undefined ? {} : { launch: { target: "process", command, args } };
  const { requires, ...resolved } = resolveAttempt(found.kind === "ok" ? found.template : null, {
    worker_id: workerId,
    overrides,
  });
  const specs = new SpecStore(layout);
  const nowMs = Date.now();
  const record = {
    worker_id: workerId,
    worker_type: workerType,
    task_id: textOption(options, "taskId") ?? null,
    status: "running",
    attempt: specs.highestAttempt(workerId) + 1,
    created_at: utc(nowMs),
    created_by: person(),
    ...resolved,
    ...(requires === undefined ? {} : { requires: [...requires] }),
    // Nothing makes it beat: its process is its sign of life until it does.
    heartbeat: { ...resolved.heartbeat, mode: resolved.heartbeat?.mode ?? ("optional" as const) },
    // Without a way to start it again, its end is a report and no failed restart.
    restart: { ...resolved.restart, ...(resolved.launch.command ? {} : { when: "never" as const }) },
    ...(command === undefined ? {} : { overrides }),
    execution: {
      ...identity,
      origin: "adopted",
      may_signal: flagOption(options, "maySignal"),
      started_at: utc(nowMs),
    },
  };
  if (!specs.createActive(record)) throw new Refused(`Cannot adopt ${JSON.stringify(workerId)}: it is active already`);
  if (flagOption(options, "json")) printJson({ worker_id: workerId, attempt: record.attempt, ...identity });
  else print(`${workerId}  adopted pid ${pid}${flagOption(options, "maySignal") ? "" : "; it is never signalled"}`);
}

/** @throws {NotFound} If there is no such process. @throws {Refused} If it must not, or need not, be adopted. */
function adoptable(layout: Layout, pid: number, maySignal: boolean): Identity {
  if (pid === 1) throw new Refused("Refused to adopt pid 1: the host stands on it");
  if (pid === process.pid) throw new Refused(`Refused to adopt pid ${pid}: it is this command`);
  const identity = identityOf(pid);
  if (identity === null) throw new NotFound(`No process has the pid ${pid}`);
  if (maySignal && ancestors().includes(pid))
    throw new Refused(`Refused to adopt pid ${pid} with --may-signal: this command runs in it`);
  const owner = activeWorkers(layout).find(
    ({ spec }) => spec.execution?.pid === pid && spec.execution.start_time === identity.start_time,
  );
  if (owner !== undefined)
    throw new Refused(
      `Refused to adopt pid ${pid}: it is attempt ${attemptOf(owner.spec)} of ${owner.workerId} already`,
    );
  return identity;
}
