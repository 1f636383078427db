/** What the examples read back about fixes for one worker type. @module */
import { existsSync, readFileSync } from "node:fs";
import type { Told } from "./chronicle.js";
import type { World } from "./example.js";
import type { Stage } from "./stage.js";

/** A line of `metrics/auto-fix-history.jsonl`. */
export interface FixLine {
  readonly run_id: string;
  readonly fix_id: string;
  readonly scope: string;
  readonly result: string;
  readonly verdict: string | null;
  readonly message: string;
}

/** What became of the fixes for a worker type, oldest first. */
export function historyFor({ layout }: Stage, scope: string): readonly FixLine[] {
  if (!existsSync(layout.fixHistory)) return [];
  return readFileSync(layout.fixHistory, "utf8")
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as FixLine)
    .filter((line) => line.scope === scope);
}

/** Events of auto-fix about a worker type; its name stands in their messages. */
export function eventsFor({ chronicle }: World, type: string, scope: string): readonly Told[] {
  return chronicle.of(null, type).filter(({ message }) => message.includes(scope));
}

/** What the file says, or null. */
export function textOf(path: string): string | null {
  return existsSync(path) ? readFileSync(path, "utf8") : null;
}
