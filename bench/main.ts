/**
 * Measures the real daemons on real processes.
 *
 * usage: npm run bench -- recovery|mass|neighbours|hang|idle|startup|parts|churn|grouping|patterns|digest|history|replay|backtest|why|all [--workers N] [--seconds N] [--hours N] [--seed N] [--folder F] [--json]
 * @module
 */
import { parseArgs } from "node:util";
import { backtest } from "./backtest.js";
import { churn } from "./churn.js";
import { digest } from "./digest.js";
import { grouping } from "./grouping.js";
import { hang } from "./hang.js";
import type { Wanted } from "./history/ready.js";
import { history } from "./history.js";
import { idle } from "./idle.js";
import { machine } from "./lab.js";
import { neighbours } from "./neighbours.js";
import { parts } from "./parts.js";
import { patterns } from "./patterns.js";
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
  readonly [figure: string]: number | string | null;
}

interface Options {
  readonly workers: number | null;
  readonly seconds: number | null;
  /** The folder of the labelled corpora. */
  readonly corpora: string | null;
  readonly seed: number;
  /** Simulated hours of a history. */
  readonly hours: number | null;
  /** Where a history is kept, or found. */
  readonly folder: string | null;
}

const BENCHMARKS: Readonly<Record<string, (options: Options) => Promise<Result>>> = {
  recovery: ({ workers }) => recovery(workers ?? 10),
  mass: ({ workers }) => mass(workers ?? 100),
  neighbours: () => neighbours(),
  hang: ({ workers }) => hang(workers ?? 1000),
  idle: ({ workers, seconds }) => idle(workers ?? 1000, seconds ?? 240),
  parts: () => parts(),
  startup: ({ workers }) => startup(workers ?? 10_000),
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
  workers: values.workers ? Number(values.workers) : null,
  seconds: values.seconds ? Number(values.seconds) : null,
  corpora: values.corpora ?? null,
  seed: values.seed ? Number(values.seed) : 1,
  hours: values.hours ? Number(values.hours) : null,
  folder: values.folder ?? null,
};
const results: Result[] = [];
for (const one of names) {
  const run = BENCHMARKS[one];
  if (run === undefined) {
    process.stderr.write(`Unknown benchmark "${one}": one of ${Object.keys(BENCHMARKS).join(", ")}, all\n`);
    process.exit(2);
  }
  const result = await run(options);
  results.push(result);
  const { name: title, what, leaves_out, ...figures } = result;
  process.stdout.write(`\n${title}: ${what}\n`);
  for (const [key, value] of Object.entries(figures)) process.stdout.write(`  ${key.padEnd(24)} ${value}\n`);
  process.stdout.write(`  not measured: ${leaves_out}\n  machine: ${machine()}\n`);
}
if (values.json)
  process.stdout.write(
    `${JSON.stringify({ machine: machine(), at: new Date().toISOString(), ...(results.length === 1 ? results[0] : { results }) })}\n`,
  );
