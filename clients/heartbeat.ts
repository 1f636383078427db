/**
 * Lets a worker written in TypeScript or JavaScript say that it is alive.
 *
 * Beats come from a timer of the worker's own event loop, so a loop that is blocked falls silent, which is the point.
 * The timer does not keep the process alive. Nothing is thrown into the worker's code, nothing is fsynced, and without
 * `HEALD_HEARTBEAT_FILE` in the environment (a run by hand) everything here does nothing.
 * Depends on nothing but Node.
 * @module
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** What a beat can say. What is left out stays as it was said last. */
export interface HeartbeatUpdate {
  /** 0 (failing) to 100 (well), as the worker sees itself. */
  readonly health?: number;
  /** 0 to 100. A value that stands still for long can be made to count as stuck, by policy. */
  readonly progress?: number;
  /** What the worker does now, in a few words; cut after 500 characters. */
  readonly activity?: string;
  /** Any numbers that healing policies may look at, such as `latency_p99`. */
  readonly metrics?: Readonly<Record<string, number>>;
}

export interface HeartbeatOptions extends HeartbeatUpdate {
  /** Default: what the worker's spec says, else 30. */
  readonly intervalSeconds?: number;
  /** Hears of beats that could not be written. Default: silence; the next beat tries again. */
  readonly onError?: (error: unknown) => void;
}

export interface Heartbeat {
  /** Beats now. Answers whether the beat was written. */
  readonly beat: (update?: HeartbeatUpdate) => boolean;
  /** Ends the beats; a worker that lives on is silent from now on. Safe to call twice. */
  readonly stop: () => void;
  /** False when not run under heald, and after `stop()`. */
  readonly isActive: () => boolean;
  /** Whether the worker is asked to run in its fallback mode now. */
  readonly isInFallback: () => boolean;
}

const INTERVAL_SECONDS_DEFAULT = 30;
const INTERVAL_SECONDS_MIN = 0.05;
const ACTIVITY_CHARACTERS_MAX = 500;
/** A reader refuses beats beyond 64 KiB. */
const BEAT_BYTES_MAX = 60_000;

/** Beats at once, and then every interval until `stop()`. */
export function startHeartbeat(options: HeartbeatOptions = {}): Heartbeat {
  const file = process.env.HEALD_HEARTBEAT_FILE ?? "";
  const fallbackFile = process.env.HEALD_FALLBACK_FILE ?? "";
  let isActive = file !== "";
  let said: HeartbeatUpdate = options;
  let sequence = 0;

  const beat = (update: HeartbeatUpdate = {}): boolean => {
    if (!isActive) return false;
    try {
      said = { ...said, ...update };
      sequence += 1;
      replace(file, render(file, sequence, said), sequence);
      return true;
    } catch (error) {
      tell(options.onError, error);
      return false;
    }
  };
  const timer = isActive ? setInterval(beat, intervalMs(options.intervalSeconds)) : undefined;
  timer?.unref();
  beat();
  return {
    beat,
    stop: () => {
      isActive = false;
      clearInterval(timer);
    },
    isActive: () => isActive,
    isInFallback: () => fallbackFile !== "" && existsSync(fallbackFile),
  };
}

function intervalMs(wanted: number | undefined): number {
  const seconds = wanted ?? Number(process.env.HEALD_HEARTBEAT_INTERVAL_SECONDS);
  const valid = Number.isFinite(seconds) && seconds > 0 ? seconds : INTERVAL_SECONDS_DEFAULT;
  return Math.max(valid, INTERVAL_SECONDS_MIN) * 1000;
}

function render(file: string, sequence: number, said: HeartbeatUpdate): string {
  const record: Record<string, unknown> = {
    worker_id: process.env.HEALD_WORKER_ID || basename(file, ".json"),
    attempt: positiveInteger(process.env.HEALD_ATTEMPT),
    pid: positiveInteger(process.env.HEALD_PID) ?? process.pid,
    sequence,
    timestamp: `${new Date().toISOString().slice(0, 19)}Z`,
    health_score: percentage(said.health),
    progress: percentage(said.progress),
    activity: said.activity === undefined ? undefined : cut(String(said.activity)),
    metrics: said.metrics === undefined ? undefined : numbersOf(said.metrics),
  };
  const text = JSON.stringify(record);
  if (Buffer.byteLength(text) <= BEAT_BYTES_MAX) return `${text}\n`;
  return `${JSON.stringify({ ...record, metrics: undefined })}\n`;
}

/** Replaces the file at once for every reader; no fsync, for a disk that stalls must not stall a healthy worker. */
function replace(file: string, text: string, sequence: number): void {
  const folder = dirname(file);
  const temporary = join(folder, `.${basename(file)}.${process.pid}.${sequence}.tmp`);
  try {
    try {
      writeFileSync(temporary, text, { mode: 0o640, flag: "wx" });
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
      // The folder was removed while we ran; the coordination folder above it is not ours to make.
      mkdirSync(folder, { mode: 0o750 });
      writeFileSync(temporary, text, { mode: 0o640, flag: "wx" });
    }
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function tell(onError: HeartbeatOptions["onError"], error: unknown): void {
  try {
    onError?.(error);
  } catch {
    // The hook's own fault, and nobody is left to tell: a beat must not be what ends a worker.
  }
}

function percentage(value: number | undefined): number | undefined {
  return Number.isFinite(value) ? Math.min(100, Math.max(0, value as number)) : undefined;
}

function numbersOf(metrics: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));
}

function positiveInteger(text: string | undefined): number | undefined {
  return /^[1-9]\d{0,14}$/.test(text ?? "") ? Number(text) : undefined;
}

/** By characters and not by halves of them, so that the text stays valid UTF-8. */
function cut(text: string): string {
  return [...text.slice(0, 2 * ACTIVITY_CHARACTERS_MAX)].slice(0, ACTIVITY_CHARACTERS_MAX).join("");
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
