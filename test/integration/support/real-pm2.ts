/**
 * A real pm2, which is no dependency of this package: installed once into `node_modules/.cache`, by npm, when a test asks.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../../lib/platform/package.js";

const VERSION = "7.0.4";
const INSTALL_MS_MAX = 120_000;

/** The folder of its program; or why there is none. With HEALD_TEST_PM2=required a missing one is a failure. */
export function realPm2(): { readonly bin: string } | { readonly why: string } {
  const folder = join(packageRoot(), "node_modules", ".cache", `pm2-${VERSION}`);
  const bin = join(folder, "node_modules", ".bin");
  if (existsSync(join(bin, "pm2"))) return { bin };
  mkdirSync(folder, { recursive: true });
  const options = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"];
  const npm = spawnSync("npm", ["install", ...options, "--prefix", folder, `pm2@${VERSION}`], {
    encoding: "utf8",
    timeout: INSTALL_MS_MAX,
  });
  if (npm.status === 0 && existsSync(join(bin, "pm2"))) return { bin };
  const last = npm.stderr?.trim().split("\n").at(-1) ?? "";
  const why = `pm2 ${VERSION} cannot be installed (${npm.error?.message ?? `npm ended with ${npm.status}: ${last}`})`;
  if (process.env.HEALD_TEST_PM2 === "required") throw new Error(why);
  return { why };
}
