/** Guarantee: with a real systemd, the service that is meant is restarted, and what does not run afterwards is no success. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { packageRoot } from "../../lib/platform/package.js";
import { restartUnit } from "../../lib/targets/systemd.js";
import { Healing } from "./support/healing.js";
import { until } from "./support/launched.js";
import { bootSystemd, LAB_SCRIPT, type Lab } from "./support/real-systemd.js";

let lab: Lab | { readonly why: string } = { why: "it was not booted" };
let tool = "";

const booted = (): Lab => {
  if ("why" in lab) throw new Error(lab.why);
  return lab;
};

beforeAll(() => {
  lab = bootSystemd();
  if ("why" in lab) return;
  // The systemctl of the lab, for what runs outside.
  tool = join(lab.shared, "systemctl");
  writeFileSync(tool, `#!/bin/sh\nHEALD_LAB="${dirname(lab.shared)}" exec "${LAB_SCRIPT}" run systemctl "$@"\n`);
  chmodSync(tool, 0o755);
}, 60_000);

beforeEach((context) => {
  if ("why" in lab) context.skip(lab.why);
});

afterAll(() => {
  if (!("why" in lab)) lab.off();
}, 60_000);

/** Writes a service and starts it. */
function service(name: string, command: string, more = ""): void {
  const unit = `[Service]\nExecStart=${command}\n${more}`;
  const script = `printf '%s' "$1" > /run/systemd/system/${name}.service && systemctl daemon-reload && systemctl start ${name}`;
  const made = booted().run("sh", "-c", script, "sh", unit);
  if (made.status !== 0) throw new Error(`Cannot start ${name}: ${made.out}`);
}

const property = (name: string, of: string): string =>
  booted().run("systemctl", "show", "--value", `-p${of}`, name).out.trim();

describe("a service of a real systemd", () => {
  test("is restarted, and no other is", async () => {
    service("api", "/bin/sleep 600");
    service("other", "/bin/sleep 600");
    const [before, other] = [property("api", "MainPID"), property("other", "MainPID")];
    expect(await restartUnit("api", 20_000, tool)).toMatchObject({ ok: true });
    expect(property("api", "MainPID")).not.toBe(before);
    expect(property("other", "MainPID")).toBe(other);
  }, 60_000);

  test("that fails, or that ends and is started again and again, is not called restarted", async () => {
    service("broken", "/bin/sh -c 'test -e /run/broken && exit 3; exec sleep 600'");
    service(
      "looping",
      "/bin/sh -c 'test -e /run/looping && exit 3; exec sleep 600'",
      "Restart=always\nRestartSec=100ms\n",
    );
    booted().run("touch", "/run/broken", "/run/looping");
    expect(await restartUnit("broken", 20_000, tool)).toMatchObject({
      ok: false,
      why: expect.stringMatching(/broken is failed \(failed\) after its restart/),
    });
    expect(await restartUnit("looping.service", 20_000, tool)).toMatchObject({ ok: false });
  }, 60_000);

  test("that takes longer than it may is given up, and one that is not there or masked is named", async () => {
    service("slow", "/bin/sh -c 'trap \"sleep 20\" TERM; while :; do sleep 0.1; done'");
    expect(await restartUnit("slow", 1_500, tool)).toMatchObject({
      ok: false,
      why: expect.stringMatching(/restart -- slow took longer than 2 s/),
    });
    expect(await restartUnit("nobody", 5_000, tool)).toMatchObject({
      ok: false,
      why: "there is no unit nobody to restart: it is not-found",
    });
    booted().run("sh", "-c", "ln -s /dev/null /run/systemd/system/veiled.service && systemctl daemon-reload");
    expect(await restartUnit("veiled", 5_000, tool)).toMatchObject({
      ok: false,
      why: "there is no unit veiled to restart: it is masked",
    });
  }, 60_000);
});

describe("auto-fix under a real systemd", () => {
  let healing: Healing;

  beforeEach(() => {
    if ("why" in lab) return;
    // The home must be the same inside and outside.
    const before = process.env.TMPDIR;
    process.env.TMPDIR = lab.shared;
    healing = new Healing();
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });

  afterEach(() => healing?.close());

  /** What its unit denies to auto-fix, and so to the tools that it calls. */
  function hardening(): string[] {
    const text = readFileSync(join(packageRoot(), "systemd", "heald-auto-fix.service"), "utf8");
    const denied = text
      .split("\n")
      .filter((line) => /^(?:NoNew|Protect|Private|Restrict|Lock|Limit|Tasks|Memory)\w+=/.test(line));
    expect(denied.length).toBeGreaterThan(10);
    return denied.filter((line) => !line.startsWith("RestartPrevent")).map((line) => `--property=${line}`);
  }

  /** auto-fix as a unit of its own, as confined as the one that is shipped. */
  async function startInside(): Promise<void> {
    // Where the lab has the project: its own place may be one that the unit is not shown, such as /tmp.
    const main = "/opt/heald/dist/daemons/auto-fix/main.js";
    const unit = ["--unit=auto-fix-test", `--setenv=HEALD_HOME=${healing.line.home}`, "--collect", ...hardening()];
    const made = booted().run("systemd-run", ...unit, process.execPath, main, "--console", "none");
    if (made.status !== 0) throw new Error(made.out);
    await until(() => healing.line.list("run").includes("auto-fix.pid"), "auto-fix is ready", 20_000);
  }

  test("a policy whose target is systemd restarts the service, and is effective when that has helped", async () => {
    service("orders", "/bin/sleep 600");
    const before = property("orders", "MainPID");
    healing.heal("shop", ["restart-service"], {
      ...{ verify_seconds: 10, scope: { components: ["shop"], target: "systemd", name: "orders.service" } },
    });
    await startInside();
    let isIll = true;
    healing.measure("shop", "load", () => (isIll ? 0.9 : 0.1));
    await healing.said("fix_applied");
    expect(healing.data("fix_applied").note).toMatch(/^orders\.service is restarted by \/.*\/systemctl$/);
    expect(property("orders", "MainPID")).not.toBe(before);
    isIll = false;
    await healing.said("fix_verified");
    expect(healing.data("fix_verified").verdict).toBe("effective");
    booted().run("systemctl", "stop", "auto-fix-test");
  }, 90_000);

  test("a service that is not well after its restart is a failed fix, and a person is called", async () => {
    service("cart", "/bin/sh -c 'test -e /run/cart && exit 3; exec sleep 600'");
    booted().run("touch", "/run/cart");
    healing.heal("cart", ["restart-service"], { scope: { components: ["cart"], target: "systemd" } });
    await startInside();
    healing.measure("cart", "load", () => 0.9);
    await healing.said("fix_failed");
    expect(healing.data("fix_failed").problem).toMatch(/cart is failed \(failed\) after its restart/);
    await until(() => healing.events("escalation_opened").length > 0, "a person is called");
    booted().run("systemctl", "stop", "auto-fix-test");
  }, 90_000);
});
