/** Reads the event logs as they grow, and remembers every event: what an example shows and what it judges by. @module */
import { EVENT_LOGS, type EventLog } from "../../lib/schema/catalogue.js";
import { eventSchema } from "../../lib/schema/events.js";
import type { Layout } from "../../lib/store/layout.js";
import { Tailer } from "../../lib/store/tailer.js";

/** The part of an event that an example reads. */
export interface Told {
  readonly id: string;
  readonly type: string;
  readonly atMs: number;
  readonly workerId: string | null;
  readonly attempt: number | null;
  readonly reason: string | null;
  readonly severity: string;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const LINE_BYTES_MAX = 65_536;

export class Chronicle {
  readonly #tailers: readonly Tailer[];
  readonly #told: Told[] = [];
  /** Lines that were no event: there must be none. */
  spoilt = 0;

  constructor(layout: Layout) {
    this.#tailers = (Object.keys(EVENT_LOGS) as EventLog[]).map(
      (log) => new Tailer(layout.eventLog(log), null, { maxLineBytes: LINE_BYTES_MAX }),
    );
  }

  get all(): readonly Told[] {
    return this.#told;
  }

  /** Reads what was written since the last call; returns it in the order of its times. */
  read(): readonly Told[] {
    const fresh = this.#tailers.flatMap((tailer) => this.#readOne(tailer)).sort((a, b) => a.atMs - b.atMs);
    this.#told.push(...fresh);
    return fresh;
  }

  /** The events of one worker, or of one type, or both. */
  of(workerId: string | null, ...types: readonly string[]): readonly Told[] {
    return this.#told.filter(
      (told) => (workerId === null || told.workerId === workerId) && (types.length === 0 || types.includes(told.type)),
    );
  }

  close(): void {
    for (const tailer of this.#tailers) tailer.close();
  }

  #readOne(tailer: Tailer): Told[] {
    const told: Told[] = [];
    for (let more = true; more; ) {
      const read = tailer.read();
      told.push(...read.lines.flatMap(({ text }) => this.#parse(text)));
      more = read.more;
    }
    return told;
  }

  #parse(text: string): Told[] {
    const read = eventSchema.safeParse(jsonOf(text));
    if (!read.success) {
      this.spoilt += 1;
      return [];
    }
    const { event_id, event_type, at_ms, worker_id, attempt, reason, severity, message, data } = read.data;
    return [
      {
        id: event_id ?? "",
        type: event_type,
        atMs: at_ms ?? 0,
        workerId: worker_id ?? null,
        attempt: attempt ?? null,
        reason: reason ?? null,
        severity: severity ?? "info",
        message: message ?? "",
        data: data ?? {},
      },
    ];
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON: the schema refuses it, and it is counted.
    return null;
  }
}
