/** Guarantee: a target's own tool is called by its name, with a time-out, and never where it would start something by itself. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { whyNoService } from "../../../lib/schema/target-names.js";
import { restartApp } from "../../../lib/targets/pm2.js";
import { restartUnit } from "../../../lib/targets/systemd.js";
import { findTool } from "../../../lib/targets/tools.js";

let folder: string;
let server: Server | null = null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-tools-"));
});

afterEach(() => {
  server?.close();
  server = null;
  rmSync(folder, { recursive: true });
});

/** A program that writes down how it was called. */
function tool(body = "", path = join(folder, "tool.sh")): string {
  writeFileSync(path, `#!/bin/sh\necho "$@" >> "${folder}/calls"\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

const calls = (): string[] => readFileSync(join(folder, "calls"), "utf8").trim().split("\n");
const why = (text: RegExp) => ({ ok: false, why: expect.stringMatching(text) });

/** A systemctl that counts its restarts. `after`: what it says once it was told to restart. */
function systemctl(after = "echo ActiveState=active; echo SubState=running; echo NRestarts=0"): string {
  return tool(`case "$1" in show)
  echo LoadState=loaded
  n=$(grep -c ' restart ' "${folder}/calls")
  echo InvocationID=run-$n
  if [ "$n" = 0 ]; then echo ActiveState=active; echo NRestarts=0; else ${after}; fi;;
esac`);
}

describe("a service of systemd", () => {
  test("is restarted, and looked at before, at once and a second later", async () => {
    const path = systemctl();
    expect(await restartUnit("api.service", 5_000, path)).toEqual({
      ok: true,
      note: `api.service is restarted by ${path}`,
    });
    const show = "show --property=LoadState,ActiveState,SubState,InvocationID,NRestarts -- api.service";
    expect(calls()).toEqual([show, "--no-ask-password restart -- api.service", show, show]);
  });

  test("that is not active afterwards, or that ends again at once, is a failure", async () => {
    const dead = systemctl("echo ActiveState=failed; echo SubState=exit-code");
    expect(await restartUnit("api", 5_000, dead)).toMatchObject(why(/api is failed \(exit-code\) after its restart/));
    rmSync(join(folder, "calls"));
    const looping = systemctl(`echo ActiveState=active; echo NRestarts=$(wc -l < "${folder}/calls")`);
    expect(await restartUnit("api", 5_000, looping)).toMatchObject(why(/ended again at once/));
  });

  test("that is not there is not restarted", async () => {
    expect(await restartUnit("api", 5_000, tool("echo LoadState=not-found"))).toMatchObject(
      why(/there is no unit api to restart: it is not-found/),
    );
    expect(calls()).toHaveLength(1);
  });

  test("whose tool refuses is a failure with the tool's last word", async () => {
    const refusing = tool('case "$*" in *restart*) echo "Access denied" >&2; exit 4;; esac; echo LoadState=loaded');
    expect(await restartUnit("api", 5_000, refusing)).toMatchObject(why(/restart -- api ended with 4: Access denied/));
  });

  test("whose tool hangs is given up at the time-out", async () => {
    const hanging = tool('case "$*" in *restart*) exec sleep 30;; esac; echo LoadState=loaded');
    expect(await restartUnit("api", 200, hanging)).toMatchObject(why(/took longer than 1 s/));
  });
});

describe("a name", () => {
  test.each([
    ["systemd", "--all", /is no name of a unit/],
    ["systemd", "api;id", /is no name of a unit/],
    ["systemd", "../api", /is no name of a unit/],
    ["systemd", "poweroff.target", /another kind: only services/],
    ["systemd", "systemd-poweroff.service", /heald does not restart/],
    ["systemd", "systemd-reboot", /heald does not restart/],
    ["systemd", "heald-auto-fix.service", /heald does not restart/],
    ["pm2", "-1", /is no name of an app/],
    ["pm2", "/.*/", /is no name of an app/],
    ["pm2", "all", /means every app/],
    ["pm2", "0", /takes for an id/],
    ["pm2", "ecosystem.config.js", /is a file to pm2/],
    ["pm2", "apps.json", /is a file to pm2/],
  ] as const)("of %s that means something else is refused: %s", async (target, name, reason) => {
    expect(whyNoService(target, name)).toMatch(reason);
    const path = tool();
    const outcome = target === "systemd" ? restartUnit(name, 5_000, path) : restartApp(name, 5_000, folder, path);
    expect(await outcome).toMatchObject(why(reason));
    expect(() => calls()).toThrow(/ENOENT/);
  });

  test("of a service is taken as it is", () => {
    for (const name of ["api", "api.service", "api@1", "my-api.v2"]) expect(whyNoService("systemd", name)).toBeNull();
    for (const name of ["api", "api.v2", "All", "0api"]) expect(whyNoService("pm2", name)).toBeNull();
  });
});

/** As a pm2 daemon does: its pid in a file, and a socket at which it listens. */
async function daemonRuns(): Promise<void> {
  writeFileSync(join(folder, "pm2.pid"), String(process.pid));
  server = createServer().listen(join(folder, "rpc.sock"));
  await new Promise((resolve) => server?.once("listening", resolve));
}

/** A pm2 with one app in two processes, and another app in a namespace of that name. */
function pm2(status = "online", pid = "$((100 + n))"): string {
  return tool(`n=$(grep -c '^restart ' "${folder}/calls")
case "$1" in jlist)
  echo '>>>> In-memory PM2 is out-of-date'
  echo "[{\\"name\\":\\"api\\",\\"pm_id\\":3,\\"pid\\":${pid},\\"pm2_env\\":{\\"status\\":\\"${status}\\",\\"TOKEN\\":\\"hunter2\\"}},{\\"name\\":\\"other\\",\\"pm_id\\":4,\\"pid\\":7,\\"pm2_env\\":{\\"namespace\\":\\"api\\",\\"status\\":\\"online\\"}}]";;
