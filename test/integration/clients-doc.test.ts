/** Guarantee: what docs/clients.md shows is what works. Each snippet is taken from the page and run as it is. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { beatSchema } from "../../lib/schema/records.js";

const PACKAGE = join(import.meta.dirname, "../..");
const PAGE = readFileSync(join(PACKAGE, "docs/clients.md"), "utf8");
/** Compilers are often installed for one user, outside of the PATH that a service has. */
const PATH = [process.env.PATH, join(homedir(), ".cargo/bin"), "/usr/local/go/bin"].join(delimiter);
const WORKER = "worker-doc-1";

let root: string;
let home: string;
let beatFile: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "heald-doc-"));
});
afterAll(() => {
  rmSync(root, { recursive: true });
});
beforeEach(() => {
  home = mkdtempSync(join(root, "fleet-"));
  mkdirSync(join(home, "coordination", "heartbeats"), { recursive: true });
  beatFile = join(home, "coordination", "heartbeats", `${WORKER}.json`);
});

/** Every snippet in one language; more than one of a kind would need a name of its own in this test. */
function snippet(language: string): string {
  const found = [...PAGE.matchAll(/^```(\S+)\n([\s\S]*?)^```$/gm)].filter(([, tag]) => tag === language);
  expect(found, `docs/clients.md has one snippet in ${language}`).toHaveLength(1);
  const text = found[0]?.[2] ?? "";
  return text.replaceAll("/opt/heald", PACKAGE).replaceAll("/srv/fleet", home);
}

function run(command: string, args: readonly string[], cwd = home): void {
  const env = {
    PATH,
    HOME: homedir(),
    HEALD_HEARTBEAT_FILE: beatFile,
    HEALD_WORKER_ID: WORKER,
    HEALD_ATTEMPT: "2",
    HEALD_PID: "4711",
    GOCACHE: join(root, "go-cache"),
    GOFLAGS: "-mod=mod",
  };
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: "utf8", timeout: 120_000 });
  expect({ command, status, stdout, stderr, error }).toEqual({
    command,
    status: 0,
    stdout: "",
    stderr: "",
    error: undefined,
  });
}

function isAtHand(command: string, flag: string): boolean {
  const { status } = spawnSync(command, [flag], { env: { PATH, HOME: homedir() }, stdio: "ignore" });
  return status === 0;
}

function expectBeat(file: string, wanted: Record<string, unknown>): void {
  const text = readFileSync(file, "utf8");
  expect(text.endsWith("\n")).toBe(true);
  expect(beatSchema.parse(JSON.parse(text))).toMatchObject(wanted);
  // No temporary file is left, and none was mistaken for a beat.
  expect(readdirSync(join(home, "coordination", "heartbeats"))).toEqual([file.slice(file.lastIndexOf("/") + 1)]);
}

const LAST = { worker_id: WORKER, attempt: 2, pid: 4711, sequence: 4, health_score: 100, progress: 100 };

describe("docs/clients.md", () => {
  test("shows a beat that is one", () => {
    expect(beatSchema.parse(JSON.parse(snippet("json")))).toMatchObject({ worker_id: "worker-import-1", progress: 40 });
  });

  test("shows no snippet that this test does not know", () => {
    const tags = [...PAGE.matchAll(/^```(\S+)$/gm)].map(([, tag]) => tag);
    expect(tags.sort()).toEqual(["crontab", "go", "json", "python", "rust", "sh", "ts"]);
  });

  test("beats from a shell", () => {
    run("sh", ["-c", snippet("sh")]);
    expectBeat(beatFile, { ...LAST, activity: "step 4" });
  });

  test("beats from TypeScript through the package's own export", () => {
    const installed = join(home, "node_modules", "heald");
    mkdirSync(installed, { recursive: true });
    writeFileSync(join(installed, "package.json"), readFileSync(join(PACKAGE, "package.json"), "utf8"));
    const tsc = join(PACKAGE, "node_modules/.bin/tsc");
    const options = ["--ignoreConfig", "--strict", "--module", "NodeNext", "--target", "ES2023", "--skipLibCheck"];
    const types = ["--types", "node", "--typeRoots", join(PACKAGE, "node_modules/@types")];
    const built = join(installed, "dist/clients");
    run(
      tsc,
      [...options, ...types, "--declaration", "--outDir", built, join(PACKAGE, "clients/heartbeat.ts")],
      PACKAGE,
    );
    writeFileSync(join(home, "package.json"), '{"type":"module"}');
    writeFileSync(join(home, "worker.ts"), snippet("ts"));
    run(tsc, [...options, ...types, "worker.ts"]);
    run(process.execPath, ["worker.js"]);
    expectBeat(beatFile, { ...LAST, sequence: 5, activity: "page 4", metrics: { pages_read: 4 } });
  });

  test("beats from Python", (context) => {
    if (!isAtHand("python3", "--version")) return context.skip("python3 is not at hand");
    run("python3", ["-c", snippet("python")]);
    expectBeat(beatFile, { ...LAST, activity: "step 4" });
  });

  test("beats from Go", (context) => {
    if (!isAtHand("go", "version")) return context.skip("go is not at hand");
    writeFileSync(join(home, "worker.go"), snippet("go"));
    run("go", ["run", "worker.go"]);
    expectBeat(beatFile, { ...LAST, activity: "step 4" });
  });

  test("beats from Rust", (context) => {
    if (!isAtHand("rustc", "--version")) return context.skip("rustc is not at hand");
    writeFileSync(join(home, "worker.rs"), snippet("rust"));
    run("rustc", ["--edition", "2021", "-D", "warnings", "-o", "worker", "worker.rs"]);
    run("./worker", []);
    expectBeat(beatFile, LAST);
  });

  test("beats from cron when the job has done its work, and not when it has failed", () => {
    const [line] = snippet("crontab").trim().split("\n");
    // Five fields of time, then a command for /bin/sh; "%" would be a line break to cron.
    const command = /^(?:\S+ ){5}([^%]+)$/.exec(line as string)?.[1] as string;
    const nightly = join(home, "coordination", "heartbeats", "nightly-report.json");
    mkdirSync(join(home, "jobs"));
    const cron = (job: string) => {
      writeFileSync(join(home, "jobs", "report.sh"), `#!/bin/sh\n${job}\n`, { mode: 0o755 });
      return spawnSync("/bin/sh", ["-c", command], { cwd: "/", env: { PATH: "/usr/bin:/bin", HOME: homedir() } })
        .status;
    };
    expect(cron("exit 3")).toBe(3);
    expect(existsSync(nightly)).toBe(false);
    expect(cron("exit 0")).toBe(0);
    expectBeat(nightly, { worker_id: "nightly-report", health_score: 100, progress: 100, activity: "done" });
  });
});
