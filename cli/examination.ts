/** What `doctor` looks at. Each look gives findings; none changes anything. @module */

import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../lib/errors.js";
import { hostName, pidNamespace } from "../lib/platform/clock.js";
import { freeBytes, safetyOf } from "../lib/platform/files.js";
import { limits } from "../lib/platform/host.js";
import { ownerSchema, versionSchema } from "../lib/schema/records.js";
import { whyNoStopSignal } from "../lib/schema/stop-signals.js";
import { BreakerStore } from "../lib/store/breakers.js";
import { namesIn } from "../lib/store/entries.js";
import { readHolds } from "../lib/store/holds.js";
import { FORMAT, type Home } from "../lib/store/home.js";
import { isMade, SIGNS_IN_WORDS } from "../lib/store/home-signs.js";
import { Layout } from "../lib/store/layout.js";
import { packageVersion } from "../lib/store/package-version.js";
import { readRecord } from "../lib/store/records.js";
import { SpecStore } from "../lib/store/specs.js";
import { TemplateStore } from "../lib/store/templates.js";
import { NAMED_BY } from "./home.js";
import { policyFilesOf, readPolicyFile } from "./policies.js";
import { daemonStates } from "./running.js";

export interface Finding {
  readonly level: "good" | "warning" | "wrong";
  readonly about: string;
  readonly message: string;
}

const GIB = 1024 ** 3;
const OPEN_FILES_MIN = 4096;
const INSTANCES_MIN = 64;
const NODE_MIN: readonly [number, number] = [20, 19];

const good = (about: string, message: string): Finding => ({ level: "good", about, message });
const warning = (about: string, message: string): Finding => ({ level: "warning", about, message });
const wrong = (about: string, message: string): Finding => ({ level: "wrong", about, message });

export async function examine(home: Home): Promise<Finding[]> {
  const layout = new Layout(home);
  const general = [nodeVersion(), ...user(), ...hostLimits(), memoryLimits()];
  if (!statSync(layout.coordination, { throwIfNoEntry: false })?.isDirectory())
    return [wrong("home", `${layout.coordination} is not there; run heald init`), ...general];
  return [
    good("home", `${home.home} (named by ${NAMED_BY[home.namedBy]})`),
    format(layout),
    ...owner(layout),
    ...general,
    ...disk(layout),
    ...folders(layout),
    ...strangers(layout),
    ...daemons(layout),
    ...(await policies(layout)),
    ...templates(layout),
    ...hooks(layout),
    ...specs(layout),
    ...holds(layout),
    ...breakers(layout),
    ...rejected(layout),
  ];
}

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const isEnough = major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1]);
  const text = `heald ${packageVersion()}, node ${process.versions.node}`;
  return isEnough
    ? good("versions", text)
    : wrong("versions", `${text}; node ${NODE_MIN.join(".")} or newer is needed`);
}

function format(layout: Layout): Finding {
  const reading = readRecord(layout.version, versionSchema, {
    maxBytes: 4096,
    nowMs: 0,
    what: "VERSION",
    root: layout.coordination,
  });
  if (reading.kind === "absent")
    return isMade(layout)
      ? warning("format", "there is no VERSION yet; the first daemon, or heald init, writes it")
      : wrong("format", `this is no home of heald yet: ${SIGNS_IN_WORDS}; heald init makes it one`);
  if (reading.kind !== "ok")
    return wrong("format", reading.kind === "bad" ? reading.sentence : "VERSION is not complete");
  const { format: found, heald } = reading.value;
  return found > FORMAT
    ? wrong("format", `${found}, written by heald ${heald}; this heald knows formats up to ${FORMAT}`)
    : good("format", `${found}, written by heald ${heald}`);
}

function owner(layout: Layout): Finding[] {
  const reading = readRecord(layout.owner, ownerSchema, {
    maxBytes: 4096,
    nowMs: 0,
    what: "owner",
    root: layout.coordination,
  });
  if (reading.kind === "absent") return [];
  if (reading.kind !== "ok") return [warning("owner", "run/owner.json cannot be read; the next daemon writes it anew")];
  const { host, pid_ns } = reading.value;
  if (host === hostName() && pid_ns === pidNamespace()) return [good("owner", `this host, ${host}`)];
  return [
    wrong("owner", `it belongs to host ${host}, pid namespace ${pid_ns}; this is ${hostName()}, ${pidNamespace()}`),
  ];
}

