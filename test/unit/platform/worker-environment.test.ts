import { describe, expect, test } from "vitest";
import {
  EnvironmentRefused,
  inheritedVariables,
  type WorkerEnvironment,
  workerVariables,
} from "../../../lib/platform/worker-environment.js";

const worker = (more: Partial<WorkerEnvironment> = {}): WorkerEnvironment => ({
  workerId: "w-1",
  workerType: "import-worker",
  taskId: null,
  attempt: 2,
  home: "/srv/fleet",
  coordinationDir: "/srv/fleet/coordination",
  paths: { heartbeat: "/srv/fleet/coordination/heartbeats/w-1.json" },
  env: {},
  ...more,
});

describe("workerVariables()", () => {
  test("names the worker, its attempt and where it beats", () => {
    expect(workerVariables(worker())).toEqual({
      HEALD_WORKER_ID: "w-1",
      HEALD_WORKER_TYPE: "import-worker",
      HEALD_ATTEMPT: "2",
      HEALD_TASK_ID: "",
      HEALD_HOME: "/srv/fleet",
      HEALD_COORDINATION_DIR: "/srv/fleet/coordination",
      HEALD_HEARTBEAT_FILE: "/srv/fleet/coordination/heartbeats/w-1.json",
    });
  });

  test("adds interval, incident and fallback only where there is one", () => {
    const more = { heartbeatIntervalSeconds: 0.5, incidentId: "i-1", fallbackFile: "/f" };
    expect(workerVariables(worker(more))).toMatchObject({
      HEALD_HEARTBEAT_INTERVAL_SECONDS: "0.5",
      HEALD_INCIDENT_ID: "i-1",
      HEALD_FALLBACK_FILE: "/f",
    });
  });

  test("lets a spec decide over everything but HEALD_*", () => {
    const env = {
      NODE_OPTIONS: "--max-old-space-size=64",
      PATH: "/opt/bin",
      HEALD_WORKER_ID: "forged",
      HEALD_PID: "1",
    };
    const made = workerVariables(worker({ env }));
    expect(made).toMatchObject({ NODE_OPTIONS: "--max-old-space-size=64", PATH: "/opt/bin", HEALD_WORKER_ID: "w-1" });
    expect(made.HEALD_PID).toBeUndefined();
  });

  test("refuses what a shell could not carry", () => {
    for (const env of [{ "a.b": "1" }, { "": "1" }, { "1A": "1" }, { "A=B": "1" }, { A: "x\0y" }]) {
      expect(() => workerVariables(worker({ env }))).toThrow(EnvironmentRefused);
    }
  });
});

describe("inheritedVariables()", () => {
  test.each([
    "NODE_OPTIONS",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "MAINPID",
    "CREDENTIALS_DIRECTORY",
    "NODE_CHANNEL_FD",
    "pm_id",
    "PM2_HOME",
    "npm_config_registry",
    "HEALD_POLICY",
    "HEALD_PID",
    "ENV",
    "BASH_ENV",
  ])("does not hand %s on, which was meant for the daemon", (name) => {
    expect(inheritedVariables({ [name]: "x", PATH: "/bin" })).toEqual({ PATH: "/bin" });
  });

  test.each(["PATH", "HOME", "LANG", "TZ", "NODE_ENV", "HTTPS_PROXY", "API_KEY"])("hands %s on", (name) => {
    expect(inheritedVariables({ [name]: "x" })).toEqual({ [name]: "x" });
  });

  test("drops what a shell could not carry", () => {
    expect(inheritedVariables({ "a.b": "1", "BASH_FUNC_x%%": "() { :; }" })).toEqual({});
  });
});
