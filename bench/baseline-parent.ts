/**
 * The bare Node parent that the benchmarks compare with: it spawns each worker and spawns it again on `exit`. No files, no
 * policy, no record; it forgets everything when it ends. What heald costs is measured against this.
 *
 * usage: node baseline-parent.js COUNT COMMAND ARG…   (HEALD_WORKER_ID is set for each)
 * @module
 */
import { spawn } from "node:child_process";

const [count = "1", command = "true", ...args] = process.argv.slice(2);

function start(id: string): void {
  const child = spawn(command, args, { stdio: "ignore", detached: true, env: { ...process.env, HEALD_WORKER_ID: id } });
  child.on("exit", () => start(id));
}

for (let nth = 0; nth < Number(count); nth++) start(`bench-${nth}`);
