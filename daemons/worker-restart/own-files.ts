/** The files of which a worker is made: a change of one of them may end what made a restart useless. @module */
import { statSync } from "node:fs";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import type { Launch } from "../../lib/schema/worker-spec.js";
import type { Layout } from "../../lib/store/layout.js";

const ARGS_MAX = 32;

/** Where the command and those of its arguments that name files are, and the folder that it runs in. */
export function ownFilesOf(layout: Layout, launch: Launch): readonly string[] {
  const cwd = resolve(layout.home.home, launch.cwd ?? ".");
  const command = launch.command ?? "";
  const commands = command.includes("/")
    ? [resolve(cwd, command)]
    : inPath(command, launch.env?.PATH ?? process.env.PATH ?? "");
  const args = (launch.args ?? [])
    .slice(0, ARGS_MAX)
    .filter(
      (arg) => arg !== "" && arg.length < 1024 && !arg.startsWith("-") && !arg.includes("\n") && !arg.includes("\0"),
    )
    .map((arg) => (isAbsolute(arg) ? arg : join(cwd, arg)));
  return [cwd, ...commands, ...args];
}

/** Every place where the command may be: one that appears further ahead is a change too. */
function inPath(command: string, path: string): string[] {
  return path
    .split(delimiter)
    .filter((folder) => folder.startsWith("/"))
    .map((folder) => join(folder, command));
}

/** Names the present version of files by time, size and inode; a file that is not there is a version as well. */
export function fingerprint(paths: readonly string[]): string {
  return paths.map(versionOf).join(" ");
}

function versionOf(path: string): string {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return "-";
    // A folder's own time changes with every file that a worker puts there.
    return stat.isDirectory() ? `d${stat.ino}` : `${stat.ino}:${Math.round(stat.mtimeMs * 1000)}:${stat.size}`;
  } catch {
    return "?"; // Not to be reached: the version of a file that nobody can see is one version.
  }
}
