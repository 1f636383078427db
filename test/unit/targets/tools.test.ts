/** Guarantee: a target's own tool is called by its name, with a time-out, and never where it would start something by itself. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { restartApp } from "../../../lib/targets/pm2.js";
import { restartUnit } from "../../../lib/targets/systemd.js";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-tools-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

/** A program that writes down how it was called. */
function tool(body = ""): string {
  const path = join(folder, "tool.sh");
  writeFileSync(path, `#!/bin/sh\necho "$@" >> "${folder}/calls"\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

const calls = (): string[] => readFileSync(join(folder, "calls"), "utf8").trim().split("\n");

describe("a unit of systemd", () => {
  test("is restarted, and looked at afterwards", async () => {
    expect(await restartUnit("api.service", 5_000, tool())).toEqual({ ok: true });
    expect(calls()).toEqual(["--no-ask-password restart -- api.service", "is-active --quiet -- api.service"]);
  });

  test("that is not active afterwards is a failure, with the tool's last word", async () => {
    const failing = tool('case "$1" in is-active) echo "inactive" >&2; exit 3;; esac');
    expect(await restartUnit("api.service", 5_000, failing)).toMatchObject({
      ok: false,
      why: expect.stringMatching(/ended with 3: inactive/),
    });
  });

  test("whose tool hangs is given up at the time-out", async () => {
    expect(await restartUnit("api.service", 200, tool("exec sleep 30"))).toMatchObject({
      ok: false,
      why: expect.stringMatching(/took longer than/),
    });
  });

  test("with a name that is an option is never asked for", async () => {
    expect(await restartUnit("--all", 5_000, tool())).toMatchObject({ ok: false });
    expect(await restartUnit("api", 5_000, join(folder, "missing"))).toMatchObject({
      ok: false,
      why: expect.stringMatching(/ENOENT/),
    });
  });
});

describe("an app of pm2", () => {
  test("is restarted where a pm2 daemon runs", async () => {
    writeFileSync(join(folder, "pm2.pid"), String(process.pid));
    expect(await restartApp("api", 5_000, folder, tool())).toEqual({ ok: true });
    expect(calls()).toEqual(["restart api --silent"]);
  });

  test("is left alone where none runs: the call would start an empty one", async () => {
    const path = tool();
    expect(await restartApp("api", 5_000, folder, path)).toMatchObject({
      ok: false,
      why: expect.stringMatching(/no pm2 daemon runs/),
    });
    writeFileSync(join(folder, "pm2.pid"), "4194304000");
    expect(await restartApp("api", 5_000, folder, path)).toMatchObject({ ok: false });
    expect(() => calls()).toThrow(/ENOENT/);
  });

  test("is left alone under a home that is too long for a socket", async () => {
    expect(await restartApp("api", 5_000, `/tmp/${"x".repeat(120)}`, tool())).toMatchObject({
      ok: false,
      why: expect.stringMatching(/longer than a socket/),
    });
  });
});
