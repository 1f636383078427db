/** A real systemd in namespaces of its own, as test/systemd/lab.sh boots it. @module */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../../lib/platform/package.js";

const LAB = join(packageRoot(), "test", "systemd", "lab.sh");
/** Not below /tmp, which a booting systemd empties. */
const LABS = "/var/lib";
const BOOT_MS_MAX = 40_000;
const CALL_MS_MAX = 40_000;

export interface Lab {
  /** A folder that is the same inside and outside. */
  readonly shared: string;
  /** Runs a program inside. */
  readonly run: (...call: readonly string[]) => { readonly status: number | null; readonly out: string };
  /** Ends it, and all that runs in it. */
  readonly off: () => void;
}

/** Boots one; or says why there is none. With HEALD_TEST_SYSTEMD=required a missing one is a failure. */
export function bootSystemd(): Lab | { readonly why: string } {
  const made = tried();
  if ("why" in made && process.env.HEALD_TEST_SYSTEMD === "required") throw new Error(made.why);
  return made;
}

function tried(): Lab | { readonly why: string } {
  if (process.geteuid?.() !== 0) return { why: "only root can boot a systemd in namespaces" };
  const folder = mkdtempSync(join(LABS, "heald-lab-"));
  const call = (timeout: number, ...args: readonly string[]) =>
    spawnSync(LAB, args, { encoding: "utf8", timeout, env: { ...process.env, HEALD_LAB: folder } });
  const off = (): void => {
    const ended = call(CALL_MS_MAX, "off");
    if (ended.status !== 0) throw new Error(`The lab in ${folder} does not end: ${ended.stderr}`);
    rmSync(folder, { recursive: true, force: true });
  };
  const booted = call(BOOT_MS_MAX, "boot");
  if (booted.status !== 0) {
    off();
    return { why: `no systemd can be booted here (${booted.stderr.trim() || booted.error?.message})` };
  }
  const shared = join(folder, "shared");
  mkdirSync(shared, { recursive: true });
  const run = (...inner: readonly string[]) => {
    const { status, stdout, stderr } = call(CALL_MS_MAX, "run", ...inner);
    return { status, out: `${stdout}${stderr}` };
  };
  return { shared, run, off };
}

/** The lab's script, for a program that calls it by itself. */
export const LAB_SCRIPT = LAB;
