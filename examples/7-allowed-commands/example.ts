/** A command from the allowed list; one that is not on it; two whose arguments try to be clever. @module */
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../lib/platform/package.js";
import type { Example, Finding, World } from "../shared/example.js";
import { shortPolicies, UNTIL_FIXED } from "../shared/policies.js";
import { eventsFor, historyFor, textOf } from "../shared/scopes.js";
import { type Stage, writePolicies, writeTemplates } from "../shared/stage.js";
import { shellTemplate } from "../shared/templates.js";

const NAME = "7-allowed-commands";
const PROGRAMS = ["make-shelf", "write-note"] as const;

/** Each kind of worker ends with an exit code of its own, so that each has a fix of its own. */
const KINDS = {
  "parcel-worker": { exit: 66, pattern: "environmental:path_not_found", command: "make-shelf", task: "shelf-7" },
  "letter-worker": { exit: 69, pattern: "transient:external_service_unavailable", command: "rm", task: "shelf-8" },
  "crate-worker": {
    exit: 65,
    pattern: "data:invalid_input",
    command: "make-shelf",
    task: "../../../tmp/x; touch owned",
  },
  "card-worker": {
    exit: 75,
    pattern: "transient:resource_contention",
    command: "write-note",
    task: "$(touch owned); touch owned",
  },
} as const;
type Kind = keyof typeof KINDS;
const TYPES = Object.keys(KINDS) as readonly Kind[];

const fixOf = (type: Kind) => ({
  fix_id: `help-${type}`,
  category: "workflow",
  name: `Run ${KINDS[type].command}`,
  applies_to_patterns: [KINDS[type].pattern],
  // The operator who wrote the list vouches for it; a command is asked about otherwise.
  safety: { safety_score: 0.95 },
  actions: [{ type: "run-command", command: KINDS[type].command, args: ["{task_id}"] }],
});

/** Away from the workers, where only the operator writes. */
const programOf = (stage: Stage, name: string): string => join(stage.home, `${name}.sh`);

function prepare(stage: Stage): void {
  for (const name of PROGRAMS)
    copyFileSync(join(packageRoot(), "examples", NAME, `${name}.sh`), programOf(stage, name));
  writePolicies(
    stage,
    shortPolicies({
      "worker-restart-policy": UNTIL_FIXED,
      "auto-fix-policy": { max_concurrent_fixes: 10 },
      "auto-fix-registry": { fixes: TYPES.map(fixOf) },
      "allowed-commands": {
        commands: [
          { name: "make-shelf", path: programOf(stage, "make-shelf"), args: ["[a-z0-9-]{1,40}"] },
          { name: "write-note", path: programOf(stage, "write-note"), args: [".*"] },
        ],
      },
    }),
  );
  writeTemplates(
    stage,
    Object.fromEntries(TYPES.map((type) => [type, shellTemplate(`${NAME}/shop.sh`, {}, [String(KINDS[type].exit)])])),
  );
}

const idOf = (type: Kind): string => type.replace("-worker", "-1");
const said = (world: World, event: string, type: Kind) => eventsFor(world, event, type);

async function play(world: World): Promise<void> {
  const { fleet } = world;
  for (const type of TYPES) world.say("demo", `${idOf(type)} works on the task ${JSON.stringify(KINDS[type].task)}`);
  await Promise.all(TYPES.map((type) => fleet.spawn({ id: idOf(type), type, task: KINDS[type].task })));
  await world.until("the command that is allowed is run", () => said(world, "fix_applied", "parcel-worker").length > 0);
  await world.until(
    "the one that is not on the list is refused",
    () => said(world, "fix_suppressed", "letter-worker").length > 0,
  );
  await world.until("the clever argument is refused", () => said(world, "fix_suppressed", "crate-worker").length > 0);
  await world.until("the clever text is handed on", () => said(world, "fix_applied", "card-worker").length > 0);
  await world.until("the first has its verdict", () => historyFor(world.stage, "parcel-worker").length > 0);
  await world.until("its worker is healthy", () => fleet.isHealthy("parcel-1"), 10);
}

function judgeAllowed(world: World): Finding {
  const calls = textOf(join(world.stage.home, "make-shelf.calls"));
  const verdict = historyFor(world.stage, "parcel-worker")[0]?.verdict;
  const ok = calls === "shelf-7\n" && verdict === "effective" && world.fleet.isHealthy("parcel-1");
  return { ok, happened: `called once with ${JSON.stringify(calls?.trim() ?? "nothing")}; ${verdict ?? "no verdict"}` };
}

function judgeRefused(world: World, type: Kind, why: string): Finding {
  const [refused] = said(world, "fix_suppressed", type);
  const ok =
    refused?.reason === "precondition" &&
    refused.message.includes(why) &&
    said(world, "fix_applied", type).length === 0 &&
    !anythingOwned(world);
  return { ok, happened: refused?.message.replace(/^.*?: /, "") ?? "not refused" };
}

/** Where a shell would have left its mark, had one ever read the arguments. */
function anythingOwned({ stage }: World): boolean {
  return ["owned", "coordination/owned", "shelves/owned"].some((name) => existsSync(join(stage.home, name)));
}

function judgeVerbatim(world: World): Finding {
  const calls = textOf(join(world.stage.home, "write-note.calls"))?.trim();
  const ok = calls === `1 arguments: ${KINDS["card-worker"].task}` && !anythingOwned(world);
  return {
    ok,
    happened: `${calls ?? "not called"}; ${anythingOwned(world) ? "AND a file was made" : "no file was made"}`,
  };
}

export const example: Example = {
  name: NAME,
  title: "commands: one that is allowed, one that is not, and arguments that try to be clever",
  prepare,
  play,
  outcomes: [
    { what: "make-shelf shelf-7", expected: "run once; the worker lives", judge: judgeAllowed },
    {
      what: "rm shelf-8: not on the list",
      expected: "refused by name",
      judge: (world) => judgeRefused(world, "letter-worker", '"rm" is not in allowed-commands.json'),
    },
    {
      what: "make-shelf with ../ and ; in its argument",
      expected: "refused by the pattern",
      judge: (world) => judgeRefused(world, "crate-worker", 'argument 1 of "make-shelf" does not match'),
    },
    {
      what: "write-note with $( ) and ; where any text is allowed",
      expected: "one argument, as it is: there is no shell",
      judge: judgeVerbatim,
    },
  ],
  look: [
    "coordination/config/allowed-commands.json        the two programs, and what their arguments must look like",
    "make-shelf.calls, write-note.calls               what they were given",
    "coordination/events/auto-fix-events.jsonl        what was run, what was refused, and why",
  ],
};
