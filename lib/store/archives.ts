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

/** The rotated files of a log, those that were packed to free disk space among them, oldest first. */
export function partsOf(path: string, archiveDir: string): string[] {
  const prefix = `${basename(path, ".jsonl")}.`;
  return (
    namesIn(archiveDir)
      .filter(
        (name) => name.startsWith(prefix) && /^\d{8}T\d{6}Z(_\d{3})?\.jsonl(\.gz)?$/.test(name.slice(prefix.length)),
      )
      .map((name) => ({ name, order: name.replace(/\.jsonl(\.gz)?$/, "") }))
      .sort((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : a.name.length - b.name.length))
      // A kill while it was packed leaves both of the two: they are one.
      .filter((each, nth, all) => each.order !== all[nth - 1]?.order)
      .map(({ name }) => join(archiveDir, name))
  );
}

/** A file of a log, for readers that look at all that is left of it. */
export interface LogFile {
  readonly path: string;
  /** When it was rotated: no line in it is newer. Null for the log itself. */
  readonly rotatedAtMs: number | null;
}

/** The rotated files of a log, packed ones too, oldest first, and then the log itself, if it is there. */
export function filesOf(path: string, archiveDir: string): LogFile[] {
  const rotated = partsOf(path, archiveDir).map((part) => ({ path: part, rotatedAtMs: rotationOf(part) }));
  return isThere(path) ? [...rotated, { path, rotatedAtMs: null }] : rotated;
}

/** When a log was rotated, by its name, which is written to the second: a line may be of the second's end. */
function rotationOf(path: string): number {
  const digits = /\.(\d{8})T(\d{6})Z[^/]*$/.exec(path)?.slice(1).join("").match(/\d\d/g) ?? [];
  const [century, year, month, day, hour, minute, second] = digits;
  return Date.parse(`${century}${year}-${month}-${day}T${hour}:${minute}:${second}Z`) + 999;
}

/** A free name for a log that is rotated now. Two rotations within a second get a number, which sorts after none. */
export function archiveName(path: string, archiveDir: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString().slice(0, 19).replace(/[-:]/g, "");
  const start = join(archiveDir, `${basename(path, ".jsonl")}.${time}Z`);
  const isFree = (name: string): boolean => !isThere(name) && !isThere(`${name}.gz`);
  if (isFree(`${start}.jsonl`) && isFree(`${start}_001.jsonl`)) return `${start}.jsonl`;
  for (let number = 1; ; number++) {
    const name = `${start}_${String(number).padStart(3, "0")}.jsonl`;
    if (isFree(name)) return name;
  }
}
