/**
 * Prepares a memory limit that the kernel enforces, in a cgroup of its own for each attempt.
 *
 * Never moves a process: the launcher's child joins before it becomes the program. Never makes a cgroup outside of
 * what this process was given, and never enables a controller where that would break the rule that a cgroup v2 with
 * processes has no controllers for children. Where no cgroup can be had, the answer is "sampling": the monitor
 * measures the process tree and ends it.
 * @module
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Who enforces a limit, as it stands in `execution.memory_limit_enforced_by`. */
export type MemoryLimitEnforcer = "cgroup2" | "cgroup1" | "sampling";

export interface MemoryLimit {
  readonly enforcedBy: MemoryLimitEnforcer;
  /** The cgroup of this attempt, for {@link oomKills} and {@link releaseMemoryLimit}. */
  readonly folder?: string;
  /** The file to which a process writes "0" to join. */
  readonly procsFile?: string;
  /** The file with the line "oom_kill <count>". */
  readonly countersFile?: string;
}

/** Where cgroups can be looked up; tests hand in a tree of their own. */
export interface CgroupView {
  /** Text of /proc/self/cgroup. */
  readonly membership: string;
  /** Text of /proc/self/mountinfo. */
  readonly mounts: string;
}

interface Base {
  readonly version: 1 | 2;
  readonly folder: string;
}

const SAMPLING: MemoryLimit = { enforcedBy: "sampling" };
const BYTES_IN_MIB = 1024 * 1024;

/**
 * Makes the cgroup `heald/<id>.attempt-<n>` with this limit, swap included where the kernel accounts for it.
 *
 * A folder left by an earlier start of the same attempt is made anew, so that its counters begin at zero.
 *
 * @param workerId A valid id; it becomes a folder name.
 * @param limitMb In MiB, positive. A very small one kills the program before it begins.
 * @throws {RangeError} If `limitMb` is not a positive number.
 */
export function prepareMemoryLimit(
  workerId: string,
  attempt: number,
  limitMb: number,
  view: CgroupView = ownView(),
): MemoryLimit {
  if (!(limitMb > 0))
    throw new RangeError(`Cannot limit memory of "${workerId}": wanted a positive limit, got ${limitMb}`);
  const base = findBase(view);
  if (base === null) return SAMPLING;
  const folder = join(base.folder, "heald", `${workerId}.attempt-${attempt}`);
  const limitBytes = Math.floor(limitMb * BYTES_IN_MIB);
  try {
    mkdirSync(dirname(folder), { recursive: true, mode: 0o755 });
    if (base.version === 2) enableMemory(dirname(folder));
    if (existsSync(folder)) rmdirSync(folder);
    mkdirSync(folder, { mode: 0o755 });
    return base.version === 2 ? limitVersion2(folder, limitBytes) : limitVersion1(folder, limitBytes);
  } catch {
    // Read-only, not delegated, or an old attempt still lives there: the limit is kept by measuring, which the
    // launch record states. Nothing is lost but the kernel's speed.
    releaseMemoryLimit(folder);
    return SAMPLING;
  }
}

/** Reads how many processes the kernel has killed for want of memory in this cgroup; null where it does not say. */
export function oomKills(folder: string): number | null {
  for (const name of ["memory.events", "memory.oom_control"]) {
    const found = /^oom_kill (\d+)$/m.exec(readOrEmpty(join(folder, name)));
    if (found?.[1] !== undefined) return Number(found[1]);
  }
  return null;
}

/** Removes an attempt's cgroup. Answers false while a process is still in it; true when it is gone. */
export function releaseMemoryLimit(folder: string): boolean {
  try {
    rmdirSync(folder);
  } catch {
    return !existsSync(folder);
  }
  return true;
}

function limitVersion2(folder: string, limitBytes: number): MemoryLimit {
  writeFileSync(join(folder, "memory.max"), String(limitBytes));
  writeIfPresent(join(folder, "memory.swap.max"), "0");
  // The worker is one thing: without this the kernel may take a child and leave its parent waiting.
  writeIfPresent(join(folder, "memory.oom.group"), "1");
  return answer("cgroup2", folder, "memory.events");
}

