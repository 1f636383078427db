/**
 * Guarantee: the service files name programs that exist, say the same for all daemons, and keep away from the workers.
 *
 * What systemd and pm2 make of them at run time needs a booted systemd and a running pm2, and is not shown here.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packageRoot } from "../../lib/platform/package.js";
import { DAEMONS, type DaemonName } from "../../lib/schema/records.js";

const ROOT = packageRoot();
const UNITS = join(ROOT, "systemd");
/** Where the units say that the package is. */
const INSTALLED = "/opt/heald";
const NOT_RESTARTED = [2, 4, 75, 78];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-units-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The assignments of a unit in order; a key may come more than once. */
function settingsOf(unit: string): Map<string, string[]> {
  const settings = new Map<string, string[]>();
  for (const line of readFileSync(join(UNITS, unit), "utf8").split("\n")) {
    const [, key = "", value = ""] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? [];
    if (key !== "") settings.set(key, [...(settings.get(key) ?? []), value]);
  }
  return settings;
}

const serviceOf = (daemon: DaemonName): Map<string, string[]> => settingsOf(`heald-${daemon}.service`);
const hasVerify = spawnSync("systemd-analyze", ["--version"]).status === 0;

describe("the systemd units", () => {
  test.skipIf(!hasVerify)("are clean under systemd-analyze verify", () => {
    const names = readdirSync(UNITS).filter((name) => /\.(service|target)$/.test(name));
    expect(names).toHaveLength(DAEMONS.length + 1);
    const paths = names.map((name) => {
      const path = join(folder, name);
      writeFileSync(path, readFileSync(join(UNITS, name), "utf8").replaceAll(INSTALLED, ROOT));
      return path;
    });
    const verified = spawnSync("systemd-analyze", ["verify", "--man=no", ...paths], { encoding: "utf8" });
    expect({ said: verified.stderr + verified.stdout, status: verified.status }).toEqual({ said: "", status: 0 });
  });

  test.skipIf(!hasVerify)("would not be clean with a misspelt directive", () => {
    const path = join(folder, "broken.service");
    const text = readFileSync(join(UNITS, "heald-auto-fix.service"), "utf8").replace("KillMode=", "KilMode=");
    writeFileSync(path, text.replaceAll(INSTALLED, ROOT));
    const verified = spawnSync("systemd-analyze", ["verify", "--man=no", path], { encoding: "utf8" });
    expect(verified.stderr).toMatch(/Unknown key.*KilMode/);
  });

  test.each(DAEMONS)("run the program of %s that the build makes from its source", (daemon) => {
    const command = serviceOf(daemon).get("ExecStart")?.[0] ?? "";
    const main = `${INSTALLED}/dist/daemons/${daemon}/main.js`;
    expect(command).toBe(`/usr/bin/env node ${main} --console none`);
    expect(existsSync(join(ROOT, "daemons", daemon, "main.ts"))).toBe(true);
  });

  test.each(DAEMONS)("stop %s alone, and start it again unless that is of no use", (daemon) => {
    const settings = serviceOf(daemon);
    expect(settings.get("KillMode")).toEqual(["process"]);
    expect(settings.get("OOMPolicy")).toEqual(["continue"]);
    expect(settings.get("Restart")).toEqual(["on-failure"]);
    expect(settings.get("RestartPreventExitStatus")).toEqual([NOT_RESTARTED.join(" ")]);
    expect(settings.get("Type")).toEqual(["notify"]);
    expect(settings.get("NotifyAccess")).toEqual(["all"]);
    expect(settings.has("WatchdogSec")).toBe(true);
  });

  test.each(DAEMONS)("take the home of %s from /etc/default/heald, else /var/lib/heald", (daemon) => {
    const settings = serviceOf(daemon);
    expect(settings.get("Environment")).toEqual(["HEALD_HOME=/var/lib/heald"]);
    expect(settings.get("EnvironmentFile")).toEqual(["-/etc/default/heald"]);
  });

  test("deny worker-restart nothing, because its workers would inherit it", () => {
    const inherited =
      /^(Private|Protect|Restrict|SystemCall|ReadOnly|ReadWrite|Inaccessible|NoNew|Capability|Ambient|Memory|CPU|IO|IPAddress|Lock|Nice$|LimitCORE|LimitAS|LimitDATA|RootDirectory|Temporary|BindPaths|DynamicUser)/;
    const found = [...serviceOf("worker-restart").keys()].filter((key) => inherited.test(key));
    expect(found).toEqual([]);
    expect(serviceOf("worker-restart").get("TasksMax")).toEqual(["infinity"]);
    expect(serviceOf("worker-restart").get("Delegate")).toEqual(["memory"]);
  });

  test("deny heartbeat-monitor nothing that would take sudo from a hook or a worker from its sight", () => {
    const harmful =
      /^(NoNewPrivileges|SystemCall|Restrict|LockPersonality|PrivateDevices|PrivateUsers|PrivateTmp|ProtectKernel|ProtectClock|ProtectProc|ProtectHostname|ProtectControlGroups|ProtectHome|MemoryDeny|Capability)/;
    const found = [...serviceOf("heartbeat-monitor").keys()].filter((key) => harmful.test(key));
    expect(found).toEqual([]);
  });

  test("are all wanted by the target, and stop with it", () => {
    const wanted = settingsOf("heald.target").get("Wants")?.[0]?.split(" ").sort();
    expect(wanted).toEqual(DAEMONS.map((daemon) => `heald-${daemon}.service`).sort());
    for (const daemon of DAEMONS) expect(serviceOf(daemon).get("PartOf")).toEqual(["heald.target"]);
  });
});

interface Pm2App {
  readonly name: string;
  readonly script: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly [key: string]: unknown;
}

/** Loads a copy of the pm2 file beside a build that has these daemons. */
function ecosystem(at: string, daemons: readonly string[]): { readonly apps: readonly Pm2App[] } {
  for (const daemon of daemons) {
    const main = join(folder, at, "dist", "daemons", daemon, "main.js");
    mkdirSync(dirname(main), { recursive: true });
    writeFileSync(main, "");
  }
  const path = join(folder, at, "systemd", "ecosystem.config.cjs");
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, readFileSync(join(UNITS, "ecosystem.config.cjs")));
  return createRequire(import.meta.url)(path) as ReturnType<typeof ecosystem>;
}

describe("the pm2 file", () => {
  test("starts all four daemons as plain programs, and ends no worker with them", () => {
    const { apps } = ecosystem("whole", DAEMONS);
    expect(apps.map((app) => app.name).sort()).toEqual(DAEMONS.map((daemon) => `heald-${daemon}`).sort());
    for (const app of apps) {
      const main = join(folder, "whole", "dist", "daemons", app.name.replace(/^heald-/, ""), "main.js");
      expect(app.args).toEqual([main, "--console", "none"]);
      expect(app).toMatchObject({ script: process.execPath, interpreter: "none", exec_mode: "fork", instances: 1 });
      expect(app).toMatchObject({ treekill: false, autorestart: true, watch: false, kill_timeout: 10_000 });
      expect(app.stop_exit_codes).toEqual([0, ...NOT_RESTARTED]);
      expect(app.env.HEALD_HOME).toBe(process.env.HEALD_HOME || "/var/lib/heald");
    }
  });

  test("says what to run where nothing is built", () => {
    expect(() => ecosystem("empty", [])).toThrow("is not there; run: npm ci && npm run build");
  });
});
