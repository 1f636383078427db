/** The restart history and the breakers' files: what outcomes there were, and what people did by hand. @module */
import { statSync } from "node:fs";
import { basename } from "node:path";
import { type Watch, watchDirectory } from "../../lib/platform/watching.js";
import type { Source } from "../../lib/runtime/daemon.js";
import { Shelter } from "../../lib/runtime/shelter.js";
import { isId, readInstant } from "../../lib/schema/primitives.js";
import { readAs, sentenceOf, show } from "../../lib/schema/problems.js";
import { type RestartHistory, restartHistorySchema } from "../../lib/schema/records.js";
import type { BreakerStore } from "../../lib/store/breakers.js";
import { lineOf } from "../../lib/store/entries.js";
import { Tailer } from "../../lib/store/logs.js";
import { RefusalBook, UNFINISHED_MS } from "../../lib/store/records.js";
import { breakerRecord } from "./breakers.js";
import { historyEvent, isOfFuture } from "./history-event.js";
import type { Event } from "./messages.js";
import type { Context } from "./queue-source.js";
import type { ReadTo, TypePart } from "./state.js";

type LineEvent = Extract<Event, { kind: "history" | "history-passed-over" }>;

const LINE_BYTES_MAX = 65_536;
const BAD_LINES_SAID = 10;

const READING_HISTORY = "reading the restart history";
const SAYING = "reporting lines of the restart history that are passed over";
const LISTING = "listing breakers";

function readingBreakerOf(type: string): string {
  return `reading the breaker of ${type}`;
}

/** Where a line stands, so that a person finds it. */
function placeOf(offset: number, isLate: boolean): string {
  return isLate ? `byte ${offset} of the rotated file` : `byte ${offset}`;
}

export class BreakerSource implements Source {
  readonly name = "breakers";
  readonly scanEverySeconds = 5;
  readonly #context: Context;
  readonly #store: BreakerStore;
  readonly #shelter: Shelter;
  readonly #refused = new RefusalBook();
  readonly #timers = new Set<NodeJS.Timeout>();
  #tailer: Tailer;
  #watches: Watch[] = [];
  #readTo: ReadTo | null = null;
  #badLines = 0;
  /** Sentences about lines that are passed over, which were not told yet. */
  #unsaid: string[] = [];
  /** What was read and not handed out yet: the tailer gives each line once. */
  #outcomes: LineEvent[] = [];

