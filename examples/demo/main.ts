/**
 * The demo: real daemons, real workers, real failures, in about a minute.
 *
 * Exits 0 only if every outcome was as it should be. Whatever happens, every process that it started is ended.
 * @module
 */
import { rmSync } from "node:fs";
import { relative } from "node:path";
import { parseArgs } from "node:util";
import { Chronicle } from "../shared/chronicle.js";
import { type CleanedUp, cleanUp } from "../shared/clean-up.js";
import { Daemons } from "../shared/daemons.js";
import { CLI, Fleet } from "../shared/fleet.js";
import { type Kind, Screen } from "../shared/screen.js";
import { sentenceOf } from "../shared/sentences.js";
import { mendHeartbeats } from "./outage.js";
import { type Finding, OUTCOMES, type Outcome } from "./outcomes.js";
import { type DemoStage, makeDemoStage, ZOMBIE_SECONDS } from "./stage.js";
import { play } from "./story.js";
import { newNotes, type World } from "./world.js";

const WATCHDOG_MS = 100_000;
const SHOW_EVERY_MS = 100;

const HELP = `Usage: npm run demo [-- --remove]

Starts four daemons and twelve workers in a new folder, breaks them in twelve ways, leaves one row alone, and shows what comes of it.

  --remove   remove the folder at the end, if every outcome was as expected; else it stays for a look
  --help     print this
`;

interface Run {
  readonly stage: DemoStage;
  readonly screen: Screen;
  readonly world: World;
}

/** A person ended the demo: there is nothing to judge. */
class Interrupted extends Error {}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { remove: { type: "boolean" }, help: { type: "boolean" } } });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const startMs = Date.now();
  const run = open(new Screen(process.stdout, process.env, startMs));
  const show = setInterval(() => showNews(run), SHOW_EVERY_MS);
  const error = await Promise.race([play(run.world), interruption()]).then(() => null, asError);
  showNews(run);
  const findings =
    error instanceof Interrupted ? [] : OUTCOMES.map((outcome) => ({ ...outcome, ...outcome.judge(run.world) }));
  run.world.heading(error === null ? "Everything is ended" : `The demo is broken off: ${error.message}`);
  run.world.fleet.close();
  mendHeartbeats(run.stage);
  const cleaned = await cleanUp(run.stage, run.world.daemons, run.world.fleet);
  clearInterval(show);
  showNews(run);
  const isAsItShould = error === null && findings.every(({ ok }) => ok) && cleaned.left.length === 0;
  sayCleaned(run, cleaned);
  if (findings.length > 0) showTable(run.screen, findings);
  sayWhereToLook(run, isAsItShould && values.remove === true);
  run.screen.plain("");
  const took = `${Math.round((Date.now() - startMs) / 1000)} s`;
  const good = findings.filter(({ ok }) => ok).length;
  run.screen.plain(`${good} of ${OUTCOMES.length} outcomes were as expected, in ${took}.`);
  return isAsItShould ? 0 : 1;
}

function open(screen: Screen): Run {
  const stage = makeDemoStage();
  const say = (kind: Kind, text: string): void => screen.line(kind, Date.now(), text);
  const world: World = {
    stage,
    fleet: new Fleet(stage),
    daemons: new Daemons(stage),
    chronicle: new Chronicle(stage.layout),
    notes: newNotes(),
    say,
    heading: (text) => screen.heading(text),
    refresh: () => showNews({ world, screen }),
    show: (output) => screen.output(output),
  };
  screen.plain(screen.style("bold", "heald: workers that die or hang come back"));
  screen.plain(`Everything is in ${stage.home}`);
  screen.plain(`A worker that is silent for ${ZOMBIE_SECONDS} s, and found to hang, is ended and replaced.`);
  return { stage, screen, world };
}

/** Rejects when a person or the watchdog ends the demo, or nobody reads what it prints. */
function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.on(signal, () => reject(new Interrupted(`it was ended by ${signal}`)));
    process.stdout.on("error", () => reject(new Interrupted("nobody reads what it prints")));
    setTimeout(() => reject(new Error(`it took longer than ${WATCHDOG_MS / 1000} s`)), WATCHDOG_MS).unref();
  });
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
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
  world.say("demo", `${daemons}; ${ended} processes of workers were ended, ${rest}`);
}

function showTable(screen: Screen, findings: readonly (Outcome & Finding)[]): void {
  screen.heading("What was expected, and what happened");
  screen.plain("");
  screen.table(
    ["", "what was done", "expected", "what happened"],
    findings.map(({ ok, fault, expected, happened }) => [ok ? "ok" : "FAILED", fault, expected, happened]),
    [26, 24, 36],
  );
}

function sayWhereToLook({ stage, screen, world }: Run, remove: boolean): void {
  world.chronicle.close();
  screen.heading("Files to look at");
  if (remove) {
    rmSync(stage.home, { recursive: true, force: true });
    screen.plain(`${stage.home} was removed, as --remove asks.`);
    return;
  }
  screen.plain(`In ${stage.home}/coordination:`);
  for (const line of FILES) screen.plain(`  ${line}`);
  screen.plain(`What the workers printed: ${stage.home}/agents/logs/workers/`);
  screen.plain("The whole story of one worker:");
  screen.plain(`  node ${relative(process.cwd(), CLI)} why mail-1 --home ${stage.home}`);
  screen.plain(`When you have seen enough: rm -r ${stage.home}`);
}

const FILES = [
  "events/                    what was seen, decided and done: one line of JSON each",
  "decisions/                 each decision with its gates, their values and thresholds",
  "worker-specs/zombie/       the evidence of each attempt that ended, with its last words",
  "restart/done/, queue/      the requests to restart; that for parse-1 waits for a person",
  "holds/                     why it waits: remove the hold, and the task is tried again",
  "metrics/                   figures of the daemons, and the restart history",
  "config/                    the policies of this run",
];

// A story that was broken off waits on; nothing of it is wanted any more.
process.exit(await main());
