/** Finds the home of a fleet, makes its layout, and keeps other hosts and newer formats out. @module */
import { chmodSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { ConfigurationError, FileRefused, Refused, UsageError } from "../errors.js";
import { bootId, hostName, pidNamespace } from "../platform/clock.js";
import { createExclusive, ensureDirectory, readSmall, replaceFile } from "../platform/files.js";
import { sentenceOf } from "../schema/problems.js";
import { ownerSchema, versionSchema } from "../schema/records.js";
import { isMade, SIGNS_IN_WORDS } from "./home-signs.js";
import { Layout } from "./layout.js";
import { packageVersion } from "./package-version.js";
import { type Reading, readRecord, type SchemaOf } from "./records.js";

/** The format of the coordination directory that this version reads and writes. */
export const FORMAT = 1;

/** Where the files of one fleet are, and which rule said so. */
export interface Home {
  readonly home: string;
  /** `coordination/`, absolute. */
  readonly coordination: string;
  /** `agents/logs/`, absolute. */
  readonly logs: string;
  readonly namedBy: "flag" | "HEALD_HOME" | "COMMIT_RELAY_HOME" | "cwd" | "HEALD_COORDINATION_DIR";
}

/**
 * Finds the home: the flag, `HEALD_HOME`, `COMMIT_RELAY_HOME`, the working directory if it holds `coordination/`, or the
 * parent of a `coordination/` that `HEALD_COORDINATION_DIR` names.
 *
 * @returns null if nothing names a home: nothing may be created then.
 */
export function resolveHome(env: NodeJS.ProcessEnv, cwd: string, flag?: string): Home | null {
  const named = nameHome(env, cwd, flag);
  if (named === null) return null;
  return homeAt(...named, env, cwd);
}

/** The home in a folder, with its two directories where the variables put them. */
export function homeAt(home: string, namedBy: Home["namedBy"], env: NodeJS.ProcessEnv, cwd: string): Home {
  return {
    home,
    coordination: pathFrom(env.HEALD_COORDINATION_DIR, cwd) ?? join(home, "coordination"),
    logs: pathFrom(env.HEALD_LOG_DIR, cwd) ?? join(home, "agents", "logs"),
    namedBy,
  };
}

/** Finds the home. @throws {UsageError} If nothing names one. */
export function requireHome(env: NodeJS.ProcessEnv, cwd: string, flag?: string): Home {
  const home = resolveHome(env, cwd, flag);
  if (home !== null) return home;
  const half = env.HEALD_COORDINATION_DIR
    ? "HEALD_COORDINATION_DIR says where its coordination/ is, and not which home it belongs to; "
    : "";
  throw new UsageError(
    `Cannot find a home: ${half}name one with --home or HEALD_HOME, or run in a folder that holds coordination/ ("heald init" makes one)`,
  );
}

function nameHome(env: NodeJS.ProcessEnv, cwd: string, flag: string | undefined): [string, Home["namedBy"]] | null {
  const byFlag = pathFrom(flag, cwd);
  if (byFlag !== null) return [byFlag, "flag"];
  const byOwnVariable = pathFrom(env.HEALD_HOME, cwd);
  if (byOwnVariable !== null) return [byOwnVariable, "HEALD_HOME"];
  const byOldVariable = pathFrom(env.COMMIT_RELAY_HOME, cwd);
  if (byOldVariable !== null) return [byOldVariable, "COMMIT_RELAY_HOME"];
  if (isDirectory(join(cwd, "coordination"))) return [resolve(cwd), "cwd"];
  // The working directory would be no home: it would get worker logs, and another one tomorrow.
  const coordination = pathFrom(env.HEALD_COORDINATION_DIR, cwd);
  return coordination !== null && basename(coordination) === "coordination"
    ? [dirname(coordination), "HEALD_COORDINATION_DIR"]
    : null;
}

/** An empty variable is an unset one: shells write `HEALD_HOME= heald …` for that. */
function pathFrom(value: string | undefined, cwd: string): string | null {
  if (value === undefined || value === "") return null;
  return isAbsolute(value) ? resolve(value) : resolve(cwd, value);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** What the caller may do to a home. */
export interface OpenOptions {
  /** Whether a home may be made: by `heald init`, and by a daemon whose home is named by variable or flag. */
  readonly create: boolean;
  /** The folders in which the caller writes, which are made in a home that is there; the whole layout if not given. */
  readonly folders?: (layout: Layout) => readonly string[];
  /** Whether this host's claim is recorded; for daemons. A home of another host is refused then. */
  readonly claimOwnership: boolean;
  /** Whether a home of another host is refused without a claim of our own: for what starts or signals processes. */
  readonly refusesForeign?: boolean;
}

/**
 * Opens a home: checks it before anything is touched, then makes the folders that are missing.
 *
 * A home that was made before a folder was added to the layout gets it by whoever needs it first.
 *
 * @throws {ConfigurationError} If there is no such home, its VERSION cannot be read, or its format is newer than ours.
 * @throws {Refused} If it belongs to another host or pid namespace.
 */
export function openHome(home: Home, options: OpenOptions): void {
  const layout = new Layout(home);
  const isNew = checkHome(layout, options);
  const missing = (options.folders?.(layout) ?? layout.folders).filter((folder) => !isDirectory(folder));
  if (!options.create) checkLogs(layout, missing);
  makeFolders(missing);
  // A command that writes one file is not what makes a home.
  const makesHome = options.create || options.claimOwnership;
  if (isNew && makesHome)
    createExclusive(layout.version, `${JSON.stringify({ format: FORMAT, heald: packageVersion() })}\n`);
  if (options.claimOwnership) claimOwner(layout);
}

/**
 * Checks what `openHome` would refuse, and touches nothing.
 *
 * @returns Whether there is no VERSION yet.
 * @throws {ConfigurationError} If it is no home that may be used, or may be made.
 * @throws {Refused} If it belongs to another host or pid namespace.
 */
export function checkHome(layout: Layout, options: Omit<OpenOptions, "folders">): boolean {
  const { home } = layout;
  if (!options.create && !isDirectory(home.coordination)) {
    throw new ConfigurationError(
      `Cannot open ${JSON.stringify(home.coordination)}: there is no such directory; run heald init`,
    );
  }
  const isNew = checkFormat(layout);
  if (isNew && !options.create && !isMade(layout)) {
    throw new ConfigurationError(
      `Cannot open ${JSON.stringify(home.coordination)}: it is no home of heald: ${SIGNS_IN_WORDS}; heald init makes it one`,
    );
  }
  if (options.claimOwnership || options.refusesForeign === true) checkOwner(layout);
  return isNew;
}

/** A log folder of another place that is not there is mistyped, as likely as not. */
function checkLogs({ home, logs }: Layout, missing: readonly string[]): void {
  const isElsewhere = logs !== join(home.home, "agents", "logs");
  if (!isElsewhere || isDirectory(logs) || !missing.some((folder) => folder.startsWith(`${logs}/`))) return;
  throw new ConfigurationError(
    `Cannot open ${JSON.stringify(logs)}, which HEALD_LOG_DIR names: there is no such directory; heald init makes it`,
  );
}

/** @returns Whether there is no VERSION yet. */
function checkFormat(layout: Layout): boolean {
  const reading = readOwn(layout, layout.version, versionSchema);
  if (reading.kind === "absent") return true;
  if (reading.kind !== "ok") {
    const why = reading.kind === "bad" ? sentenceOf(reading.problems) : "it is not complete";
    throw new ConfigurationError(`Cannot open ${JSON.stringify(layout.coordination)}: VERSION cannot be read: ${why}`);
  }
  if (reading.value.format > FORMAT) {
    throw new ConfigurationError(
      `Cannot open ${JSON.stringify(layout.coordination)}: its format is ${reading.value.format}, written by heald ${reading.value.heald}; this heald ${packageVersion()} knows formats up to ${FORMAT}`,
    );
  }
  return false;
}

function readOwn<T>(layout: Layout, path: string, schema: SchemaOf<T>): Reading<T> {
  return readRecord(path, schema, { maxBytes: 4096, nowMs: 0, root: layout.coordination });
}

/** Another host, or another pid namespace of this one, to which a home belongs. */
export interface ForeignOwner {
  readonly host: string;
  readonly pid_ns: string;
}

/** Who has the home, if that is not this host; null also where nobody has claimed it, or what is written cannot be read. */
export function foreignOwner(layout: Layout): ForeignOwner | null {
  const reading = readOwn(layout, layout.owner, ownerSchema);
  // An owner file that cannot be read protects nobody; claimOwner writes it anew.
  if (reading.kind !== "ok") return null;
  const { host, pid_ns } = reading.value;
  if (host === hostName() && pid_ns === pidNamespace()) return null;
  // Another pid namespace of this host is a container that has ended if the boot is another one.
  if (host === hostName() && typeof reading.value.boot_id === "string" && reading.value.boot_id !== bootId())
    return null;
  return { host, pid_ns };
}

/**
 * One directory belongs to one host: pids, boots and locks of another host mean nothing here.
 *
 * @throws {Refused} If it belongs to another host or pid namespace.
 */
export function checkOwner(layout: Layout): void {
  const owner = foreignOwner(layout);
  if (owner === null) return;
  throw new Refused(
    `Cannot take ${JSON.stringify(layout.coordination)}: it belongs to host ${JSON.stringify(owner.host)}, pid namespace ${owner.pid_ns}; this is ${JSON.stringify(hostName())}, ${pidNamespace()}; remove "run/owner.json" if no daemon runs there any more`,
  );
}

function claimOwner(layout: Layout): void {
  const text = `${JSON.stringify({ host: hostName(), pid_ns: pidNamespace(), boot_id: bootId() })}\n`;
  // Nothing is written where nothing changes: a daemon may start on a disk that is full or read-only.
  if (textOf(layout.owner) === text || createExclusive(layout.owner, text)) return;
  // Two hosts that start at once both passed the check: the one whose file stands is the owner.
  checkOwner(layout);
  replaceFile(layout.owner, text);
}

/** The text of our own file, or null if it is not one that could be read. */
function textOf(path: string): string | null {
  try {
    return readSmall(path, { maxBytes: 4096 })?.text ?? null;
  } catch (error) {
    if (error instanceof FileRefused) return null;
    throw error;
  }
}

function makeFolders(folders: readonly string[]): void {
  for (const folder of folders) {
    ensureDirectory(folder);
    // The umask of whoever starts first must not decide who can read the fleet's files.
    chmodSync(folder, 0o750);
  }
}