  constructor(context: Context, store: BreakerStore) {
    this.#context = context;
    this.#store = store;
    this.#shelter = new Shelter(context.log);
    // From the start: which lines a type has counted is part of its state, and older lines are passed over here.
    this.#tailer = new Tailer(context.layout.history, null, {
      maxLineBytes: LINE_BYTES_MAX,
      archiveDir: context.layout.archiveDir,
    });
  }

  start(): void {
    const { layout, log } = this.#context;
    const onError = (error: unknown): void =>
      log.warn({ cause: String(error) }, "breakers or history cannot be watched; they are looked at every 5 s");
    const history = basename(layout.history);
    this.#watches = [
      watchDirectory(
        layout.metricsDir,
        (name) => (name === null || name === history ? this.#readHistory() : undefined),
        onError,
      ),
      watchDirectory(layout.breakersDir, (name) => (name === null ? this.#lookAtAll() : this.#look(name)), onError),
    ];
    for (const [type, part] of this.#types())
      if (part.has_file) this.#store.remember(type, lineOf(breakerRecord(type, part.breaker)));
    this.#readHistory();
    this.#lookAtAll();
    for (const [type] of this.#types()) this.#context.offer({ kind: "breaker-due", worker_type: type });
  }

  scan(): void {
    this.#readHistory();
    this.#lookAtAll();
  }

  stop(): void {
    for (const watch of this.#watches) watch.close();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#tailer.close();
  }

  /** New lines of the history as events. What cannot be told of the others just now is told later, and costs no outcome. */
  newOutcomes(): Event[] {
    this.#readLines();
    this.#shelter.run(SAYING, () => {
      for (let problem = this.#unsaid[0]; problem !== undefined; problem = this.#unsaid[0]) {
        this.#refuse("metrics/worker-restart-history.jsonl", problem);
        this.#unsaid.shift();
      }
    });
    return this.#outcomes.splice(0);
  }

  #readLines(): void {
    for (;;) {
      const read = this.#tailer.read();
      const file = read.file === undefined ? "" : `${read.file.inode}:${read.file.birth_ms}`;
      const isLate = read.isLate === true;
      for (const { offset, bytes } of read.tooLong ?? [])
        this.#passOver(placeOf(offset, isLate), `${bytes} bytes, at most ${LINE_BYTES_MAX}`);
      for (const { text, offset } of read.lines) {
        const end: ReadTo = { file, offset: offset + Buffer.byteLength(text) + 1 };
        if (!isLate) this.#readTo = end;
        const event = this.#eventOf(text, end, placeOf(offset, isLate));
        if (event !== null) this.#outcomes.push(isLate ? { ...event, is_late: true } : event);
      }
      if (!read.more) return;
    }
  }

  #readHistory(): void {
    this.#shelter.run(READING_HISTORY, () => {
      for (const event of this.newOutcomes()) this.#context.offer(event);
    });
  }

  #eventOf(text: string, readTo: ReadTo, place: string): LineEvent | null {
    if (text.trim() === "") return null;
    const line = this.#parse(text, place);
    if (line === null) return null;
    const { worker_type } = line;
    const known = this.#context.part<TypePart>(`type:${worker_type}`)?.read_to ?? null;
    if (known !== null && known.file === readTo.file && readTo.offset <= known.offset) return null;
    const nowMs = Date.now();
    const event = historyEvent(line, readTo, nowMs);
    if (!isOfFuture(line, event.outcome.atMs, nowMs)) return event;
    this.#passOver(place, `timestamp must not be in the future, got ${show(line.at_ms ?? line.timestamp)}`);
    // Remembered as read: after a restart, when its time has come, it would count.
    return { kind: "history-passed-over", worker_type, read_to: readTo };
  }

  #parse(text: string, place: string): RestartHistory | null {
    let problem: string;
    try {
      const read = readAs(restartHistorySchema, JSON.parse(text));
      if (read.ok) return read.value;
      // The last line of a file that was rotated is about the file.
      if (text.includes('"log_rotated"')) return null;
      problem = sentenceOf(read.problems);
    } catch {
      problem = "it is not JSON";
    }
    this.#passOver(place, problem);
    return null;
  }

  /** A log that is no history at all must not fill the events. */
  #passOver(place: string, problem: string): void {
    this.#badLines += 1;
    if (this.#badLines > BAD_LINES_SAID) return;
    this.#unsaid.push(`the line at ${place} is passed over: ${problem}`);
  }

  #lookAtAll(): void {
    const known = new Set<string>();
    const isListed = this.#shelter.run(LISTING, () => {
      for (const type of this.#store.list()) known.add(type);
    });
    if (!isListed) return;
    for (const [type, part] of this.#types()) if (part.has_file) known.add(type);
    for (const type of known) this.#lookAt(type);
    const what = new Set([READING_HISTORY, SAYING, LISTING, ...[...known].map(readingBreakerOf)]);
    this.#shelter.forget((trouble) => !what.has(trouble));
  }

  #look(name: string): void {
    const type = name.replace(/\.json$/, "");
    if (name.endsWith(".json") && isId(type)) this.#lookAt(type);
  }

  #lookAt(type: string): void {
    this.#shelter.run(readingBreakerOf(type), () => this.#compare(type));
  }

  #compare(type: string): void {
    const change = this.#store.changedByPerson(type);
    if (change === "no") return;
    if (change === "removed") {
      this.#store.forget(type);
      this.#context.offer({
        kind: "breaker-by-hand",
        worker_type: type,
        wanted: "closed",
        next_probe_at_ms: null,
        removed: true,
        read_to: this.#historyEnd(),
      });
      return;
    }
    const reading = this.#store.read(type);
    if (reading.kind === "ok" && reading.value.worker_type === type) {
      this.#store.remember(type, reading.text);
      const { state, next_probe_at } = reading.value;
      this.#context.offer({
        kind: "breaker-by-hand",
        worker_type: type,
        wanted: state,
        next_probe_at_ms: readInstant(next_probe_at),
        removed: false,
        read_to: this.#historyEnd(),
      });
    } else if (reading.kind === "unfinished") {
      this.#later(() => this.#look(`${type}.json`));
    } else if (reading.kind !== "absent") {
      const why = reading.kind === "bad" ? reading.sentence : `worker_type must be "${type}"`;
      if (!this.#refused.seenBefore(type, reading.mtimeMs ?? 0, reading.ino ?? 0))
        this.#refuse(`circuit-breakers/${type}.json`, `${why}; the last good state stays in force`);
    }
  }

  /** Everything that stands in the history now is before the hand. */
  #historyEnd(): ReadTo | null {
    const stat = statSync(this.#context.layout.history, { throwIfNoEntry: false });
    if (stat === undefined) return null;
    for (const event of this.newOutcomes()) this.#context.offer(event);
    return this.#readTo;
  }

  #refuse(file: string, problem: string): void {
    this.#context.reporter.news("record_refused", {
      // A sentence about the file names it; one about a line of it does not.
      message: problem.includes(file) ? problem : `${file}: ${problem}`,
      reason: "unreadable",
      data: { file, problem: problem.slice(0, 1000) },
    });
  }

  #types(): (readonly [string, TypePart])[] {
    return [...this.#context.partsWith<TypePart>("type:")].filter(([type]) => type !== "");
  }

  #later(action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, UNFINISHED_MS);
    this.#timers.add(timer);
  }
}
