/**
 * Suspects the watcher before the watched: was this process itself late, stalled, suspended, or its clock set?
 *
 * A monitor that did not run for ten seconds has not seen ten seconds of silence from anybody.
 * @module
 */

/** The worst local health; 0 is the best. The range is memberlist's (`awareness.go`). */
export const LOCAL_HEALTH_MAX = 7;

/** Delay of the event loop above which a tick is not clean. */
const LOOP_DELAY_MS_MAX = 200;

/**
 * `some avg10` of `/proc/pressure/cpu` above which a tick is not clean, in percent. One busy worker on a small machine
 * makes 40 to 60; the watcher itself starves only well above that.
 */
const CPU_PRESSURE_MAX = 80;

/** Share of the workers that are suspect together above which it is likelier to be us than them. */
const SUSPECT_SHARE_MAX = 0.3;

/** A gap shorter than this is not a stall, however short the interval. */
const STALL_MS_MIN = 5_000;

/** Clock differences below this are reading order, rounding (`/proc/uptime` counts 10 ms) and slewing. */
const CLOCK_NOISE_MS = 1_000;

/** What one tick of our own loop looked like. */
export interface TickSigns {
  /** The tick came noticeably later than it was set for. */
  readonly lateTick: boolean;
  /** The worst delay of the event loop that was seen since the last tick; `null` if not measured. */
  readonly loopDelayMs: number | null;
  /** `some avg10` of `/proc/pressure/cpu`, 0 to 100; `null` where the kernel does not say. */
  readonly cpuPressure: number | null;
  /** Suspect workers as a share of all watched ones, 0 to 1. */
  readonly suspectShare: number;
}

/**
 * Moves local health by one tick: up by one if anything points at ourselves, down by one for a clean tick.
 *
 * @see https://arxiv.org/abs/1707.00788 Lifeguard: Local Health Awareness for More Accurate Failure Detection
 */
export function step(score: number, signs: TickSigns): number {
  const unclean =
    signs.lateTick ||
    (signs.loopDelayMs ?? 0) > LOOP_DELAY_MS_MAX ||
    (signs.cpuPressure ?? 0) > CPU_PRESSURE_MAX ||
    signs.suspectShare > SUSPECT_SHARE_MAX;
  return Math.min(LOCAL_HEALTH_MAX, Math.max(0, score + (unclean ? 1 : -1)));
}

/**
 * Stretches a time-out by our own health: not at all at 0, to twice its length at 7.
 *
 * memberlist multiplies by `score + 1`. Its time-outs are half a second; ours are minutes, and eight times five
 * minutes would leave a hung worker for most of an hour because the machine is busy, which is when hangs happen.
 */
export function stretch(timeoutMs: number, score: number): number {
  const health = Math.min(LOCAL_HEALTH_MAX, Math.max(0, score));
  return timeoutMs * (1 + health / LOCAL_HEALTH_MAX);
}

/**
 * Tells whether a gap between two ticks means that we ourselves did not run.
 *
 * After a stall: no verdicts in this tick, all beats are read again, and one full interval is observed anew.
 *
 * @param gapMs Monotonic time since the previous tick.
 * @param expectedMs The time for which the tick had been set; for a watcher in rounds, its interval.
 */
export function isOwnStall(gapMs: number, expectedMs: number): boolean {
  return gapMs > Math.max(1.5 * expectedMs, STALL_MS_MIN);
}

/** The three clocks, read one right after the other. */
export interface ClockReading {
  /** Wall clock, milliseconds since 1970. */
  readonly atMs: number;
  /** Monotonic clock: stands still while the machine is suspended. */
  readonly monoMs: number;
  /** Boot clock (`/proc/uptime`): goes on during suspend. `null` where it cannot be read. */
  readonly bootMs: number | null;
}

export interface ClockComparison {
  /** How long the machine was suspended in between; 0 if it was not. */
  readonly suspendedMs: number;
  /** By how much the wall clock was set, negative if back; 0 if it was not. */
  readonly steppedMs: number;
  /** Monotonic time that passed. */
  readonly gapMs: number;
}

/**
 * Compares two readings of the three clocks.
 *
 * Suspend shows as the boot clock running ahead of the monotonic one. A step shows as the wall clock and the boot
 * clock disagreeing, since both go on during suspend; without a boot clock the two cannot be told apart, and a suspend
 * is reported as a step.
 */
export function compareClocks(previous: ClockReading, current: ClockReading): ClockComparison {
  const gapMs = current.monoMs - previous.monoMs;
  const bootGapMs =
    previous.bootMs === null || current.bootMs === null ? gapMs : Math.max(gapMs, current.bootMs - previous.bootMs);
  const steppedMs = current.atMs - previous.atMs - bootGapMs;
  return {
    suspendedMs: beyondNoise(bootGapMs - gapMs),
    steppedMs: beyondNoise(steppedMs),
    gapMs,
  };
}

function beyondNoise(differenceMs: number): number {
  return Math.abs(differenceMs) > CLOCK_NOISE_MS ? differenceMs : 0;
}
