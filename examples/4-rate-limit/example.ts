/** A worker that a service tells to slow down sends less, and recovers. @module */
import type { Example, Finding, World } from "../shared/example.js";
import { diffOf, exactly, fixEvents, healthy, templateValue, verdicts } from "../shared/healing.js";
import { shortPolicies } from "../shared/policies.js";
import { writePolicies, writeTemplates } from "../shared/stage.js";
import { nodeTemplate } from "../shared/templates.js";
import { Service } from "./service.js";

const FIX = "adjust-rate-limit";
const TYPE = "fetch-worker";
const ID = "fetch-1";
const FIELD = "rate_limits.requests_per_minute";
const SENT_PER_MINUTE = 1200;
const ALLOWED_PER_MINUTE = 1000;
const DIFF = `${FIELD} 1200 → 840`;

const service = new Service(ALLOWED_PER_MINUTE);
/** What the service had refused when the worker that sends less was seen well. */
let refusedBefore = 0;

export const example: Example = {
  name: "4-rate-limit",
  title: "a worker that is answered 429 is slowed down, and recovers",
  prepare: async (stage) => {
    writePolicies(
      stage,
      shortPolicies({
        "worker-restart-policy": { circuit_breaker_enabled: false, max_retries: 10, poison_task: { deaths: 0 } },
      }),
    );
    const env = { SERVICE: await service.open() };
    const blocks = { rate_limits: { requests_per_minute: SENT_PER_MINUTE } };
    writeTemplates(stage, { [TYPE]: nodeTemplate(new URL("./worker.js", import.meta.url), blocks, env) });
  },
  play: async (world) => {
    const { fleet, say, until } = world;
    say("fault", `${ID} sends ${SENT_PER_MINUTE} requests a minute to a service that allows ${ALLOWED_PER_MINUTE}`);
    await fleet.spawn({ id: ID, type: TYPE, task: "all-items" });
    await until("the rate is lowered", () => fixEvents(world, FIX, "fix_applied").length > 0);
    await until("the slower worker runs", () => hasSlowAttempt(world) && healthy(world, [ID]).ok);
    refusedBefore = service.refused;
    await until("the fix has its verdict", () => fixEvents(world, FIX, "fix_verified").length > 0);
    say("demo", `the service has answered ${service.answered} requests and refused ${service.refused}`);
    world.show(await fleet.heald("workers"));
  },
  close: () => service.close(),
  outcomes: [
    {
      what: "the service answers 429",
      expected: "the worker dies of it, and the pattern is transient:rate_limit",
      judge: judgeDeaths,
    },
    {
      what: "the rate in the template",
      expected: `lowered by 30 %, once: ${DIFF}`,
      judge: (world) => {
        const diffs = fixEvents(world, FIX, "fix_applied").map(diffOf).join("; ");
        const now = templateValue(world, TYPE, FIELD);
        return { ok: diffs === DIFF && now === 840, happened: `${diffs}; the template says ${now}` };
      },
    },
    {
      what: "the slower worker",
      expected: "is refused nothing more, and well",
      judge: (world) => {
        const { ok, happened } = healthy(world, [ID]);
        const more = service.refused - refusedBefore;
        return { ok: ok && more === 0, happened: `${happened}; ${more} more requests refused` };
      },
    },
    {
      what: "the verdict",
      expected: "effective",
      judge: (world) => exactly("effective", verdicts(world, FIX).join(", ") || "none"),
    },
  ],
  look: [
    "coordination/worker-specs/templates/fetch-worker.json   the rate, as it is now",
    "agents/logs/workers/fetch-1/                            what each attempt sent, and was answered",
    "coordination/auto-fix/runs/                             the run",
  ],
};

/** Whether an attempt runs that was started after the fix. */
function hasSlowAttempt(world: World): boolean {
  const appliedMs = fixEvents(world, FIX, "fix_applied")[0]?.atMs ?? Number.POSITIVE_INFINITY;
  return world.chronicle.of(ID, "worker_restart_started").some(({ atMs }) => atMs >= appliedMs);
}

function judgeDeaths({ chronicle }: World): Finding {
  const deaths = chronicle.of(ID, "worker_exited", "zombie_detected");
  const pattern = chronicle.of(null, "pattern_detected").find(({ data }) => data.type === "rate_limit");
  const named = pattern === undefined ? "no pattern" : `${pattern.data.category}:${pattern.data.type}`;
  return {
    ok: deaths.length >= 3 && named === "transient:rate_limit" && service.refused > 0,
    happened: `${deaths.length} deaths; ${service.refused} requests refused; ${named}`,
  };
}
