/** Takes the heartbeat folder away from everybody, and gives it back. @module */
import { chmodSync, lstatSync, renameSync, symlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import type { Stage } from "../shared/stage.js";

const FOLDER_MODE = 0o750;

/**
 * Makes `heartbeats/` unreadable, and says how.
 *
 * Permissions do not stop root, so for root the folder goes away instead, and its name points to where nothing is, as
 * when the disk behind it is not mounted: workers can neither write there nor make it anew.
 */
export function breakHeartbeats(stage: Stage): string {
  const folder = stage.layout.heartbeatsDir;
  if (process.geteuid?.() !== 0) {
    chmodSync(folder, 0);
    return "heartbeats/ loses all its permissions (chmod 000)";
  }
  renameSync(folder, awayFrom(stage));
  symlinkSync(join(stage.home, "not-mounted"), folder);
  return "heartbeats/ is moved away, and in its place is a link to nowhere";
}

/** Puts the folder back as it was; does nothing where nothing is wrong. */
export function mendHeartbeats(stage: Stage): void {
  const folder = stage.layout.heartbeatsDir;
  const found = lstatSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory()) return chmodSync(folder, FOLDER_MODE);
  if (lstatSync(awayFrom(stage), { throwIfNoEntry: false }) === undefined) return;
  if (found !== undefined) unlinkSync(folder);
  renameSync(awayFrom(stage), folder);
}

/** Whether a suspicion of the monitor against itself names the folder. */
export function isAboutHeartbeats(told: { readonly message: string }): boolean {
  return told.message.includes("heartbeats/");
}

function awayFrom(stage: Stage): string {
  return join(stage.home, "heartbeats.away");
}
