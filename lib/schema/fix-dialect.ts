/**
 * Reads fixes in the names of other systems: what each key is called here, and what of it nothing knows.
 *
 * The names for what a fix must prove (`validation.success_criteria`, `rollback.type`, …) are read in every fix; the rest of
 * the dialect only where an action has another system's name, for it drops what a fix of our own may not hold. What is
 * not understood goes on as it is, so that the check names it.
 *
 * @module
 */
import { isPlain, type Json } from "./dialect.js";
import { OTHER_ACTION_NAMES } from "./fix-actions.js";

/** One line for each key, and not for each fix that has it. */
interface Tell {
  readonly read: (from: string, to: string) => void;
  readonly passedOver: (what: string) => void;
}

export function takeOverFixes(raw: Json): { readonly value: Json; readonly notes: readonly string[] } {
  if (!Array.isArray(raw.fixes)) return { value: raw, notes: [] };
  const notes = new Set<string>();
  const tell: Tell = {
    read: (from, to) => notes.add(`"fixes[].${from}" is read as "fixes[].${to}"`),
    passedOver: (what) => notes.add(`"fixes[].${what}" has no meaning here and is passed over`),
  };
  const fixes = raw.fixes.map((fix: unknown) => (isPlain(fix) ? takenOver(fix, tell) : fix));
  return { value: { ...raw, fixes }, notes: [...notes] };
}

function takenOver(fix: Json, tell: Tell): Json {
  const judged = judgement(fix, tell);
  const { actions } = judged;
  return Array.isArray(actions) && actions.some(isForeign) ? foreign(judged, actions, tell) : judged;
}

type Block = "validation" | "rollback";
type Put = (block: Block, key: string, value: unknown, from: string) => void;

/** What a fix must prove, and what follows from the verdict, under our names. What is given under them wins. */
function judgement(fix: Json, tell: Tell): Json {
  const blocks: Record<Block, unknown> = { validation: copyOf(fix.validation), rollback: copyOf(fix.rollback) };
  const put: Put = (block, key, value, from) => {
    tell.read(from, `${block}.${key}`);
    blocks[block] ??= {};
    const own = blocks[block];
    if (isPlain(own) && !Object.hasOwn(own, key)) (own as Record<string, unknown>)[key] = value;
  };
  if (isPlain(blocks.validation)) readValidation(blocks.validation, put, tell);
  if (isPlain(blocks.rollback)) readRollback(blocks.rollback, put, tell);
  const { validation, rollback } = blocks;
  return {
    ...fix,
    ...(validation === undefined ? {} : { validation }),
    ...(rollback === undefined ? {} : { rollback }),
  };
}

const copyOf = (value: unknown): unknown => (isPlain(value) ? { ...value } : value);

const PERIODS: Readonly<Record<string, number>> = {
  monitoring_period: 1,
  monitoring_period_minutes: 60,
  monitoring_period_hours: 3600,
};

/** The criteria that are asked here: the key of each that holds its bound, the key it is called here, and its unit. */
const CRITERIA: Readonly<Record<string, readonly (readonly [string, string, number])[]>> = {
  pattern_occurrence_decrease: [
    ["min_decrease_percent", "min_decrease", 0.01],
    ["min_decrease", "min_decrease", 1],
  ],
  worker_success_rate: [["min_success_rate", "min_success_rate", 1]],
};

function readValidation(block: Json, put: Put, tell: Tell): void {
  for (const [key, factor] of Object.entries(PERIODS)) {
    const period = taken(block, key);
    if (period !== undefined)
      put("validation", "monitoring_period_seconds", times(period, factor), `validation.${key}`);
  }
  for (const { type, values, path } of listIn(block, "success_criteria", "validation.success_criteria")) {
    const known = rulesFor(CRITERIA, type);
    for (const [key, target, factor] of known) {
      const bound = taken(values, key);
      if (bound !== undefined) put("validation", target, times(bound, factor), `${path}.${key}`);
    }
    tellLeft(known.length === 0 ? null : values, path, tell);
  }
}

/** What is no number goes on, so that the check names it; hundredths are kept from having a tail. */
const times = (value: unknown, factor: number): unknown =>
  typeof value === "number" ? Number((value * factor).toPrecision(12)) : value;

/** What a type of undoing means for a fix that did not help: it stays, or what was there before comes back. */
const UNDOING = /^restore_previous_[a-z]+$/;