esac`);
}

describe("an app of pm2", () => {
  test("is restarted by its number where a pm2 daemon runs", async () => {
    await daemonRuns();
    const path = pm2();
    expect(await restartApp("api", 5_000, folder, path)).toEqual({ ok: true, note: `api is restarted by ${path}` });
    const list = "jlist --silent --no-color";
    expect(calls()).toEqual([list, "restart 3 --silent --no-color", list, list]);
  });

  test("that is not online, keeps its process or loses it at once is a failure, and its environment is told to nobody", async () => {
    await daemonRuns();
    const outcomes = [
      await restartApp("api", 5_000, folder, pm2("errored")),
      await restartApp("api", 5_000, folder, pm2("online", "55")),
      await restartApp("api", 5_000, folder, pm2("online", `$(wc -l < "${folder}/calls")`)),
      await restartApp("nobody", 5_000, folder, pm2()),
      await restartApp("api", 5_000, folder, tool('echo \'[{"TOKEN":"hunter2"\'; echo hunter2 >&2')),
      await restartApp("api", 5_000, folder, tool("echo hunter2; echo hunter2 >&2; exit 9")),
    ];
    const reasons = [
      /is errored/,
      /was not restarted/,
      /ended again at once/,
      /no app "nobody"/,
      /no list/,
      /ended with 9$/,
    ];
    expect(outcomes).toMatchObject(reasons.map(why));
    expect(JSON.stringify(outcomes)).not.toContain("hunter2");
  });

  test("is left alone where no daemon runs: the call would start an empty one", async () => {
    const path = tool();
    const none = why(/no pm2 daemon runs/);
    expect(await restartApp("api", 5_000, folder, path)).toMatchObject(none);
    writeFileSync(join(folder, "pm2.pid"), "4194304000");
    expect(await restartApp("api", 5_000, folder, path)).toMatchObject(none);
    writeFileSync(join(folder, "pm2.pid"), "");
    expect(await restartApp("api", 5_000, folder, path)).toMatchObject(none);
    // The pid of a daemon that is gone, which another program has by now.
    writeFileSync(join(folder, "pm2.pid"), String(process.pid));
    expect(await restartApp("api", 5_000, folder, path)).toMatchObject(none);
    expect(() => calls()).toThrow(/ENOENT/);
  });

  test("is left alone under a home that is too long for a socket", async () => {
    const home = `/tmp/${"x".repeat(95)}`;
    expect(await restartApp("api", 5_000, home, tool())).toMatchObject(why(/longer than a socket/));
    expect(() => calls()).toThrow(/ENOENT/);
  });
});

describe("a tool", () => {
  test("is the first of its name in the PATH, by the path that it really has", () => {
    mkdirSync(join(folder, "bin"));
    const real = tool("", join(folder, "real.sh"));
    symlinkSync(real, join(folder, "bin", "ctl"));
    expect(findTool("ctl", `relative:${folder}/none:${folder}/bin:/usr/bin`)).toEqual({ path: real });
    expect(findTool("no-such-tool", `${folder}/bin`)).toEqual({ why: "there is no no-such-tool" });
  });

  test("that others could have written is refused, and not passed over for the next", () => {
    mkdirSync(join(folder, "bin"));
    chmodSync(tool("", join(folder, "bin", "sh")), 0o777);
    expect(findTool("sh", `${folder}/bin:/bin`)).toEqual({
      why: `${folder}/bin/sh is not run: it is writable by others (mode 0777)`,
    });
  });
});
