/**
 * Follows event logs from their checkpoints on, one batch in hand for each log.
 *
 * The next batch is read only when the last one is in the journal (the effect `read-on`), so that a daemon that cannot
 * write falls behind instead of growing, and goes on where it was after a kill.
 * @module
 */
import { statSync } from "node:fs";
import { type FollowedLog, followedKey, type LinesRead, type ReadOn } from "../domain/followed-log.js";
import { weatherCode } from "../platform/files.js";
import type { Log } from "../platform/log.js";
import { watchDirectory } from "../platform/watching.js";
import { EVENT_LOGS, type EventLog } from "../schema/catalogue.js";
import type { Layout } from "../store/layout.js";
import { Tailer, type TailLine, type TailRead } from "../store/logs.js";
import type { Source } from "./daemon.js";

const BATCH_BYTES = 256 * 1024;
const LINE_BYTES_MAX = 64 * 1024;
const SCAN_EVERY_SECONDS = 5;

/** What following needs of a daemon's context. */
interface Host<Picked> {
  readonly layout: Layout;
  readonly log: Log;
  part<T>(key: string): T | null;
  offer(batch: LinesRead<Picked>): void;
}

/** Figures of all followed logs together. */
export interface FollowingFigures {
  readonly events_read: number;
  readonly unreadable_lines: number;
  /** Bytes that are written and not yet read. */
  readonly lag_bytes: number;
}

/** Takes from an event what its reader needs; null for an event that says nothing to it. */
export type Pick<Picked> = (event: Readonly<Record<string, unknown>>, log: EventLog) => Picked | null;

export class LogFollower<Picked = unknown> implements Source {
  readonly name = "event logs";
  readonly scanEverySeconds = SCAN_EVERY_SECONDS;
  readonly #host: Host<Picked>;
  readonly #logs: readonly EventLog[];
  readonly #pick: Pick<Picked> | null;
  readonly #tailers = new Map<EventLog, Tailer>();
  readonly #inHand = new Set<EventLog>();
  readonly #unreadable = new Set<EventLog>();
  #watch: { close(): void } | null = null;
  #stopped = false;

  constructor(host: Host<Picked>, logs: readonly EventLog[], pick: Pick<Picked> | null = null) {
    this.#host = host;
    this.#logs = logs;
    this.#pick = pick;
  }

  start(): void {
    const { layout, log } = this.#host;
    const byName = new Map(this.#logs.map((each) => [EVENT_LOGS[each], each]));
    this.#watch = watchDirectory(
      layout.eventsDir,
      (name) => {
        const hinted = name === null ? null : byName.get(name);
        if (hinted === null) this.scan();
        else if (hinted !== undefined) this.#pump(hinted);
      },
      (fault) => log.warn({ cause: String(fault) }, "event logs are read every few seconds until watching works again"),
    );
    for (const each of this.#logs) {
      const place = this.#host.part<FollowedLog>(followedKey(each))?.checkpoint ?? null;
      this.#tailers.set(each, new Tailer(layout.eventLog(each), place, { maxLineBytes: LINE_BYTES_MAX }));
    }
    this.scan();
  }

  scan(): void {
    for (const each of this.#logs) this.#pump(each);
  }

  stop(): void {
    this.#stopped = true;
    this.#watch?.close();
    for (const tailer of this.#tailers.values()) tailer.close();
  }

  /** Performs `read-on`. After a crash there may be no tailer yet: starting reads then. */
  readOn(effect: ReadOn): undefined {
    this.#inHand.delete(effect.log);
    // Other work gets its turn between two batches of a long log.
    setImmediate(() => this.#pump(effect.log));
    return undefined;
  }

  figures(): FollowingFigures {
    let read = 0;
    let unreadable = 0;
    let lag = 0;
    for (const each of this.#logs) {
      const known = this.#host.part<FollowedLog>(followedKey(each));
      read += known?.events_read ?? 0;
      unreadable += known?.unreadable_lines ?? 0;
      lag += lagOf(this.#host.layout, each, known);
    }
    return { events_read: read, unreadable_lines: unreadable, lag_bytes: lag };
  }

  #pump(log: EventLog): void {
    const tailer = this.#tailers.get(log);
    if (this.#stopped || tailer === undefined || this.#inHand.has(log)) return;
    const batch = this.#read(log, tailer);
    if (batch === null) return;
    this.#inHand.add(log);
    this.#host.offer(batch);
  }

  /** A log that cannot be read just now is said once; the scan tries again, and nothing is lost meanwhile. */
  #read(log: EventLog, tailer: Tailer): LinesRead<Picked> | null {
    try {
      let found = tailer.read(BATCH_BYTES);
      while (isEmpty(found) && found.more) found = tailer.read(BATCH_BYTES);
      this.#unreadable.delete(log);
      const checkpoint = tailer.checkpoint();
      return isEmpty(found) || checkpoint === null ? null : { ...batchOf(log, found, this.#pick), checkpoint };
    } catch (fault) {
      const code = weatherCode(fault);
      if (code === null) throw fault;
      if (!this.#unreadable.has(log)) this.#host.log.warn({ code }, `Cannot read events/${EVENT_LOGS[log]} (${code})`);
      this.#unreadable.add(log);
      return null;
    }
  }
}

function isEmpty(found: TailRead): boolean {
  return found.lines.length === 0 && found.tooLong === undefined && found.gap === undefined;
}

function batchOf<Picked>(
  log: EventLog,
  found: TailRead,
  pick: Pick<Picked> | null,
): Omit<LinesRead<Picked>, "checkpoint"> {
  const bad: { readonly offset: number }[] = [...(found.tooLong ?? [])];
  const picked: Picked[] = [];
  for (const line of found.lines) {
    const event = eventOf(line);
    if (event === null) bad.push(line);
    const wanted = event === null || pick === null ? null : pick(event, log);
    if (wanted !== null) picked.push(wanted);
  }
  const tooLong = found.tooLong?.length ?? 0;
  const first = bad.reduce((least, each) => Math.min(least, each.offset), Number.POSITIVE_INFINITY);
  return {
    kind: "lines-read",
    log,
    events: found.lines.length + tooLong - bad.length,
    unreadable: bad.length,
    ...(bad.length > 0 ? { firstUnreadableOffset: first } : {}),
    ...(found.gap === undefined ? {} : { gap: found.gap.reason }),
    ...(picked.length > 0 ? { picked } : {}),
  };
}

/** Null for a line that is torn, no JSON or no event: counted and reported by the core. */
function eventOf(line: TailLine): Readonly<Record<string, unknown>> | null {
  try {
    const record: unknown = JSON.parse(line.text);
    const isEvent =
      typeof record === "object" && record !== null && "event_type" in record && typeof record.event_type === "string";
    return isEvent ? (record as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

/** Of a log that was rotated since, what is left in the old file is not counted: it is read within seconds. */
function lagOf(layout: Layout, log: EventLog, known: FollowedLog | null): number {
  const file = statSync(layout.eventLog(log), { throwIfNoEntry: false });
  if (file === undefined) return 0;
  const isSameFile = known !== null && known.checkpoint.inode === file.ino;
  return isSameFile ? Math.max(0, file.size - known.checkpoint.offset) : file.size;
}
