import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { LockBusy } from "../../../lib/errors.js";
import { acquireSingle, type Held, withLock } from "../../../lib/platform/locks.js";
import { readStat } from "../../../lib/platform/processes.js";
import { compile, identityNow, start, temporaryFolder, until } from "./helpers.js";

const CONTENDER = `
import { acquireSingle, withLock } from "./lib/platform/locks.js";
import { identityOf } from "./lib/platform/identity.js";
import { readFileSync, writeFileSync } from "node:fs";
const identity = identityOf(process.pid);
let held = null;
process.on("message", async (message) => {
  if (message.kind === "acquire") {
    while (Date.now() < message.atMs);
    const found = await acquireSingle(message.path, identity);
    held = "isHeld" in found ? found : null;
    process.send({ kind: held ? "won" : "lost", heldBy: found.heldBy?.pid });
  }
  if (message.kind === "release") { held?.release(); held = null; process.send({ kind: "released" }); }
  if (message.kind === "add") {
    for (let turn = 0; turn < message.turns; turn++) {
      await withLock(message.path, () => {
        writeFileSync(message.path, String(Number(readFileSync(message.path, "utf8")) + 1));
      });
    }
    process.send({ kind: "added" });
  }
});
process.send({ kind: "ready" });
`;

let compiled: { readonly folder: string; remove(): void };

beforeAll(() => {
  compiled = compile(["lib/platform/locks.ts"]);
  writeFileSync(join(compiled.folder, "contender.js"), CONTENDER);
});
afterAll(() => compiled.remove());

interface Answer {
  readonly kind: string;
  readonly heldBy?: number;
}

