/** What a drill can see of its own worker in the files of the home: each with the instant at which it came to be. @module */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Identity } from "../../lib/platform/processes.js";
import type { EVENT_LOGS, EventLog } from "../../lib/schema/catalogue.js";
import { beatSchema, restartRequestSchema } from "../../lib/schema/records.js";
import { namesIn } from "../../lib/store/entries.js";
import type { Layout } from "../../lib/store/layout.js";
import { Tailer } from "../../lib/store/logs.js";
import { readRecord } from "../../lib/store/records.js";
import { SpecStore } from "../../lib/store/specs.js";
import { identityOfLaunch, launchedAtMs, launchOf } from "../../lib/targets/attempts.js";
import { readLine, textIn } from "../records.js";

/** Something that has happened. */
export interface Trace {
  readonly atMs: number;
  readonly what: string;
}

const LINE_BYTES_MAX = 65_536;

export class Traces {
  readonly #layout: Layout;
  readonly #specs: SpecStore;
  readonly #tails: ReadonlyMap<EventLog, Tailer>;
  readonly #events: { readonly type: string; readonly workerId: string; readonly attempt: unknown; trace: Trace }[] =
    [];

  /** From now on: what stands in the logs already is of no drill of ours. */
  constructor(layout: Layout) {
    this.#layout = layout;
    this.#specs = new SpecStore(layout);
    const logs = ["heartbeat", "zombie-cleanup"] as const satisfies readonly (keyof typeof EVENT_LOGS)[];
    this.#tails = new Map(
      logs.map((log) => [log, new Tailer(layout.eventLog(log), null, { maxLineBytes: LINE_BYTES_MAX })]),
    );
    for (const tail of this.#tails.values()) while (tail.read().more);
  }

  /** The program of an attempt runs, or has run. */
  launched(workerId: string, attempt: number): (Trace & { readonly identity: Identity }) | null {
    const launch = launchOf(this.#layout, workerId, attempt, Date.now());
    const identity = identityOfLaunch(launch);
    if (launch === null || identity === null) return null;
    return {
      identity,
      atMs: launchedAtMs(launch) ?? Date.now(),
      what: `attempt ${attempt} runs as pid ${identity.pid}`,
    };
  }

  /** The monitor calls an attempt healthy: its process is known, and it has beaten. */
  watched(workerId: string, attempt: number): Trace | null {
    const reading = this.#specs.readActive(workerId, Date.now());
    if (reading.kind !== "ok" || reading.value.attempt !== attempt) return null;
    if (reading.value.heartbeat?.status !== "healthy") return null;
    return { atMs: Date.now(), what: `attempt ${attempt} beats, and the heartbeat-monitor calls it healthy` };
  }

  /** The last beat before the silence. */
  silent(workerId: string, beats: number): Trace | null {
    const path = this.#layout.heartbeat(workerId);
    const reading = readRecord(path, beatSchema, { maxBytes: LINE_BYTES_MAX, nowMs: Date.now() });
    if (reading.kind !== "ok" || Number(reading.value.sequence) < beats) return null;
    return { atMs: modifiedAt(path) ?? Date.now(), what: `beat ${beats} was its last one` };
  }

  event(type: string, workerId: string, attempt: number): Trace | null {
    this.#readEvents();
    const found = this.#events.find(
      (each) => each.type === type && each.workerId === workerId && each.attempt === attempt,
    );
    return found?.trace ?? null;
  }

  evidence(workerId: string, attempt: number): Trace | null {
    const atMs = modifiedAt(this.#layout.zombieSpec(workerId, attempt));
    return atMs === null ? null : { atMs, what: `worker-specs/zombie/${workerId}.attempt-${attempt}.json` };
  }

  /** The request to restart it, wherever it has got to by now. A file that is moved keeps its time. */
  requested(workerId: string): Trace | null {
    const { queueDir, claimedDir, doneDir, failedRequestsDir } = this.#layout;
    const what = `restart/queue/${workerId}-restart.json`;
    for (const folder of [queueDir, claimedDir, doneDir, failedRequestsDir]) {
      const name = namesIn(folder).find((each) => each.startsWith(`${workerId}-restart.`));
      const atMs = name === undefined ? null : modifiedAt(join(folder, name));
      if (atMs !== null) return { atMs, what };
    }
    return null;
  }

  /** The gate that its request waits for, as part of a sentence; null if none waits. */
  waitsFor(workerId: string): string | null {
    const options = { maxBytes: LINE_BYTES_MAX, nowMs: Date.now() };
    const reading = readRecord(this.#layout.queueRequest(workerId), restartRequestSchema, options);
    const deferred = reading.kind === "ok" ? reading.value.deferred : null;
    return deferred ? `its request waits for the gate ${deferred.gate}: ${deferred.reason ?? "no reason given"}` : null;
  }

  #readEvents(): void {
    for (const [log, tail] of this.#tails) {
      for (let more = true; more; ) {
        const read = tail.read();
        more = read.more;
        for (const { text } of read.lines) this.#keep(text, log);
      }
    }
  }

  #keep(text: string, log: EventLog): void {
    const found = readLine(text, log);
    const [type, workerId] =
      found === null ? [] : [textIn(found.record, "event_type"), textIn(found.record, "worker_id")];
    if (!found || !type || !workerId?.startsWith("worker-drill-")) return;
    const trace = { atMs: found.atMs, what: `${type}: ${textIn(found.record, "message") ?? ""}` };
    this.#events.push({ type, workerId, attempt: found.record.attempt, trace });
  }
}

function modifiedAt(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null;
}
