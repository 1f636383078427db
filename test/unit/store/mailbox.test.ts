import { spawn, spawnSync } from "node:child_process";
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Layout } from "../../../lib/store/layout.js";
import { filedName, Mailbox, type MailboxFolders } from "../../../lib/store/mailbox.js";
import { compiled } from "./compiled.js";
import { temporaryFolder, temporaryLayout } from "./temporary-home.js";

const NAME = "worker-1-restart.json";

function foldersOf(layout: Layout): MailboxFolders {
  return {
    claimed: layout.claimedDir,
    done: layout.doneDir,
    failed: layout.failedRequestsDir,
    rejected: layout.rejectedDir,
  };
}

function open(): { readonly layout: Layout; readonly mailbox: Mailbox } {
  const layout = temporaryLayout();
  return { layout, mailbox: new Mailbox(layout.queueDir, foldersOf(layout)) };
}

function claimed(mailbox: Mailbox, name = NAME): string {
  const path = mailbox.claim(name);
  if (path === null) throw new Error(`${name} was not there to be claimed`);
  return path;
}

function json(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
}

/** Gives a claim the name that a claimer which has ended would have given it. */
function orphaned(path: string): string {
  const ended = spawnSync(process.execPath, ["--version"]).pid;
  const to = path.replace(/\.\d+-\d+-([0-9a-f]{8})\.json$/, `.${ended}-1-$1.json`);
  renameSync(path, to);
  return to;
}

describe("Mailbox", () => {
  test("files a request once and never over another's", () => {
    const { mailbox } = open();
    expect(mailbox.file(NAME, { worker_id: "worker-1", by: "first" })).toBe(true);
    expect(mailbox.file(NAME, { worker_id: "worker-1", by: "second" })).toBe(false);
    expect(mailbox.list()).toEqual([NAME]);
    expect(json(mailbox.pathOf(NAME)).by).toBe("first");
  });

  test("refuses a name that leads elsewhere", () => {
    const { mailbox } = open();
    for (const name of ["../x.json", "a/b.json", ".x.json", "x.txt"]) {
      expect(() => mailbox.file(name, {})).toThrow(RangeError);
    }
    expect(() => mailbox.claim("../queue/x.json")).toThrow(RangeError);
  });

  test("lets one claimer have a request, under a name that carries its pid", () => {
    const { mailbox } = open();
    mailbox.file(NAME, { worker_id: "worker-1" });
    const path = claimed(mailbox);
    expect(mailbox.claim(NAME)).toBeNull();
    expect(basename(path)).toMatch(new RegExp(`^worker-1-restart\\.\\d+\\.${process.pid}-\\d+-[0-9a-f]{8}\\.json$`));
    expect(filedName(path)).toBe(NAME);
  });

  test("settles a request with its verdict, and does no harm when it settles it again", () => {
    const { layout, mailbox } = open();
    mailbox.file(NAME, { worker_id: "worker-1" });
    const path = claimed(mailbox);
    mailbox.settle(path, "done", { worker_id: "worker-1", verdict: "started" });
    mailbox.settle(path, "done", { worker_id: "worker-1", verdict: "started" });
    expect(readdirSync(layout.claimedDir)).toEqual([]);
    expect(readdirSync(layout.doneDir)).toEqual([basename(path)]);
    expect(json(join(layout.doneDir, basename(path))).verdict).toBe("started");
  });

  test("keeps the text as it was filed where nothing is to be added", () => {
    const { layout, mailbox } = open();
    writeFileSync(mailbox.pathOf(NAME), '{ "worker_id" : "worker-1" }');
    const path = claimed(mailbox);
    mailbox.settle(path, "failed");
    expect(readFileSync(join(layout.failedRequestsDir, basename(path)), "utf8")).toBe('{ "worker_id" : "worker-1" }');
  });

  test("rejects under the same name with a sentence beside it, and never over an earlier one", () => {
    const { layout, mailbox } = open();
    for (const text of ["first", "second", "third"]) {
      writeFileSync(mailbox.pathOf("evil.json"), text);
      mailbox.reject("evil.json", `${text} cannot\nbe read`);
    }
    expect(readdirSync(layout.rejectedDir).sort()).toEqual(
      ["evil.json", "evil.2.json", "evil.3.json"].flatMap((name) => [name, `${name}.why`]).sort(),
    );
    expect(readFileSync(join(layout.rejectedDir, "evil.2.json"), "utf8")).toBe("second");
    expect(readFileSync(join(layout.rejectedDir, "evil.2.json.why"), "utf8")).toBe("second cannot be read\n");
    expect(mailbox.list()).toEqual([]);
  });

  test("rejects a claimed request under the name it was filed with", () => {
    const { layout, mailbox } = open();
    mailbox.file(NAME, {});
    mailbox.reject(claimed(mailbox), "no worker_id");
    expect(readdirSync(layout.rejectedDir).sort()).toEqual([NAME, `${NAME}.why`]);
    expect(readdirSync(layout.claimedDir)).toEqual([]);
  });

  test("rejects folders and links, also twice, and leaves no sentence for one that is gone", () => {
    const { layout, mailbox } = open();
    mkdirSync(mailbox.pathOf("folder.json"));
    mailbox.reject("folder.json", "a folder");
    for (let round = 0; round < 2; round++) {
      symlinkSync("/nowhere/at/all", mailbox.pathOf("link.json"));
      mailbox.reject("link.json", "a link");
    }
    mailbox.reject("never-was.json", "gone");
    expect(mailbox.list()).toEqual([]);
    expect(
      readdirSync(layout.rejectedDir)
        .filter((name) => !name.endsWith(".why"))
        .sort(),
    ).toEqual(["folder.json", "link.2.json", "link.json"]);
    expect(readdirSync(layout.rejectedDir)).not.toContain("never-was.json.why");
  });

  test("puts a request back, and gives way to a newer one", () => {
    const { layout, mailbox } = open();
    mailbox.file(NAME, { n: 1 });
    expect(mailbox.putBack(claimed(mailbox), NAME, { n: 1, deferred: { gate: "holds" } })).toBe(true);
    expect(json(mailbox.pathOf(NAME))).toEqual({ n: 1, deferred: { gate: "holds" } });
    expect(readdirSync(layout.claimedDir)).toEqual([]);

    const old = claimed(mailbox);
    mailbox.file(NAME, { n: 2 });
    expect(mailbox.putBack(old, NAME, { n: 1 })).toBe(false);
    expect(json(mailbox.pathOf(NAME))).toEqual({ n: 2 });
    expect(json(join(layout.doneDir, basename(old)))).toEqual({ n: 1, verdict: "superseded" });
  });
});

