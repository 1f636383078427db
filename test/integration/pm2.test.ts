/** Guarantee: with a real pm2, the app that is meant is restarted, nothing else is, and no empty pm2 daemon comes into being. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { restartApp } from "../../lib/targets/pm2.js";
import { Healing, type Json } from "./support/healing.js";
import { isAlive, startedHere, until } from "./support/launched.js";
import { realPm2 } from "./support/real-pm2.js";

const SECRET = "hunter2-never-in-a-log";
const CHANNEL_SECRET = "swordfish-never-in-an-app";
const PLAIN = "setInterval(() => {}, 1000);";

let found: ReturnType<typeof realPm2> = { why: "it was not looked for" };
let bin = "";
let healing: Healing;
let pm2Home: string;

beforeAll(() => {
  found = realPm2();
  if ("bin" in found) bin = found.bin;
}, 150_000);

beforeEach((context) => {
  if ("why" in found) context.skip(found.why);
  healing = new Healing();
  pm2Home = join(healing.line.home, "pm2");
  healing.env.PM2_HOME = pm2Home;
  healing.env.PATH = [bin, process.env.PATH].join(delimiter);
});

// Whatever pm2 has started carries the home in its environment, its daemon too.
afterEach(() => healing?.close());

async function pm2(...args: string[]): Promise<string> {
  const ran = await healing.line.run(join(bin, "pm2"), args, { ...healing.env, TOKEN: SECRET });
  if (ran.code !== 0) throw new Error(`pm2 ${args.join(" ")} ended with ${ran.code}: ${ran.err}`);
  return ran.out;
}

function program(name: string, text = PLAIN): string {
  const path = join(healing.line.home, `${name}.cjs`);
  writeFileSync(path, text);
  return path;
}

const app = (name: string, ...more: string[]): Promise<string> =>
  pm2("start", program(name), "--name", name, "--silent", ...more);
const pidOf = async (name: string): Promise<number> => Number((await pm2("pid", name)).trim());
const restart = (name: string): ReturnType<typeof restartApp> => restartApp(name, 20_000, pm2Home, join(bin, "pm2"));

describe("an app of a real pm2", () => {
  test("is restarted, and an app of a namespace that is called as it is not", async () => {
    await app("api");
    await app("other", "--namespace", "api");
    const [before, other] = [await pidOf("api"), await pidOf("other")];
    expect(await restart("api")).toMatchObject({ ok: true });
    expect(await pidOf("api")).not.toBe(before);
    expect([isAlive(before), await pidOf("other")]).toEqual([false, other]);
  }, 60_000);

  test("that ends again at once is not called restarted", async () => {
    const marker = join(healing.line.home, "broken");
    program("api", `if (require("fs").existsSync(${JSON.stringify(marker)})) process.exit(3);\n${PLAIN}`);
    await pm2("start", join(healing.line.home, "api.cjs"), "--name", "api", "--silent");
    writeFileSync(marker, "");
    expect(await restart("api")).toMatchObject({ ok: false, why: expect.stringMatching(/after its restart/) });
  }, 60_000);

  test("that it does not know is not started", async () => {
    await app("api");
    expect(await restart("nobody")).toMatchObject({ ok: false, why: expect.stringMatching(/pm2 has no app "nobody"/) });
  }, 60_000);
});

describe("a pm2 that does not run", () => {
  test("is not started by asking it, also where its pid file is left and the pid is another's", async () => {
    mkdirSync(pm2Home);
    expect(await restart("api")).toMatchObject({ ok: false });
    writeFileSync(join(pm2Home, "pm2.pid"), String(process.pid));
    expect(await restart("api")).toMatchObject({ ok: false, why: expect.stringMatching(/no pm2 daemon runs/) });
    expect(readdirSync(pm2Home)).toEqual(["pm2.pid"]);
    expect(startedHere(healing.line.home)).toEqual([]);
  });
});

describe("auto-fix", () => {
  test("restarts the app of a policy whose target is pm2, sees that it helped, and writes its environment nowhere", async () => {
    await app("api");
    const before = await pidOf("api");
    // What auto-fix itself was given, such as the token of a channel, is not the app's to have.
    healing.env.CHANNEL_TOKEN = CHANNEL_SECRET;
    healing.heal("orders", ["restart-service"], { scope: { components: ["orders"], target: "pm2", name: "api" } });
    await healing.start("auto-fix");
    healing.measure("orders", "load", () => (isAlive(before) ? 0.9 : 0.1));
    await healing.said("fix_verified");
    expect(healing.data("fix_applied").note).toMatch(/^api is restarted by \/.*pm2$/);
    expect(healing.data("fix_verified").verdict).toBe("effective");
    delete healing.env.CHANNEL_TOKEN;
    expect(await pm2("jlist")).not.toContain(CHANNEL_SECRET);
    const written = everyFile(healing.line.coordination).concat(everyFile(join(healing.line.home, "agents")));
    expect(written.length).toBeGreaterThan(10);
    for (const path of written) expect([path, readFileSync(path, "utf8").includes(SECRET)]).toEqual([path, false]);
  }, 90_000);

  test("says that the app is not there, calls a person, and starts nothing", async () => {
    healing.heal("orders", ["restart-service"], { scope: { components: ["orders"], target: "pm2", name: "api" } });
    await healing.start("auto-fix");
    healing.measure("orders", "load", () => 0.9);
    await healing.said("fix_failed");
    expect(healing.data("fix_failed").problem).toMatch(/no pm2 daemon runs in/);
    await until(() => healing.events("escalation_opened").length > 0, "a person is called");
    expect(existsSync(pm2Home)).toBe(false);
  }, 60_000);

  test("refuses policies by the name of an app that pm2 would take for something else", async () => {
    await healing.start("auto-fix");
    const refused = async (scope: Json, reason: RegExp): Promise<void> => {
      const before = healing.refusals().length;
      healing.heal("orders", ["restart-service"], { scope });
      await until(() => healing.refusals().length > before, "it is refused", 15_000);
      expect(healing.refusals().at(-1)).toMatch(reason);
    };
    await refused(
      { components: ["orders"], target: "pm2", name: "all" },
      /scope\.name must name a service of pm2: "all" means every app/,
    );
    await refused({ components: ["app.json"], target: "pm2" }, /scope\.components\.0 .* is a file to pm2/);
    await refused(
      { components: ["x"], target: "systemd", name: "reboot.target" },
      /"reboot\.target" is a unit of another kind/,
    );
    await refused({ components: ["x"], target: "kubernetes" }, /"kubernetes" is not supported/);
  }, 60_000);
});

function everyFile(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
