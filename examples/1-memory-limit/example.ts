/** A memory limit that is too small for the work is found, raised, and proved. @module */
import type { Example, Finding, World } from "../shared/example.js";
import { diffOf, exactly, fixEvents, healthy, templateValue, verdicts } from "../shared/healing.js";
import { shortPolicies } from "../shared/policies.js";
import { writePolicies, writeTemplates } from "../shared/stage.js";
import { nodeTemplate } from "../shared/templates.js";

const FIX = "increase-memory-limit";
const TYPE = "resize-worker";
const IDS = ["resize-1", "resize-2", "resize-3"] as const;
const LIMIT_MB = 200;
const FIELD = "resources.memory_limit_mb";

export const example: Example = {
  name: "1-memory-limit",
  title: "a memory limit that is too small is raised, and the fix proves itself",
  prepare: (stage) => {
    // A worker that dies waits: what is to be seen is the one attempt that a fix may try, and the release after it.
    writePolicies(
      stage,
      shortPolicies({
        "worker-restart-policy": { max_retries: 0 },
        // Spent retries are a pattern of their own, with a fix of its own, which is not what is to be seen.
        "auto-fix-policy": { categories: { configuration: { enabled: false } } },
      }),
    );
    writeTemplates(stage, {
      [TYPE]: nodeTemplate(new URL("./worker.js", import.meta.url), { resources: { memory_limit_mb: LIMIT_MB } }),
    });
  },
  play: async (world) => {
    const { fleet, say, until } = world;
    for (const id of IDS) await fleet.spawn({ id, type: TYPE, task: `album-${id}` });
    say("fault", `three workers of ${TYPE} need more than the ${LIMIT_MB} MiB that their template allows`);
    await until("the limit is raised", () => fixEvents(world, FIX, "fix_applied").length > 0);
    say("demo", `the template of ${TYPE} now says: ${FIELD} ${templateValue(world, TYPE, FIELD)}`);
    await until("the fix has its verdict", () => fixEvents(world, FIX, "fix_verified").length > 0);
    await until("all three live", () => healthy(world, IDS).ok && proved(world).length === IDS.length);
    world.show(await fleet.heald("workers"));
  },
  outcomes: [
    {
      what: "three workers outgrow their limit",
      expected: "each is killed by it, once",
      judge: judgeDeaths,
    },
    {
      what: "the pattern is found",
      expected: "resource:out_of_memory",
      judge: ({ chronicle }) => {
        const found = chronicle.of(null, "pattern_detected").filter(({ data }) => data.category === "resource");
        return exactly("resource:out_of_memory", found.map(({ data }) => `${data.category}:${data.type}`).join(", "));
      },
    },
    {
      what: "the limit in the template",
      expected: `raised by half, once, with its diff: ${FIELD} 200 → 300`,
      judge: (world) => {
        const applied = fixEvents(world, FIX, "fix_applied");
        const now = templateValue(world, TYPE, FIELD);
        return {
          ok: applied.length === 1 && diffOf(applied[0]) === `${FIELD} 200 → 300` && now === 300,
          happened: `${applied.map(diffOf).join("; ")}; the template says ${now}`,
        };
      },
    },
    {
      what: "one attempt is tried",
      expected: "though its retries are spent; alone, and it lives",
      judge: judgeTrial,
    },
    {
      what: "the verdict",
      expected: "effective",
      judge: (world) => exactly("effective", verdicts(world, FIX).join(", ") || "none"),
    },
    {
      what: "its siblings",
      expected: "released after the verdict; all live",
      judge: (world) => {
        const verifiedMs = fixEvents(world, FIX, "fix_verified")[0]?.atMs ?? Number.POSITIVE_INFINITY;
        const released = restarts(world).filter(({ atMs }) => atMs >= verifiedMs);
        const { ok, happened } = healthy(world, IDS);
        return { ok: ok && released.length === 2, happened: `${released.length} released; all: ${happened}` };
      },
    },
  ],
  look: [
    "coordination/worker-specs/templates/resize-worker.json   the limit, as it is now",
    "coordination/auto-fix/runs/                              the run: what stood there before, and after",
    "coordination/metrics/auto-fix-history.jsonl              its verdict",
    "coordination/events/auto-fix-events.jsonl                what was said of it",
  ],
};

const restarts = ({ chronicle }: World) => chronicle.of(null, "worker_restart_started");
const proved = ({ chronicle }: World) => chronicle.of(null, "worker_restarted");

function judgeDeaths({ chronicle }: World): Finding {
  const deaths = chronicle.of(null, "worker_exited", "zombie_detected").filter(({ attempt }) => attempt === 1);
  const killed = new Set(deaths.filter(({ reason }) => reason === "memory_limit").map(({ workerId }) => workerId));
  const later = chronicle.of(null, "worker_exited", "zombie_detected").filter(({ attempt }) => attempt !== 1);
  return {
    ok: IDS.every((id) => killed.has(id)) && later.length === 0,
    happened: `${killed.size} killed by their limit; ${later.length} deaths after that`,
  };
}

function judgeTrial(world: World): Finding {
  const appliedMs = fixEvents(world, FIX, "fix_applied")[0]?.atMs ?? Number.POSITIVE_INFINITY;
  const verifiedMs = fixEvents(world, FIX, "fix_verified")[0]?.atMs ?? Number.POSITIVE_INFINITY;
  const tried = restarts(world).filter(({ atMs }) => atMs >= appliedMs && atMs < verifiedMs);
  const early = restarts(world).filter(({ atMs }) => atMs < appliedMs);
  const names = tried.map(({ workerId, attempt }) => `${workerId}, attempt ${attempt}`).join("; ");
  return {
    ok: tried.length === 1 && early.length === 0,
    happened: `${early.length} restarts before the fix; tried: ${names || "none"}`,
  };
}
