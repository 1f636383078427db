/**
 * Sends what is in the queue: one message at a time through each channel, again and again until it arrives or is given up.
 *
 * A try is counted on disk before it is made. So a message whose try was cut off by a crash is known, and goes again under
 * the same id, by which a receiver can tell that it has it.
 *
 * @module
 */
import { weatherCode } from "../platform/files.js";
import type { Log } from "../platform/log.js";
import type { Delivery } from "../schema/notification-records.js";
import { settingsFor } from "../schema/policy.js";
import { writeInstant } from "../schema/primitives.js";
import { type SendContext, type SendOutcome, send } from "./channels.js";
import type { NotificationPolicy } from "./decide-notification.js";
import { afterFailure, nextOf } from "./lane.js";
import type { NotificationFiles } from "./notification-files.js";

export interface SenderContext extends Omit<SendContext, "signal"> {
  readonly log: Log;
  readonly policy: () => NotificationPolicy;
  readonly enabled: () => boolean;
}

interface Lane {
  readonly channel: string;
  waiting: Delivery[];
  /** Sent or given up, while the disk would not take it. */
  readonly unsettled: { readonly delivery: Delivery; readonly outcome: "sent" | "failed" }[];
  pausedUntilMs: number;
  busy: boolean;
  /** The last problem that was said, so that an outage is one line and its end another. */
  problem: string | null;
  timer: NodeJS.Timeout | null;
}

/** Timers look at the clock again at least so often: it may have been set, or the host suspended. */
const LOOK_AGAIN_MS = 60_000;
const WEATHER_MS = 1000;

export class Sender {
  readonly #context: SenderContext;
  readonly #files: NotificationFiles;
  readonly #lanes = new Map<string, Lane>();
  readonly #inFlight = new Set<AbortController>();
  #stopped = false;
  sent = 0;
  failedTries = 0;
  givenUp = 0;

  constructor(context: SenderContext, files: NotificationFiles) {
    this.#context = context;
    this.#files = files;
  }

  /** Takes a delivery that is in the queue. */
  add(delivery: Delivery): void {
    const lane = this.#lane(delivery.channel);
    const isKnown = lane.waiting.some((each) => each.delivery_id === delivery.delivery_id);
    if (!isKnown) lane.waiting.push(delivery);
    this.#pump(lane);
  }

  /** Looks again at everything: the policy has changed. */
  wake(): void {
    for (const lane of this.#lanes.values()) {
      lane.pausedUntilMs = 0;
      lane.waiting = lane.waiting.map((delivery) => ({ ...delivery, next_at_ms: 0 }));
      this.#pump(lane);
    }
  }

