import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ConfigurationError, Refused } from "../../../lib/errors.js";
import { bootId, hostName, pidNamespace } from "../../../lib/platform/clock.js";
import { openHome, resolveHome } from "../../../lib/store/home.js";
import { Layout } from "../../../lib/store/layout.js";
import { homeIn, temporaryFolder } from "./temporary-home.js";

const daemon = { create: true, claimOwnership: true };

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