async function contender(): Promise<ChildProcess & { pid: number }> {
  const child = start(process.execPath, [join(compiled.folder, "contender.js")], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  await answerOf(child);
  return child;
}

function answerOf(child: ChildProcess): Promise<Answer> {
  return new Promise((done, fail) => {
    const ended = (code: number | null): void => fail(new Error(`Contender exited with ${code}`));
    child.once("exit", ended);
    child.once("message", (message) => {
      child.off("exit", ended);
      done(message as Answer);
    });
  });
}

function ask(child: ChildProcess, message: Record<string, unknown>): Promise<Answer> {
  const answer = answerOf(child);
  child.send(message);
  return answer;
}

async function hold(path: string): Promise<Held> {
  const found = await acquireSingle(path, identityNow(process.pid));
  if (!("isHeld" in found)) throw new Error(`Held by ${found.heldBy?.pid}`);
  onTestFinished(() => found.release());
  return found;
}

describe("acquireSingle()", () => {
  test("gives a free lock, and gives it again after its release", async () => {
    const path = join(temporaryFolder(), "daemon");
    const first = await hold(path);
    expect(first.isHeld()).toBe(true);
    expect(existsSync(`${path}.lock`)).toBe(true);
    first.release();
    first.release();
    expect(first.isHeld()).toBe(false);
    expect(existsSync(`${path}.lock`)).toBe(false);
    expect((await hold(path)).isHeld()).toBe(true);
  });

  test("says who holds a lock that is taken", async () => {
    const path = join(temporaryFolder(), "daemon");
    await hold(path);
    expect(await acquireSingle(path, identityNow(process.pid))).toEqual({ heldBy: identityNow(process.pid) });
  });

  test("breaks the lock of a killed holder at once", async () => {
    const path = join(temporaryFolder(), "daemon");
    const holder = await contender();
    expect((await ask(holder, { kind: "acquire", path, atMs: 0 })).kind).toBe("won");
    expect(await acquireSingle(path, identityNow(process.pid))).toEqual({ heldBy: identityNow(holder.pid) });
    process.kill(holder.pid, "SIGKILL");
    await until("the holder is gone", () => readStat(holder.pid) === null);
    expect(existsSync(`${path}.lock`)).toBe(true);
    const begun = performance.now();
    const held = await hold(path);
    expect(performance.now() - begun).toBeLessThan(1000);
    expect(held.isHeld()).toBe(true);
  });

  test("does not break the lock of a stopped holder, however old its folder looks", async () => {
    const path = join(temporaryFolder(), "daemon");
    const holder = await contender();
    await ask(holder, { kind: "acquire", path, atMs: 0 });
    process.kill(holder.pid, "SIGSTOP");
    await until("the holder is stopped", () => readStat(holder.pid)?.state === "T");
    utimesSync(`${path}.lock`, 1, 1);
    const found = await acquireSingle(path, identityNow(process.pid), { waitMs: 300 });
    expect(found).toEqual({ heldBy: identityNow(holder.pid) });
  });

  test("does not break the lock of another host or pid namespace, whose pids mean nothing here", async () => {
    for (const stranger of [{ host: "elsewhere" }, { pid_ns: "1" }]) {
      const path = join(temporaryFolder(), "daemon");
      const identity = { ...identityNow(process.pid), ...stranger };
      await acquireSingle(path, identity).then((held) =>
        onTestFinished(() => {
          if ("release" in held) held.release();
        }),
      );
      expect(await acquireSingle(path, identityNow(process.pid))).toEqual({ heldBy: identity });
    }
  });

  test("breaks the lock of an earlier boot, and of a process whose pid was given to another", async () => {
    for (const old of [{ boot_id: "earlier" }, { start_time: 1 }]) {
      const path = join(temporaryFolder(), "daemon");
      const identity = { ...identityNow(process.pid), ...old };
      await acquireSingle(path, identity).then((held) =>
        onTestFinished(() => {
          if ("release" in held) held.release();
        }),
      );
      // The folder lock is this process's own in the library's eyes; a dead process would have left just the folder.
      const found = await acquireSingle(path, identityNow(process.pid)).catch((error: unknown) => error);
      expect(found).toHaveProperty("isHeld");
    }
  });

  test("gives the lock of a dead holder to exactly one of several, in 20 forced races", async () => {
    const folder = temporaryFolder();
    const contenders = await Promise.all([contender(), contender(), contender(), contender()]);
    const dead = { ...identityNow(process.pid), start_time: 1 };
    for (let race = 0; race < 20; race++) {
      const path = join(folder, `daemon-${race}`);
      mkdirSync(`${path}.lock`);
      mkdirSync(join(folder, `.daemon-${race}.holders`));
      writeFileSync(join(folder, `.daemon-${race}.holders`, "7"), JSON.stringify(dead));
      const atMs = Date.now() + 20;
      const answers = await Promise.all(contenders.map((each) => ask(each, { kind: "acquire", path, atMs })));
      expect(answers.map((answer) => answer.kind).sort()).toEqual(["lost", "lost", "lost", "won"]);
      await Promise.all(contenders.map((each) => ask(each, { kind: "release" })));
    }
  });

  test("waits for a holder that is about to let go", async () => {
    const path = join(temporaryFolder(), "daemon");
    const holder = await contender();
    await ask(holder, { kind: "acquire", path, atMs: 0 });
    const waiting = acquireSingle(path, identityNow(process.pid), { waitMs: 5000 });
    await ask(holder, { kind: "release" });
    const found = await waiting;
    expect(found).toHaveProperty("isHeld");
    if ("isHeld" in found) found.release();
  });

  test("tells the holder within seconds that its files were removed", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "daemon");
    const held = await hold(path);
    const lost: string[] = [];
    held.onLost((error) => lost.push(error.code));
    rmSync(join(folder, ".daemon.holders"), { recursive: true });
    expect(held.isHeld()).toBe(false);
    await until("the loss is told", () => lost.length > 0);
    expect(lost).toEqual(["lock_lost"]);
  });

  test("tells the holder that its folder was removed, and leaves the lock to be taken", async () => {
    const path = join(temporaryFolder(), "daemon");
    const held = await hold(path);
    const lost: string[] = [];
    held.onLost((error) => lost.push(error.message));
    rmSync(`${path}.lock`, { recursive: true });
    await until("the loss is told", () => lost.length > 0);
    expect(lost).toEqual([`Lost the lock ${JSON.stringify(path)}`]);
    expect(held.isHeld()).toBe(false);
    held.release();
    expect((await hold(path)).isHeld()).toBe(true);
  });
});

describe("withLock()", () => {
  test("loses no update when four processes change one record", async () => {
    const path = join(temporaryFolder(), "record");
    writeFileSync(path, "0");
    const contenders = await Promise.all([contender(), contender(), contender(), contender()]);
    await Promise.all(contenders.map((each) => ask(each, { kind: "add", path, turns: 25 })));
    expect(readFileSync(path, "utf8")).toBe("100");
  });

  test("returns what the action returns, and lets go when it throws", async () => {
    const path = join(temporaryFolder(), "record");
    await expect(withLock(path, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await withLock(path, () => 7)).toBe(7);
  });

  test("gives up in time, by the name of the holder", async () => {
    const path = join(temporaryFolder(), "record");
    const inner = withLock(path, () => withLock(path, () => 1, { waitMs: 100 }));
    await expect(inner).rejects.toThrow(new LockBusy(path, 100, `pid ${process.pid}`));
    expect(await withLock(path, () => "free")).toBe("free");
  });
});
