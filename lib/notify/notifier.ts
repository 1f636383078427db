/**
 * Tells people: takes edges of incidents and acknowledgements, keeps what was decided on disk, and sends from a queue.
 *
 * An edge is safe when `notify` returns. Whatever happens then, the daemon killed or a channel down for a day, it is told
 * once: the decision is one replaced file, each message has an id made of what it is, and the queue outlives the process.
 *
 * @module
 */
import { hostname } from "node:os";
import { join } from "node:path";
import { safetyOf, weatherCode } from "../platform/files.js";
import { newEventIdBase } from "../platform/ids.js";
import type { Log } from "../platform/log.js";
import {
  acknowledgementSchema,
  type Delivery,
  type IncidentState,
  type NotificationEdge,
  type NotificationState,
} from "../schema/notification-records.js";
import { readInstant } from "../schema/primitives.js";
import { jsonNamesIn, unlinkIfThere } from "../store/entries.js";
import type { Layout } from "../store/layout.js";
import { readRecord } from "../store/records.js";
import { type NotificationPolicy, nextAt, onAcknowledged, onEdge, onTime, type Told } from "./decide-notification.js";
import { deliveryIdOf } from "./lane.js";
import { NotificationFiles } from "./notification-files.js";
import { Sender } from "./sender.js";

export interface Acknowledged {
  readonly incident_id: string;
  readonly component: string;
  readonly by: string;
  readonly why: string | null;
  readonly at_ms: number;
  /** Chosen once for this acknowledgement: an event that was written before a crash is known again by it. */
  readonly event_id: string;
}

export interface NotifierContext {
  readonly layout: Layout;
  readonly log: Log;
  /** `notification-policy.json` as it is in force now. */
  readonly policy: () => NotificationPolicy;
  /** A switch above the policy's own; on unless given. */
  readonly enabled?: () => boolean;
  /** Told of each acknowledgement before its file is removed, perhaps again after a crash. */
  readonly onAcknowledged?: (acknowledged: Acknowledged) => void;
  readonly nowMs?: () => number;
  /** Where the console channel writes; standard output unless given. */
  readonly print?: (text: string) => void;
}

const LOOK_AGAIN_MS = 60_000;
const WEATHER_MS = 1000;
const ACKNOWLEDGEMENT_BYTES_MAX = 64 * 1024;

export class Notifier {
  readonly #context: NotifierContext;
  readonly #nowMs: () => number;
  readonly #files: NotificationFiles;
  readonly #sender: Sender;
  readonly #said = new Set<string>();
  #state: NotificationState;
  #lastCreatedMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #running = false;

