/** A fix that a person must approve: by mv over plain files, not in time, and after its preconditions have changed. @module */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Example, Finding, World } from "../shared/example.js";
import { templateValue } from "../shared/healing.js";
import { shortPolicies, UNTIL_FIXED } from "../shared/policies.js";
import { eventsFor, historyFor, textOf } from "../shared/scopes.js";
import { type Stage, writeJson, writePolicies, writeTemplates } from "../shared/stage.js";
import { shellTemplate } from "../shared/templates.js";

const NAME = "8-approval-by-mv";
const TYPES = ["pack-worker", "sort-worker", "merge-worker"] as const;
const EXPIRES_SECONDS = 6;

/** It works, but a person is asked each time. */
const REGISTRY = {
  fixes: [
    {
      fix_id: "halve-batch",
      category: "resource",
      name: "Halve the batch",
      applies_to_patterns: ["transient:resource_contention"],
      safety: { safety_score: 0.95, requires_approval: true },
      actions: [
        {
          type: "modify-worker-spec",
          changes: [{ field: "processing.batch_size", operation: "multiply", value: 0.5, min_value: 10 }],
        },
      ],
    },
  ],
};

const press = (batch: number) => shellTemplate(`${NAME}/press.sh`, { processing: { batch_size: batch } });

function prepare(stage: Stage): void {
  writePolicies(
    stage,
    shortPolicies({
      "worker-restart-policy": UNTIL_FIXED,
      "auto-fix-policy": {
        approval: { expires_after_seconds: 120 },
        overrides: { "sort-worker": { approval: { expires_after_seconds: EXPIRES_SECONDS } } },
      },
      "auto-fix-registry": REGISTRY,
    }),
  );
  writeTemplates(stage, Object.fromEntries(TYPES.map((type) => [type, press(100)])));
}

interface Proposal {
  readonly run_id: string;
  readonly scope: string;
  readonly diff: unknown;
  readonly command: string;
}

const folderOf = ({ layout }: Stage, folder: string): string => join(layout.autoFixDir, folder);

function proposalFor(stage: Stage, scope: string): Proposal | null {
  const folder = folderOf(stage, "pending");
  if (!existsSync(folder)) return null;
  const names = readdirSync(folder).filter((name) => name.endsWith(".json") && !name.startsWith("."));
  const found = names.flatMap((name) => JSON.parse(textOf(join(folder, name)) ?? "null") as Proposal | null);
  return found.find((proposal) => proposal?.scope === scope) ?? null;
}

/** What a person would type, with nothing but a shell. */
async function approve(world: World, proposal: Proposal): Promise<void> {
  const { home } = world.stage;
  const [from, to] = [`coordination/auto-fix/pending/${proposal.run_id}.json`, "coordination/auto-fix/approved/"];
  world.say("demo", `mv ${from} ${to}`);
  await promisify(execFile)("mv", [from, to], { cwd: home });
}

const asked: Record<string, Proposal> = {};
const batchOf = (world: World, type: string): unknown => templateValue(world, type, "processing.batch_size");

async function play(world: World): Promise<void> {
  const { fleet, stage } = world;
  await Promise.all(
    TYPES.map((type) => fleet.spawn({ id: type.replace("-worker", "-1"), type, task: `files of ${type}` })),
  );
  const take = (): boolean => {
    for (const type of TYPES) {
      const proposal = proposalFor(stage, type);
      if (proposal !== null) asked[type] = proposal;
    }
    return TYPES.every((type) => asked[type] !== undefined);
  };
  await world.until("there is a proposal for each of the three", take);
  const [pack, , merge] = TYPES.map((type) => asked[type] as Proposal) as [Proposal, Proposal, Proposal];
  world.say("demo", `a proposal is a file, such as pending/${pack.run_id}.json:`);
  world.show(JSON.stringify({ scope: pack.scope, diff: pack.diff, command: pack.command }));
  await approve(world, pack);
  world.say("fault", "a person edits the template of merge-worker meanwhile: batches of 80");
  writeJson(stage.layout.template("merge-worker"), { ...press(80) });
  await approve(world, merge);
  const said = (type: string, scope: string) => eventsFor(world, type, scope).length > 0;
  await world.until("the approval of merge-worker is answered", () => said("fix_rejected", "merge-worker"), 20);
  // Told first, then escalated, written down, and taken away.
  const isOver = (): boolean =>
    historyFor(stage, "sort-worker").length > 0 &&
    said("escalation_opened", "sort-worker") &&
    !proposalFor(stage, "sort-worker");
  await world.until("the proposal for sort-worker expires", isOver, 20);
  await world.until("the fix of pack-worker has its verdict", () => historyFor(stage, "pack-worker").length > 0);
  await world.until("pack-1 is healthy", () => fleet.isHealthy("pack-1"), 10);
}

function judgeApproved(world: World): Finding {
  const last = historyFor(world.stage, "pack-worker").at(-1);
  const ok = batchOf(world, "pack-worker") === 50 && last?.verdict === "effective" && world.fleet.isHealthy("pack-1");
  const by = eventsFor(world, "fix_approved", "pack-worker")[0]?.data.by;
  return {
    ok: ok && by !== undefined,
    happened: `approved by ${String(by)}; batch_size 100 to ${String(batchOf(world, "pack-worker"))}; ${last?.verdict ?? "no verdict"}`,
  };
}

function judgeExpired(world: World): Finding {
  const calls = eventsFor(world, "escalation_opened", "sort-worker").length;
  const batch = batchOf(world, "sort-worker");
  const left = proposalFor(world.stage, "sort-worker");
  const line = historyFor(world.stage, "sort-worker").at(-1);
  const ok = calls === 1 && batch === 100 && left === null && line?.verdict === "expired";
  const file = left === null ? "the file is gone" : "the file is still there";
  return {
    ok,
    happened: `${line?.verdict ?? "not expired"}, ${calls} call to a person; batch_size still ${String(batch)}; ${file}`,
  };
}

function judgeChanged(world: World): Finding {
  const { run_id } = asked["merge-worker"] ?? { run_id: "none" };
  const path = join(folderOf(world.stage, "approved"), `${run_id}.json.why`);
  const why = existsSync(path) ? readFileSync(path, "utf8").trim() : "no .why beside the file";
  const refused = eventsFor(world, "fix_rejected", "merge-worker").filter(({ reason }) => reason === "precondition");
  const ok = refused.length === 1 && batchOf(world, "merge-worker") === 80;
  return { ok, happened: `batch_size still ${String(batchOf(world, "merge-worker"))}; .why: ${why}` };
}

export const example: Example = {
  name: NAME,
  title: "fixes that wait for a person, who answers with mv, or not, or too late",
  prepare,
  play,
  outcomes: [
    { what: "pending/ is moved to approved/", expected: "applied, and effective", judge: judgeApproved },
    {
      what: `nobody answers for ${EXPIRES_SECONDS} s`,
      expected: "expired: nothing changed, a person called",
      judge: judgeExpired,
    },
    {
      what: "approved, but the template was edited meanwhile",
      expected: "refused: not what was proposed",
      judge: judgeChanged,
    },
  ],
  look: [
    "coordination/auto-fix/approved/                  the two that were moved; one has its .why beside it",
    "coordination/auto-fix/runs/                      each run with its before-image",
    "coordination/metrics/auto-fix-history.jsonl      applied, refused, expired",
    "coordination/decisions/auto-fix.jsonl            every gate, asked again at the moment of approval",
  ],
};
