/** Runs one example: real daemons, real workers; shows what happens, and judges it. Ends everything it started. @module */
import { rmSync } from "node:fs";
import { relative } from "node:path";
import { Chronicle } from "./chronicle.js";
import { type CleanedUp, cleanUp } from "./clean-up.js";
import { Daemons } from "./daemons.js";
import type { Example, World } from "./example.js";
import { CLI, Fleet } from "./fleet.js";
import { type Kind, Screen } from "./screen.js";
import { sentenceOf } from "./sentences.js";
import { makeStage, type Stage } from "./stage.js";
import { waitFor } from "./waiting.js";

const WATCHDOG_MS = 100_000;
const SHOW_EVERY_MS = 100;
const BOUND_SECONDS = 45;

interface Run {
  readonly example: Example;
  readonly stage: Stage;
  readonly screen: Screen;
  readonly world: World;
}

/** Answers whether every outcome was as it should be, and nothing was left running. */
export async function runExample(example: Example, options: { readonly remove: boolean }): Promise<boolean> {
  const startMs = Date.now();
  const run = open(example, new Screen(process.stdout, process.env, startMs));
  const show = setInterval(() => showNews(run), SHOW_EVERY_MS);
  const brokenOff = await Promise.race([play(run), interruption()]).then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  showNews(run);
  const findings = example.outcomes.map((outcome) => ({ ...outcome, ...outcome.judge(run.world) }));
  run.screen.heading(brokenOff === null ? "Everything is ended" : `The example is broken off: ${brokenOff}`);
  const cleaned = await cleanUp(run.stage, run.world.daemons, run.world.fleet);
  await example.close?.();
  clearInterval(show);
  showNews(run);
  sayCleaned(run, cleaned);
  run.screen.heading("What was expected, and what happened");
  run.screen.plain("");
  run.screen.table(
    ["", "what", "expected", "what happened"],
    findings.map(({ ok, what, expected, happened }) => [ok ? "ok" : "FAILED", what, expected, happened]),
    [24, 26, 36],
  );
  const good = findings.filter(({ ok }) => ok).length;
  const isAsItShould = brokenOff === null && good === findings.length && cleaned.left.length === 0;
  sayWhereToLook(run, isAsItShould && options.remove);
  run.screen.plain("");
  const seconds = Math.round((Date.now() - startMs) / 1000);
  run.screen.plain(`${good} of ${findings.length} outcomes were as expected, in ${seconds} s.`);
  return isAsItShould;
}

function open(example: Example, screen: Screen): Run {
  const stage = makeStage(`example-${example.name}`);
  const chronicle = new Chronicle(stage.layout);
  const look = (): void => showNews({ world, screen });
  const world: World = {
    stage,
    fleet: new Fleet(stage),
    daemons: new Daemons(stage),
    chronicle,
    say: (kind: Kind, text) => screen.line(kind, Date.now(), text),
    show: (output) => screen.output(output),
    until: async (what, condition, boundSeconds = BOUND_SECONDS) => {
      const isTrue = await waitFor(() => {
        look();
        return condition();
      }, boundSeconds * 1000);
      if (!isTrue) throw new Error(`${what}: this did not happen within ${boundSeconds} s`);
    },
  };
  screen.plain(screen.style("bold", `heald: ${example.title}`));
  screen.plain(`Everything is in ${stage.home}`);
  return { example, stage, screen, world };
}

async function play({ example, world }: Run): Promise<void> {
  await example.prepare(world.stage);
  await world.daemons.start();
  await example.play(world);
}

/** Rejects when a person or the watchdog ends the example, or nobody reads what it prints. */
function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.on(signal, () => reject(new Error(`it was ended by ${signal}`)));
    process.stdout.on("error", () => reject(new Error("nobody reads what it prints")));
    setTimeout(() => reject(new Error(`it took longer than ${WATCHDOG_MS / 1000} s`)), WATCHDOG_MS).unref();
  });
}

function showNews({ world, screen }: Pick<Run, "world" | "screen">): void {
  for (const told of world.chronicle.read()) {
    const sentence = sentenceOf(told);
    if (sentence !== null) screen.line(sentence.kind, told.atMs, sentence.text);
  }
}

function sayCleaned({ world }: Run, { ended, stubborn, left }: CleanedUp): void {
  const daemons = stubborn.length === 0 ? "the daemons stopped when asked" : `${stubborn.join(", ")} had to be killed`;
  const rest = left.length === 0 ? "none is left" : `NOT ended: ${left.join(", ")}`;
  const own = world.daemons.unexpected.map((text) => `; ${text}`).join("");
  world.say("demo", `${daemons}; ${ended} processes of workers were ended, ${rest}${own}`);
}

function sayWhereToLook({ example, stage, screen, world }: Run, remove: boolean): void {
  world.chronicle.close();
  screen.heading("Files to look at");
  if (remove) {
    rmSync(stage.home, { recursive: true, force: true });
    screen.plain(`${stage.home} was removed, as --remove asks.`);
    return;
  }
  screen.plain(`In ${stage.home}:`);
  for (const line of example.look) screen.plain(`  ${line}`);
  screen.plain("What was fixed, and what each fix has proved:");
  screen.plain(`  node ${relative(process.cwd(), CLI)} fixes --home ${stage.home}`);
  screen.plain(`When you have seen enough: rm -r ${stage.home}`);
}