function readRollback(block: Json, put: Put, tell: Tell): void {
  const { type } = block;
  if (typeof type === "string") {
    taken(block, "type");
    if (type === "none" || UNDOING.test(type)) put("rollback", "on_ineffective", type !== "none", "rollback.type");
    else tell.passedOver(`rollback.type[${type.slice(0, NAME_LENGTH)}]`);
  }
  if (typeof block.reason === "string") tellLeft({ reason: taken(block, "reason") }, "rollback", tell);
  for (const { type: condition, values, path } of listIn(block, "conditions", "rollback.conditions")) {
    const isFailure = condition === "validation_failure";
    const threshold = condition === "new_failures_detected" ? taken(values, "threshold") : undefined;
    if (isFailure) put("rollback", "on_ineffective", true, path);
    if (threshold !== undefined) put("validation", "new_failures_max", threshold, `${path}.threshold`);
    // At once is how it is done here.
    if (values.action === "immediate") taken(values, "action");
    tellLeft(isFailure || threshold !== undefined ? values : null, path, tell);
  }
}

const NAME_LENGTH = 60;

interface Entry {
  readonly type: string;
  readonly values: Json;
  /** As it is named in a note. */
  readonly path: string;
}

/** Takes a list of blocks that have a type out of a block; what is no such list stays there, and is refused. */
function listIn(block: Json, key: string, path: string): Entry[] {
  const list = block[key];
  if (!Array.isArray(list) || !list.every((each) => isPlain(each) && typeof each.type === "string")) return [];
  taken(block, key);
  return list.map(({ type, ...values }) => ({ type, values, path: `${path}[${type.slice(0, NAME_LENGTH)}]` }));
}

const rulesFor = <T>(rules: Readonly<Record<string, readonly T[]>>, type: string): readonly T[] =>
  Object.hasOwn(rules, type) ? (rules[type] as readonly T[]) : [];

/** Takes a value out of a block that is our own copy. */
function taken(block: Json, key: string): unknown {
  const value = Object.hasOwn(block, key) ? block[key] : undefined;
  delete (block as Record<string, unknown>)[key];
  return value;
}

/** @param left What of it was not taken; null if all of it means nothing. */
function tellLeft(left: Json | null, path: string, tell: Tell): void {
  if (left === null) tell.passedOver(path);
  else for (const key of Object.keys(left)) tell.passedOver(`${path}.${key.slice(0, NAME_LENGTH)}`);
}

const KNOWN: Readonly<Record<string, readonly string[]>> = {
  prerequisites: ["min_pattern_confidence", "min_pattern_occurrences", "same_task", "came_back", "quiet_seconds"],
  safety: ["safety_score", "requires_approval", "rollback_supported", "risk_level"],
  validation: ["monitoring_period_seconds", "min_decrease", "min_success_rate", "new_failures_max"],
  rollback: ["on_ineffective", "on_inconclusive"],
};

const isForeign = (action: unknown): boolean =>
  isPlain(action) && Object.hasOwn(OTHER_ACTION_NAMES, String(action.type));

/** A fix of another system: of its blocks what is known here, and its actions under our names. */
function foreign(fix: Json, actions: readonly unknown[], tell: Tell): Json {
  const { metadata, ...rest } = fix;
  if (metadata !== undefined) tell.passedOver("metadata");
  const blocks = Object.entries(KNOWN).flatMap(([name, keys]) => {
    const block = rest[name];
    return isPlain(block) ? [[name, pick(block, keys, name, tell)]] : [];
  });
  return {
    ...rest,
    ...Object.fromEntries(blocks),
    actions: actionsOf(actions, String(fix.name ?? fix.fix_id), tell),
  };
}

function pick(from: Json, keys: readonly string[], path: string, tell: Tell): Json {
  const left = { ...from };
  const kept = keys.flatMap((key) => {
    const value = taken(left, key);
    return value === undefined ? [] : [[key, value]];
  });
  tellLeft(left, path, tell);
  return Object.fromEntries(kept);
}

const CHANGE = ["field", "operation", "value", "max_value", "min_value"];

function actionsOf(actions: readonly unknown[], name: string, tell: Tell): unknown[] {
  const made: Json[] = [];
  const changes: Json[] = [];
  for (const action of actions) {
    if (!isPlain(action) || !isForeign(action)) {
      made.push(action as Json);
      continue;
    }
    const { type: given, ...parameters } = action;
    const type = String(given);
    const known = OTHER_ACTION_NAMES[type];
    const path = `actions[${type}]`;
    const keep = (...keys: string[]): Json => pick(parameters, keys, path, tell);
    if (known == null) {
      tell.passedOver(path);
      continue;
    }
    tell.read(path, `actions[${known}]`);
    // A clean state brings its own restart.
    if (known === "restart-worker" && made.some((each) => isPlain(each) && each.type === "clean-state")) continue;
    if (known === "modify-worker-spec") {
      if (changes.length === 0) made.push({ type: known, changes });
      changes.push(keep(...CHANGE));
    } else if (known === "clean-state") made.push({ type: known, ...keep("paths") });
    else if (known === "enable-circuit-breaker") made.push({ type: known, state: "half-open", ...keep() });
    else if (known === "ask-person")
      made.push({ type: known, request: `${name} (${type.replaceAll("_", " ")})`, ...keep() });
    else made.push({ type: known, ...keep() });
  }
  return made;
}