describe("Mailbox.orphans()", () => {
  test("gives back what dead claimers held, and nothing that a live one holds", () => {
    const { mailbox } = open();
    mailbox.file("a-restart.json", {});
    mailbox.file("b-restart.json", {});
    claimed(mailbox, "a-restart.json");
    const path = orphaned(claimed(mailbox, "b-restart.json"));
    expect(mailbox.orphans()).toEqual([{ path, name: "b-restart.json" }]);
  });

  test("takes a claimer of an earlier boot, and one whose pid was used again, for dead", () => {
    const { layout, mailbox } = open();
    mailbox.file(NAME, {});
    const path = claimed(mailbox);
    linkSync(path, path.replace(/-[0-9a-f]{8}\.json$/, "-00000000.json"));
    linkSync(path, path.replace(/-\d+-([0-9a-f]{8})\.json$/, "-7-$1.json"));
    expect(readdirSync(layout.claimedDir)).toHaveLength(3);
    expect(mailbox.orphans().map((orphan) => basename(orphan.path))).not.toContain(basename(path));
    expect(mailbox.orphans()).toHaveLength(2);
  });

  test("finishes a claimer that died between the two steps of settling", () => {
    const { layout, mailbox } = open();
    mailbox.file(NAME, { n: 1 });
    const path = orphaned(claimed(mailbox));
    writeFileSync(join(layout.doneDir, basename(path)), '{"n":1,"verdict":"started"}');
    expect(mailbox.orphans()).toEqual([]);
    expect(readdirSync(layout.claimedDir)).toEqual([]);
    expect(json(join(layout.doneDir, basename(path))).verdict).toBe("started");
  });

  test("finishes a claimer that died between the two steps of putting back", () => {
    const { layout, mailbox } = open();
    mailbox.file(NAME, { n: 1 });
    const path = orphaned(claimed(mailbox));
    mailbox.file(NAME, { n: 1, deferred: { gate: "holds" } });
    expect(mailbox.orphans()).toEqual([]);
    expect(json(mailbox.pathOf(NAME))).toEqual({ n: 1, deferred: { gate: "holds" } });
    expect(json(join(layout.doneDir, basename(path)))).toEqual({ n: 1, verdict: "superseded" });
  });

  test("keeps an unreadable claim as it is when a newer request takes its place", () => {
    const { layout, mailbox } = open();
    writeFileSync(mailbox.pathOf(NAME), "torn {");
    const path = orphaned(claimed(mailbox));
    mailbox.file(NAME, {});
    expect(mailbox.orphans()).toEqual([]);
    expect(readFileSync(join(layout.doneDir, basename(path)), "utf8")).toBe("torn {");
  });
});

describe("several claimers at once", () => {
  test("get each of a thousand requests exactly once", async () => {
    const { layout, mailbox } = open();
    const names = Array.from({ length: 1000 }, (_, index) => `worker-${index}-restart.json`);
    for (const name of names) mailbox.file(name, {});
    const gate = join(temporaryFolder(), "go");
    const folders = foldersOf(layout);
    const script = compiled("claiming-process.ts");
    const args = [layout.queueDir, folders.claimed, folders.done, folders.failed, folders.rejected, gate];
    const claimers = Array.from({ length: 4 }, () => start(script, args));
    await Promise.all(claimers.map((claimer) => claimer.ready));
    writeFileSync(gate, "");
    const got = (await Promise.all(claimers.map((claimer) => claimer.result))).flat();
    expect(got.sort()).toEqual(names.sort());
  });
});

function start(script: string, args: string[]): { ready: Promise<void>; result: Promise<string[]> } {
  const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  let announce: () => void;
  const ready = new Promise<void>((resolve) => {
    announce = resolve;
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (output.startsWith("ready\n")) announce();
  });
  const result = new Promise<string[]>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      if (code !== 0) reject(new Error(`claimer ended with ${code}`));
      else resolve(JSON.parse(output.slice("ready\n".length)) as string[]);
    });
  });
  return { ready, result };
}
