/** Finds the folder in which this package is installed. @module */

import { readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemCode } from "../errors.js";

const PACKAGE_NAME = "heald";

let rootCache: string | null = null;

/**
 * The nearest folder above this module whose package.json is ours; the same from the sources and from `dist/`.
 *
 * @throws {Error} If there is none: the installation is incomplete.
 */
export function packageRoot(): string {
  rootCache ??= findRoot(dirname(fileURLToPath(import.meta.url)));
  return rootCache;
}

function findRoot(start: string): string {
  for (let folder = start; ; folder = dirname(folder)) {
    if (packageNameIn(folder) === PACKAGE_NAME) return folder;
    if (dirname(folder) === folder)
      throw new Error(`Cannot find the package "${PACKAGE_NAME}" above ${JSON.stringify(start)}`);
  }
}

function packageNameIn(folder: string): unknown {
  let text: string;
  try {
    text = readFileSync(join(folder, "package.json"), "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw error;
  }
  const parsed: unknown = JSON.parse(text);
  return typeof parsed === "object" && parsed !== null && "name" in parsed ? parsed.name : null;
}

/** Whether a module is the program that was started, also through a symbolic link. */
export function isProgram(moduleUrl: string): boolean {
  const started = process.argv[1];
  return started !== undefined && realpathSync(started) === fileURLToPath(moduleUrl);
}