  /** Reads what was decided before; nothing is sent before `start`. */
  constructor(context: NotifierContext) {
    const { layout, log, policy, print } = context;
    this.#context = context;
    this.#nowMs = context.nowMs ?? Date.now;
    this.#files = new NotificationFiles(layout, (sentence) => this.#say(sentence));
    this.#state = this.#files.readState(this.#nowMs());
    const enabled = (): boolean => this.#running && this.#isEnabled();
    const write = print ?? ((text: string) => void process.stdout.write(text));
    const sending = { layout, log, policy, enabled, nowMs: this.#nowMs, hostName: hostname(), print: write };
    this.#sender = new Sender(sending, this.#files);
  }

  start(): void {
    this.#running = true;
    for (const delivery of this.#files.queue(this.#nowMs())) this.#sender.add(delivery);
    this.#fileOutbox();
    this.scan();
  }

  /** Goes through acknowledgements and the clock; called by watches, timers and scans alike. */
  scan(): void {
    if (!this.#running) return;
    try {
      this.#takeAcknowledgements();
      this.#fileOutbox();
      if (this.#isEnabled()) this.#commit(onTime(this.#state, this.#context.policy(), this.#nowMs()));
      this.#arm();
    } catch (error) {
      if (weatherCode(error) === null) throw error;
      this.#say(`Notifications cannot be kept just now (${weatherCode(error)}); they are tried again each second`);
      this.#armAfter(WEATHER_MS);
    }
  }

  stop(): void {
    this.#running = false;
    if (this.#timer) clearTimeout(this.#timer);
    this.#sender.stop();
  }

  /**
   * Tells people of an edge. The same edge again changes nothing.
   *
   * @throws The system's error if it could not be kept: then nothing has happened, and it is to be tried again.
   */
  notify(edge: NotificationEdge): void {
    if (!this.#isEnabled()) return;
    this.#commit(onEdge(this.#state, edge, this.#context.policy(), this.#nowMs()));
    if (this.#running) this.#arm();
  }

  policyChanged(): void {
    this.#sender.wake();
    this.scan();
  }

  /** What is known of an incident; null if nobody was told of it, or long ago. */
  incident(incidentId: string): IncidentState | null {
    const { incidents } = this.#state;
    return Object.hasOwn(incidents, incidentId) ? (incidents[incidentId] ?? null) : null;
  }

  figures(): Readonly<Record<string, number>> {
    const open = Object.values(this.#state.incidents).filter((each) => each.resolved_at_ms === null);
    const pressing = open.filter((each) => each.escalated_at_ms !== null && each.acknowledged === null);
    return {
      notifications_waiting: this.#sender.waiting + this.#state.outbox.length,
      notifications_sent: this.#sender.sent,
      notifications_failed_tries: this.#sender.failedTries,
      notifications_given_up: this.#sender.givenUp,
      notifications_in_digest: this.#state.digest.length,
      incidents_open: open.length,
      escalations_unacknowledged: pressing.length,
    };
  }

  #isEnabled(): boolean {
    return (this.#context.enabled?.() ?? true) && this.#context.policy().settings.enabled;
  }

  /** Makes a decision stand, and then files what it wants sent. */
  #commit(told: Told): void {
    if (told.state === this.#state && told.tellings.length === 0) return;
    const outbox = [...this.#state.outbox, ...told.tellings.map((telling) => this.#delivery(telling))];
    const state = { ...told.state, outbox };
    this.#files.writeState(state);
    this.#state = state;
    this.#fileOutbox();
  }

  #delivery({ key, channel, message }: Told["tellings"][number]): Delivery {
    this.#lastCreatedMs = Math.max(this.#nowMs(), this.#lastCreatedMs + 1);
    const delivery_id = deliveryIdOf(key);
    return { delivery_id, key, channel, created_at_ms: this.#lastCreatedMs, tries: 0, next_at_ms: 0, message };
  }

  /** Moves what was decided into the queue. What the disk does not take stays in the state and is taken up again. */
  #fileOutbox(): void {
    const { outbox } = this.#state;
    if (outbox.length === 0) return;
    try {
      for (const delivery of outbox) if (this.#files.file(delivery)) this.#sender.add(delivery);
      const state = { ...this.#state, outbox: [] };
      this.#files.writeState(state);
      this.#state = state;
    } catch (error) {
      if (weatherCode(error) === null) throw error;
      this.#armAfter(WEATHER_MS);
    }
  }

  #takeAcknowledgements(): void {
    const { layout } = this.#context;
    for (const name of jsonNamesIn(layout.acknowledgementsDir))
      this.#takeAcknowledgement(join(layout.acknowledgementsDir, name));
  }

  #takeAcknowledgement(path: string): void {
    const unsafe = whyUnsafe(path);
    if (unsafe !== null) return this.#say(`Cannot take the acknowledgement "${path}": ${unsafe}`);
    const nowMs = this.#nowMs();
    const reading = readRecord(path, acknowledgementSchema, { maxBytes: ACKNOWLEDGEMENT_BYTES_MAX, nowMs: Date.now() });
    if (reading.kind === "absent") return;
    if (reading.kind === "unfinished") return this.#armAfter(WEATHER_MS);
    if (reading.kind === "bad") return this.#say(reading.sentence);
    const { incident_id, by, why, at } = reading.value;
    const at_ms = Math.min(readInstant(at) ?? nowMs, nowMs);
    const taken = { by, at_ms, why: why ?? null, event_id: `${newEventIdBase(nowMs)}-0` };
    const state = onAcknowledged(this.#state, incident_id, taken);
    if (state === null)
      return this.#say(`Cannot take the acknowledgement "${path}": no escalation "${incident_id}" is open`);
    if (state !== this.#state) {
      this.#files.writeState(state);
      this.#state = state;
    }
    this.#tell(incident_id);
    unlinkIfThere(path);
  }

  #tell(incident_id: string): void {
    const incident = this.incident(incident_id);
    if (!incident?.acknowledged) return;
    const { by, at_ms, why, event_id } = incident.acknowledged;
    const { component } = incident.message;
    this.#context.onAcknowledged?.({ incident_id, component, by, why: why ?? null, at_ms, event_id });
  }

  #arm(): void {
    const nowMs = this.#nowMs();
    const next = nextAt(this.#state, this.#context.policy(), nowMs);
    this.#armAfter(next === null || !this.#isEnabled() ? LOOK_AGAIN_MS : next - nowMs);
  }

  #armAfter(delayMs: number): void {
    if (!this.#running) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.scan(), Math.min(LOOK_AGAIN_MS, Math.max(1, Math.ceil(delayMs))));
  }

  /** Once for each sentence. */
  #say(sentence: string): void {
    if (this.#said.has(sentence)) return;
    if (this.#said.size > 1000) this.#said.clear();
    this.#said.add(sentence);
    this.#context.log.warn({}, sentence);
  }
}

function whyUnsafe(path: string): string | null {
  try {
    return safetyOf(path);
  } catch {
    return null; // It is gone, and reading it says so.
  }
}
