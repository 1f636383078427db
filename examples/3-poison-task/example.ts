/** A task that kills whoever takes it is held, and the others of its worker type go on. @module */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Example, Finding, World } from "../shared/example.js";
import { fixEvents, healthy } from "../shared/healing.js";
import { shortPolicies } from "../shared/policies.js";
import { writePolicies, writeTemplates } from "../shared/stage.js";
import { nodeTemplate } from "../shared/templates.js";

const FIX = "quarantine-poison-task";
const TYPE = "parse-worker";
const POISON = "page-13";
const ILL = ["parse-1", "parse-2"] as const;
const WELL = ["parse-3", "parse-4", "parse-5"] as const;
/** Started once the task is held. */
const LATE = "parse-6";
/** A start that was decided as the hold was written comes to its end. */
const IN_FLIGHT_MS = 250;

export const example: Example = {
  name: "3-poison-task",
  title: "a task that kills whoever takes it is held, and its siblings go on",
  prepare: (stage) => {
    // worker-restart has a rule of its own for such tasks; here it is off, so that the fix is what holds the task.
    writePolicies(
      stage,
      shortPolicies({ "worker-restart-policy": { poison_task: { deaths: 0 }, circuit_breaker_enabled: false } }),
    );
    writeTemplates(stage, { [TYPE]: nodeTemplate(new URL("./worker.js", import.meta.url), {}, { POISON }) });
  },
  play: async (world) => {
    const { fleet, say, until } = world;
    for (const id of WELL) await fleet.spawn({ id, type: TYPE, task: `page-${id}` });
    say("fault", `${ILL.join(" and ")} are given ${POISON}, which no worker survives`);
    for (const id of ILL) await fleet.spawn({ id, type: TYPE, task: POISON });
    await until("the task is held", () => fixEvents(world, FIX, "fix_applied").length > 0);
    say("demo", `the hold, in coordination/holds/task-${POISON}.json:`);
    world.show(holdText(world));
    await until("both wait for the hold", () => ILL.every((id) => waitsForHold(world, id)));
    say("demo", `another ${TYPE} is started, with another page`);
    await fleet.spawn({ id: LATE, type: TYPE, task: "page-late" });
    await until("the siblings are well", () => healthy(world, [...WELL, LATE]).ok);
    world.show(await fleet.heald("workers"));
  },
  outcomes: [
    {
      what: `two workers take ${POISON}`,
      expected: "both die of it, three times or more together",
      judge: judgeDeaths,
    },
    {
      what: "the task",
      expected: "held once, by auto-fix, with its evidence",
      judge: judgeHold,
    },
    {
      what: "after the hold",
      expected: "nobody is started for the task; both wait for the hold",
      judge: judgeAfter,
    },
    {
      what: "the siblings on other tasks",
      expected: "never touched: first attempt, healthy",
      judge: judgeSiblings,
    },
    {
      what: "a person",
      expected: "is told of the task once",
      judge: (world) => {
        const calls = fixEvents(world, FIX, "escalation_opened");
        return { ok: calls.length === 1, happened: `${calls.length} told: ${String(calls[0]?.data.suggested)}` };
      },
    },
  ],
  look: [
    `coordination/holds/task-${POISON}.json     remove it, and the task is tried again`,
    "coordination/restart/queue/            the requests that wait for it",
    "coordination/worker-specs/zombie/      the last words of each attempt",
    "coordination/auto-fix/runs/            the run",
  ],
};

const deaths = ({ chronicle }: World) => chronicle.of(null, "worker_exited", "zombie_detected");
const appliedMs = (world: World) => fixEvents(world, FIX, "fix_applied")[0]?.atMs ?? Number.POSITIVE_INFINITY;

function holdText({ stage }: World): string {
  const path = join(stage.layout.holdsDir, `task-${POISON}.json`);
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function waitsForHold({ stage }: World, workerId: string): boolean {
  const path = stage.layout.queueRequest(workerId);
  if (!existsSync(path)) return false;
  const request = JSON.parse(readFileSync(path, "utf8")) as { readonly deferred?: { readonly gate?: string } };
  return request.deferred?.gate === "holds";
}

function judgeDeaths(world: World): Finding {
  const counts = ILL.map((id) => deaths(world).filter(({ workerId }) => workerId === id).length);
  const sum = counts.reduce((total, each) => total + each, 0);
  return { ok: sum >= 3 && counts.every((each) => each > 0), happened: `${counts.join(" + ")} deaths` };
}

function judgeHold(world: World): Finding {
  const applied = fixEvents(world, FIX, "fix_applied").length;
  const text = holdText(world);
  if (text === "") return { ok: false, happened: "there is no hold" };
  const { by, name, why } = JSON.parse(text) as Readonly<Record<string, string>>;
  return { ok: applied === 1 && by === "auto-fix" && name === POISON && why !== "", happened: `by ${by}: ${why}` };
}

function judgeAfter(world: World): Finding {
  const started = world.chronicle
    .of(null, "worker_restart_started")
    .filter(({ workerId, atMs }) => ILL.some((id) => id === workerId) && atMs > appliedMs(world) + IN_FLIGHT_MS);
  const waiting = ILL.filter((id) => waitsForHold(world, id));
  return {
    ok: started.length === 0 && waiting.length === ILL.length,
    happened: `${started.length} started; waiting: ${waiting.join(", ") || "none"}`,
  };
}

function judgeSiblings(world: World): Finding {
  const { ok, happened } = healthy(world, [...WELL, LATE]);
  const attempts = [...WELL, LATE].map((id) => world.fleet.launches(id).length);
  return { ok: ok && attempts.every((each) => each === 1), happened: `${happened}; attempts: ${attempts.join(", ")}` };
}
