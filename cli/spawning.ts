/** Makes a new worker's spec from its template and what was said on the command line, and starts its first attempt. @module */
import { HealdError, NotFound, Refused, UsageError } from "../lib/errors.js";
import { utc } from "../lib/platform/clock.js";
import { readInstant } from "../lib/schema/primitives.js";
import { whyNoStopSignal } from "../lib/schema/stop-signals.js";
import { attemptName, type Launch, type Requirement, type WorkerSpecRecord } from "../lib/schema/worker-spec.js";
import { readDesired, writeDesired } from "../lib/store/desired.js";
import type { Layout } from "../lib/store/layout.js";
import { attemptOf, SpecStore } from "../lib/store/specs.js";
import { resolveAttempt, TemplateStore } from "../lib/store/templates.js";
import { returnTokens, takeLease } from "../lib/store/tokens.js";
import { startAttempt } from "../lib/targets/process.js";
import { askRequirements } from "../lib/targets/requirements.js";
import { createNumbered } from "./numbering.js";
import { person } from "./person.js";
import { note } from "./screen.js";

/** What a person says of a new worker; only what was said becomes an override of the template. */
export interface Order {
  readonly type: string;
  readonly taskId: string | null;
  readonly id?: string | undefined;
  readonly command: readonly string[];
  readonly cwd?: string | undefined;
  readonly env: readonly string[];
  readonly zombieAfterSeconds?: number | undefined;
  readonly maxRuntimeSeconds?: number | undefined;
  readonly memoryLimitMb?: number | undefined;
  readonly tokens?: number | undefined;
  readonly deadline?: string | undefined;
  readonly priority?: string | undefined;
  /** Whose numbers its default id has, if not its type's: `drill` gives worker-drill-1. */
  readonly numberedAs?: string | undefined;
  /** The person who calls, unless said otherwise. */
  readonly createdBy?: string | undefined;
  /** Start it although something that it requires is missing. */
  readonly overrideRequires?: boolean | undefined;
}

/**
 * Writes `active/<id>.json` exclusively, status pending.
 *
 * What the worker requires is asked before anything is written: a start that is refused leaves nothing behind.
 * @throws {Refused} If the id that was asked for is active, something required is missing, or tokens are.
 */
export async function createWorker(layout: Layout, order: Order, nowMs: number): Promise<WorkerSpecRecord> {
  const found = new TemplateStore(layout).resolve(order.type);
  if (found.kind === "bad") throw new Refused(found.sentence);
  const overrides = overridesOf(order);
  const template = found.kind === "ok" ? found.template : null;
  const resolved = resolveAttempt(template, { worker_id: order.id ?? order.type, overrides });
  if (!resolved.launch?.command)
    throw new NotFound(
      `Nothing says how to start a ${JSON.stringify(order.type)}: there is no template of that name, and no command after --`,
    );
  const signal = resolved.launch.stop?.signal;
  const problem = signal == null ? null : whyNoStopSignal(signal);
  if (problem !== null)
    throw new Refused(`Refused to spawn a ${JSON.stringify(order.type)}: launch.stop.signal ${problem}`);
  const specs = new SpecStore(layout);
  const missing = await missingOf(layout, specs, resolved.requires ?? [], nowMs);
  if (missing.length > 0 && order.overrideRequires !== true)
    throw new Refused(
      `Refused to spawn a ${JSON.stringify(order.type)}: it requires ${missing.join(", ")}; --override-requires starts it all the same`,
    );
  const record = place(layout, specs, order, {
    ...recordOf(order, nowMs),
    ...resolved,
    ...(missing.length > 0 ? { passed_over: [{ gate: "requires", found: missing, by: person() }] } : {}),
    ...(Object.keys(overrides).length > 0 ? { overrides } : {}),
  });
  await takeTokens(layout, specs, record);
  const wish = readDesired(layout, record.worker_id, nowMs);
  // To start a worker is to want it running, whatever was wanted of an earlier one of that id.
  if (wish !== null && wish.state !== "running")
    writeDesired(layout, record.worker_id, { state: "running", by: person(), why: "spawned", at: utc(nowMs) });
  return record;
}

async function missingOf(
  layout: Layout,
  specs: SpecStore,
  requires: readonly Requirement[],
  nowMs: number,
): Promise<string[]> {
  const answers = await askRequirements(layout, specs, requires, nowMs);
  return answers.filter(({ met }) => !met).map(({ what }) => what);
}

