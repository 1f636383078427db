/** A configuration error is not restarted until its file changes, and then at once. @module */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Example, Finding, World } from "../shared/example.js";
import { shortPolicies } from "../shared/policies.js";
import { type Stage, writePolicies, writeTemplates } from "../shared/stage.js";
import { shellTemplate } from "../shared/templates.js";
import { waitFor } from "../shared/waiting.js";

const NAME = "6-configuration-error";
const WORKER = "ledger-1";
/** With these policies any other death would use up its retries within it. */
const PATIENCE_MS = 6000;

const configOf = (stage: Stage): string => join(stage.home, "ledger.conf");

/** What the story saw itself; instants are wall-clock milliseconds. */
const seen = { attemptsWhileWaiting: 0, attemptsAfterOther: 0, wrongAtMs: 0, mendedAtMs: 0 };

function prepare(stage: Stage): void {
  writeFileSync(configOf(stage), "currency=EUR\n", { mode: 0o640 });
  writePolicies(stage, shortPolicies());
  writeTemplates(stage, { "ledger-worker": shellTemplate(`${NAME}/ledger.sh`, {}, [configOf(stage)]) });
}

const attempts = ({ fleet }: World): number => fleet.launches(WORKER).length;
const waits = ({ chronicle }: World): number =>
  chronicle.of(WORKER, "worker_restart_deferred").filter(({ reason }) => reason === "exit_class").length;

async function play(world: World): Promise<void> {
  const { fleet, stage } = world;
  await fleet.spawn({ id: WORKER, type: "ledger-worker", task: "year-end" });
  await world.until("the worker has exited with 78 and waits for its file", () => waits(world) === 1);
  world.say("demo", `nothing is done for ${PATIENCE_MS / 1000} s`);
  await waitFor(() => attempts(world) > 1, PATIENCE_MS);
  seen.attemptsWhileWaiting = attempts(world);
  world.say("fault", "another file of its folder is written: none of its business");
  writeFileSync(join(stage.home, "other.conf"), "account=1\n");
  await waitFor(() => attempts(world) > 1, PATIENCE_MS / 3);
  seen.attemptsAfterOther = attempts(world);
  world.say("fault", "ledger.conf is changed, and still wrong: account=unknown");
  seen.wrongAtMs = Date.now();
  writeFileSync(configOf(stage), "currency=EUR\naccount=unknown\n");
  await world.until("it was tried once, and waits again", () => attempts(world) === 2 && waits(world) === 2);
  world.say("demo", "ledger.conf gets its account: account=4711");
  seen.mendedAtMs = Date.now();
  writeFileSync(configOf(stage), "currency=EUR\naccount=4711\n");
  await world.until("the worker is healthy", () => attempts(world) === 3 && fleet.isHealthy(WORKER));
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function judgeTried(world: World, attempt: number, sinceMs: number): Finding {
  const launch = world.fleet.launches(WORKER)[attempt - 1];
  if (launch === undefined) return { ok: false, happened: `there is no attempt ${attempt}` };
  const afterMs = launch.started_at_ms - sinceMs;
  return { ok: afterMs >= 0 && afterMs < 5000, happened: `attempt ${attempt} began ${seconds(afterMs)} after it` };
}

function judgeAlive(world: World): Finding {
  const found = judgeTried(world, 3, seen.mendedAtMs);
  const ok = found.ok && world.fleet.isHealthy(WORKER) && attempts(world) === 3;
  return { ok, happened: `${found.happened}; ${world.fleet.state(WORKER) ?? "not active"}` };
}

export const example: Example = {
  name: NAME,
  title: "a configuration error is not restarted until its file changes, then at once",
  prepare,
  play,
  outcomes: [
    {
      what: "it exits with 78 (EX_CONFIG)",
      expected: "no restart: it could only fail again",
      judge: () => ({
        ok: seen.attemptsWhileWaiting === 1,
        happened: `${seen.attemptsWhileWaiting} attempt in ${PATIENCE_MS / 1000} s`,
      }),
    },
    {
      what: "another file is written",
      expected: "nothing",
      judge: () => ({ ok: seen.attemptsAfterOther === 1, happened: `${seen.attemptsAfterOther} attempt` }),
    },
    {
      what: "its file changes, still wrong",
      expected: "one attempt, and it waits again",
      judge: (world) => judgeTried(world, 2, seen.wrongAtMs),
    },
    { what: "its file is mended", expected: "started at once, healthy", judge: judgeAlive },
  ],
  look: [
    "ledger.conf                                       the file that the worker reads",
    "coordination/events/worker-restart-events.jsonl   why it waits, for which file, and why it is started again",
    "coordination/worker-specs/zombie/                 the evidence of the attempts that exited with 78",
  ],
};
