import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { ConfigurationError, Refused } from "../../../lib/errors.js";
import { bootId, hostName, pidNamespace } from "../../../lib/platform/clock.js";
import { packageRoot } from "../../../lib/platform/package.js";
import { type OpenOptions, openHome, requireHome, resolveHome } from "../../../lib/store/home.js";
import { isMade } from "../../../lib/store/home-signs.js";
import { Layout } from "../../../lib/store/layout.js";
import { homeIn, temporaryFolder, temporaryLayout } from "./temporary-home.js";

const daemon = { create: true, claimOwnership: true };
const daemonFoundHere = { create: false, claimOwnership: true };
const command: OpenOptions = { create: false, claimOwnership: false, folders: ({ holdsDir }) => [holdsDir] };

describe("resolveHome()", () => {
  test.each([
    ["the flag before all else", { HEALD_HOME: "/b", COMMIT_RELAY_HOME: "/c" }, "/a", "/a", "flag"],
    ["HEALD_HOME before the older name", { HEALD_HOME: "/b", COMMIT_RELAY_HOME: "/c" }, undefined, "/b", "HEALD_HOME"],
    [
      "the older name where the newer is empty",
      { HEALD_HOME: "", COMMIT_RELAY_HOME: "/c" },
      undefined,
      "/c",
      "COMMIT_RELAY_HOME",
    ],
  ] as const)("takes %s", (_name, env, flag, home, namedBy) => {
    expect(resolveHome(env, "/nowhere", flag)).toEqual({
      home,
      coordination: join(home, "coordination"),
      logs: join(home, "agents", "logs"),
      namedBy,
    });
  });

  test("takes the working directory only if it holds a coordination directory", () => {
    const folder = temporaryFolder();
    expect(resolveHome({}, folder)).toBeNull();
    mkdirSync(join(folder, "coordination"));
    expect(resolveHome({}, folder)).toMatchObject({ home: folder, namedBy: "cwd" });
  });

  test("takes the parent of a coordination directory that alone is named, wherever it is asked", () => {
    const { coordination } = temporaryLayout();
    const home = { home: dirname(coordination), coordination };
    const env = { HEALD_COORDINATION_DIR: coordination };
    expect(resolveHome(env, temporaryFolder())).toMatchObject({ ...home, namedBy: "HEALD_COORDINATION_DIR" });
    expect(resolveHome(env, home.home)).toMatchObject({ ...home, namedBy: "cwd" });
  });

  test("guesses no home from a directory of another name, and says what is missing", () => {
    const env = { HEALD_COORDINATION_DIR: "/fast/heald" };
    expect(resolveHome(env, temporaryFolder())).toBeNull();
    expect(() => requireHome(env, temporaryFolder())).toThrow(
      /^Cannot find a home: HEALD_COORDINATION_DIR says where its coordination\/ is, and not which home it belongs to; name one with --home/,
    );
  });

  test("lets the two directories be named apart from the home", () => {
    const env = { HEALD_HOME: "/h", HEALD_COORDINATION_DIR: "/fast/coordination", HEALD_LOG_DIR: "logs" };
    expect(resolveHome(env, "/srv")).toMatchObject({ coordination: "/fast/coordination", logs: "/srv/logs" });
  });
});

