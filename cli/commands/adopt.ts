/** `heald adopt`: watch a process that somebody else started. @module */
import { NotFound, Refused, UsageError } from "../../lib/errors.js";
import { utc } from "../../lib/platform/clock.js";
import { ancestors, type Identity, identityOf } from "../../lib/platform/processes.js";
import type { WorkerSpecRecord } from "../../lib/schema/worker-spec.js";
import type { Layout } from "../../lib/store/layout.js";
import { attemptOf, SpecStore } from "../../lib/store/specs.js";
import { resolveAttempt, TemplateStore } from "../../lib/store/templates.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { openForProcesses } from "../home.js";
import { createNumbered } from "../numbering.js";
import { checkedId, flagOption, numberOption, textOption } from "../options.js";
import { person } from "../person.js";
import { print, printJson } from "../screen.js";
import { activeWorkers } from "../subjects.js";
import { rememberedOf } from "../unwatched.js";

export const command: CommandDefinition = {
  summary: "watch a process that is already running",
  description:
    "It is never signalled unless --may-signal says so. When it ends, it is started again from its type's template or from the command after --; without either its end is only reported.",
  arguments: "[command...]",
  options: [
    { flags: "--pid <n>", description: "the process" },
    { flags: "--id <id>", description: "its worker id; else worker-<type without -worker>-<n>" },
    {
      flags: "--type <type>",
      description: "its worker type; else what an earlier attempt of its id had, or adopted-worker",
    },
    { flags: "--task-id <id>", description: "task that it works on" },
    { flags: "--may-signal", description: "heald may end it" },
    JSON_OPTION,
  ],
  examples: [
    "heald adopt --pid 4711",
    "heald adopt --pid 4711 --id billing-1 --type billing",
    "heald adopt --pid 4711 --id web-1 --type web --may-signal -- /opt/web/start",
  ],
  run: adopt,
};

/** The type of a process of which nobody said what it is. */
const TYPE_UNSAID = "adopted-worker";

function adopt(call: Call): undefined {
  const { options } = call;
  const pid = numberOption(options, "pid", "--pid", { min: 1, max: 4_194_304, whole: true });
  if (pid === undefined) throw new UsageError("--pid is missing");
  const [id, type] = [checkedOption(options, "id"), checkedOption(options, "type")];
  const maySignal = flagOption(options, "maySignal");
  const layout = openForProcesses(call, ({ activeDir }) => [activeDir]);
  const specs = new SpecStore(layout);
  const identity = adoptable(layout, pid, maySignal);
  const workerType = type ?? (id === undefined ? undefined : typeOf(layout, specs, id)) ?? TYPE_UNSAID;
  const record = {
    ...resolvedFor(layout, workerType, call.args),
    worker_type: workerType,
    task_id: textOption(options, "taskId") ?? null,
    execution: { ...identity, origin: "adopted", may_signal: maySignal, started_at: utc(Date.now()) },
  };
  const { worker_id, attempt } = place(layout, specs, id, record);
  if (flagOption(options, "json")) printJson({ worker_id, worker_type: workerType, attempt, ...identity });
  else print(`${worker_id}  adopted pid ${pid}${maySignal ? "" : "; it is never signalled"}`);
}

/** The type that an earlier attempt had. */
function typeOf(layout: Layout, specs: SpecStore, id: string): string | undefined {
  return specs.latestEvidence(id)?.worker_type ?? rememberedOf(layout, id).worker_type;
}

function checkedOption(options: Call["options"], name: "id" | "type"): string | undefined {
  const text = textOption(options, name);
  return text === undefined ? undefined : checkedId(text, `--${name}`);
}

/** What its template and the command after `--` say of it. */
function resolvedFor(layout: Layout, workerType: string, words: readonly string[]): Partial<WorkerSpecRecord> {
  const found = new TemplateStore(layout).resolve(workerType);
  if (found.kind === "bad") throw new Refused(found.sentence);
  const [command, ...args] = words;
  const overrides = command === undefined ? {} : { launch: { target: "process", command, args } };
  const template = found.kind === "ok" ? found.template : null;
  const { requires, ...resolved } = resolveAttempt(template, { worker_id: workerType, overrides });
  return {
    status: "running",
    created_at: utc(Date.now()),
    created_by: person(),
    ...resolved,
    ...(requires === undefined ? {} : { requires: [...requires] }),
    // Nothing makes it beat: its process is its sign of life until it does.
    heartbeat: { ...resolved.heartbeat, mode: resolved.heartbeat?.mode ?? ("optional" as const) },
    // Without a way to start it again, its end is a report and no failed restart.
    restart: { ...resolved.restart, ...(resolved.launch.command ? {} : { when: "never" as const }) },
    ...(command === undefined ? {} : { overrides }),
  };
}

/** Takes the id that was asked for, or the next free one. @throws {Refused} If it is active. */
function place(
  layout: Layout,
  specs: SpecStore,
  id: string | undefined,
  record: Partial<WorkerSpecRecord> & { readonly worker_type: string },
): WorkerSpecRecord {
  if (id === undefined) return createNumbered(layout, specs, record.worker_type, { ...record, attempt: 1 });
  const named = { worker_id: id, ...record, attempt: specs.highestAttempt(id) + 1 };
  if (specs.createActive(named)) return named;
  throw new Refused(`Cannot adopt ${JSON.stringify(id)}: it is active already`);
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
