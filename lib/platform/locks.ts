/**
 * Locks between processes: one instance of each daemon, and short turns at a record that several programs change.
 *
 * `claims.ts` decides who holds. A single instance also keeps a folder lock of proper-lockfile (this is its door), which
 * it touches every few seconds: other programs see it, and its removal is noticed as the loss of the lock. Only the
 * winner of the claim ever touches that folder, so its staleness decides nothing, and a stopped holder keeps its lock.
 * @module
 */

import { existsSync, rmdirSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LockBusy, LockLost, systemCode } from "../errors.js";
import { type Claim, claim } from "./claims.js";
import { type Identity, identityOf } from "./identity.js";
import { everySeconds } from "./seconds.js";

/** A lock that is ours. Whoever holds it stops writing when `onLost` calls. */
export interface Held {
  /** Lets go. Harmless when repeated. */
  release(): void;
  /** Calls back once, within about a second, when the lock's files were removed or taken over. */
  onLost(callback: (error: LockLost) => void): void;
  /** Asks the file system, in microseconds. */
  isHeld(): boolean;
}

export interface SingleOptions {
  /** How long to wait for a holder that is stopping; 0 unless said otherwise. */
  readonly waitMs?: number;
}

const POLL_MS = 50;
const CHECK_EVERY_SECONDS = 1;
/** The library looks at its folder through the thread pool, which costs a process that is idle more than all else it does. */
const UPDATE_MS = 10_000;
/** Longer than any host stays up: a folder lock is never stale by age. */
const NEVER_STALE_MS = 1_000_000_000_000;

/**
 * Takes the lock of a single instance, or says who has it.
 *
 * A dead holder's lock is broken at once, by its identity; that of a stopped process, another host or another pid
 * namespace never. The folder that holds `path` must be there.
 */
export async function acquireSingle(
  path: string,
  identity: Identity,
  options: SingleOptions = {},
): Promise<Held | { readonly heldBy: Identity | null }> {
  const deadline = performance.now() + (options.waitMs ?? 0);
  for (;;) {
    const found = claim(path, identity);
    if ("release" in found) return holdSingle(resolve(path), found);
    const changing = found.holder === null;
    if (!changing && performance.now() >= deadline) return { heldBy: found.holder };
    await delay(changing ? Math.random() * 5 : POLL_MS);
  }
}

async function holdSingle(path: string, won: Claim): Promise<Held> {
  const callbacks: ((error: LockLost) => void)[] = [];
  let lost: LockLost | null = null;
  const lose = (cause: unknown): void => {
    if (lost !== null) return;
    endChecks();
    lost = new LockLost(path, { cause });
    for (const callback of callbacks) callback(lost);
  };
  let hasFolder = false;
  const endChecks = everySeconds(CHECK_EVERY_SECONDS, () => {
    if (!won.isHeld() || (hasFolder && !existsSync(folderOf(path)))) lose(new Error("Its files were removed"));
  });
  let unlock: () => void;
  try {
    unlock = await lockFolder(path, lose);
    hasFolder = true;
  } catch (error) {
    endChecks();
    won.release();
    throw error;
  }
  return {
    isHeld: () => lost === null && won.isHeld(),
    onLost: (callback) => {
      if (lost === null) callbacks.push(callback);
      else callback(lost);
    },
    release: () => {
      endChecks();
      if (lost === null) unlock();
      won.release();
    },
  };
}

function folderOf(path: string): string {
  return `${path}.lock`;
}

/** Takes the folder lock. One that is there belongs to a dead holder, or ours would not be the claim. */
async function lockFolder(path: string, onCompromised: (error: Error) => void): Promise<() => void> {
  // Loaded only here: commands that take short locks start faster without it.
  const { default: lockfile } = await import("proper-lockfile");
  const options = { realpath: false, lockfilePath: folderOf(path), stale: NEVER_STALE_MS, update: UPDATE_MS };
  try {
    await lockfile.lock(path, { ...options, onCompromised });
  } catch (error) {
    if (systemCode(error) !== "ELOCKED") throw error;
    rmdirSync(options.lockfilePath);
    await lockfile.lock(path, { ...options, onCompromised });
  }
  let released = false;
  return () => {
    if (released) return;
    released = true;
    lockfile.unlockSync(path, options);
  };
}

const SHORT_LOCK_MS = 5000;

/**
 * Runs an action while holding a short lock, for a record that several programs change.
 *
 * Not reentrant. A dead holder's lock is broken at once.
 * @throws {LockBusy} If it is not free within `waitMs`, 5 s unless said otherwise.
 */
export async function withLock<T>(
  path: string,
  action: () => T | Promise<T>,
  options: { readonly waitMs?: number } = {},
): Promise<T> {
  const won = await claimWithin(path, options.waitMs ?? SHORT_LOCK_MS);
  try {
    return await action();
  } finally {
    won.release();
  }
}

async function claimWithin(path: string, waitMs: number): Promise<Claim> {
  const identity = identityOf(process.pid);
  if (identity === null) throw new Error(`Cannot find this process (${process.pid}) in /proc`);
  const begun = performance.now();
  for (;;) {
    const found = claim(path, identity);
    if ("release" in found) return found;
    if (performance.now() - begun > waitMs) {
      throw new LockBusy(path, waitMs, found.holder === null ? "one after another" : `pid ${found.holder.pid}`);
    }
    // Random, so that those who wait do not come back together.
    await delay(2 + Math.random() * 10);
  }
}
