/** Guarantee: `heald top` shows the fleet as it is now, and leaves the terminal as it was. Runs the compiled command. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CommandLine, finished, MAIN, until } from "./support/command-line.js";
import { startedHere } from "./support/launched.js";

let at: CommandLine;

beforeEach(() => {
  at = new CommandLine();
});
afterEach(() => at.close());

function spec(workerId: string, more: object = {}): void {
  const record = { worker_id: workerId, worker_type: "t", status: "running", ...more };
  writeFileSync(at.path("worker-specs", "active", `${workerId}.json`), JSON.stringify(record));
}

/** A terminal of 30 lines and 100 columns, in which a shell notes its settings before and after `heald top`. */
class Screen {
  readonly #child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null }>;
  text = "";

  constructor(...args: readonly string[]) {
    const command = `"${process.execPath}" "${MAIN}" top ${args.join(" ")}`;
    const line = `stty rows 30 cols 100; echo "[$(stty -g)]"; ${command}; code=$?; echo "[$(stty -g)] code $code"`;
    this.#child = spawn("script", ["-qfec", line, "/dev/null"], {
      cwd: at.home,
      env: { ...at.environment(), TERM: "xterm", SHELL: "/bin/sh" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child.stdout?.on("data", (text) => {
      this.text += String(text);
    });
    this.ended = finished(this.#child);
  }

  press(key: string): void {
    this.#child.stdin?.write(key);
  }

  async shows(text: string): Promise<void> {
    await until(() => this.text.includes(text), `the screen shows ${text}`);
  }

  /** The settings of the terminal before and after. */
  get settings(): string[] {
    return [...this.text.matchAll(/\[([0-9a-f:]{20,})\]/g)].map((match) => match[1] as string);
  }
}

const [ENTER, LEAVE] = ["\u001b[?1049h\u001b[?25l", "\u001b[?25h\u001b[?1049l"];

describe("heald top", () => {
  test("prints one screen without control codes where there is no terminal, or with --once", async () => {
    spec("w-1");
    for (const args of [[], ["--once"], ["--once", "--interval", "5s"]]) {
      const { code, out, err } = await at.heald("top", ...args);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(out).not.toContain("\u001b");
      expect(out).toContain("workers 1: 1 unknown   daemons 0 of 4   queue 0");
      expect(out).toMatch(/^w-1 +t +unknown/m);
    }
    const screen = new Screen("--once");
    await screen.ended;
    expect(screen.text).toContain("workers 1: 1 unknown");
    expect(screen.text).not.toContain("\u001b");
    expect(await at.json("top")).toMatchObject({ workers: [{ worker_id: "w-1" }], refused_policies: [] });
  });

  test.each([
    ["q", "q"],
    ["Ctrl-C", "\u0003"],
  ])("is redrawn as the fleet changes, and %s gives the terminal back as it was", async (_name, key) => {
    spec("w-1");
    const screen = new Screen("--interval", "0.2");
    await screen.shows("w-1");
    spec("w-2", { status: "failed" });
    await screen.shows("w-2");
    await screen.shows("workers 2: ");
    screen.press(key);
    await screen.ended;
    expect(screen.text).toContain("code 0");
    expect(screen.text.split(ENTER)).toHaveLength(2);
    const [, after] = screen.text.split(LEAVE);
    expect(after?.trim()).toMatch(/^\[[0-9a-f:]+\] code 0$/);
    const [before, later] = screen.settings;
    expect(later).toBe(before);
  });

  test("looks at once when the monitor has news, however long the interval", async () => {
    const screen = new Screen("--interval", "1h");
    await screen.shows("No workers.");
    spec("w-1");
    writeFileSync(at.path("status.json"), "{}");
    await screen.shows("w-1");
    screen.press("q");
    await screen.ended;
  });

  test("gives the terminal back also when a signal ends it", async () => {
    const screen = new Screen("--interval", "1h");
    await screen.shows("No workers.");
    const pids = startedHere(at.home).filter((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(`${process.execPath}\0${MAIN}\0top`),
    );
    expect(pids).toHaveLength(1);
    process.kill(pids[0] as number, "SIGTERM");
    await screen.ended;
    expect(screen.text.split(LEAVE)).toHaveLength(2);
    const [before, later] = screen.settings;
    expect(later).toBe(before);
  });

  test.each(["0", "0.01s", "2h", "soon"])("refuses --interval %s", async (interval) => {
    expect(await at.heald("top", "--interval", interval)).toMatchObject({
      code: 2,
      err: expect.stringContaining("--interval must be"),
    });
  });
});