  /** Ends what is under way; it stays in the queue. */
  stop(): void {
    this.#stopped = true;
    for (const lane of this.#lanes.values()) if (lane.timer) clearTimeout(lane.timer);
    for (const controller of this.#inFlight) controller.abort();
  }

  get waiting(): number {
    let sum = 0;
    for (const lane of this.#lanes.values()) sum += lane.waiting.length;
    return sum;
  }

  #lane(channel: string): Lane {
    let lane = this.#lanes.get(channel);
    if (lane === undefined) {
      lane = { channel, waiting: [], unsettled: [], pausedUntilMs: 0, busy: false, problem: null, timer: null };
      this.#lanes.set(channel, lane);
    }
    return lane;
  }

  #pump(lane: Lane): void {
    if (this.#stopped || lane.busy || !this.#context.enabled()) return;
    try {
      this.#settleAll(lane);
      const next = nextOf(lane.waiting, lane.pausedUntilMs, this.#context.nowMs());
      if (next.kind === "idle") return;
      if (next.kind === "wait") return this.#later(lane, next.untilMs - this.#context.nowMs());
      const delivery = { ...next.delivery, tries: next.delivery.tries + 1 };
      const isThere = this.#files.update(delivery);
      this.#replace(lane, delivery, isThere ? delivery : null);
      if (!isThere) return this.#later(lane, 0);
      lane.busy = true;
      void this.#try(lane, delivery);
    } catch (error) {
      this.#onWeather(lane, error);
    }
  }

  async #try(lane: Lane, delivery: Delivery): Promise<void> {
    const outcome = await this.#send(delivery);
    lane.busy = false;
    if (this.#stopped && outcome.kind === "failed") return;
    try {
      if (outcome.kind === "sent") this.#onSent(lane, delivery);
      else this.#onFailed(lane, delivery, outcome);
    } catch (error) {
      this.#onWeather(lane, error);
    }
    this.#pump(lane);
  }

  async #send(delivery: Delivery): Promise<SendOutcome> {
    const settings = settingsFor(this.#context.policy(), delivery.message.component);
    const channel = Object.hasOwn(settings.channels, delivery.channel)
      ? settings.channels[delivery.channel]
      : undefined;
    if (channel === undefined) return { kind: "failed", fault: "channel", problem: "the policy has no such channel" };
    const controller = new AbortController();
    this.#inFlight.add(controller);
    try {
      return await send(channel, delivery, { ...this.#context, signal: controller.signal });
    } catch (error) {
      // The log channel's disk; a code says enough, and a message might say too much.
      return {
        kind: "failed",
        fault: "channel",
        problem: `it could not be written (${weatherCode(error) ?? "unknown"})`,
      };
    } finally {
      this.#inFlight.delete(controller);
    }
  }

  #onSent(lane: Lane, delivery: Delivery): void {
    this.sent += 1;
    if (lane.problem !== null) this.#context.log.info({ channel: lane.channel }, `channel ${lane.channel} works again`);
    lane.problem = null;
    lane.pausedUntilMs = 0;
    this.#replace(lane, delivery, null);
    lane.unsettled.push({ delivery: { ...delivery, sent_at: this.#instant() }, outcome: "sent" });
    this.#settleAll(lane);
  }

  #onFailed(lane: Lane, delivery: Delivery, outcome: Extract<SendOutcome, { kind: "failed" }>): void {
    this.failedTries += 1;
    const { problem } = outcome;
    const settings = settingsFor(this.#context.policy(), delivery.message.component).delivery;
    const after = afterFailure(delivery, outcome, settings, this.#context.nowMs());
    if (problem !== lane.problem)
      this.#context.log.warn({ channel: lane.channel, problem }, `channel ${lane.channel}: ${problem}`);
    lane.problem = problem;
    if (after.kind === "give-up") {
      this.givenUp += 1;
      this.#context.log.warn(
        { channel: lane.channel, delivery_id: delivery.delivery_id, incident_id: delivery.message.incident_id },
        `a message through ${lane.channel} is given up after ${delivery.tries} tries; it is in auto-fix/notify/failed`,
      );
      this.#replace(lane, delivery, null);
      lane.unsettled.push({
        delivery: { ...delivery, last_problem: problem, gave_up_at: this.#instant() },
        outcome: "failed",
      });
      return this.#settleAll(lane);
    }
    if (after.pausedUntilMs !== null) lane.pausedUntilMs = after.pausedUntilMs;
    const waiting = { ...delivery, next_at_ms: after.nextAtMs, last_problem: problem };
    this.#replace(lane, delivery, waiting);
    if (!this.#files.update(waiting)) this.#replace(lane, waiting, null);
  }

  #replace(lane: Lane, delivery: Delivery, by: Delivery | null): void {
    lane.waiting = lane.waiting.flatMap((each) =>
      each.delivery_id !== delivery.delivery_id ? [each] : by === null ? [] : [by],
    );
  }

  #settleAll(lane: Lane): void {
    for (let first = lane.unsettled[0]; first !== undefined; first = lane.unsettled[0]) {
      this.#files.settle(first.delivery, first.outcome);
      lane.unsettled.shift();
    }
  }

  #onWeather(lane: Lane, error: unknown): void {
    const code = weatherCode(error);
    if (code === null) throw error;
    const problem = `the queue cannot be written (${code})`;
    if (problem !== lane.problem)
      this.#context.log.warn({ channel: lane.channel, problem }, `channel ${lane.channel}: ${problem}`);
    lane.problem = problem;
    this.#later(lane, WEATHER_MS);
  }

  #later(lane: Lane, delayMs: number): void {
    if (lane.timer) clearTimeout(lane.timer);
    lane.timer = setTimeout(() => this.#pump(lane), Math.min(LOOK_AGAIN_MS, Math.max(0, Math.ceil(delayMs))));
  }

  #instant(): string {
    return writeInstant(this.#context.nowMs());
  }
}
