/** Opens the home for a command: for reading without touching anything, or for writing. @module */
import { statSync } from "node:fs";
import { ConfigurationError } from "../lib/errors.js";
import { versionSchema } from "../lib/schema/records.js";
import { checkHome, FORMAT, type Home, openHome, requireHome } from "../lib/store/home.js";
import { Layout } from "../lib/store/layout.js";
import { readRecord } from "../lib/store/records.js";
import type { Call } from "./command.js";

/** How a home was named, for the first line of `status`. */
export const NAMED_BY: Readonly<Record<Home["namedBy"], string>> = {
  flag: "--home",
  HEALD_HOME: "HEALD_HOME",
  COMMIT_RELAY_HOME: "COMMIT_RELAY_HOME",
  cwd: "the working directory",
  HEALD_COORDINATION_DIR: "HEALD_COORDINATION_DIR",
};

/** @throws {UsageError} If nothing names a home. */
export function findHome(call: Pick<Call, "homeFlag">): Home {
  return requireHome(process.env, process.cwd(), call.homeFlag);
}

/**
 * The home for daemons that are to be started: they make it where a variable or the flag names it, and only there.
 *
 * They are given it as a flag, so they cannot tell any more how it was found.
 *
 * @throws {ConfigurationError} If they could not use it. @throws {Refused} If it belongs to another host.
 */
export function homeForDaemons(call: Pick<Call, "homeFlag">): Home {
  const home = findHome(call);
  checkHome(new Layout(home), { create: home.namedBy !== "cwd", claimOwnership: false, refusesForeign: true });
  return home;
}

/** Opens a home and leaves it as it is. @throws {ConfigurationError} If there is none, or its format is newer. */
export function readHome(call: Pick<Call, "homeFlag">): Layout {
  const layout = new Layout(findHome(call));
  if (!statSync(layout.coordination, { throwIfNoEntry: false })?.isDirectory())
    throw new ConfigurationError(
      `Cannot open ${JSON.stringify(layout.coordination)}: there is no such directory; run heald init`,
    );
  const reading = readRecord(layout.version, versionSchema, { maxBytes: 4096, nowMs: 0 });
  if (reading.kind === "ok" && reading.value.format > FORMAT)
    throw new ConfigurationError(
      `Cannot open ${JSON.stringify(layout.coordination)}: its format is ${reading.value.format}, this heald knows formats up to ${FORMAT}`,
    );
  return layout;
}

/** The folders in which a command writes. */
export type Folders = (layout: Layout) => readonly string[];

/**
 * Opens a home to write in it; makes the folders in which the command writes, but no home.
 *
 * @throws {ConfigurationError} If there is no home of heald.
 */
export function openForWriting(call: Pick<Call, "homeFlag">, folders: Folders = () => []): Layout {
  return open(call, folders, false);
}

/**
 * Opens a home to start, adopt or signal processes: pids of another host, and of another pid namespace, are others' here.
 *
 * @throws {Refused} If it belongs to another host.
 */
export function openForProcesses(call: Pick<Call, "homeFlag">, folders: Folders): Layout {
  return open(call, folders, true);
}

function open(call: Pick<Call, "homeFlag">, folders: Folders, refusesForeign: boolean): Layout {
  const home = findHome(call);
  openHome(home, { create: false, claimOwnership: false, refusesForeign, folders });
  return new Layout(home);
}
