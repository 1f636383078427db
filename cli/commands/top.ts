/** `heald top`: the fleet, live. @module */
import { basename, dirname } from "node:path";
import { UsageError } from "../../lib/errors.js";
import { watchDirectory } from "../../lib/platform/watching.js";
import type { Layout } from "../../lib/store/layout.js";
import { type Call, type CommandDefinition, JSON_OPTION } from "../command.js";
import { readHome } from "../home.js";
import { flagOption, secondsOption } from "../options.js";
import { type Overview, overviewJson, readOverview } from "../overview.js";
import { plain, print, printJson } from "../screen.js";
import { frame } from "../top/frame.js";
import { Terminal } from "../top/terminal.js";

const INTERVAL_SECONDS = 1;
const INTERVAL_MIN = 0.1;
const INTERVAL_MAX = 3600;
/** Of one screen that goes to a file or another program. */
const ROWS = 50;

export const command: CommandDefinition = {
  summary: "the fleet, live",
  description:
    "Counts, daemons with their lag, workers with those in trouble first, and what waits: restarts, open breakers, holds, fixes. Drawn again each second, and when the heartbeat-monitor has news. q or Ctrl-C ends it and leaves the terminal as it was. If the output is not a terminal, one screen is printed.",
  options: [
    { flags: "--once", description: "print one screen without control codes, and end" },
    { flags: "--interval <duration>", description: `how often it is drawn again (default: ${INTERVAL_SECONDS}s)` },
    { ...JSON_OPTION, description: "print one state of it as JSON, times in UTC, and end" },
  ],
  examples: ["heald top", "heald top --interval 5s", "heald top --once | mail -s fleet ops@example.org"],
  run: top,
};

async function top(call: Call): Promise<undefined> {
  const layout = readHome(call);
  const intervalMs = intervalOf(call) * 1000;
  if (flagOption(call.options, "json")) printJson(overviewJson(await readOverview(layout, Date.now())));
  else if (flagOption(call.options, "once") || !process.stdout.isTTY) await once(layout);
  else await live(layout, intervalMs);
  return undefined;
}

function intervalOf({ options }: Call): number {
  const seconds = secondsOption(options, "interval", "--interval") ?? INTERVAL_SECONDS;
  if (seconds >= INTERVAL_MIN && seconds <= INTERVAL_MAX) return seconds;
  throw new UsageError(`--interval must be from ${INTERVAL_MIN}s to ${INTERVAL_MAX}s, got ${seconds}s`);
}

async function once(layout: Layout): Promise<void> {
  const nowMs = Date.now();
  const rows = process.stdout.isTTY ? process.stdout.rows || ROWS : ROWS;
  for (const line of frame(await readOverview(layout, nowMs), { rows, hint: "" }, nowMs)) print(plain(line));
}

/** Draws until a person has seen enough; the terminal is given back also when a look fails. */
async function live(layout: Layout, intervalMs: number): Promise<void> {
  const terminal = new Terminal(process.stdin, process.stdout);
  const view = new View(layout, terminal);
  const look = (): void => view.look();
  terminal.enter(() => view.draw());
  const timer = setInterval(look, intervalMs);
  const status = basename(layout.status);
  // Trouble with the watch costs freshness alone: the timer looks anyway.
  const watch = watchDirectory(
    dirname(layout.status),
    (name) => (name === null || name === status) && look(),
    () => {},
  );
  try {
    look();
    await Promise.race([terminal.ended, view.failed]);
  } finally {
    clearInterval(timer);
    watch.close();
    terminal.leave();
  }
}

/** Looks at the fleet, one look at a time, and draws it. */
class View {
  readonly #layout: Layout;
  readonly #terminal: Terminal;
  #overview: Overview | null = null;
  #looking = false;
  #again = false;
  #fail: (error: unknown) => void = () => {};
  /** Rejects when a look fails. */
  readonly failed = new Promise<never>((_, reject) => {
    this.#fail = reject;
  });

  constructor(layout: Layout, terminal: Terminal) {
    this.#layout = layout;
    this.#terminal = terminal;
  }

  /** What changes during a look is looked at once more after it. */
  look(): void {
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#looking = true;
    readOverview(this.#layout, Date.now())
      .then((overview) => {
        this.#overview = overview;
        this.draw();
      })
      .catch(this.#fail)
      .finally(() => {
        this.#looking = false;
        if (this.#again) {
          this.#again = false;
          this.look();
        }
      });
  }

  draw(): void {
    if (this.#overview === null) return;
    this.#terminal.draw(frame(this.#overview, { rows: this.#terminal.rows, hint: "q ends it" }, Date.now()));
  }
}
