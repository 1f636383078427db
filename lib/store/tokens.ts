/**
 * The token budget: a ledger of leases under a lock, so that each attempt's tokens are taken once and returned once.
 *
 * A lease is held until it says what was returned. Whoever was killed before the answer takes or returns it again: what is held
 * is not taken twice, and what was returned is not returned twice. A start that failed has returned its lease, and the next
 * start has one of the same name: it is taken anew.
 *
 * No file means no budget: nothing is counted then.
 * @module
 */
import { ConfigurationError } from "../errors.js";
import { replaceFile } from "../platform/files.js";
import { withLock } from "../platform/locks.js";
import { type TokenBudget, tokenBudgetSchema } from "../schema/records.js";
import { textOf } from "./entries.js";
import type { Layout } from "./layout.js";
import { MAX_BYTES, readRecord } from "./records.js";

/** Returned leases that are kept for people to look at; the oldest go first. */
const RETURNED_MAX = 1000;

export type LeaseOutcome =
  | { readonly kind: "no_budget" }
  /** `again`: the lease was held already, and nothing was added. */
  | { readonly kind: "taken"; readonly again: boolean; readonly left: number }
  | { readonly kind: "not_enough"; readonly left: number };

type Lease = NonNullable<TokenBudget["leases"]>[string];

/**
 * Takes an attempt's tokens out of the budget. Taking a lease that is held changes nothing; one that was returned is as free
 * as one that never was.
 *
 * @param leaseName `<id>.attempt-<n>`.
 * @throws {ConfigurationError} If the ledger cannot be read. @throws {LockBusy} If it is locked for long.
 */
export async function takeLease(layout: Layout, leaseName: string, allocated: number): Promise<LeaseOutcome> {
  if (readBudget(layout) === null) return { kind: "no_budget" };
  return withLock(lockPath(layout), () => {
    const budget = readBudget(layout);
    if (budget === null) return { kind: "no_budget" };
    const left = budget.total_budget - budget.total_used;
    const known = leaseOf(budget, leaseName);
    if (known !== undefined && isHeld(known)) return { kind: "taken", again: true, left };
    if (allocated > left) return { kind: "not_enough", left };
    // At the end, as the newest: those that are forgotten first stand first.
    const { [leaseName]: _returned, ...others } = budget.leases ?? {};
    const leases = { ...others, [leaseName]: { allocated } };
    writeBudget(layout, { ...budget, total_used: budget.total_used + allocated, leases });
    return { kind: "taken", again: false, left: left - allocated };
  });
}

/**
 * Returns what an attempt did not use. The sum changes once for each time it was taken, however often this is called.
 *
 * @returns null if there is no budget or no such lease; with `again`, what an earlier call returned.
 * @throws {ConfigurationError} If the ledger cannot be read. @throws {LockBusy} If it is locked for long.
 */
export async function returnTokens(
  layout: Layout,
  leaseName: string,
  used: number,
): Promise<{ readonly returned: number; readonly again: boolean } | null> {
  if (readBudget(layout) === null) return null;
  return withLock(lockPath(layout), () => {
    const budget = readBudget(layout);
    const lease = budget === null ? undefined : leaseOf(budget, leaseName);
    if (budget === null || lease === undefined) return null;
    if (typeof lease.returned === "number") return { returned: lease.returned, again: true };
    const returned = Math.max(0, lease.allocated - used);
    const leases = forgetOldest({ ...budget.leases, [leaseName]: { ...lease, used, returned } });
    // An attempt that used more than its lease has used it all the same.
    const totalUsed = Math.max(0, budget.total_used - lease.allocated + used);
    writeBudget(layout, { ...budget, total_used: totalUsed, leases });
    return { returned, again: false };
  });
}

/** Whether its tokens are out; a ledger that a person has written may say null. */
export function isHeld(lease: Lease): boolean {
  return typeof lease.returned !== "number";
}

/** The ledger, or null if there is none. @throws {ConfigurationError} If it cannot be read. */
export function readBudget(layout: Layout): TokenBudget | null {
  const options = { maxBytes: MAX_BYTES.budget, nowMs: Date.now(), what: "token budget", root: layout.coordination };
  const reading = readRecord(layout.tokenBudget, tokenBudgetSchema, options);
  if (reading.kind === "ok") return reading.value;
  if (reading.kind === "absent") return null;
  const why =
    reading.kind === "bad" ? reading.sentence : 'Cannot read token budget "token-budget.json": not complete yet';
  throw new ConfigurationError(why);
}

function lockPath(layout: Layout): string {
  return `${layout.runDir}/token-budget.lock`;
}

function leaseOf(budget: TokenBudget, name: string): Lease | undefined {
  return Object.hasOwn(budget.leases ?? {}, name) ? budget.leases?.[name] : undefined;
}

function writeBudget(layout: Layout, budget: TokenBudget): void {
  replaceFile(layout.tokenBudget, textOf(budget));
}

function forgetOldest(leases: Record<string, Lease>): Record<string, Lease> {
  const returned = Object.keys(leases).filter((name) => !isHeld(leases[name] as Lease));
  const forgotten = new Set(returned.slice(0, Math.max(0, returned.length - RETURNED_MAX)));
  return Object.fromEntries(Object.entries(leases).filter(([name]) => !forgotten.has(name)));
}
