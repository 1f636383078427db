/** Current figures of each daemon as one line of JSON, all of them for Prometheus, and totals that outlive a restart. @module */
import { join } from "node:path";
import { FileRefused } from "../errors.js";
import { utc } from "../platform/clock.js";
import { readSmall, replaceFile } from "../platform/files.js";
import { readInstant } from "../schema/primitives.js";
import { jsonNamesIn, lineOf } from "./entries.js";
import type { Layout } from "./layout.js";
import { MAX_BYTES } from "./records.js";

export type Figures = Readonly<Record<string, unknown>>;

const ENDING = "-metrics.json";

/** Writes a daemon's figures compactly; the timestamp is added here. */
export function writeMetrics(layout: Layout, daemon: string, figures: object): void {
  replaceFile(layout.metrics(daemon), lineOf({ timestamp: utc(Date.now()), ...figures }));
}

/** A daemon's figures as they were written last; empty if there are none that can be read. */
export function readMetrics(layout: Layout, daemon: string): Figures {
  return readFigures(layout.metrics(daemon));
}

// Figures are for people and are written anew within seconds: a spoilt file costs its totals, not more.
function readFigures(path: string): Figures {
  try {
    const json: unknown = JSON.parse(readSmall(path, { maxBytes: MAX_BYTES.metrics })?.text ?? "null");
    return isObject(json) ? json : {};
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof FileRefused) return {};
    throw error;
  }
}

/** Lifetime totals by name, as a daemon's last run left them; 0 where there is none. For the start of a daemon. */
export function loadTotals<Name extends string>(
  layout: Layout,
  daemon: string,
  names: readonly Name[],
): Record<Name, number> {
  const figures = readMetrics(layout, daemon);
  const totals = names.map((name) => [name, countOf(figures[name])]);
  return Object.fromEntries(totals) as Record<Name, number>;
}

/** Since when a daemon's lifetime totals count, as its last run left it; null if that is not known, or lies in the future. */
export function loadSince(layout: Layout, daemon: string, nowMs: number): number | null {
  const { since } = readMetrics(layout, daemon);
  const sinceMs = typeof since === "string" ? readInstant(since) : null;
  return sinceMs === null || sinceMs > nowMs ? null : sinceMs;
}

function countOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : 0;
}

/** Totals that only grow, counted on from where the last run stopped. */
export class Totals<Name extends string> {
  readonly #counts: Record<Name, number>;

  constructor(layout: Layout, daemon: string, names: readonly Name[]) {
    this.#counts = loadTotals(layout, daemon, names);
  }

  add(name: Name, by = 1): void {
    this.#counts[name] += by;
  }

  values(): Readonly<Record<Name, number>> {
    return { ...this.#counts };
  }
}

/** Writes the figures of all daemons to `metrics/heald.prom`. */
export function writePrometheus(layout: Layout): void {
  const all: Record<string, Figures> = {};
  for (const name of jsonNamesIn(layout.metricsDir).filter((each) => each.endsWith(ENDING))) {
    all[name.slice(0, -ENDING.length)] = readFigures(join(layout.metricsDir, name));
  }
  replaceFile(layout.prometheus, promText(all));
}

/** Puts figures in Prometheus' text format: one family for each figure, the daemon and a nested figure's key as labels. */
export function promText(allDaemonsFigures: Readonly<Record<string, Figures>>): string {
  const families = new Map<string, string[]>();
  for (const [daemon, figures] of Object.entries(allDaemonsFigures)) {
    for (const [name, value] of Object.entries(figures)) addSamples(families, daemon, name, value);
  }
  const lines = [...families].flatMap(([family, samples]) => [`# TYPE ${family} untyped`, ...samples]);
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function addSamples(families: Map<string, string[]>, daemon: string, name: string, value: unknown): void {
  const family = `heald_${name.replace(/[^A-Za-z0-9_]/g, "_")}`;
  const samples = families.get(family) ?? [];
  const label = `daemon="${escaped(daemon)}"`;
  for (const [key, each] of isObject(value) ? Object.entries(value) : [["", value] as const]) {
    const number = typeof each === "boolean" ? Number(each) : each;
    if (typeof number !== "number" || !Number.isFinite(number)) continue;
    samples.push(`${family}{${label}${key === "" ? "" : `,key="${escaped(key)}"`}} ${number}`);
  }
  if (samples.length > 0) families.set(family, samples);
}

function escaped(text: string): string {
  return text.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n");
}

function isObject(value: unknown): value is Figures {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
