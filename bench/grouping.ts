/**
 * How well and how fast lines are grouped by the template that wrote them, on labelled corpora (LogHub 2k).
 *
 * The corpora are for research and no part of this project: the folder is named by `--corpora`, or found beside the
 * checkout. One configuration for all of them.
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { assign, find, learn, newClusters, settleAll } from "../lib/domain/grouping/clusters.js";
import { packageRoot } from "../lib/platform/package.js";
import { readCsv } from "./csv.js";
import { round } from "./figures.js";
import type { Result } from "./main.js";
import { type Labelled, type Scores, score } from "./scores.js";

const SUFFIX = "_2k.log_structured.csv";
/** Each corpus is read again until so many lines have gone through: a fraction of a second tells nothing. */
const TIMED_LINES = 200_000;
const PASSES = 3;
/** A pass over lines that were not seen before takes some 10 ms. */
const UNSEEN_PASSES = 12;

export async function grouping(corpora: string | null): Promise<Result> {
  const folder = corpora ?? defaultFolder();
  const leavesOut =
    "reading and decoding files (heald group also goes through a text twice); grouping accuracy on lines whose template the labels get wrong";
  if (folder === null || !existsSync(folder))
    return {
      name: "grouping",
      what: "skipped: no corpora found; name their folder with --corpora DIR",
      leaves_out: leavesOut,
      skipped: 1,
    };
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(SUFFIX))
    .sort();
  const rows = names.map((name) => ({ corpus: name.slice(0, -SUFFIX.length), ...measure(join(folder, name)) }));
  const mean = (key: keyof Measured): number => round(rows.reduce((sum, row) => sum + row[key], 0) / rows.length, 3);
  return {
    name: "grouping",
    what: "grouping accuracy (Zhu 2019), F1 of exact groups, F1 of templates after Khan's corrections and to the letter",
    leaves_out: leavesOut,
    ...Object.fromEntries(rows.map(({ corpus, ...scores }) => [corpus, line(scores)])),
    corpora: rows.length,
    mean_ga: mean("ga"),
    mean_fga: mean("fga"),
    mean_fta: mean("fta"),
    mean_fta_to_the_letter: mean("fta_exact"),
    mean_ga_streaming: mean("ga_streaming"),
    mean_lines_per_second: Math.round(mean("lines_per_second")),
    slowest_lines_per_second: Math.min(...rows.map((row) => row.lines_per_second)),
    mean_unseen_lines_per_second: Math.round(mean("unseen_lines_per_second")),
    slowest_unseen_lines_per_second: Math.min(...rows.map((row) => row.unseen_lines_per_second)),
  };
}

function line(scores: Measured): string {
  return `GA ${scores.ga.toFixed(3)}  FGA ${scores.fga.toFixed(3)}  FTA ${scores.fta.toFixed(3)}  FTA to the letter ${scores.fta_exact.toFixed(3)}  GA streaming ${scores.ga_streaming.toFixed(3)}  ${scores.lines_per_second} lines/s  unseen ${scores.unseen_lines_per_second} lines/s`;
}

function defaultFolder(): string | null {
  const beside = join(packageRoot(), "..", "shared", "data", "loghub-2k");
  return existsSync(beside) ? beside : null;
}

interface Measured extends Scores {
  /** Grouping accuracy of the ids that lines were given when they came, later merges followed. */
  readonly ga_streaming: number;
  /** Over and over the same lines: nearly all have a shape that is known. */
  readonly lines_per_second: number;
  /** Each line once, by a memory that is empty at first: templates are found and merged meanwhile. */
  readonly unseen_lines_per_second: number;
}

function measure(path: string): Measured {
  const rows = readCsv(readFileSync(path, "utf8")).map(
    (row): Labelled => ({
      content: row.Content ?? "",
      eventId: row.EventId ?? "",
      template: row.EventTemplate ?? "",
    }),
  );
  const clusters = newClusters();
  for (const { content } of rows) learn(clusters, content);
  settleAll(clusters);
  const predicted = rows.map(({ content }) => find(clusters, content) ?? { id: "", template: "" });
  const live = newClusters();
  for (const { content } of rows) assign(live, content);
  const streamed = rows.map(({ content }) => find(live, content) ?? { id: "", template: "" });
  return {
    ...score(rows, predicted),
    ga_streaming: score(rows, streamed).ga,
    ...speeds(rows.map(({ content }) => content)),
  };
}

/** The best of some passes: what else the machine does can only slow it. */
function speeds(lines: readonly string[]): Pick<Measured, "lines_per_second" | "unseen_lines_per_second"> {
  const best = (passes: number, once: () => number): number => Math.max(...Array.from({ length: passes }, once));
  return {
    lines_per_second: best(PASSES, () => speedOnce(lines, TIMED_LINES)),
    unseen_lines_per_second: best(UNSEEN_PASSES, () => speedOnce(lines, lines.length)),
  };
}

/** @param wanted The corpus is gone through until so many lines are assigned. */
function speedOnce(lines: readonly string[], wanted: number): number {
  const clusters = newClusters();
  const from = performance.now();
  let count = 0;
  while (count < wanted) {
    for (const each of lines) assign(clusters, each);
    count += lines.length;
  }
  return Math.round(count / ((performance.now() - from) / 1000));
}