function limitVersion1(folder: string, limitBytes: number): MemoryLimit {
  writeFileSync(join(folder, "memory.limit_in_bytes"), String(limitBytes));
  // Memory and swap together; must not be below the line above, and exists only where swap is accounted for.
  writeIfPresent(join(folder, "memory.memsw.limit_in_bytes"), String(limitBytes));
  return answer("cgroup1", folder, "memory.oom_control");
}

function answer(enforcedBy: MemoryLimitEnforcer, folder: string, counters: string): MemoryLimit {
  return { enforcedBy, folder, procsFile: join(folder, "cgroup.procs"), countersFile: join(folder, counters) };
}

/** Finds the cgroup below which attempts get theirs: version 2 where it has the memory controller, else version 1. */
function findBase(view: CgroupView): Base | null {
  const unified = ownFolder(view, 2);
  const base2 = unified === null ? null : baseVersion2(unified);
  if (base2 !== null) return { version: 2, folder: base2 };
  const own1 = ownFolder(view, 1);
  return own1 !== null && isWritable(own1) ? { version: 1, folder: own1 } : null;
}

/**
 * A cgroup with processes cannot have memory for its children, and this process sits in one. So either memory is
 * enabled below already, or systemd put the daemon into a sub-group (`Delegate=memory`, `DelegateSubgroup=`)
 * and the unit's own group, which is empty, is ours to use.
 */
function baseVersion2(own: string): string | null {
  if (isEnabled(own) && isWritable(own)) return own;
  const unit = dirname(own);
  const isSubgroup = /\.(service|scope)$/.test(basename(unit)) && !/\.(service|scope|slice)$/.test(basename(own));
  if (!isSubgroup || !isWritable(unit)) return null;
  if (readOrEmpty(join(unit, "cgroup.procs")).trim() !== "") return null;
  return isEnabled(unit) || offersMemory(unit) ? enabledOrNull(unit) : null;
}

function enabledOrNull(folder: string): string | null {
  try {
    enableMemory(folder);
  } catch {
    return null; // EBUSY or EACCES: not delegated after all.
  }
  return folder;
}

function enableMemory(folder: string): void {
  if (!isEnabled(folder)) writeFileSync(join(folder, "cgroup.subtree_control"), "+memory");
}

function isEnabled(folder: string): boolean {
  return words(join(folder, "cgroup.subtree_control")).includes("memory");
}

function offersMemory(folder: string): boolean {
  return words(join(folder, "cgroup.controllers")).includes("memory");
}

/** Maps this process's cgroup path to a folder, through the mount that shows that hierarchy. */
function ownFolder(view: CgroupView, version: 1 | 2): string | null {
  const path = membershipPath(view.membership, version);
  if (path === null) return null;
  for (const line of view.mounts.split("\n")) {
    const [before, after] = line.split(" - ");
    const [, , , root, point] = (before ?? "").split(" ");
    const [type, , options] = (after ?? "").split(" ");
    const fits =
      version === 2 ? type === "cgroup2" : type === "cgroup" && (options ?? "").split(",").includes("memory");
    if (!fits || root === undefined || point === undefined) continue;
    const below = root === "/" ? path : path.startsWith(root) ? path.slice(root.length) : null;
    // A path outside of the mount's root ("/..") belongs to another cgroup namespace.
    if (below === null || below.includes("..")) continue;
    return join(unescapeMount(point), below);
  }
  return null;
}

function membershipPath(text: string, version: 1 | 2): string | null {
  for (const line of text.split("\n")) {
    const [, controllers, ...path] = line.split(":");
    const fits = version === 2 ? line.startsWith("0::") : (controllers ?? "").split(",").includes("memory");
    if (fits) return path.join(":");
  }
  return null;
}

function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

function ownView(): CgroupView {
  return { membership: readOrEmpty("/proc/self/cgroup"), mounts: readOrEmpty("/proc/self/mountinfo") };
}

function words(path: string): readonly string[] {
  return readOrEmpty(path).split(/\s+/);
}

function writeIfPresent(path: string, text: string): void {
  if (existsSync(path)) writeFileSync(path, text);
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
  } catch {
    return false;
  }
  return true;
}

/** What cannot be read says nothing, which every caller takes as "not available here". */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
