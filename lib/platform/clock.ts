/**
 * The clocks of this host, and the names by which a boot, a pid namespace and a host are known.
 *
 * Three clocks, because each lies differently: the wall clock steps, the monotonic clock stands still while the host
 * is suspended, and the boot clock counts the suspension. Comparing them tells which of it happened.
 * @module
 */

import { openSync, readFileSync, readlinkSync, readSync } from "node:fs";
import { hostname } from "node:os";

/** One moment on all three clocks, in milliseconds. */
export interface Instant {
  /** Wall clock, since 1970. May step in both directions. */
  readonly atMs: number;
  /** CLOCK_MONOTONIC, the same for all processes of one boot. Never steps; stands still during a suspension. */
  readonly monoMs: number;
  /** Time since boot, suspensions included; good to about 10 ms, and at most a second late to see a suspension. */
  readonly bootMs: number;
}

const UPTIME_MAX_AGE_MS = 1000;

let uptimeDescriptor = -1;
const uptimeBuffer = Buffer.allocUnsafe(64);
let uptimeReadAtMonoMs = Number.NEGATIVE_INFINITY;
let bootAheadMs = 0;
let bootIdCache: string | null = null;
let pidNamespaceCache: string | null = null;
let hostNameCache: string | null = null;

/** Reads all clocks. */
export function now(): Instant {
  const monoMs = monotonicMs();
  return { atMs: Date.now(), monoMs, bootMs: bootMs(monoMs) };
}

function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + Math.round(nanoseconds / 1000) / 1000;
}

function bootMs(monoMs: number): number {
  if (monoMs - uptimeReadAtMonoMs >= UPTIME_MAX_AGE_MS) {
    bootAheadMs = readUptimeMs() - monoMs;
    uptimeReadAtMonoMs = monoMs;
  }
  return Math.round((monoMs + bootAheadMs) * 1000) / 1000;
}

function readUptimeMs(): number {
  // The descriptor is kept: a process that has run out of descriptors must still be able to tell the time.
  if (uptimeDescriptor < 0) uptimeDescriptor = openSync("/proc/uptime", "r");
  const length = readSync(uptimeDescriptor, uptimeBuffer, 0, uptimeBuffer.length, 0);
  return Number.parseFloat(uptimeBuffer.toString("latin1", 0, length)) * 1000;
}

/** The id that the kernel drew at this boot. */
export function bootId(): string {
  bootIdCache ??= readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  return bootIdCache;
}

/** The inode number of our pid namespace: a pid means something only inside it. */
export function pidNamespace(): string {
  if (pidNamespaceCache === null) {
    const link = readlinkSync("/proc/self/ns/pid");
    pidNamespaceCache = link.slice(link.indexOf("[") + 1, -1);
  }
  return pidNamespaceCache;
}

/** The host's name as it was when this process first asked. */
export function hostName(): string {
  hostNameCache ??= hostname();
  return hostNameCache;
}

/** Writes an instant in UTC to the second, the one form in which timestamps are written: `2026-11-21T21:08:04Z`. */
export function utc(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19)}Z`;
}
