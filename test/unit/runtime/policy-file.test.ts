/** A policy file, live: the last good text stays in force, and every refusal names file, field, wanted and got. */
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { heartbeatPolicy } from "../../../daemons/heartbeat-monitor/policy.js";
import { PolicyFile, type PolicyInForce } from "../../../lib/runtime/policy-file.js";

let folder: string;
let loaded: PolicyInForce<{ readonly heartbeat_timeout_seconds: number }>[];
let refused: string[];
const listener = {
  loaded: (one: PolicyInForce<{ readonly heartbeat_timeout_seconds: number }>) => void loaded.push(one),
  refused: (sentence: string) => void refused.push(sentence),
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "heald-policy-"));
  mkdirSync(join(folder, "texts"));
  loaded = [];
  refused = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const path = () => join(folder, "heartbeat-policy.json");
const open = () => new PolicyFile(heartbeatPolicy, folder, join(folder, "texts"));
const inForce = () => loaded.at(-1)?.policy.settings.heartbeat_timeout_seconds;
const writeOld = (text: string) => {
  writeFileSync(path(), text, { mode: 0o640 });
  utimesSync(path(), 1, Date.now() / 1000 - 60);
};

describe("PolicyFile", () => {
  test("puts the shipped defaults in force when there is no file", () => {
    open().start(null, listener);
    expect(inForce()).toBe(120);
    expect(refused).toEqual([]);
  });

  test("refuses a wrong type by field, wanted and got, and keeps the last good policy in force", () => {
    writeOld('{ "heartbeat_timeout_seconds": 90 }');
    const file = open();
    file.start(null, listener);
    writeOld('{ "heartbeat_timeout_seconds": "soon" }');
    file.look(listener);
    expect(inForce()).toBe(90);
    expect(refused).toEqual([`Cannot load policy "${path()}": heartbeat_timeout_seconds must be a number, got "soon"`]);
  });

  test("says a refusal once, however often it looks", () => {
    writeOld("{");
    const file = open();
    file.start(null, listener);
    file.look(listener);
    file.look(listener);
    expect(refused.length).toBe(1);
  });

  test("takes a file that is being written for unfinished, not for bad", async () => {
    const file = open();
    file.start(null, listener);
    writeFileSync(path(), '{ "heartbeat_time', { mode: 0o640 });
    file.look(listener);
    expect(refused).toEqual([]);
    writeFileSync(path(), '{ "heartbeat_timeout_seconds": 77 }');
    await expect.poll(inForce, { timeout: 5000 }).toBe(77);
    file.close();
  });

  test("follows a file that is replaced the way jq and mv do it", async () => {
    const file = open();
    file.start(null, listener);
    file.follow(listener);
    writeFileSync(join(folder, "new"), '{ "heartbeat_timeout_seconds": 66 }', { mode: 0o640 });
    renameSync(join(folder, "new"), path());
    await expect.poll(inForce, { timeout: 5000 }).toBe(66);
    file.close();
  });

  test("refuses a file that others can write", () => {
    writeOld('{ "heartbeat_timeout_seconds": 90 }');
    chmodSync(path(), 0o646);
    open().start(null, listener);
    expect(inForce()).toBe(120);
    expect(refused[0]).toMatch(/heartbeat-policy\.json.*writ/);
  });

  test("starts on the last good text when the file went bad while nothing ran", () => {
    writeOld('{ "heartbeat_timeout_seconds": 90 }');
    open().start(null, listener);
    const hash = loaded[0]?.hash ?? "";
    writeOld('{ "heartbeat_timeout_seconds": -1 }');
    open().start(hash, listener);
    expect(inForce()).toBe(90);
    expect(refused[0]).toContain("heartbeat_timeout_seconds must be > 0, got -1");
  });
});
