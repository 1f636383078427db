/** A metric policy with a ladder: the first rung does not help, the second does, the third would have been a person. @module */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readDesired } from "../../lib/store/desired.js";
import type { Example, Finding, World } from "../shared/example.js";
import { shortPolicies } from "../shared/policies.js";
import { eventsFor, historyFor } from "../shared/scopes.js";
import { type Stage, writePolicies, writeTemplates } from "../shared/stage.js";

const NAME = "10-ladder";
const TYPE = "press-worker";
/** Sheets come faster than one press prints (12 a second), and slower than two do. */
const SHEET_EVERY_MS = 60;
const RUNGS = ["Slow press - start anew", "Slow press - one more", "Slow press - call a person"] as const;

const slow = { metric: "latency_p99", operator: "gt", threshold: 500, for_seconds: 2, min_samples: 2 };
const well = { metric: "latency_p99", operator: "lt", threshold: 300, for_seconds: 2, min_samples: 2 };

const rung = (nth: 0 | 1 | 2, action: object, verifySeconds: number) => ({
  name: RUNGS[nth],
  enabled: true,
  priority: 9 - 3 * nth,
  scope: { components: [TYPE] },
  conditions: [slow],
  clear_conditions: [well],
  actions: [action],
  settle_seconds: 2,
  verify_seconds: verifySeconds,
  ...(nth === 2 ? {} : { escalation: { next: RUNGS[nth + 1] } }),
});

const trayOf = (stage: Stage): string => join(stage.home, "tray");

function prepare(stage: Stage): void {
  mkdirSync(trayOf(stage), { mode: 0o750 });
  writePolicies(
    stage,
    shortPolicies({
      // Each beat's numbers and each worker's CPU and memory, once a second instead of once a minute.
      "heartbeat-policy": { sample_interval_seconds: 1 },
      "healing-policies": {
        policies: [
          rung(0, { type: "restart-service" }, 6),
          rung(1, { type: "scale-up", max_workers: 3 }, 30),
          rung(2, { type: "alert-oncall", note: "the presses are slow, and nothing has helped" }, 10),
        ],
      },
    }),
  );
  const program = fileURLToPath(new URL("./press.js", import.meta.url));
  const env = { TRAY: trayOf(stage) };
  const launch = { target: "process", command: process.execPath, args: [program], env };
  writeTemplates(stage, { [TYPE]: { launch, heartbeat: { mode: "required" } } });
}

let customers: NodeJS.Timeout | null = null;
let sheets = 0;

function customersCome(stage: Stage): void {
  customers = setInterval(() => {
    sheets += 1;
    writeFileSync(join(trayOf(stage), `${String(sheets).padStart(6, "0")}.sheet`), "");
  }, SHEET_EVERY_MS);
}

async function close(): Promise<void> {
  if (customers !== null) clearInterval(customers);
}

const said = (world: World, type: string, nth: number) =>
  eventsFor(world, type, TYPE).filter(({ message }) => message.startsWith(RUNGS[nth] as string));

async function play(world: World): Promise<void> {
  await world.fleet.spawn({ id: "press-1", type: TYPE, task: "print" });
  await world.until("the press is healthy", () => world.fleet.isHealthy("press-1"));
  world.say("fault", "customers come: 16 sheets a second, where one press prints 12");
  customersCome(world.stage);
  await world.until("the first rung is tried", () => said(world, "fix_applied", 0).length === 1);
  await world.until("the first rung has its verdict", () => said(world, "fix_verified", 0).length === 1, 20);
  await world.until("the second rung is tried", () => said(world, "fix_applied", 1).length === 1, 20);
  await world.until("the second rung has its verdict", () => historyFor(world.stage, TYPE).length === 2);
}

function judgeRung(world: World, nth: number, verdict: string): Finding {
  const lines = historyFor(world.stage, TYPE).filter(({ message }) => message.startsWith(RUNGS[nth] as string));
  const tried = said(world, "fix_applied", nth).length;
  return {
    ok: tried === 1 && lines.length === 1 && lines[0]?.verdict === verdict,
    happened: tried === 0 ? "not tried" : `${tried} time; ${lines[0]?.verdict ?? "no verdict"}`,
  };
}

function judgeRestarted(world: World): Finding {
  const found = judgeRung(world, 0, "ineffective");
  const attempts = world.fleet.launches("press-1").length;
  return { ok: found.ok && attempts === 2, happened: `${found.happened}; press-1 is attempt ${attempts}` };
}

function judgeScaled(world: World): Finding {
  const found = judgeRung(world, 1, "effective");
  const two = world.fleet.spec("worker-press-fix-1");
  // A worker is auto-fix's for as long as the wish that it runs is.
  const wish = readDesired(world.stage.layout, "worker-press-fix-1", Date.now());
  return {
    ok: found.ok && two !== null && wish?.by === "auto-fix",
    happened: `${found.happened}; ${two === null ? "no second press" : "worker-press-fix-1 prints as well"}`,
  };
}

function judgeOrder(world: World): Finding {
  const [verdict] = said(world, "fix_verified", 0);
  const [second] = said(world, "fix_applied", 1);
  const ok = verdict !== undefined && second !== undefined && verdict.atMs <= second.atMs;
  return { ok, happened: ok ? "only after the first had its verdict" : "not in their order" };
}

function judgeNobody(world: World): Finding {
  const calls = world.chronicle.of(null, "escalation_opened").length;
  const tried = said(world, "fix_applied", 2).length;
  return { ok: calls === 0 && tried === 0, happened: `${calls} calls` };
}

export const example: Example = {
  name: NAME,
  title: "a metric policy with a ladder: the first rung does not help, the second does",
  prepare,
  play,
  outcomes: [
    { what: "rung 1: restart-service", expected: "tried, ineffective", judge: judgeRestarted },
    { what: "rung 2", expected: "waits for its turn", judge: judgeOrder },
    { what: "rung 2: scale-up", expected: "tried, effective", judge: judgeScaled },
    { what: "rung 3: alert-oncall", expected: "nobody is called", judge: judgeNobody },
  ],
  look: [
    "coordination/metrics/samples.jsonl               latency_p99 of each press, and its CPU and memory",
    "coordination/config/healing-policies.json        the ladder",
    "coordination/decisions/auto-fix.jsonl            which rung comes first, and why the others wait",
  ],
  close,
};
