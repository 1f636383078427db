/**
 * How each type of worker is started: the shipped template, the coordination directory's over it, and what a spec says
 * explicitly over both. Blocks merge one level deep.
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { ConfigurationError, systemCode } from "../errors.js";
import { safetyOf } from "../platform/files.js";
import { packageRoot } from "../platform/package.js";
import { readAs, sentenceOf, show } from "../schema/problems.js";
import {
  type Launch,
  type Probe,
  type Requirement,
  SETTING_BLOCKS,
  type Template,
  templateBlocks,
  templateSchema,
  type WorkerSpecRecord,
} from "../schema/worker-spec.js";
import { jsonNamesIn } from "./entries.js";
import type { Layout } from "./layout.js";
import { frozen, MAX_BYTES, readRecord } from "./records.js";

export interface ResolvedTemplate {
  readonly template: Template;
  readonly hash: string;
  /** The files it was made of, the strongest last. */
  readonly sources: readonly string[];
}

export type TemplateReading =
  | ({ readonly kind: "ok" } & ResolvedTemplate)
  | { readonly kind: "none" }
  /** `lastGood`: what was in force before the file was spoilt, if this process has seen it. */
  | { readonly kind: "bad"; readonly sentence: string; readonly lastGood?: ResolvedTemplate };

/** Everything an attempt is started with. */
export interface ResolvedAttempt {
  readonly launch: Launch;
  readonly resources: NonNullable<Template["resources"]>;
  readonly heartbeat?: NonNullable<Template["heartbeat"]>;
  readonly restart?: NonNullable<Template["restart"]>;
  readonly probe?: Probe;
  readonly requires?: Requirement[];
  readonly max_runtime_seconds?: number;
  readonly token_budget?: NonNullable<Template["token_budget"]>;
  readonly priority?: string | number;
  readonly timeouts?: NonNullable<Template["timeouts"]>;
  readonly retry?: NonNullable<Template["retry"]>;
  readonly processing?: NonNullable<Template["processing"]>;
  readonly rate_limits?: NonNullable<Template["rate_limits"]>;
  readonly template_hash: string;
}

type Json = Readonly<Record<string, unknown>>;

// An operator's file may say only what differs; its name says the type.
const partialTemplate = templateSchema.partial({ worker_type: true });
const BLOCKS = Object.keys(templateBlocks);
/** The fields of these blocks that are configuration; the others are state of an attempt that has ended. */
const CONFIGURED: Readonly<Record<string, readonly string[]>> = {
  heartbeat: ["mode", "interval_seconds", "timeout_seconds", "zombie_threshold_seconds"],
  restart: ["when"],
  token_budget: ["allocated"],
};

/** The hashes of templates that were resolved here; they are frozen. */
const hashes = new WeakMap<Template, string>();
/** What attempts are started with whose specs say nothing explicitly: the same for each of a template. */
const plainAttempts = new WeakMap<Template, ResolvedAttempt>();

/** Where the package keeps its own templates. */
export function shippedTemplatesDir(): string {
  return join(packageRoot(), "config", "templates");
}

/** Reads templates; keeps the last good one of each type in memory. */
export class TemplateStore {
  readonly #layout: Layout;
  readonly #shippedDir: string;
  readonly #good = new Map<string, ResolvedTemplate & { readonly madeOf: readonly Json[] }>();

  constructor(layout: Layout, shippedDir = shippedTemplatesDir()) {
    this.#layout = layout;
    this.#shippedDir = shippedDir;
  }

