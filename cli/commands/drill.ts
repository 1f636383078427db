/** `heald drill`: a practice on the daemons that run. @module */
import { UsageError } from "../../lib/errors.js";
import type { Layout } from "../../lib/store/layout.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { type Course, run, type StepDone, stepsOf } from "../drill/course.js";
import { refuseForbidden } from "../drill/forbidden.js";
import { DRILL_KINDS, DRILL_TYPE, type DrillKind, startPractice } from "../drill/practice-worker.js";
import { remove } from "../drill/removal.js";
import { Traces } from "../drill/traces.js";
import { openForProcesses } from "../home.js";
import { flagOption, secondsOption, textOption } from "../options.js";
import { paint, print, printJson } from "../screen.js";
import { foldersOfStart } from "../spawning.js";

const TIMEOUT_SECONDS = 60;
const ZOMBIE_AFTER_SECONDS = 5;
/** A worker whose drill was killed lives for so long beyond the drill's bound. */
const SPARE_SECONDS = 60;

export const command: CommandDefinition = {
  summary: "practise on the daemons that run: end a worker and see whether it comes back",
  description: `Starts a worker of its own (type ${DRILL_TYPE}, made by "drill"), ends it or lets it hang, waits for each step of its recovery, and takes it away again. No other worker is touched, failure-pattern learns nothing from it, and it counts against no real type's breaker and no task. Hooks and notifications are told of it as of any death. Exits 0 if it healed, 1 if not, 4 if a hold, a breaker or a daemon that does not run forbids it.`,
  options: [
    { flags: "--kind <kind>", description: `${DRILL_KINDS.join(" or ")} (default: ${DRILL_KINDS[0]})` },
    { flags: "--timeout <duration>", description: `how long all of it may take (default: ${TIMEOUT_SECONDS}s)` },
    {
      flags: "--zombie-after <duration>",
      description: `silence after which it counts as dead (default: ${ZOMBIE_AFTER_SECONDS}s)`,
    },
    JSON_OPTION,
  ],
  examples: ["heald drill", "heald drill --kind hang --timeout 2m", "heald drill --json | jq .recovery_ms"],
  run: drill,
};

interface Order {
  readonly kind: DrillKind;
  readonly timeoutSeconds: number;
  readonly zombieAfterSeconds: number;
}

async function drill(call: Call): Promise<number> {
  const order = orderOf(call);
  const json = flagOption(call.options, "json");
  const layout = openForProcesses(call, (found) => [...foldersOfStart(found), found.desiredDir]);
  refuseForbidden(layout, Date.now());
  const { workerId, course, left } = await practise(layout, order, json ? () => {} : show);
  const healed = course.missing === null;
  const recovery = healed ? (course.steps.find(({ step }) => step === "replaced")?.since_ms ?? null) : null;
  if (json) {
    printJson({ worker_id: workerId, kind: order.kind, healed, recovery_ms: recovery, ...course, left });
  } else {
    conclude(course, recovery);
    if (left.length === 0) print(`${workerId} is stopped and taken away; heald why ${workerId} tells its story`);
    else print(`${paint("red", "left behind")}: ${left.join(", ")}; heald stop ${workerId}`);
  }
  return healed && left.length === 0 ? 0 : 1;
}

function orderOf({ options }: Call): Order {
  const kind = textOption(options, "kind") ?? DRILL_KINDS[0];
  if (!(DRILL_KINDS as readonly string[]).includes(kind))
    throw new UsageError(`--kind must be ${DRILL_KINDS.join(" or ")}, got ${JSON.stringify(kind)}`);
  return {
    kind: kind as DrillKind,
    timeoutSeconds: secondsOption(options, "timeout", "--timeout") ?? TIMEOUT_SECONDS,
    zombieAfterSeconds: secondsOption(options, "zombieAfter", "--zombie-after") ?? ZOMBIE_AFTER_SECONDS,
  };
}

/** Whatever comes, a signal included, the worker is taken away before this returns. */
async function practise(layout: Layout, order: Order, tell: (done: StepDone) => void) {
  const { kind, timeoutSeconds, zombieAfterSeconds } = order;
  let isStopped = false;
  const stop = (): void => {
    isStopped = true;
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  const traces = new Traces(layout);
  const beganAtMs = Date.now();
  const seconds = timeoutSeconds + SPARE_SECONDS;
  const { worker_id: workerId } = await startPractice(layout, { kind, zombieAfterSeconds, seconds });
  try {
    const bounds = { beganAtMs, timeoutMs: timeoutSeconds * 1000, stopped: () => isStopped };
    const course = explained(await run(stepsOf(kind, workerId, traces), bounds, tell), traces.waitsFor(workerId));
    return { workerId, course, left: await remove(layout, workerId) };
  } catch (error) {
    await remove(layout, workerId);
    throw error;
  }
}

/** A replacement that did not come mostly waits for a gate, which says more than that it did not come. */
function explained(course: Course, waitsFor: string | null): Course {
  if (course.missing?.step !== "replaced" || waitsFor === null) return course;
  return { ...course, missing: { ...course.missing, why: `${course.missing.why}; ${waitsFor}` } };
}

function show({ step, took_ms, since_ms, what }: StepDone): void {
  const since = since_ms === null || since_ms === 0 ? "" : ` (${since_ms} ms after it)`;
  print(`${paint("green", step.padEnd(9))}  ${String(took_ms).padStart(6)} ms  ${what}${since}`);
}

function conclude({ missing }: Course, recoveryMs: number | null): void {
  if (missing === null) print(`${paint("green", "healed")}: the next attempt ran after ${recoveryMs} ms`);
  else
    print(
      `${paint("red", "not healed")}: the step "${missing.step}" is missing, ${missing.why}; look at ${missing.look_at}`,
    );
}