function user(): Finding[] {
  if (process.geteuid?.() !== 0) return [good("user", `uid ${process.geteuid?.()}`)];
  return [
    warning("user", "this is root: daemons started so could signal any process, and workers they start are root too"),
  ];
}

function hostLimits(): Finding[] {
  const { openFiles, inotify } = limits();
  const soft = openFiles.soft;
  const instances = inotify.max_user_instances;
  return [
    soft !== null && soft < OPEN_FILES_MIN
      ? warning(
          "open files",
          `at most ${soft}; ${OPEN_FILES_MIN} are better for a large fleet (ulimit -n, LimitNOFILE)`,
        )
      : good("open files", soft === null ? "unlimited" : `at most ${soft}`),
    instances !== null && instances < INSTANCES_MIN
      ? warning(
          "inotify",
          `at most ${instances} instances for each user; the daemons need about 5 each (fs.inotify.max_user_instances)`,
        )
      : good("inotify", `${instances ?? "unknown"} instances, ${inotify.max_user_watches ?? "unknown"} watches`),
  ];
}

/** Where the limit of an attempt would come from, without making anything. */
function memoryLimits(): Finding {
  const own = readOrNull("/proc/self/cgroup") ?? "";
  const path = /^0::(.*)$/m.exec(own)?.[1];
  const folder = path === undefined ? null : join("/sys/fs/cgroup", path);
  const children = folder === null ? null : readOrNull(join(folder, "cgroup.subtree_control"));
  if (folder !== null && children?.split(/\s+/).includes("memory") && isWritable(folder))
    return good("memory limits", `kept by the kernel, in ${folder}`);
  const v1 = /^\d+:[^:]*\bmemory\b[^:]*:(.*)$/m.exec(own)?.[1];
  const folder1 = v1 === undefined ? null : join("/sys/fs/cgroup/memory", v1);
  if (folder1 !== null && isWritable(folder1)) return good("memory limits", `kept by the kernel, in ${folder1}`);
  return warning(
    "memory limits",
    "no cgroup of our own here: limits are kept by measuring; under systemd, Delegate=memory gives one",
  );
}

function disk(layout: Layout): Finding[] {
  const bytes = freeBytes(layout.coordination);
  const text = `${(bytes / GIB).toFixed(1)} GiB free`;
  if (bytes < GIB / 10) return [wrong("disk", `${text}: writing will soon stop`)];
  return [
    bytes < GIB ? warning("disk", `${text}: below 1 GiB samples are dropped first, events last`) : good("disk", text),
  ];
}

function folders(layout: Layout): Finding[] {
  const missing = layout.folders.filter((path) => statSync(path, { throwIfNoEntry: false }) === undefined);
  const bad = layout.folders.flatMap((path): Finding[] => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    if (!isWritable(path)) return [wrong("folders", `${path} cannot be written by this user`)];
    const isOpen = (stat.mode & 0o002) !== 0 || ((stat.mode & 0o020) !== 0 && path !== layout.heartbeatsDir);
    return isOpen
      ? [warning("folders", `${path} can be written by others (mode ${(stat.mode & 0o7777).toString(8)})`)]
      : [];
  });
  if (missing.length > 0)
    bad.push(warning("folders", `${missing.length} are missing, such as ${missing[0]}; heald init makes them`));
  return bad.length > 0 ? bad : [good("folders", `${layout.folders.length} there and writable`)];
}

/** A home is believed as a whole (docs/decisions/whose-files.md), so whoever owns a part of it should be known. */
function strangers(layout: Layout): Finding[] {
  const uid = process.geteuid?.();
  const found = layout.folders.flatMap((path) => {
    const owner = statSync(path, { throwIfNoEntry: false })?.uid;
    return owner === undefined || owner === 0 || owner === uid ? [] : [{ path, owner }];
  });
  const [first] = found;
  if (first === undefined) return [];
  const more = found.length === 1 ? "belongs" : `and ${found.length - 1} more belong`;
  return [
    warning(
      "folders",
      `${first.path} ${more} to user ${first.owner}: daemons of uid ${uid} would start and signal what that user writes there`,
    ),
  ];
}