  /** The template of a type as it is now on disk. */
  resolve(workerType: string, nowMs = Date.now()): TemplateReading {
    const madeOf: Json[] = [];
    const sources: string[] = [];
    for (const path of [join(this.#shippedDir, `${workerType}.json`), this.#layout.template(workerType)]) {
      const found = this.#read(path, workerType, nowMs);
      if (typeof found === "string") return this.#bad(workerType, found);
      if (found === null) continue;
      madeOf.push(found);
      sources.push(path);
    }
    if (madeOf.length === 0) return { kind: "none" };
    // A text that was read before gives the very same values.
    const known = this.#good.get(workerType);
    if (known !== undefined && isSameList(known.madeOf, madeOf)) return { kind: "ok", ...known };
    const merged = madeOf.reduce(mergeBlocks, {});
    const template = frozen({ ...merged, worker_type: workerType });
    const hash = hashOf(template);
    hashes.set(template, hash);
    const resolved = { template, hash, sources, madeOf };
    this.#good.set(workerType, resolved);
    return { kind: "ok", ...resolved };
  }

  /** The types that have a template anywhere, sorted. */
  list(): string[] {
    const names = [...jsonNamesIn(this.#shippedDir), ...jsonNamesIn(this.#layout.templatesDir)];
    return [...new Set(names.map((name) => name.slice(0, -".json".length)))].sort();
  }

  #bad(workerType: string, sentence: string): TemplateReading {
    const lastGood = this.#good.get(workerType);
    return { kind: "bad", sentence, ...(lastGood === undefined ? {} : { lastGood }) };
  }

  /** The file's content, null if there is none, or the sentence that says why it is refused. */
  #read(path: string, workerType: string, nowMs: number): Json | string | null {
    const options = { maxBytes: MAX_BYTES.policy, nowMs, what: "template", root: this.#layout.coordination };
    const reading = readRecord(path, partialTemplate, options);
    const name = JSON.stringify(path);
    if (reading.kind === "absent") return null;
    if (reading.kind === "unfinished") return `Cannot read template ${name}: it is not complete yet`;
    if (reading.kind === "bad") return reading.sentence;
    // The package's own files are as safe as the code that reads them.
    const unsafe = path.startsWith(this.#shippedDir) ? null : whyUnsafe(path);
    if (unsafe !== null) return `Refused template ${name}: ${unsafe}`;
    const named = reading.value.worker_type;
    if (named !== undefined && named !== workerType) {
      return `Cannot read template ${name}: worker_type must be the file's name ${show(workerType)}, got ${show(named)}`;
    }
    return reading.value;
  }
}

function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((value, nth) => value === other[nth]);
}

function whyUnsafe(path: string): string | null {
  try {
    return safetyOf(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "it was removed while it was read";
    throw error;
  }
}

/**
 * Resolves what the next attempt is started with: template ⊕ the spec's explicit `overrides`.
 *
 * In a spec that was written by hand (no `template_hash`) its own blocks are explicit too; where there is no template,
 * they are all there is.
 * @throws {ConfigurationError} If the spec's overrides are not what a template may say.
 */
export function resolveAttempt(template: Template | null, spec: WorkerSpecRecord): ResolvedAttempt {
  const isPlain = typeof spec.template_hash === "string" && spec.overrides == null;
  if (template === null || !isPlain || !hashes.has(template)) return resolveExplicit(template, spec);
  const known = plainAttempts.get(template) ?? frozen(resolveExplicit(template, spec));
  plainAttempts.set(template, known);
  return known;
}

function resolveExplicit(template: Template | null, spec: WorkerSpecRecord): ResolvedAttempt {
  const isByHand = typeof spec.template_hash !== "string";
  const own = template === null || isByHand ? configuredOf(spec) : {};
  const merged = mergeBlocks(mergeBlocks(template ?? {}, own), spec.overrides ?? {});
  const read = readAs(partialTemplate, pick(merged, BLOCKS));
  if (!read.ok) {
    throw new ConfigurationError(
      `Cannot start worker ${JSON.stringify(spec.worker_id)}: in its overrides, ${sentenceOf(read.problems)}`,
    );
  }
  const { launch, resources, heartbeat, restart, probe, requires, max_runtime_seconds, token_budget, priority } =
    read.value;
  // The task's time-out is one of the settings, and kept by the monitor like any other longest time.
  const asked = read.value.timeouts?.task_timeout_seconds;
  const longest = max_runtime_seconds ?? (typeof asked === "number" && asked > 0 ? asked : null);
  return {
    launch: launch ?? {},
    resources: resources ?? {},
    ...(heartbeat == null ? {} : { heartbeat }),
    ...(restart == null ? {} : { restart }),
    ...(probe == null ? {} : { probe }),
    ...(requires == null ? {} : { requires }),
    ...(longest == null ? {} : { max_runtime_seconds: longest }),
    ...(token_budget == null ? {} : { token_budget }),
    ...(priority == null ? {} : { priority }),
    ...settingsOf(read.value),
    template_hash: (template === null ? undefined : hashes.get(template)) ?? hashOf(template ?? {}),
  };
}

function settingsOf(from: Json): Partial<Pick<ResolvedAttempt, (typeof SETTING_BLOCKS)[number]>> {
  return Object.fromEntries(SETTING_BLOCKS.flatMap((block) => (from[block] == null ? [] : [[block, from[block]]])));
}

function configuredOf(spec: WorkerSpecRecord): Json {
  const own: Record<string, unknown> = pick(spec, BLOCKS);
  for (const [block, fields] of Object.entries(CONFIGURED)) {
    const value = own[block];
    if (isObject(value)) own[block] = pick(value, fields);
    // An empty heartbeat block would say that beats are required.
    if (isObject(own[block]) && Object.keys(own[block]).length === 0) delete own[block];
  }
  return own;
}

function pick(from: Json, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]]));
}

function mergeBlocks(under: Json, over: Json): Json {
  const merged: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    merged[key] = isObject(before) && isObject(value) ? { ...before, ...value } : value;
  }
  return merged;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Names a content, whatever the order of its keys and the spaces in its file. */
export function hashOf(value: unknown): string {
  return createHash("sha256")
    .update(JSON.stringify(sorted(value)))
    .digest("hex")
    .slice(0, 16);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
