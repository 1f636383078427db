/**
 * Reads what people asked to leave alone. Every doubt counts for the hold: a file that cannot be read holds everything.
 * @module
 */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../errors.js";
import { createExclusive, replaceFile } from "../platform/files.js";
import { readInstant } from "../schema/primitives.js";
import { DAEMONS, HOLD_ACTS, type HoldAct, type HoldRecord, holdSchema } from "../schema/records.js";
import { namesIn } from "./entries.js";
import type { Layout } from "./layout.js";
import { MAX_BYTES, type Reading, readRecord, UNFINISHED_MS } from "./records.js";

const DEFAULT_MS = 3_600_000;
const LONGEST_MS = 7 * 86_400_000;
/** A file that was unfinished holds for so much longer than it may be, so that whoever looks again then still finds it held. */
const LOOK_AGAIN_MS = 1000;

/** Whom a hold is for. `named`: its file does not say, so any worker, type, task or target of that name. */
export type HoldScope = "worker" | "worker_type" | "target" | "all" | "named";

/** One hold with every default filled in. */
export interface Hold {
  /** The file's name under `holds/`. */
  readonly name: string;
  readonly scope: HoldScope;
  /** The worker, type or target that is held; empty for all. */
  readonly target: string;
  readonly acts: readonly HoldAct[];
  readonly by: string;
  readonly why: string;
  readonly startsAtMs: number;
  readonly expiresAtMs: number;
  /** Whether the expiry was not given but counted from the file's time. */
  readonly defaulted: boolean;
  /** Why the file could not be read, if so. */
  readonly unreadable?: string;
  /** Until when the file, which does not parse, may still be in the making: it is to be read again then. */
  readonly unfinishedUntilMs?: number;
}

/** What is about to be acted upon. */
export interface HoldSubject {
  readonly worker_id?: string | undefined;
  readonly worker_type?: string | undefined;
  readonly task_id?: string | undefined;
  readonly target?: string | undefined;
}

/**
 * Reads all holds, those that have not begun or have ended included, sorted by name.
 *
 * A file that does not parse and is younger than two seconds is still being written: what it will hold is not known, so it
 * holds everything until then.
 */
export function readHolds(layout: Layout, nowMs: number): Hold[] {
  return namesIn(layout.holdsDir)
    .filter((name) => !name.startsWith(".") && !name.endsWith("~"))
    .sort()
    .flatMap((name) => readHold(layout, name, nowMs) ?? []);
}

/** One hold; null if there is none of that name. */
export function readHold(layout: Layout, name: string, nowMs: number): Hold | null {
  const path = join(layout.holdsDir, name);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return null;
  // A time of change cannot be set: a file dated years ahead does not hold for years.
  const sinceMs = Math.min(stat.mtimeMs, stat.ctimeMs);
  if (stat.isFile() && stat.size === 0) return holdOf(name, {}, sinceMs);
  const reading = readOne(layout, path, nowMs);
  if (typeof reading === "string") return unreadableHold(name, sinceMs, reading);
  if (reading.kind === "ok") return holdOf(name, reading.value, sinceMs);
  if (reading.kind === "bad") return unreadableHold(name, sinceMs, reading.sentence);
  return reading.kind === "unfinished" ? unfinishedHold(name, stat.mtimeMs) : null;
}

/** A file that we have no permission to read is a hold too, and not the host's weather. */
function readOne(layout: Layout, path: string, nowMs: number): Reading<HoldRecord> | string {
  try {
    const options = { maxBytes: MAX_BYTES.hold, nowMs, what: "hold", root: layout.coordination };
    return readRecord(path, holdSchema, options);
  } catch (error) {
    const code = systemCode(error);
    if (code !== "EACCES" && code !== "EPERM") throw error;
    return `Cannot read hold ${JSON.stringify(path)}: permission denied`;
  }
}

function holdOf(name: string, record: HoldRecord, sinceMs: number): Hold {
  const target = name.replace(/\.json$/, "");
  const startsAtMs = readInstant(record.starts_at) ?? 0;
  const fromMs = Math.max(startsAtMs, sinceMs);
  const givenMs = readInstant(record.expires_at);
  const scope = record.scope ?? (target === "all" ? "all" : "named");
  return {
    name,
    scope,
    target: scope === "all" ? "" : (record.name ?? target),
    acts: record.acts == null ? HOLD_ACTS : record.acts,
    by: record.by ?? "",
    why: record.why ?? "",
    startsAtMs,
    expiresAtMs: givenMs === null ? fromMs + DEFAULT_MS : Math.min(givenMs, fromMs + LONGEST_MS),
    defaulted: givenMs === null,
  };
}

function unreadableHold(name: string, sinceMs: number, why: string): Hold {
  return {
    ...holdOf(name, { scope: "all" }, sinceMs),
    why: "it cannot be read, so it holds everything",
    unreadable: why,
  };
}

function unfinishedHold(name: string, mtimeMs: number): Hold {
  const unfinishedUntilMs = mtimeMs + UNFINISHED_MS;
  return {
    ...holdOf(name, { scope: "all" }, mtimeMs),
    why: "it is still being written",
    expiresAtMs: unfinishedUntilMs + LOOK_AGAIN_MS,
    unfinishedUntilMs,
  };
}

/**
 * Places a daemon's hold. One of that name that is in force stays, and so does whatever a person has put there.
 *
 * @returns Whether what was there is in the way: a person's hold that is over.
 */
export function placeHold(layout: Layout, name: string, text: string, nowMs: number): "placed" | "held" | "in_the_way" {
  const path = join(layout.holdsDir, name);
  if (createExclusive(path, text, { sync: true })) return "placed";
  const there = readHold(layout, name, nowMs);
  // Gone in this very moment.
  if (there === null) return createExclusive(path, text, { sync: true }) ? "placed" : "held";
  if (nowMs < there.expiresAtMs) return "held";
  if (!isSpent(there, nowMs)) return "in_the_way";
  replaceFile(path, text, { sync: true });
  return "placed";
}

/** Whether a hold is a daemon's and over, so that a new one may take its place. */
export function isSpent(hold: Hold, nowMs: number): boolean {
  return hold.unreadable === undefined && (DAEMONS as readonly string[]).includes(hold.by) && nowMs >= hold.expiresAtMs;
}

/** The hold that forbids an act now, the one that ends last if there are several; null if none does. Pure. */
export function heldBy(holds: readonly Hold[], act: HoldAct, subject: HoldSubject, nowMs: number): Hold | null {
  let last: Hold | null = null;
  for (const hold of holds) {
    if (nowMs < hold.startsAtMs || nowMs >= hold.expiresAtMs) continue;
    if (!hold.acts.includes(act) || !covers(hold, subject)) continue;
    if (last === null || hold.expiresAtMs > last.expiresAtMs) last = hold;
  }
  return last;
}

function covers(hold: Hold, subject: HoldSubject): boolean {
  switch (hold.scope) {
    case "all":
      return true;
    case "worker":
      return hold.target === subject.worker_id;
    case "worker_type":
      return hold.target === subject.worker_type;
    case "target":
      return hold.target === subject.target || hold.target === subject.task_id;
    case "named":
      return [subject.worker_id, subject.worker_type, subject.task_id, subject.target].includes(hold.target);
  }
}