function daemons(layout: Layout): Finding[] {
  return daemonStates(layout).map(({ name, running, stopped, identity }) => {
    if (stopped) return wrong(name, `pid ${identity?.pid} is stopped by a signal: kill -CONT ${identity?.pid}`);
    return running ? good(name, `runs as pid ${identity?.pid}`) : warning(name, "does not run; heald daemons start");
  });
}

async function policies(layout: Layout): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { name: policy, path } of policyFilesOf(layout)) {
    const outcome = await readPolicyFile(policy, path);
    const name = path === layout.config(policy) ? policy : `shadow/${policy}`;
    if (outcome.kind === "bad") findings.push(wrong(name, outcome.sentence));
    else findings.push(good(name, outcome.isThere ? "sound" : "no file: the defaults are in force"));
    for (const each of outcome.kind === "good" ? outcome.notes : []) findings.push(warning(name, each));
  }
  return findings;
}

function templates(layout: Layout): Finding[] {
  const store = new TemplateStore(layout);
  const types = store.list();
  const bad = types.flatMap((type) => {
    const reading = store.resolve(type);
    if (reading.kind === "bad") return [wrong("template", reading.sentence)];
    const signal = reading.kind === "ok" ? reading.template.launch?.stop?.signal : null;
    const problem = signal == null ? null : whyNoStopSignal(signal);
    return problem === null ? [] : [wrong("template", `${type}: launch.stop.signal ${problem}; SIGTERM is sent`)];
  });
  return bad.length > 0 ? bad : [good("templates", types.length === 0 ? "none" : types.join(", "))];
}

function hooks(layout: Layout): Finding[] {
  return namesIn(layout.hooksDir)
    .filter((name) => !name.startsWith(".") && name !== "README.md")
    .map((name) => {
      const path = join(layout.hooksDir, name);
      const unsafe = safetyOf(path);
      if (unsafe !== null) return wrong("hook", `${path} is refused: ${unsafe}`);
      return isExecutable(path) ? good("hook", path) : warning("hook", `${path} is not executable and is never run`);
    });
}

function specs(layout: Layout): Finding[] {
  const store = new SpecStore(layout);
  const ids = store.listActive();
  const bad = [
    ...store
      .listBadNames()
      .map((name) => wrong("worker spec", `${name} in worker-specs/active is no id and is never read`)),
    ...ids.flatMap((workerId) => {
      const reading = store.readActive(workerId, Date.now());
      return reading.kind === "bad" ? [wrong("worker spec", reading.sentence)] : [];
    }),
  ];
  return bad.length > 0 ? bad : [good("worker specs", `${ids.length} active, all readable`)];
}

function holds(layout: Layout): Finding[] {
  return readHolds(layout, Date.now())
    .filter(({ expiresAtMs }) => expiresAtMs > Date.now())
    .map((hold) =>
      hold.unreadable === undefined
        ? warning("hold", `${hold.name} forbids ${hold.acts.join(", ")}`)
        : wrong("hold", `${hold.unreadable}; it holds everything`),
    );
}

/** What the daemon thinks of a bad one is known to it alone: the last good state stays in force. */
function breakers(layout: Layout): Finding[] {
  const store = new BreakerStore(layout);
  return store.list().flatMap((type) => {
    const reading = store.read(type);
    if (reading.kind === "bad") return [wrong("circuit breaker", `${reading.sentence}; heald breaker reset ${type}`)];
    return reading.kind === "ok" && reading.value.state !== "closed"
      ? [warning("circuit breaker", `that of ${type} is ${reading.value.state}`)]
      : [];
  });
}

function rejected(layout: Layout): Finding[] {
  const names = namesIn(layout.rejectedDir).filter((name) => name.endsWith(".why"));
  return names.slice(0, 10).map((name) => {
    const why = readOrNull(join(layout.rejectedDir, name))?.slice(0, 300).trim();
    return warning("rejected request", `${name.slice(0, -".why".length)}: ${why || "no reason is left"}`);
  });
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) !== null) return null; // Not there, or not ours to read: either way it says nothing.
    throw error;
  }
}

function isWritable(path: string): boolean {
  return may(path, constants.W_OK);
}

function isExecutable(path: string): boolean {
  return may(path, constants.X_OK);
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
