/** Small questions about folder entries, asked without following links. @module */
import { lstatSync, readdirSync, unlinkSync } from "node:fs";
import { systemCode } from "../errors.js";

/** The names in a folder; none if there is no such folder. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw error;
  }
}

/** The names of the JSON files in a folder, without temporary ones, sorted. */
export function jsonNamesIn(folder: string): string[] {
  return namesIn(folder)
    .filter((name) => name.endsWith(".json") && !name.startsWith("."))
    .sort();
}

/** Whether anything has this name, a dangling link included. */
export function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

export function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Whether two names are one file. */
export function isOneFile(first: string, second: string): boolean {
  const a = lstatSync(first, { throwIfNoEntry: false });
  const b = lstatSync(second, { throwIfNoEntry: false });
  return a !== undefined && b !== undefined && a.ino === b.ino && a.dev === b.dev;
}

/** Removes a file; false if it was gone. */
export function unlinkIfThere(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}

/** How a record is written that people edit: indented. */
export function textOf(record: object): string {
  return `${JSON.stringify(record, null, 2)}\n`;
}

/** How a record is written that people grep: compact, on one line. */
export function lineOf(record: object): string {
  return `${JSON.stringify(record)}\n`;
}
