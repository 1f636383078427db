/**
 * Measures the real daemons on real processes.
 *
 * usage: npm run bench -- recovery|mass|neighbours|hang|idle|startup|parts|churn|grouping|patterns|digest|history|replay|backtest|why|all [--workers N] [--seconds N] [--settle N] [--samples N] [--hours N] [--seed N] [--folder F] [--json]
 *
 * `--samples` is the number of kills, hangs, waves or starts; `--settle` the seconds before `idle` counts.
 * @module
 */
import { parseArgs } from "node:util";
import { backtest } from "./backtest.js";
import { churn } from "./churn.js";
import { runToTheEnd } from "./cleanup.js";
import { digest } from "./digest.js";
import { machine } from "./figures.js";
import { grouping } from "./grouping.js";
import { hang } from "./hang.js";
import type { Wanted } from "./history/ready.js";
import { history } from "./history.js";
import { idle } from "./idle.js";
import { neighbours } from "./neighbours.js";
import { parts } from "./parts.js";
import { patterns } from "./patterns.js";
import { choosePlace, placeOfHomes } from "./place.js";
import { mass, recovery } from "./recovery.js";
import { replay } from "./replay.js";
import { startup } from "./startup.js";
import { why } from "./why.js";

/** One benchmark's figures. */
export interface Result {
  readonly name: string;
  /** What is measured, from which instant to which. */
  readonly what: string;
  /** What it does not measure. */
  readonly leaves_out: string;
  /** Of the daemons, as far as it is not the default; left out where no daemon runs. */
  readonly policy?: object;
  /** The home, where it is not made for this benchmark alone. */
  readonly home?: string;
  readonly [figure: string]: number | string | object | null | undefined;
}

interface Options {
  readonly workers: number | null;
  readonly seconds: number | null;
  readonly settle: number | null;
  readonly samples: number | null;
  /** The folder of the labelled corpora. */
  readonly corpora: string | null;
  readonly seed: number;
  /** Simulated hours of a history. */
  readonly hours: number | null;
  /** Where a history is kept, or found. */
  readonly folder: string | null;
}

const BENCHMARKS: Readonly<Record<string, (options: Options) => Promise<Result>>> = {
  recovery: ({ workers, samples }) => recovery(workers ?? 10, samples ?? 200),
  mass: ({ workers, samples }) => mass(workers ?? 100, samples ?? 5),
  neighbours: () => neighbours(),
  hang: ({ workers, samples }) => hang(workers ?? 1000, samples ?? 100),
  idle: ({ workers, seconds, settle }) => idle(workers ?? 1000, seconds ?? 240, settle ?? 300),
  parts: () => parts(),
  startup: ({ workers, samples }) => startup(workers ?? 10_000, samples ?? 3),
  churn: ({ workers, seconds }) => churn(workers ?? 10_000, seconds ?? 600),
  grouping: ({ corpora }) => grouping(corpora),
  patterns: ({ seed }) => patterns(seed),
  digest: ({ seconds }) => digest(seconds ?? 60),
  history: (options) => history(historyOf(options)),
  replay: (options) => replay(historyOf(options)),
  backtest: (options) => backtest(historyOf(options)),
  why: (options) => why(historyOf(options)),
};

/** Those that take many minutes. */
const ONLY_BY_NAME: ReadonlySet<string> = new Set(["neighbours", "churn", "history", "replay", "backtest", "why"]);

/** A week of a thousand workers, unless told otherwise. */
function historyOf({ folder, workers, hours, seed }: Options): Wanted {
  return { folder, workers: workers ?? 1000, hours: hours ?? 168, seed };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    workers: { type: "string" },
    seconds: { type: "string" },
    settle: { type: "string" },
    samples: { type: "string" },
    corpora: { type: "string" },
    seed: { type: "string" },
    hours: { type: "string" },
    folder: { type: "string" },
    json: { type: "boolean" },
  },
});
const [name = "all"] = positionals;
const names = name === "all" ? Object.keys(BENCHMARKS).filter((one) => !ONLY_BY_NAME.has(one)) : [name];
const options = {
  workers: countOf("workers"),
  seconds: countOf("seconds"),
  settle: countOf("settle"),
  samples: countOf("samples"),
  corpora: values.corpora ?? null,
  seed: countOf("seed") ?? 1,
  hours: countOf("hours"),
  folder: values.folder ?? null,
};

/** A whole number that was given, at least 1; null if none was. */
function countOf(option: "workers" | "seconds" | "settle" | "samples" | "seed" | "hours"): number | null {
  const given = values[option];
  if (given === undefined) return null;
  if (/^[1-9]\d{0,8}$/.test(given)) return Number(given);
  process.stderr.write(`--${option} must be a whole number from 1 on, got "${given}"\n`);
  process.exit(2);
}

/** Where homes are is a part of the machine: it decides what a file costs. */
const where = (): string => {
  const { folder, createUs } = placeOfHomes();
  return `${machine()}; homes in ${folder}, where a file is created in ${createUs} us`;
};

const results: Result[] = [];
for (const one of names) {
  const run = BENCHMARKS[one];
  if (run === undefined) {
    process.stderr.write(`Unknown benchmark "${one}": one of ${Object.keys(BENCHMARKS).join(", ")}, all\n`);
    process.exit(2);
  }
  // What ran before may have made files dear where it was.
  choosePlace();
  const result = { ...(await runToTheEnd(() => run(options))), machine: where() };
  results.push(result);
  const { name: title, what, policy, leaves_out, machine: measuredOn, ...figures } = result;
  process.stdout.write(`\n${title}: ${what}\n`);
  for (const [key, value] of Object.entries(figures)) process.stdout.write(`  ${key.padEnd(24)} ${value}\n`);
  if (policy !== undefined) process.stdout.write(`  policy: ${JSON.stringify(policy)}, otherwise the defaults\n`);
  process.stdout.write(`  not measured: ${leaves_out}\n  machine: ${measuredOn}\n`);
}
if (values.json)
  process.stdout.write(
    `${JSON.stringify({ at: new Date().toISOString(), ...(results.length === 1 ? results[0] : { results }) })}\n`,
  );
