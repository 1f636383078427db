/** Templates as an operator would write them, for the workers of the examples. @module */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../../lib/platform/package.js";

export type Template = Readonly<Record<string, unknown>>;

/** Runs a compiled program that stands beside the example. */
export function nodeTemplate(
  program: URL,
  blocks: Template = {},
  env: Readonly<Record<string, string>> = {},
): Template {
  return {
    launch: {
      target: "process",
      command: process.execPath,
      args: [fileURLToPath(program)],
      env,
      stop: { scope: "group", grace_seconds: 2 },
    },
    heartbeat: { mode: "required" },
    ...blocks,
  };
}

/** Runs a POSIX shell script of an example's folder, which is not compiled. It beats with what `$EMITTER` names. */
export function shellTemplate(script: string, blocks: Template = {}, args: readonly string[] = []): Template {
  return {
    launch: {
      target: "process",
      command: "/bin/sh",
      args: [join(packageRoot(), "examples", script), ...args],
      env: { EMITTER: join(packageRoot(), "scripts", "lib", "worker-heartbeat-emitter.sh") },
      stop: { scope: "group", grace_seconds: 2 },
    },
    heartbeat: { mode: "required" },
    ...blocks,
  };
}
