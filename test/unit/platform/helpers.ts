/** What the platform's tests share: folders, processes that are really there, and conditions with a bound. @module */

import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { packageRoot } from "../../../lib/platform/package.js";
import { type Identity, identityOf } from "../../../lib/platform/processes.js";

/** A folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "heald-platform-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Waits until a condition holds, at most ten seconds. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Waited ${withinMs} ms in vain until ${what}`);
    await delay(5);
  }
}

/** Starts a program that is killed after the test. */
export function start(
  command: string,
  args: readonly string[],
  options: SpawnOptions = {},
): ChildProcess & { pid: number } {
  const child = spawn(command, args, { stdio: "ignore", ...options });
  if (child.pid === undefined) throw new Error(`Cannot start ${command}`);
  onTestFinished(() => {
    if (options.detached === true) killQuietly(-(child.pid as number));
    killQuietly(child.pid as number);
  });
  return child as ChildProcess & { pid: number };
}

/** Kills by pid after a test; what has ended by itself needs nothing. */
export function killQuietly(target: number): void {
  try {
    process.kill(target, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The identity of a process that is there. */
export function identityNow(pid: number): Identity {
  const identity = identityOf(pid);
  if (identity === null) throw new Error(`No process ${pid}`);
  return identity;
}

/** Compiles modules of lib/ for processes that have no TypeScript, and returns the folder; removed by `remove`. */
export function compile(files: readonly string[]): { readonly folder: string; remove(): void } {
  // Inside node_modules, so that the compiled modules find their packages.
  const cache = join(packageRoot(), "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "heald-platform-"));
  const settings = {
    extends: join(packageRoot(), "tsconfig.json"),
    compilerOptions: {
      outDir: folder,
      rootDir: packageRoot(),
      declaration: false,
      sourceMap: false,
      typeRoots: [join(packageRoot(), "node_modules/@types")],
    },
    include: [],
    files: files.map((file) => join(packageRoot(), file)),
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(settings));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  execFileSync(process.execPath, [join(packageRoot(), "node_modules/typescript/bin/tsc"), "-p", folder], {
    stdio: "pipe",
  });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