describe("openHome()", () => {
  test("makes every folder of the layout with mode 0750, VERSION and the owner", () => {
    const home = homeIn(temporaryFolder());
    openHome(home, daemon);
    const layout = new Layout(home);
    for (const folder of layout.folders) expect([folder, statSync(folder).mode & 0o777]).toEqual([folder, 0o750]);
    expect(JSON.parse(readFileSync(layout.version, "utf8"))).toMatchObject({ format: 1 });
    expect(JSON.parse(readFileSync(layout.owner, "utf8"))).toEqual({
      host: hostName(),
      pid_ns: pidNamespace(),
      boot_id: bootId(),
    });
  });

  test("leaves a home as it is when it is opened again", () => {
    const home = homeIn(temporaryFolder());
    openHome(home, daemon);
    const layout = new Layout(home);
    const before = [layout.version, layout.owner].map((path) => statSync(path).ino);
    openHome(home, daemon);
    expect([layout.version, layout.owner].map((path) => statSync(path).ino)).toEqual(before);
  });

  test("creates nothing where it may not", () => {
    const folder = temporaryFolder();
    expect(() => openHome(homeIn(folder), { create: false, claimOwnership: false })).toThrow(ConfigurationError);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("makes for a command the folders in which it writes, and no other, in a home from before they were added", () => {
    const { home, holdsDir, hooksDir } = temporaryLayout();
    for (const folder of [holdsDir, hooksDir]) rmSync(folder, { recursive: true });
    openHome(home, command);
    expect(statSync(holdsDir).mode & 0o777).toBe(0o750);
    expect(existsSync(hooksDir)).toBe(false);
    openHome(home, daemonFoundHere);
    expect(existsSync(hooksDir)).toBe(true);
  });

  test.each([
    ["a command", command],
    ["a daemon that was started beside it", daemonFoundHere],
  ])("makes nothing for %s in the coordination/ of another project", (_name, options) => {
    const home = homeIn(temporaryFolder());
    mkdirSync(join(home.coordination, "config"), { recursive: true });
    expect(() => openHome(home, options)).toThrow(ConfigurationError);
    expect(() => openHome(home, options)).toThrow(
      /it is no home of heald: it has no VERSION, worker-specs\/, restart\/queue\/, heartbeats\/, holds\/ or policy of a daemon; heald init makes it one$/,
    );
    expect([readdirSync(home.home), readdirSync(home.coordination)]).toEqual([["coordination"], ["config"]]);
  });

  test.each(["worker-specs/active/", "restart/queue/", "config/auto-fix-policy.json"])(
    "takes a directory without VERSION in which a person has made %s, and leaves VERSION to the first daemon",
    (made) => {
      const home = homeIn(temporaryFolder());
      const path = join(home.coordination, made);
      mkdirSync(made.endsWith("/") ? path : dirname(path), { recursive: true });
      if (!made.endsWith("/")) writeFileSync(path, "{}\n");
      openHome(home, command);
      const { version, holdsDir, folders } = new Layout(home);
      expect([existsSync(holdsDir), existsSync(version)]).toEqual([true, false]);
      openHome(home, daemonFoundHere);
      expect([existsSync(version), ...folders.map(existsSync)]).not.toContain(false);
    },
  );

  test("takes the directory in a checkout of heald, beside which the daemons' scripts are", () => {
    expect(isMade(new Layout(homeIn(packageRoot())))).toBe(true);
  });

  test("makes no log folder of another place for a command or a daemon that makes no home", () => {
    const { home } = temporaryLayout();
    const mistyped = { ...home, logs: join(home.home, "lgos", "fleet") };
    for (const options of [{ ...command, folders: ({ workerLogsDir }: Layout) => [workerLogsDir] }, daemonFoundHere])
      expect(() => openHome(mistyped, options)).toThrow(
        /lgos\/fleet", which HEALD_LOG_DIR names: there is no such dir/,
      );
    openHome(mistyped, command);
    expect(existsSync(dirname(mistyped.logs))).toBe(false);
    openHome(mistyped, daemon);
    expect(existsSync(mistyped.logs)).toBe(true);
  });

  test("refuses a newer format with exit code 78 and touches nothing", () => {
    const home = homeIn(temporaryFolder());
    mkdirSync(home.coordination);
    writeFileSync(join(home.coordination, "VERSION"), '{"format":2,"heald":"9.0.0"}\n');
    expect(() => openHome(home, daemon)).toThrow(/its format is 2, written by heald 9\.0\.0/);
    expect(() => openHome(home, daemon)).toThrow(expect.objectContaining({ exitCode: 78 }));
    expect(readdirSync(home.coordination)).toEqual(["VERSION"]);
  });

  test("refuses a VERSION that cannot be read", () => {
    const home = homeIn(temporaryFolder());
    mkdirSync(home.coordination);
    writeFileSync(join(home.coordination, "VERSION"), "one\n");
    expect(() => openHome(home, daemon)).toThrow(/VERSION cannot be read: line 1, column 1: not valid JSON/);
  });

  test("refuses a directory of another host to daemons, and lets people look at it", () => {
    const home = homeIn(temporaryFolder());
    openHome(home, daemon);
    const { owner } = new Layout(home);
    writeFileSync(owner, JSON.stringify({ host: "another-host", pid_ns: pidNamespace(), boot_id: bootId() }));
    expect(() => openHome(home, daemon)).toThrow(Refused);
    expect(() => openHome(home, daemon)).toThrow(/it belongs to host "another-host"/);
    openHome(home, { create: false, claimOwnership: false });
    expect(readFileSync(owner, "utf8")).toContain("another-host");
  });

  test("refuses another pid namespace of this boot, and takes over one of an earlier boot", () => {
    const home = homeIn(temporaryFolder());
    openHome(home, daemon);
    const { owner } = new Layout(home);
    writeFileSync(owner, JSON.stringify({ host: hostName(), pid_ns: "1", boot_id: bootId() }));
    expect(() => openHome(home, daemon)).toThrow(Refused);
    writeFileSync(owner, JSON.stringify({ host: hostName(), pid_ns: "1", boot_id: "an-earlier-boot" }));
    openHome(home, daemon);
    expect(JSON.parse(readFileSync(owner, "utf8"))).toMatchObject({ pid_ns: pidNamespace(), boot_id: bootId() });
  });
});

describe("Layout", () => {
  test("never makes a path of a text that is no id", () => {
    const layout = new Layout(homeIn("/home"));
    for (const id of ["../evil", "a/b", "", ".hidden", "x.attempt-1", "a".repeat(129)]) {
      expect(() => layout.activeSpec(id)).toThrow(RangeError);
      expect(() => layout.launch(id, 1)).toThrow(RangeError);
      expect(() => layout.queueRequest(id)).toThrow(RangeError);
      expect(() => layout.workerLog(id, 1)).toThrow(RangeError);
    }
    expect(() => layout.exit("worker-1", -1)).toThrow(RangeError);
  });

  test("names files as the contract does", () => {
    const layout = new Layout(homeIn("/h"));
    expect(layout.zombieSpec("w", 3)).toBe("/h/coordination/worker-specs/zombie/w.attempt-3.json");
    expect(layout.queueRequest("w")).toBe("/h/coordination/restart/queue/w-restart.json");
    expect(layout.metrics("auto-fix")).toBe("/h/coordination/metrics/auto-fix-daemon-metrics.json");
    expect(layout.metrics("worker-restart")).toBe("/h/coordination/metrics/worker-restart-metrics.json");
    expect(layout.workerLog("w", 2)).toBe("/h/agents/logs/workers/w/attempt-2.log");
    expect(existsSync("/h")).toBe(false);
  });
});
