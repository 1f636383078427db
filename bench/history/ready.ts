/** A made-up history that is there: the one in a folder, or one that is made now. @module */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { namesIn } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import { placeOfHomes } from "../place.js";
import { type HistoryFigures, layoutOf, makeHistory } from "./make.js";

const HOUR_MS = 3_600_000;

export interface Wanted {
  /** Kept there, and used again by the next benchmark; null: in a temporary folder that is removed. */
  readonly folder: string | null;
  readonly workers: number;
  readonly hours: number;
  readonly seed: number;
}

export interface History extends HistoryFigures {
  readonly folder: string;
  readonly layout: Layout;
  /** In force when its decisions were made. */
  readonly policy: object;
  /** What its logs and decisions take, MiB. */
  readonly events_mib: number;
  readonly decisions_mib: number;
  readonly remove: () => void;
}

/** Gives the history in the folder, or makes one, which takes minutes for a large fleet. */
export function readyHistory({ folder, workers, hours, seed }: Wanted): History {
  const place = folder ?? mkdtempSync(join(placeOfHomes().folder, "heald-history-"));
  const note = join(place, "history.json");
  if (!existsSync(note)) {
    process.stderr.write(`Making ${hours} hours of ${workers} workers in ${place}…\n`);
    mkdirSync(place, { recursive: true });
    const endAtMs = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
    const figures = makeHistory({ folder: place, workers, hours, seed, endAtMs, onHour: progress(hours) });
    writeFileSync(note, `${JSON.stringify({ workers, hours, seed, ...figures })}\n`);
  }
  const figures = JSON.parse(readFileSync(note, "utf8")) as HistoryFigures;
  const layout = layoutOf(place);
  const archived = (isDecision: boolean): number =>
    mibOf(layout.archiveDir, (name) => name.includes("-events.") !== isDecision && !name.includes("history"));
  return {
    ...figures,
    folder: place,
    layout,
    policy: policiesOf(layout),
    events_mib: mibOf(layout.eventsDir) + archived(false),
    decisions_mib: mibOf(layout.decisionsDir) + archived(true),
    remove: () => {
      if (folder === null) rmSync(place, { recursive: true, force: true });
    },
  };
}

/** Every policy file of a home, by its name. */
function policiesOf({ configDir }: Layout): object {
  const names = namesIn(configDir).filter((name) => name.endsWith("-policy.json"));
  return Object.fromEntries(names.map((name) => [name, JSON.parse(readFileSync(join(configDir, name), "utf8"))]));
}

function progress(hours: number): (hour: number) => void {
  return (hour) => {
    if (hour % 24 === 0 || hour === hours) process.stderr.write(`  ${hour} of ${hours} hours\n`);
  };
}

function mibOf(folder: string, isMeant: (name: string) => boolean = () => true): number {
  const bytes = namesIn(folder)
    .filter((name) => name.endsWith(".jsonl") && isMeant(name))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  return Math.round(bytes / 1024 / 1024);
}
