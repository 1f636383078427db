/** The version of this package, as its package.json names it. @module */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../platform/package.js";

let versionCache: string | null = null;

/** Reads the version once. */
export function packageVersion(): string {
  if (versionCache === null) {
    const parsed = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as { version?: unknown };
    versionCache = typeof parsed.version === "string" ? parsed.version : "0.0.0";
  }
  return versionCache;
}
