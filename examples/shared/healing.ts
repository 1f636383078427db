/** What the examples of fixes ask of the files, and what they show of them. @module */
import { existsSync, readFileSync } from "node:fs";
import type { Told } from "./chronicle.js";
import type { Finding, World } from "./example.js";

/** What is told of one fix, in the order of the log. */
export function fixEvents({ chronicle }: World, fixId: string, ...types: readonly string[]): readonly Told[] {
  return chronicle.of(null, ...types).filter(({ data }) => data.fix_id === fixId);
}

/** The values that a fix wrote, as `field before → after`. */
export function diffOf(told: Told | undefined): string {
  const diff = (told?.data.diff ?? []) as readonly { what: string; before: unknown; after: unknown }[];
  return diff.map(({ what, before, after }) => `${what} ${before} → ${after}`).join(", ");
}

/** A value of a template, by its path such as `resources.memory_limit_mb`. */
export function templateValue({ stage }: World, type: string, path: string): unknown {
  const template: unknown = JSON.parse(readFileSync(stage.layout.template(type), "utf8"));
  return path.split(".").reduce((at: unknown, key) => (at as Record<string, unknown> | undefined)?.[key], template);
}

/** The verdicts in the history of fixes, oldest first. */
export function verdicts({ stage }: World, fixId: string): readonly string[] {
  const path = stage.layout.fixHistory;
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as { fix_id: string; result: string; verdict: string | null })
    .filter((line) => line.fix_id === fixId && line.result !== "undone")
    .map((line) => line.verdict ?? "none");
}

/** Whether exactly this happened; what happened is shown either way. */
export function exactly(wanted: string, found: string): Finding {
  return { ok: found === wanted, happened: found };
}

/** Whether all of them are healthy, and what each is. */
export function healthy({ fleet }: World, ids: readonly string[]): Finding {
  const states = ids.map((id) => ({ id, state: fleet.state(id) }));
  const ill = states.filter(({ state }) => state !== "healthy");
  return {
    ok: ill.length === 0,
    happened: ill.length === 0 ? "healthy" : ill.map(({ id, state }) => `${id}: ${state}`).join(", "),
  };
}
