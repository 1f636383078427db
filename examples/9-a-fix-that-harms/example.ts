/** A fix that makes things worse is undone within its window, and it is trusted less from then on. @module */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Example, Finding, World } from "../shared/example.js";
import { templateValue } from "../shared/healing.js";
import { shortPolicies, UNTIL_FIXED } from "../shared/policies.js";
import { eventsFor, historyFor } from "../shared/scopes.js";
import { type Stage, writePolicies, writeTemplates } from "../shared/stage.js";
import { shellTemplate } from "../shared/templates.js";

const NAME = "9-a-fix-that-harms";
const TYPE = "mill-worker";
const SCORE = 0.95;
const WINDOW_SECONDS = 30;
/** A fix that is trusted less than this is not applied without a person. */
const ASK_BELOW = 0.85;

/** Somebody was very sure of it, and it is the wrong way round. */
const REGISTRY = {
  fixes: [
    {
      fix_id: "double-batch",
      category: "resource",
      name: "Double the batch",
      applies_to_patterns: ["transient:resource_contention"],
      safety: { safety_score: SCORE },
      actions: [
        {
          type: "modify-worker-spec",
          changes: [{ field: "processing.batch_size", operation: "multiply", value: 2, max_value: 1000 }],
        },
      ],
      validation: { monitoring_period_seconds: WINDOW_SECONDS },
    },
  ],
};

function prepare(stage: Stage): void {
  writePolicies(
    stage,
    shortPolicies({
      // It goes on being restarted, so that there is something to compare.
      "worker-restart-policy": {
        ...UNTIL_FIXED,
        max_retries: 100,
        restart_budgets: [{ max: 200, window_seconds: 3600 }],
      },
      "auto-fix-policy": { safety: { watch_at: ASK_BELOW } },
      "auto-fix-registry": REGISTRY,
    }),
  );
  writeTemplates(stage, { [TYPE]: shellTemplate(`${NAME}/mill.sh`, { processing: { batch_size: 100 } }) });
}

const said = (world: World, type: string) => eventsFor(world, type, TYPE);
const batchOf = (world: World): unknown => templateValue(world, TYPE, "processing.batch_size");

async function play(world: World): Promise<void> {
  await world.fleet.spawn({ id: "mill-1", type: TYPE, task: "flour" });
  await world.until("the fix is applied", () => said(world, "fix_applied").length === 1);
  world.say("demo", `batch_size is ${String(batchOf(world))} now, and the mill dies at once`);
  await world.until("the fix has its verdict", () => said(world, "fix_verified").length === 1);
  await world.until("the fix is undone", () => said(world, "fix_undone").length === 1);
  await world.until(
    "the same fix comes up again, and a person is asked",
    () => said(world, "fix_pending").length === 1,
  );
}

interface Gate {
  readonly gate: string;
  readonly value: unknown;
}

/** How far the fix was trusted at each decision that came to that gate, oldest first. */
function trusts({ layout }: Stage): number[] {
  const path = join(layout.coordination, "decisions", "auto-fix.jsonl");
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .flatMap((line) => (JSON.parse(line) as { readonly gates?: readonly Gate[] }).gates ?? [])
    .filter(({ gate }) => gate === "safety_band")
    .map(({ value }) => (value as { readonly score: number }).score);
}

function judgeVerdict(world: World): Finding {
  const line = historyFor(world.stage, TYPE)[0];
  const verified = said(world, "fix_verified")[0];
  const ok = line?.verdict === "ineffective" && verified?.reason === "worse";
  return { ok, happened: verified?.message ?? "no verdict" };
}

function judgeUndone(world: World): Finding {
  const [applied] = said(world, "fix_applied");
  const [undone] = said(world, "fix_undone");
  const afterSeconds = ((undone?.atMs ?? Number.POSITIVE_INFINITY) - (applied?.atMs ?? 0)) / 1000;
  const conflicts = (undone?.data.conflicts ?? []) as readonly string[];
  const ok = batchOf(world) === 100 && afterSeconds < WINDOW_SECONDS && conflicts.length === 0;
  return { ok, happened: `undone after ${afterSeconds.toFixed(1)} s; batch_size is ${String(batchOf(world))}` };
}

function judgeTrust(world: World): Finding {
  const scores = trusts(world.stage);
  const [first, last] = [scores[0], scores.at(-1)];
  const ok = first === SCORE && last !== undefined && last < ASK_BELOW;
  return { ok, happened: `${first ?? "unknown"} at first, ${last ?? "unknown"} by now` };
}

function judgeAsked(world: World): Finding {
  const [pending] = said(world, "fix_pending");
  const applied = said(world, "fix_applied").length;
  return {
    ok: pending !== undefined && applied === 1,
    happened: pending === undefined ? "nobody was asked" : `asked: ${String(pending.data.why)}`,
  };
}

export const example: Example = {
  name: NAME,
  title: "a fix that makes things worse is undone within its window, and trusted less",
  prepare,
  play,
  outcomes: [
    { what: "batches are doubled, the mill dies at once", expected: "verdict ineffective: worse", judge: judgeVerdict },
    { what: "the change itself", expected: `undone within its ${WINDOW_SECONDS} s`, judge: judgeUndone },
    { what: "trust in the fix", expected: `falls from ${SCORE} to below ${ASK_BELOW}`, judge: judgeTrust },
    { what: "the same failure, again", expected: "a person is asked, nothing is applied", judge: judgeAsked },
  ],
  look: [
    "coordination/auto-fix/runs/                      the run, with its before-image and its verdict",
    "coordination/auto-fix/pending/                   the same fix, now as a question",
    "coordination/metrics/auto-fix-history.jsonl      applied, ineffective, undone",
    "coordination/decisions/auto-fix.jsonl            the gate safety_band before and after",
  ],
};
