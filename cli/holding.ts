/** Writes, removes and shows holds. @module */
import { closeSync } from "node:fs";
import { join } from "node:path";
import { HealdError, NoRoom, NotFound, Refused, UsageError } from "../lib/errors.js";
import { utc } from "../lib/platform/clock.js";
import { createExclusive, replaceFile } from "../lib/platform/files.js";
import { openOutput } from "../lib/platform/output-file.js";
import { nearestName } from "../lib/schema/problems.js";
import { HOLD_ACTS, type HoldAct, type HoldRecord } from "../lib/schema/records.js";
import { BreakerStore } from "../lib/store/breakers.js";
import { isThere, unlinkIfThere } from "../lib/store/entries.js";
import { type Hold, readHold, readHolds } from "../lib/store/holds.js";
import type { Layout } from "../lib/store/layout.js";
import { SpecStore } from "../lib/store/specs.js";
import { TemplateStore } from "../lib/store/templates.js";
import { checkedId } from "./options.js";
import { person } from "./person.js";
import { queuedRequest, queuedRequests } from "./queued.js";
import { paint } from "./screen.js";
import { activeWorkers, type Worker } from "./subjects.js";
import { span } from "./times.js";

const LONGEST_SECONDS = 7 * 86_400;
const SCOPES: Readonly<Record<string, "worker" | "worker_type" | "target">> = {
  worker: "worker",
  type: "worker_type",
  worker_type: "worker_type",
  target: "target",
};

export interface HoldSubject {
  readonly scope: "worker" | "worker_type" | "target" | "all";
  readonly name: string;
  /** The file under `holds/`. */
  readonly file: string;
}

/** Reads `all`, `type:scan-worker`, `target:billing`, `worker:scan-1` or a bare worker id. */
export function holdSubject(text: string): HoldSubject {
  if (text === "all") return { scope: "all", name: "", file: "all" };
  const [prefix, ...rest] = text.split(":");
  const scope = rest.length === 0 ? "worker" : SCOPES[prefix ?? ""];
  if (scope === undefined)
    throw new UsageError(`A hold is for all, <worker id>, type:<type> or target:<name>, got ${JSON.stringify(text)}`);
  const name = checkedId(rest.length === 0 ? text : rest.join(":"), "The name in a hold");
  return { scope, name, file: `${scope}.${name}`.slice(0, 200) };
}

export interface HoldOrder {
  readonly seconds: number;
  readonly acts: readonly HoldAct[];
  readonly why: string | undefined;
}

/** Writes a hold; an earlier one for the same subject is replaced. @throws {UsageError} If it is too long. */
export function addHold(layout: Layout, subject: HoldSubject, order: HoldOrder, nowMs: number): HoldRecord {
  if (order.seconds > LONGEST_SECONDS) throw new UsageError("A hold lasts at most 7 days");
  const record: HoldRecord = {
    scope: subject.scope,
    ...(subject.scope === "all" ? {} : { name: subject.name }),
    acts: [...order.acts],
    by: person(),
    ...(order.why === undefined ? {} : { why: order.why }),
    created_at: utc(nowMs),
    expires_at: utc(nowMs + order.seconds * 1000),
  };
  const path = join(layout.holdsDir, subject.file);
  const text = `${JSON.stringify(record)}\n`;
  // It must outlive a power loss: what a person stopped must not go on by itself.
  if (!createExclusive(path, text, { sync: true })) replaceFile(path, text, { sync: true });
  return record;
}

/**
 * Says that nothing has the name that a hold is for, and what has; null if something has it, or that cannot be told.
 *
 * A hold may come before its worker, and a target is not known here: both are held all the same.
 */
export function unmetName(layout: Layout, { scope, name }: HoldSubject, nowMs: number): string | null {
  if (scope !== "worker" && scope !== "worker_type") return null;
  const isWorker = isKnownWorker(layout, name, nowMs);
  const active = activeWorkers(layout);
  const types = typesOf(layout, active, nowMs);
  if (scope === "worker" ? isWorker : types.includes(name)) return null;
  const what = scope === "worker" ? "worker" : "worker type";
  const other = scope === "worker" ? types.includes(name) : isWorker;
  if (other)
    return scope === "worker"
      ? `no worker is called ${name} now, but a type is: heald hold add type:${name} holds its workers`
      : `no worker type is called ${name} now, but a worker is: heald hold add ${name} holds it`;
  const near = nearestName(name, scope === "worker" ? active.map(({ workerId }) => workerId) : types);
  return `no ${what} is called ${name} now: it is held when there is one${near === null ? "" : `; did you mean ${near}`}`;
}

