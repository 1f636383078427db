/**
 * One of two bare Node processes that meet in files: it starts the workers that are asked for in its own folder, and asks
 * the other, by a file in the other's folder, for those of its own that end. What processes and files cost by themselves.
 *
 * usage: node meeting-parent.js OWN OTHER COMMAND ARG…   (HEALD_WORKER_ID is set for each)
 * @module
 */
import { spawn } from "node:child_process";
import { readdirSync, renameSync, unlinkSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";

const [own = "", other = "", command = "true", ...args] = process.argv.slice(2);

function start(id: string): void {
  const child = spawn(command, args, { stdio: "ignore", detached: true, env: { ...process.env, HEALD_WORKER_ID: id } });
  child.on("exit", () => ask(id));
}

function ask(id: string): void {
  const draft = `${other}.${id}`;
  writeFileSync(draft, id);
  renameSync(draft, join(other, id));
}

function takeAll(): void {
  for (const id of readdirSync(own)) {
    unlinkSync(join(own, id));
    start(id);
  }
}

watch(own, takeAll);
takeAll();
