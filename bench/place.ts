/** Where the homes of benchmarks are, and what a file costs there. @module */
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemCode } from "../lib/errors.js";
import { percentile } from "./figures.js";

export interface Place {
  readonly folder: string;
  /** The time in which a file is created in a new folder there, microseconds. */
  readonly createUs: number;
}

const CREATIONS = 15;

let place: Place | null = null;

/** Where homes are, as it was chosen last. */
export function placeOfHomes(): Place {
  return place ?? choosePlace();
}

/**
 * Chooses TMPDIR where it is set; else of `/tmp` and `/var/tmp` the one in which a file is created sooner.
 *
 * Near a folder that has lost many files within the last minutes, ext4 looks for a number that was not in use lately, up to
 * half a millisecond for each new file. A restart creates six: then a benchmark measured what was run before it.
 */
export function choosePlace(): Place {
  const folders = process.env.TMPDIR ? [tmpdir()] : [tmpdir(), "/var/tmp"];
  const places = folders.flatMap((folder) => tried(folder) ?? []);
  const [best] = places.sort((one, other) => one.createUs - other.createUs);
  if (best === undefined) throw new Error(`No file can be created in ${folders.join(" or ")}`);
  place = best;
  return best;
}

/** Null where nothing can be created. */
function tried(folder: string): Place | null {
  let home: string;
  try {
    home = mkdtempSync(join(folder, "heald-place-"));
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return null;
  }
  try {
    const tookMs: number[] = [];
    for (let nth = 0; nth < CREATIONS; nth++) {
      const from = performance.now();
      closeSync(openSync(join(home, String(nth)), "wx"));
      tookMs.push(performance.now() - from);
    }
    return { folder, createUs: Math.round(percentile(tookMs, 0.5) * 1000) };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
