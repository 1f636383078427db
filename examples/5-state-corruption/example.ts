/** A worker whose own state is corrupt starts anew, and the old state is kept aside. @module */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Example, Finding, World } from "../shared/example.js";
import { exactly, fixEvents, healthy, verdicts } from "../shared/healing.js";
import { shortPolicies } from "../shared/policies.js";
import { writePolicies, writeTemplates } from "../shared/stage.js";
import { nodeTemplate } from "../shared/templates.js";

const FIX = "restart-with-clean-state";
const TYPE = "replay-worker";
const ILL = "replay-1";
const WELL = "replay-2";
/** What a crash in the middle of a write leaves. */
const TORN = '{"position":';

export const example: Example = {
  name: "5-state-corruption",
  title: "a worker with corrupt state starts anew, and the old state is kept",
  prepare: (stage) => {
    writePolicies(
      stage,
      // A task that costs its worker three times would be held before the fix: here it is not the task's fault.
      shortPolicies({
        "worker-restart-policy": { circuit_breaker_enabled: false, max_retries: 10, poison_task: { deaths: 0 } },
      }),
    );
    writeTemplates(stage, { [TYPE]: nodeTemplate(new URL("./worker.js", import.meta.url)) });
  },
  play: async (world) => {
    const { fleet, say, until } = world;
    for (const id of [ILL, WELL]) await fleet.spawn({ id, type: TYPE, task: `log-${id}` });
    const hasState = (id: string): boolean => (positionIn(world, id) ?? 0) > 2 && fleet.isHealthy(id);
    await until("both have written a checkpoint", () => hasState(ILL) && hasState(WELL));
    say("fault", `${ILL} is killed while it writes its checkpoint: a torn one is left`);
    fleet.signal(ILL, "SIGKILL");
    writeFileSync(checkpointOf(world, ILL), TORN);
    await until("the state is moved aside", () => fixEvents(world, FIX, "fix_applied").length > 0);
    await until("it works again", () => healthy(world, [ILL]).ok && (positionIn(world, ILL) ?? 0) > 2);
    await until("the fix has its verdict", () => fixEvents(world, FIX, "fix_verified").length > 0);
    say("demo", `in agents/workers/${ILL}/: ${asideOf(world).join(", ")} and the new state`);
    world.show(await fleet.heald("workers"));
  },
  outcomes: [
    {
      what: `${ILL} finds its state torn`,
      expected: "it dies of it again and again: data:state_corruption",
      judge: judgeDeaths,
    },
    {
      what: "its state folder",
      expected: "moved aside once, never deleted, with the torn file in it",
      judge: judgeAside,
    },
    {
      what: `${ILL} afterwards`,
      expected: "started anew, from 0, and well",
      judge: judgeAnew,
    },
    {
      what: "the verdict",
      expected: "effective",
      judge: (world) => exactly("effective", verdicts(world, FIX).join(", ") || "none"),
    },
    {
      what: `${WELL}, of the same type`,
      expected: "never touched: its state is its own",
      judge: (world) => {
        const { ok, happened } = healthy(world, [WELL]);
        const attempts = world.fleet.launches(WELL).length;
        return { ok: ok && attempts === 1, happened: `${happened}; attempts: ${attempts}` };
      },
    },
  ],
  look: [
    `agents/workers/${ILL}/            the new state, and the old one as *.aside-…`,
    `agents/logs/workers/${ILL}/       what each attempt said`,
    "coordination/auto-fix/runs/               the run",
  ],
};

const folderOf = ({ stage }: World, id: string): string => join(stage.home, "agents", "workers", id);
const checkpointOf = (world: World, id: string): string => join(folderOf(world, id), "state", "checkpoint.json");

function positionIn(world: World, id: string): number | null {
  const path = checkpointOf(world, id);
  if (!existsSync(path)) return null;
  const text = readFileSync(path, "utf8");
  return text === TORN ? null : (JSON.parse(text) as { readonly position: number }).position;
}

function asideOf(world: World): readonly string[] {
  const folder = folderOf(world, ILL);
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith("state.aside-")) : [];
}

function judgeDeaths({ chronicle }: World): Finding {
  const deaths = chronicle.of(ILL, "worker_exited", "zombie_detected").filter(({ data }) => data.exit_code === 1);
  const pattern = chronicle.of(null, "pattern_detected").find(({ data }) => data.type === "state_corruption");
  const named = pattern === undefined ? "no pattern" : `${pattern.data.category}:${pattern.data.type}`;
  return { ok: deaths.length >= 3 && pattern !== undefined, happened: `${deaths.length} deaths; ${named}` };
}

function judgeAside(world: World): Finding {
  const aside = asideOf(world);
  const [name = ""] = aside;
  const path = join(folderOf(world, ILL), name, "checkpoint.json");
  const isKept = aside.length === 1 && existsSync(path) && readFileSync(path, "utf8") === TORN;
  return {
    ok: isKept,
    happened: aside.length === 0 ? "not moved" : `${aside.join(", ")}${isKept ? ", torn file kept" : ""}`,
  };
}

function judgeAnew(world: World): Finding {
  const attempt = world.fleet.launches(ILL).at(-1)?.attempt ?? 0;
  const path = world.stage.layout.workerLog(ILL, attempt);
  const isAnew = existsSync(path) && readFileSync(path, "utf8").includes("goes on at 0");
  const { ok, happened } = healthy(world, [ILL]);
  return { ok: ok && isAnew, happened: `attempt ${attempt}: ${isAnew ? "from 0" : "not from 0"}, ${happened}` };
}
