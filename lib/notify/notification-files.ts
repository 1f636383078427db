/** Where notifications stand on disk: what was decided, and the queue of what is to be sent. auto-fix alone writes them. @module */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { createExclusive, replaceFile } from "../platform/files.js";
import {
  type Delivery,
  deliverySchema,
  NO_NOTIFICATIONS,
  type NotificationState,
  notificationStateSchema,
} from "../schema/notification-records.js";
import { isThere, jsonNamesIn, lineOf, textOf, unlinkIfThere } from "../store/entries.js";
import type { Layout } from "../store/layout.js";
import { readRecord } from "../store/records.js";

const STATE_BYTES_MAX = 64 * 1024 * 1024;
const DELIVERY_BYTES_MAX = 256 * 1024;

export class NotificationFiles {
  readonly #layout: Layout;
  readonly #refused: (sentence: string) => void;

  /** @param refused Told of each file that cannot be read. */
  constructor(layout: Layout, refused: (sentence: string) => void) {
    this.#layout = layout;
    this.#refused = refused;
  }

  /** What was decided so far. A file that cannot be read is put aside, not thrown away. */
  readState(nowMs: number): NotificationState {
    const path = this.#layout.notifyState;
    const reading = readRecord(path, notificationStateSchema, { maxBytes: STATE_BYTES_MAX, nowMs });
    if (reading.kind === "ok") return reading.value;
    if (reading.kind === "absent") return NO_NOTIFICATIONS;
    const aside = `${path}.${nowMs}.bad`;
    renameSync(path, aside);
    this.#refused(
      `${reading.kind === "bad" ? reading.sentence : `Cannot read "${path}"`}; it was put aside as "${aside}"`,
    );
    return NO_NOTIFICATIONS;
  }

  writeState(state: NotificationState): void {
    replaceFile(this.#layout.notifyState, lineOf(state));
  }

  /** Puts a delivery into the queue, once for ever. Returns false if it is there, was sent or was given up. */
  file(delivery: Delivery): boolean {
    const { notifySentDir, notifyFailedDir } = this.#layout;
    const name = `${delivery.delivery_id}.json`;
    if (isThere(join(notifySentDir, name)) || isThere(join(notifyFailedDir, name))) return false;
    return createExclusive(this.#queued(delivery), textOf(delivery));
  }

  /** All that waits, oldest first. What a crash left in two folders is over: the later folder counts. */
  queue(nowMs: number): Delivery[] {
    const { notifyQueueDir, notifySentDir, notifyFailedDir } = this.#layout;
    const found: Delivery[] = [];
    for (const name of jsonNamesIn(notifyQueueDir)) {
      const path = join(notifyQueueDir, name);
      if (isThere(join(notifySentDir, name)) || isThere(join(notifyFailedDir, name))) {
        unlinkIfThere(path);
        continue;
      }
      const reading = readRecord(path, deliverySchema, { maxBytes: DELIVERY_BYTES_MAX, nowMs });
      if (reading.kind === "ok" && `${reading.value.delivery_id}.json` === name) found.push(reading.value);
      else if (reading.kind !== "absent")
        this.#refused(
          reading.kind === "bad" ? reading.sentence : `Cannot read "${path}": it is not the delivery of its name`,
        );
    }
    return found.sort((a, b) => a.created_at_ms - b.created_at_ms);
  }

  /** Keeps what was learnt of a delivery. False if a person has removed it: then it is not sent. */
  update(delivery: Delivery): boolean {
    const path = this.#queued(delivery);
    if (!isThere(path)) return false;
    replaceFile(path, textOf(delivery));
    return true;
  }

  /** Ends a delivery. May be done again. */
  settle(delivery: Delivery, outcome: "sent" | "failed"): void {
    const folder = outcome === "sent" ? this.#layout.notifySentDir : this.#layout.notifyFailedDir;
    createExclusive(join(folder, `${delivery.delivery_id}.json`), textOf(delivery));
    unlinkIfThere(this.#queued(delivery));
  }

  #queued(delivery: Delivery): string {
    return join(this.#layout.notifyQueueDir, `${delivery.delivery_id}.json`);
  }
}
