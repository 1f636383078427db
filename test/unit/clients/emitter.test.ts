import { isUtf8 } from "node:buffer";
import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const PACKAGE = join(import.meta.dirname, "../../..");
const EMITTER = join(PACKAGE, "scripts/lib/worker-heartbeat-emitter.sh");
const SHELLS: readonly (readonly string[])[] = [
  ["sh"],
  ["dash"],
  ["bash"],
  ["bash", "--posix"],
  ["busybox", "sh"],
  ["zsh"],
];
const atHand = SHELLS.filter(
  ([name]) => spawnSync(name as string, ["-c", ":"]).error === undefined && isShell(name as string),
);

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heald-emitter-"));
  mkdirSync(join(root, "coordination"));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

interface Answer {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function shell(
  words: readonly string[],
  script: string,
  env: Record<string, string> = {},
  args: readonly string[] = [],
): Answer {
  const [name, ...options] = words as [string, ...string[]];
  const environment = { PATH: process.env.PATH ?? "/usr/bin:/bin", ...env };
  const { status, stdout, stderr } = spawnSync(name, [...options, "-c", script, "worker", ...args], {
    cwd: root,
    env: environment,
    encoding: "utf8",
    // With a socket there, bash takes itself for a remote shell and reads ~/.bashrc.
    stdio: ["ignore", "pipe", "pipe"],
  });
  return { status, stdout, stderr };
}

const beatOf = (id: string) => JSON.parse(readFileSync(join(root, "coordination/heartbeats", `${id}.json`), "utf8"));

describe.each(atHand.map((words) => [words.join(" "), words] as const))("the emitter under %s", (_, words) => {
  test("beats when sourced, in a script that stops at every error and every unset variable", () => {
    const script = `set -eu; . "${EMITTER}"; WORKER_ID=w-1; emit_heartbeat "$WORKER_ID" 100 50; emit_heartbeat "$WORKER_ID" 99.5 007 "busy"; echo alive`;
    expect(shell(words, script)).toEqual({ status: 0, stdout: "alive\n", stderr: "" });
    expect(beatOf("w-1")).toEqual({
      worker_id: "w-1",
      sequence: 2,
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      health_score: 99.5,
      progress: 7,
      activity: "busy",
    });
    expect(readdirSync(join(root, "coordination/heartbeats"))).toEqual(["w-1.json"]);
    expect(statSync(join(root, "coordination/heartbeats/w-1.json")).mode & 0o777).toBe(0o640);
  });

  test("keeps text as it is, except for control characters", () => {
    const text = 'say "hi" \\ $(false) `false` é ✓ %s \t tab\nline \u0001 end';
    expect(shell(words, `. "${EMITTER}"; emit_heartbeat w-1 1 2 "$1"`, {}, [text]).status).toBe(0);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced.
    expect(beatOf("w-1").activity).toBe(text.replace(/[\u0000-\u001f]/g, " "));
  });

  test("replaces each byte that is no UTF-8 by a question mark, and leaves every character as it is", () => {
    const characters = "aé߿ࠀ퟿✓\u{10000}\u{10ffff} é";
    const bytes = Buffer.from(`${characters} `);
    // Latin-1, a character cut short, one written too long, half of a pair, beyond the last one, and no byte of UTF-8 at all.
    const broken = "\xfcber \xe2\x9c \xc0\xaf \xe0\x80\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xff\x81\x88";
    writeFileSync(join(root, "text"), Buffer.concat([bytes, Buffer.from(broken, "latin1")]));
    expect(shell(words, `. "${EMITTER}"; emit_heartbeat w-1 1 2 "$(cat text)"`)).toMatchObject({
      status: 0,
      stderr: "",
    });
    expect(isUtf8(readFileSync(join(root, "coordination/heartbeats/w-1.json")))).toBe(true);
    expect(beatOf("w-1").activity).toBe(`${characters} ?ber ?? ?? ??? ??? ???? ???`);
  });

  test("cuts a long text between characters", () => {
    expect(shell(words, `. "${EMITTER}"; emit_heartbeat w-1 1 2 "$1"`, {}, [`a${"é".repeat(2000)}`]).status).toBe(0);
    expect(beatOf("w-1").activity).toMatch(/^aé*$/);
  });

  test.each(["../w", "a/b", ".w", "-w", "w x", "w\n", "w.attempt-1", "é", "*", "w".repeat(129)])(
    "refuses %j as an id before it becomes a path",
    (id) => {
      const answer = shell(words, `. "${EMITTER}"; emit_heartbeat "$1" 100 50; echo "status $?"`, {}, [id]);
      expect(answer.stdout).toBe("status 1\n");
      expect(answer.stderr).toMatch(/^heartbeat: /);
      expect(readdirSync(root)).toEqual(["coordination"]);
      expect(existsSync(join(root, "coordination/heartbeats"))).toBe(false);
    },
  );

  test.each(["101", "100.5", "-1", "1e2", "abc", ".", "5.", "0x10"])(
    "refuses %j as a health score and as a progress",
    (value) => {
      for (const script of ['emit_heartbeat w-1 "$1"', 'emit_heartbeat w-1 100 "$1"']) {
        const { status, stderr } = shell(words, `. "${EMITTER}"; ${script}`, {}, [value]);
        expect({ status, lines: stderr.split("\n").length }).toEqual({ status: 1, lines: 2 });
      }
    },
  );

  test("never ends a worker that runs under set -e, and says in one line what is wrong", () => {
    rmSync(join(root, "coordination"), { recursive: true });
    const answer = shell(words, `set -eu; . "${EMITTER}"; emit_heartbeat w-1 100 50; echo alive`);
    expect(answer).toEqual({
      status: 0,
      stdout: "alive\n",
      stderr: "heartbeat: no coordination folder at './coordination'\n",
    });
    expect(readdirSync(root)).toEqual([]);
    expect(shell(words, `. "${EMITTER}"; emit_heartbeat w-1 100 50`).status).toBe(1);
  });

  test("touches no variable, option or trap of its caller", () => {
    const script = `. "${EMITTER}"; file=f worker=w rest=r IFS=:; trap 'echo bye' EXIT; before=$(umask; echo "$-"); emit_heartbeat w-1 100 50 x
      [ "$before" = "$(umask; echo "$-")" ] && echo "$file $worker $rest $IFS"`;
    expect(shell(words, script)).toEqual({ status: 0, stdout: "f w r :\nbye\n", stderr: "" });
  });

  test("writes pid and attempt only from the environment, and only for the worker they belong to", () => {
    const env = { HEALD_WORKER_ID: "w-1", HEALD_PID: "4711", HEALD_ATTEMPT: "3" };
    expect(shell(words, `. "${EMITTER}"; emit_heartbeat "" 100 50; emit_heartbeat w-2 100 50`, env).status).toBe(0);
    expect(beatOf("w-1")).toMatchObject({ pid: 4711, attempt: 3 });
    expect(Object.keys(beatOf("w-2"))).toEqual(["worker_id", "sequence", "timestamp", "health_score", "progress"]);
  });
});

describe("the emitter", () => {
  test.each([
    ["HEALD_HEARTBEAT_FILE", "a/heartbeats/w-1.json", "a"],
    ["HEALD_COORDINATION_DIR", "b", "b"],
    ["HEALD_HOME", "c", "c/coordination"],
    ["COMMIT_RELAY_HOME", "d", "d/coordination"],
  ])("finds the coordination folder from %s", (name, value, folder) => {
    mkdirSync(join(root, folder), { recursive: true });
    expect(shell(["sh"], `"${EMITTER}" w-1 100 50`, { [name]: join(root, value) }).stderr).toBe("");
    expect(existsSync(join(root, folder, "heartbeats/w-1.json"))).toBe(true);
  });

  test("does not write another worker's beat into this worker's file", () => {
    mkdirSync(join(root, "coordination/heartbeats"));
    const own = join(root, "coordination/heartbeats/w-1.json");
    expect(shell(["sh"], `"${EMITTER}" w-2 100 50`, { HEALD_HEARTBEAT_FILE: own }).status).toBe(0);
    expect(existsSync(own)).toBe(false);
    expect(beatOf("w-2").worker_id).toBe("w-2");
  });

  test("runs as a command, also by its other name, and tells when it failed", () => {
    for (const command of [EMITTER, join(PACKAGE, "clients/heartbeat.sh")]) {
      expect(shell(["sh"], `"${command}" test-worker 100 50`)).toEqual({ status: 0, stdout: "", stderr: "" });
      expect(shell(["sh"], `"${command}" test-worker 101`).status).toBe(1);
      expect(shell(["sh"], `"${command}"`).status).toBe(2);
    }
    expect(beatOf("test-worker")).toMatchObject({ sequence: 2, health_score: 100, progress: 50 });
  });

  test.each(atHand)("tells a text that is no UTF-8 with question marks, and leaves one that is (%s %s)", (...words) => {
    const shown = (octal: string): unknown => {
      expect(shell(words.filter(Boolean), `"${EMITTER}" w-1 100 50 "$(printf '${octal}')"`).stderr).toBe("");
      return beatOf("w-1").activity;
    };
    expect([shown("read caf\\351.txt"), shown("caf\\303\\251")]).toEqual(["read caf?.txt", "café"]);
  });

  test("replaces links and survives what others left in the folder", () => {
    mkdirSync(join(root, "coordination/heartbeats"));
    writeFileSync(join(root, "victim"), "untouched");
    symlinkSync(join(root, "victim"), join(root, "coordination/heartbeats/w-1.json"));
    expect(shell(["sh"], `"${EMITTER}" w-1 100 50`).status).toBe(0);
    expect(beatOf("w-1").sequence).toBe(1);
    expect(readFileSync(join(root, "victim"), "utf8")).toBe("untouched");
    execFileSync("mkfifo", [join(root, "coordination/heartbeats/w-2.json")]);
    expect(shell(["sh"], `"${EMITTER}" w-2 100 50`).status).toBe(0);
    writeFileSync(join(root, "coordination/heartbeats/w-3.json"), '{"sequence":0x1,"sequence":99999999999999999999}');
    expect(shell(["sh"], `"${EMITTER}" w-3 100 50`).status).toBe(0);
    expect(beatOf("w-3").sequence).toBe(1);
    mkdirSync(join(root, "coordination/heartbeats/w-4.json"));
    expect(shell(["sh"], `"${EMITTER}" w-4 100 50`).status).toBe(1);
    expect(readdirSync(join(root, "coordination/heartbeats/w-4.json"))).toEqual([]);
  });
});

/** A name that runs may still be another program, or a package manager's offer to install it. */
function isShell(name: string): boolean {
  const options = name === "busybox" ? ["sh"] : [];
  return spawnSync(name, [...options, "-c", "echo yes"], { encoding: "utf8" }).stdout === "yes\n";
}
