/** `heald daemons`: the daemons in the background. @module */
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { ensureDirectory, isDiskFull, readTail, readTailOf } from "../../lib/platform/files.js";
import { openNameless } from "../../lib/platform/output-file.js";
import { signalIdentity } from "../../lib/platform/processes.js";
import { DAEMONS, type DaemonName } from "../../lib/schema/records.js";
import { checkOwner } from "../../lib/store/home.js";
import { Layout } from "../../lib/store/layout.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { asJson, printDaemons } from "../daemon-rows.js";
import { homeForDaemons, readHome } from "../home.js";
import { flagOption } from "../options.js";
import { daemonState, daemonStates } from "../running.js";
import { note, print, printJson } from "../screen.js";
import { daemonCalled, daemonMain } from "./daemon.js";

const START_MS = 15_000;
const STOP_MS = 10_000;
const POLL_MS = 25;
const WORDS_BYTES_MAX = 4096;

export const command: CommandDefinition = {
  summary: "start, stop and list daemons in the background",
  examples: ["heald daemons start", "heald daemons status --json", "heald daemons restart worker-restart"],
  verbs: {
    start: {
      summary: "start all daemons, or one, detached",
      description: "Waits until each is ready. Their words go to agents/logs/system/<name>-daemon.log.",
      arguments: "[name]",
      examples: ["heald daemons start --home /srv/fleet", "heald daemons start heartbeat-monitor"],
      run: async (call) => {
        const names = chosen(call);
        const layout = new Layout(homeForDaemons(call));
        return worst(await Promise.all(names.map((name) => start(layout, name))));
      },
    },
    stop: {
      summary: "stop all daemons, or one; workers go on",
      arguments: "[name]",
      examples: ["heald daemons stop", "heald daemons stop auto-fix"],
      run: async (call) => {
        const layout = ownHome(call);
        return worst(await Promise.all(chosen(call).map((name) => stop(layout, name))));
      },
    },
    restart: {
      summary: "stop and start all daemons, or one; workers go on",
      arguments: "[name]",
      examples: ["heald daemons restart worker-restart"],
      run: async (call) => {
        const names = chosen(call);
        // What could not be started again is not stopped.
        homeForDaemons(call);
        const layout = ownHome(call);
        const stopped = await Promise.all(names.map((name) => stop(layout, name)));
        return worst(stopped) || worst(await Promise.all(names.map((name) => start(layout, name))));
      },
    },
    status: {
      summary: "which daemons run",
      description: "Exits 0 if all (or the one named) run, else 1.",
      arguments: "[name]",
      options: [JSON_OPTION],
      examples: ["heald daemons status", "heald daemons status heartbeat-monitor --json | jq .[0].pid"],
      run: status,
    },
  },
};

/** Daemons of another host would seem not to run. @throws {Refused} If the home belongs to one. */
function ownHome(call: Call): Layout {
  const layout = readHome(call);
  checkOwner(layout);
  return layout;
}

function chosen(call: Call): readonly DaemonName[] {
  return call.args[0] === undefined ? DAEMONS : [daemonCalled(call.args[0])];
}

function worst(codes: readonly number[]): number {
  return codes.find((code) => code !== 0) ?? 0;
}

/** The home was checked before: the file for the daemon's words must not be what touches another's. */
async function start(layout: Layout, name: DaemonName): Promise<number> {
  const before = daemonState(layout, name);
  if (before.running) {
    print(`${name}  runs already, pid ${before.identity?.pid}`);
    return 0;
  }
  ensureDirectory(layout.daemonLogsDir);
  const words = openWords(join(layout.daemonLogsDir, `${name}-daemon.out`));
  const child = detach(layout, name, words.descriptor);
  let exit: number | null = null;
  child.on("exit", (code) => {
    exit = code ?? 1;
  });
  const isReady = (): boolean => daemonState(layout, name).running && existsSync(layout.pidFile(name));
  await poll(START_MS, () => exit !== null || isReady());
  child.unref();
  const said = words.read().trim().split("\n").at(-1) ?? "";
  closeSync(words.descriptor);
  if (isReady()) {
    print(`${name}  started, pid ${daemonState(layout, name).identity?.pid}`);
    return 0;
  }
  note(
    `${name} did not start${exit === null ? ` within ${START_MS / 1000}s` : ` (exit code ${exit})`}${said ? `: ${said}` : ""}`,
  );
  return exit ?? 1;
}

/** In a session of its own, so that closing the terminal does not end it. */
function detach(layout: Layout, name: DaemonName, words: number) {
  const args = [daemonMain(name), "--home", layout.home.home, "--console", "none"];
  return spawn(process.execPath, args, {
    detached: true,
    stdio: ["ignore", words, words],
    cwd: statSync(layout.home.home, { throwIfNoEntry: false }) === undefined ? "/" : layout.home.home,
    env: { ...process.env, HEALD_COORDINATION_DIR: layout.coordination, HEALD_LOG_DIR: layout.logs },
  });
}

/** Where a daemon says what it says before its log is open. */
interface Words {
  readonly descriptor: number;
  /** The last of it. */
  read(): string;
}

/** A file of that name; on a full disk one in memory, since there is no other place to say that the disk is full. */
function openWords(path: string): Words {
  const nameless = isDiskFull(dirname(path)) ? openNameless() : null;
  if (nameless === null) {
    // A new file each time: what has the name may be a link to another.
    rmSync(path, { force: true });
    return { descriptor: openSync(path, "wx", 0o640), read: () => readTail(path, WORDS_BYTES_MAX) };
  }
  return { descriptor: nameless, read: () => readTailOf(nameless, WORDS_BYTES_MAX) };
}

async function stop(layout: Layout, name: DaemonName): Promise<number> {
  const before = daemonState(layout, name);
  if (!before.running || before.identity === null) {
    print(`${name}  does not run`);
    return 0;
  }
  const { identity } = before;
  const sent = signalIdentity(identity, "SIGTERM", "main");
  if (sent.answer === "refused") {
    note(`${name} (pid ${identity.pid}) cannot be signalled: ${sent.why}`);
    return 4;
  }
  if (await poll(STOP_MS, () => !daemonState(layout, name).running)) {
    print(`${name}  stopped`);
    return 0;
  }
  note(
    before.stopped
      ? `${name} (pid ${identity.pid}) is stopped by a signal and cannot end: kill -CONT ${identity.pid}`
      : `${name} (pid ${identity.pid}) has not ended within ${STOP_MS / 1000}s`,
  );
  return 1;
}

/** Waits for a condition with a bound; false if it did not come true. */
async function poll(ms: number, holds: () => boolean): Promise<boolean> {
  const until = performance.now() + ms;
  while (!holds()) {
    if (performance.now() >= until) return false;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return true;
}

function status(call: Call): number {
  const layout = readHome(call);
  const wanted = chosen(call);
  const states = daemonStates(layout).filter(({ name }) => wanted.includes(name));
  if (flagOption(call.options, "json")) printJson(states.map(asJson));
  else printDaemons(states, Date.now());
  return states.every(({ running, stopped }) => running && !stopped) ? 0 : 1;
}
