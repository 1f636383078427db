/** The names of rotated logs, which sort in the order of their rotation. @module */
import { basename, join } from "node:path";
import { isThere, namesIn } from "./entries.js";

/** The rotated files of a log, oldest first. */
export function archivesOf(path: string, archiveDir: string): string[] {
  const prefix = `${basename(path, ".jsonl")}.`;
  return namesIn(archiveDir)
    .filter((name) => name.startsWith(prefix) && /^\d{8}T\d{6}Z(_\d{3})?\.jsonl$/.test(name.slice(prefix.length)))
    .map((name) => name.slice(0, -".jsonl".length))
    .sort()
    .map((name) => join(archiveDir, `${name}.jsonl`));
}

/** A free name for a log that is rotated now. Two rotations within a second get a number, which sorts after none. */
export function archiveName(path: string, archiveDir: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString().slice(0, 19).replace(/[-:]/g, "");
  const start = join(archiveDir, `${basename(path, ".jsonl")}.${time}Z`);
  if (!isThere(`${start}.jsonl`) && !isThere(`${start}_001.jsonl`)) return `${start}.jsonl`;
  for (let number = 1; ; number++) {
    const name = `${start}_${String(number).padStart(3, "0")}.jsonl`;
    if (!isThere(name)) return name;
  }
}