/** The folders in which a worker's start leaves something. */
export function foldersOfStart(layout: Layout): readonly string[] {
  const { activeDir, launchesDir, exitsDir, heartbeatsDir, runDir, workerLogsDir } = layout;
  return [activeDir, launchesDir, exitsDir, heartbeatsDir, runDir, workerLogsDir];
}

/** Starts the first attempt; takes back the spec and the tokens if the host cannot start anything, because then nothing has begun. */
export async function launch(layout: Layout, record: WorkerSpecRecord): Promise<void> {
  try {
    startAttempt(layout, record);
  } catch (error) {
    const attempt = attemptOf(record);
    new SpecStore(layout).removeActive(record.worker_id, attempt);
    if ((record.token_budget?.allocated ?? 0) > 0) await giveBack(layout, attemptName(record.worker_id, attempt));
    throw error;
  }
}

/** What kept the worker from being started is what the person is told; that its tokens are still out, besides. */
async function giveBack(layout: Layout, lease: string): Promise<void> {
  try {
    await returnTokens(layout, lease, 0);
  } catch (error) {
    if (!(error instanceof HealdError)) throw error;
    note(`the tokens of ${lease} are still taken: ${error.message}`);
  }
}

async function takeTokens(layout: Layout, specs: SpecStore, record: WorkerSpecRecord): Promise<void> {
  const allocated = record.token_budget?.allocated ?? 0;
  if (allocated <= 0) return;
  const attempt = attemptOf(record);
  const lease = await takeLease(layout, attemptName(record.worker_id, attempt), allocated);
  if (lease.kind !== "not_enough") return;
  specs.removeActive(record.worker_id, attempt);
  throw new Refused(
    `Refused to spawn a ${JSON.stringify(record.worker_type)} with ${allocated} tokens: ${lease.left} are left`,
  );
}

function recordOf(order: Order, nowMs: number): Omit<WorkerSpecRecord, "worker_id"> {
  if (order.deadline !== undefined && readInstant(order.deadline) === null)
    throw new UsageError(
      `--deadline must be a time such as 2026-11-21T21:08:04Z, got ${JSON.stringify(order.deadline)}`,
    );
  return {
    worker_type: order.type,
    task_id: order.taskId,
    status: "pending",
    attempt: 1,
    created_at: utc(nowMs),
    created_by: order.createdBy ?? person(),
    ...(order.deadline === undefined ? {} : { deadline: order.deadline }),
  };
}

function overridesOf(order: Order): Record<string, unknown> {
  const [command, ...args] = order.command;
  const env = Object.fromEntries(order.env.map(readVariable));
  const launchBlock: Launch = {
    ...(command === undefined ? {} : { target: "process", command, args }),
    ...(order.cwd === undefined ? {} : { cwd: order.cwd }),
    ...(order.env.length === 0 ? {} : { env }),
  };
  return {
    ...(Object.keys(launchBlock).length === 0 ? {} : { launch: launchBlock }),
    ...(order.zombieAfterSeconds === undefined
      ? {}
      : { heartbeat: { zombie_threshold_seconds: order.zombieAfterSeconds } }),
    ...(order.memoryLimitMb === undefined ? {} : { resources: { memory_limit_mb: order.memoryLimitMb } }),
    ...(order.maxRuntimeSeconds === undefined ? {} : { max_runtime_seconds: order.maxRuntimeSeconds }),
    ...(order.tokens === undefined ? {} : { token_budget: { allocated: order.tokens } }),
    ...(order.priority === undefined ? {} : { priority: order.priority }),
  };
}

function readVariable(text: string): [string, string] {
  const match = /^([A-Za-z_][A-Za-z0-9_]*)=([^\0]*)$/s.exec(text);
  if (match === null) throw new UsageError(`--env must be NAME=value, got ${JSON.stringify(text)}`);
  return [match[1] as string, match[2] as string];
}

/** Takes the id that was asked for, or the next free one; another `spawn` at the same moment gets another. */
function place(
  layout: Layout,
  specs: SpecStore,
  order: Order,
  record: Omit<WorkerSpecRecord, "worker_id">,
): WorkerSpecRecord {
  if (order.id !== undefined) {
    const named = { worker_id: order.id, ...record, attempt: specs.highestAttempt(order.id) + 1 };
    if (specs.createActive(named)) return named;
    throw new Refused(`Cannot spawn ${JSON.stringify(order.id)}: it is active already; see heald why ${order.id}`);
  }
  return createNumbered(layout, specs, order.numberedAs ?? order.type, record);
}