function isKnownWorker(layout: Layout, workerId: string, nowMs: number): boolean {
  return new SpecStore(layout).highestAttempt(workerId) > 0 || queuedRequest(layout, workerId, nowMs) !== null;
}

function typesOf(layout: Layout, active: readonly Worker[], nowMs: number): string[] {
  const types = [
    ...new TemplateStore(layout).list(),
    ...active.flatMap(({ spec }) => spec.worker_type ?? []),
    ...queuedRequests(layout, nowMs).map(({ worker_type }) => worker_type),
    ...new BreakerStore(layout).list(),
  ];
  return [...new Set(types)];
}

/**
 * Holds everything by a file without content, for which a full disk has room where it has none for words.
 *
 * @param cannot Why it has none for words; thrown with what can be tried, if there is no room for an empty file either.
 */
export function holdAllWithoutWords(layout: Layout, cannot: NoRoom, nowMs: number): Hold {
  const path = join(layout.holdsDir, "all");
  try {
    // Emptied where it is there: what an earlier one says is replaced, as it is by `addHold`.
    closeSync(openOutput(path));
  } catch (error) {
    if (!(error instanceof NoRoom)) throw error;
    throw new HealdError(cannot.code, `${cannot.message}; as soon as there is room: touch ${path}`, 1, {
      cause: cannot,
    });
  }
  const hold = readHold(layout, "all", nowMs);
  if (hold === null) throw new NotFound(`The hold ${JSON.stringify(path)} is gone`);
  return hold;
}

/** Removes a hold by its file's name or by its subject. @throws {NotFound} If there is none. */
export function removeHold(layout: Layout, text: string): string {
  const names = [text, ...subjectFiles(text)].filter((name) => !name.includes("/") && !name.startsWith("."));
  const found = names.find((name) => isThere(join(layout.holdsDir, name)));
  if (found === undefined) throw new NotFound(`No hold ${JSON.stringify(text)}: see heald hold ls`);
  if (!unlinkIfThere(join(layout.holdsDir, found))) throw new NotFound(`The hold ${JSON.stringify(found)} is gone`);
  return found;
}

function subjectFiles(text: string): string[] {
  try {
    return [holdSubject(text).file];
  } catch (error) {
    if (error instanceof UsageError) return []; // No subject, but it may be a file's name.
    throw error;
  }
}

/** @throws {UsageError} If one is no act. */
export function readActs(text: string | undefined): readonly HoldAct[] {
  if (text === undefined) return HOLD_ACTS;
  const words = text.split(",").map((word) => word.trim());
  const bad = words.find((word) => !(HOLD_ACTS as readonly string[]).includes(word));
  if (bad !== undefined) throw new UsageError(`--acts must be of ${HOLD_ACTS.join(",")}, got ${JSON.stringify(bad)}`);
  return words as HoldAct[];
}

/** @throws {Refused} If a hold forbids the act and nobody overrides it by name. */
export function refuseHeld(hold: Hold | null, deed: string): void {
  if (hold === null) return;
  throw new Refused(
    `Refused to ${deed}: the hold ${JSON.stringify(hold.name)} forbids it for ${span(hold.expiresAtMs - Date.now())} more; --override-hold passes it`,
  );
}

export const HOLD_HEADINGS = ["HOLD", "FOR", "FORBIDS", "LEFT", "BY", "WHY"];

export function holdRows(holds: readonly Hold[], nowMs: number): string[][] {
  return holds.map((hold) => [
    hold.name,
    hold.scope === "all" ? "everything" : `${hold.scope === "named" ? "any" : hold.scope} ${hold.target}`,
    hold.acts.join(", "),
    leftOf(hold, nowMs),
    hold.by || "-",
    hold.unreadable ?? hold.why,
  ]);
}

function leftOf(hold: Hold, nowMs: number): string {
  if (hold.startsAtMs > nowMs) return `begins in ${span(hold.startsAtMs - nowMs)}`;
  if (hold.expiresAtMs <= nowMs) return paint("dim", "over");
  return span(hold.expiresAtMs - nowMs) + (hold.defaulted ? " (default)" : "");
}

/** A hold for `--json`, as a record would name its fields. */
export function holdJson({ name, scope, target, acts, by, why, startsAtMs, expiresAtMs, defaulted, unreadable }: Hold) {
  return {
    name,
    scope,
    target,
    acts,
    by,
    why,
    starts_at: startsAtMs > 0 ? utc(startsAtMs) : null,
    expires_at: utc(expiresAtMs),
    defaulted,
    ...(unreadable === undefined ? {} : { unreadable }),
  };
}

export function allHolds(layout: Layout, nowMs: number): Hold[] {
  return readHolds(layout, nowMs);
}
