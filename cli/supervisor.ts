/** Keeps the four daemons running as children, and prints what they say. @module */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { DAEMONS, type DaemonName } from "../lib/schema/records.js";
import type { Home } from "../lib/store/home.js";
import { daemonMain } from "./commands/daemon.js";
import { type Colour, paint, print } from "./screen.js";
import { span } from "./times.js";

const BACKOFF_MS = 1000;
const BACKOFF_MS_MAX = 30_000;
/** A daemon that has run for so long begins its back-off anew. */
const STABLE_MS = 60_000;
const STOP_MS = 5000;
/** Wrong usage, refused, already running, configuration: starting again without a change is of no use. */
const FINAL_CODES = new Set([2, 4, 75, 78]);

interface Child {
  process: ChildProcess | null;
  startedMs: number;
  failures: number;
  timer: NodeJS.Timeout | null;
  finalCode: number | null;
}

export class Supervisor {
  readonly #home: Home;
  readonly #children = new Map<DaemonName, Child>();
  #stopping = false;
  #finish: (code: number) => void = () => {};

  constructor(home: Home) {
    this.#home = home;
  }

  /** Runs until it is stopped, or until no daemon can run. Returns the exit code. */
  run(): Promise<number> {
    say("heald", `home ${this.#home.home}; ^C stops the daemons and leaves the workers running`, "dim");
    return new Promise((resolve) => {
      this.#finish = resolve;
      for (const name of DAEMONS) {
        this.#children.set(name, { process: null, startedMs: 0, failures: 0, timer: null, finalCode: null });
        this.#start(name);
      }
    });
  }

  stop(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    for (const child of this.#children.values()) if (child.timer) clearTimeout(child.timer);
    this.signal("SIGTERM");
    setTimeout(() => this.signal("SIGKILL"), STOP_MS).unref();
    this.#settle();
  }

  signal(signal: NodeJS.Signals): void {
    for (const { process: child } of this.#children.values()) child?.kill(signal);
  }

  #start(name: DaemonName): void {
    const child = this.#children.get(name) as Child;
    child.timer = null;
    child.startedMs = performance.now();
    const started = spawn(process.execPath, [daemonMain(name), "--home", this.#home.home, "--console", "json"], {
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own: ^C reaches the daemons once, from here.
      detached: true,
      env: { ...process.env, HEALD_COORDINATION_DIR: this.#home.coordination, HEALD_LOG_DIR: this.#home.logs },
    });
    child.process = started;
    createInterface({ input: started.stdout }).on("line", (line) => sayRecord(name, line));
    createInterface({ input: started.stderr }).on("line", (line) => say(name, line, "red"));
    started.on("error", (error) => say(name, `cannot be started: ${error.message}`, "red"));
    started.on("close", (code, signal) => this.#ended(name, child, code, signal));
  }

  #ended(name: DaemonName, child: Child, code: number | null, signal: NodeJS.Signals | null): void {
    child.process = null;
    if (this.#stopping) {
      this.#settle();
      return;
    }
    const how = signal === null ? `exit code ${code}` : signal;
    if (code !== null && FINAL_CODES.has(code)) {
      child.finalCode = code;
      say(name, `ended with ${how}; it is not started again`, "red");
      this.#settle();
      return;
    }
    child.failures = performance.now() - child.startedMs >= STABLE_MS ? 1 : child.failures + 1;
    const waitMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** (child.failures - 1));
    say(name, `ended with ${how}; it is started again in ${span(waitMs)}`, "red");
    child.timer = setTimeout(() => this.#start(name), waitMs);
  }

  /** Ends when no child is left: after ^C with 0, else with the code of the first that cannot run. */
  #settle(): void {
    const children = [...this.#children.values()];
    if (children.some((child) => child.process !== null)) return;
    if (this.#stopping) this.#finish(0);
    else if (children.every((child) => child.finalCode !== null)) this.#finish(children[0]?.finalCode ?? 1);
  }
}

const NAME_WIDTH = Math.max(...DAEMONS.map((name) => name.length));
const COLOURS: Readonly<Record<string, Colour>> = { warn: "yellow", error: "red" };

function sayRecord(name: DaemonName, line: string): void {
  try {
    const record = JSON.parse(line) as { level?: unknown; msg?: unknown; time?: unknown };
    const at = typeof record.time === "string" ? new Date(record.time) : new Date();
    say(name, String(record.msg), COLOURS[String(record.level)], at);
  } catch {
    say(name, line);
  }
}

function say(name: string, message: string, colour?: Colour, at = new Date()): void {
  const text = colour === undefined ? message : paint(colour, message);
  print(`${paint("dim", at.toTimeString().slice(0, 8))}  ${name.padEnd(NAME_WIDTH)}  ${text}`);
}
