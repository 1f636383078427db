/**
 * Guarantee: imports go one way, each package has one door, and what `decide` reaches is pure.
 *
 * The linter enforces the floors, from biome.json; the first part proves that it does, on files that break each rule. The
 * second part checks what its patterns cannot say: types only, detours in a path, and what is reached through others.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, normalize, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { packageRoot } from "../../lib/platform/package.js";

const ROOT = packageRoot();

/** A file, and an import that it must not have. */
const FORBIDDEN: readonly (readonly [file: string, specifier: string])[] = [
  ["lib/errors.ts", "./platform/files.js"],
  ["clients/heartbeat.ts", "../lib/errors.js"],
  ["lib/schema/a.ts", "../domain/hash.js"],
  ["lib/schema/a.ts", "node:fs"],
  ["lib/domain/a.ts", "../platform/clock.js"],
  ["lib/domain/a.ts", "node:fs/promises"],
  ["lib/domain/a.ts", "zod"],
  ["lib/platform/a.ts", "../schema/records.js"],
  ["lib/platform/a.ts", "pino"],
  ["lib/platform/locks.ts", "execa"],
  ["lib/store/a.ts", "../domain/hash.js"],
  ["lib/store/a.ts", "../runtime/core.js"],
  ["lib/store/a.ts", "zod"],
  ["lib/targets/a.ts", "../notify/mail.js"],
  ["lib/notify/a.ts", "../runtime/core.js"],
  ["lib/runtime/a.ts", "../../daemons/auto-fix/policy.js"],
  ["lib/runtime/a.ts", "chokidar"],
  ["daemons/auto-fix/a.ts", "../worker-restart/policy.js"],
  ["daemons/auto-fix/a.ts", "../../cli/main.js"],
  ["daemons/auto-fix/a.ts", "zod"],
  ["daemons/auto-fix/policy.ts", "../../lib/store/layout.js"],
  ["daemons/auto-fix/decide.ts", "../../lib/platform/clock.js"],
  ["daemons/auto-fix/decide.ts", "../../lib/store/layout.js"],
  ["daemons/auto-fix/decide.ts", "../../lib/runtime/reporting.js"],
  ["daemons/auto-fix/decide.ts", "node:fs"],
  ["cli/commands/a.ts", "zod"],
];

/** An import that the same rules let through, so that a rule which forbids everything is noticed. */
const ALLOWED: readonly (readonly [file: string, specifier: string])[] = [
  ["lib/schema/b.ts", "zod"],
  ["lib/domain/b.ts", "../schema/events.js"],
  ["lib/platform/locks.ts", "proper-lockfile"],
  ["lib/store/b.ts", "../platform/files.js"],
  ["lib/targets/b.ts", "../domain/thresholds.js"],
  ["lib/runtime/b.ts", "../store/layout.js"],
  ["daemons/auto-fix/b.ts", "../../lib/store/layout.js"],
  ["daemons/auto-fix/decide.ts", "../../lib/domain/hash.js"],
  ["daemons/auto-fix/decide.ts", "../../lib/schema/policy.js"],
  ["cli/commands/b.ts", "../../daemons/auto-fix/policy.js"],
  ["cli/b.ts", "commander"],
];

describe("the linter", () => {
  test("refuses every import that would leave its floor or pass a door, and no other", () => {
    const folder = mkdtempSync(join(tmpdir(), "heald-floors-"));
    try {
      const config = JSON.parse(readFileSync(join(ROOT, "biome.json"), "utf8")) as Record<string, unknown>;
      writeFileSync(join(folder, "biome.json"), JSON.stringify({ ...config, vcs: { enabled: false } }));
      const forbidden = FORBIDDEN.map(([file, specifier]) => writeSample(folder, file, specifier));
      const allowed = ALLOWED.map(([file, specifier]) => writeSample(folder, file, specifier));
      const refused = refusedByLinter(folder);
      expect(forbidden.filter((line) => !refused.has(line))).toEqual([]);
      expect(allowed.filter((line) => refused.has(line))).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Adds an import to a sample file; the answer names file and line. */
function writeSample(folder: string, file: string, specifier: string): string {
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  const lines = existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : [];
  writeFileSync(path, `${[...lines, `export * from ${JSON.stringify(specifier)};`].join("\n")}\n`);
  return `${file}:${lines.length + 1} ${specifier}`;
}

function refusedByLinter(folder: string): Set<string> {
  const biome = join(ROOT, "node_modules", ".bin", "biome");
  const run = spawnSync(biome, ["lint", "--reporter=github", "--max-diagnostics=500", "."], {
    cwd: folder,
    encoding: "utf8",
  });
  const refused = new Set<string>();
  for (const [, file = "", line = ""] of run.stdout.matchAll(/noRestrictedImports,file=([^,]+),line=(\d+)/g)) {
    const text = readFileSync(resolve(folder, file), "utf8").split("\n")[Number(line) - 1] ?? "";
    refused.add(`${relative(folder, resolve(folder, file))}:${line} ${/"([^"]+)"/.exec(text)?.[1] ?? ""}`);
  }
  return refused;
}

interface Import {
  readonly file: string;
  readonly specifier: string;
  readonly isTypeOnly: boolean;
}

const SOURCES = ["lib", "daemons", "cli", "clients"]
  .flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  )
  .filter((path) => path.endsWith(".ts"))
  .sort();
const IMPORTS = new Map(SOURCES.map((file) => [file, importsOf(file)]));

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  const statement = /^(?:import|export)\s+(type\s+)?([\w$*][\w$*, ]*|[\w$, ]*\{[^}]*\})\s+from\s+"([^"]+)";/gm;
  const dynamic = /\bimport\(\s*"([^"]+)"\s*\)/g;
  return [
    ...[...text.matchAll(statement)].map(([, type, names = "", specifier = ""]) => ({
      file,
      specifier,
      isTypeOnly: type !== undefined || areTypes(names),
    })),
    ...[...text.matchAll(/^import\s+"([^"]+)";/gm), ...text.matchAll(dynamic)].map(([, specifier = ""]) => ({
      file,
      specifier,
      isTypeOnly: false,
    })),
  ];
}

/** `{ type A, type B }`: nothing of it is left when it is compiled. */
function areTypes(names: string): boolean {
  const inner = /^\{([\s\S]*)\}$/.exec(names.trim())?.[1];
  return inner?.split(",").every((name) => name.trim() === "" || name.trim().startsWith("type ")) ?? false;
}

function targetOf({ file, specifier }: Import): string {
  return specifier.startsWith(".") ? normalize(join(dirname(file), specifier)).replace(/\.js$/, ".ts") : specifier;
}

/** Everything that is loaded when this file is, with the way to it. */
function reachedFrom(file: string, way: readonly string[] = [], seen = new Map<string, readonly string[]>()) {
  for (const found of IMPORTS.get(file) ?? []) {
    const target = targetOf(found);
    if (found.isTypeOnly || seen.has(target)) continue;
    seen.set(target, [...way, file]);
    reachedFrom(target, [...way, file], seen);
  }
  return seen;
}

describe("the sources", () => {
  const all = [...IMPORTS.values()].flat();

  test("are found, with their imports", () => {
    expect(SOURCES.length).toBeGreaterThan(80);
    expect(all.length).toBeGreaterThan(300);
    expect(importsOf("lib/platform/log.ts").map((found) => found.specifier)).toContain("pino");
  });

  test("name every relative import by the shortest way, ending in .js", () => {
    const odd = all.filter(({ file, specifier }) => {
      if (!specifier.startsWith(".")) return false;
      const own = dirname(file);
      const target = normalize(join(own, specifier));
      const isDetour =
        specifier.includes("/../../lib/") || /^\.\/\.\./.test(specifier) || /[^./]\/\.\.\//.test(specifier);
      return isDetour || !specifier.endsWith(".js") || (dirname(target) === own && !specifier.startsWith("./"));
    });
    expect(odd).toEqual([]);
  });

  test("of lib/domain take only types from lib/schema", () => {
    const values = all.filter((found) => {
      return found.file.startsWith("lib/domain/") && targetOf(found).startsWith("lib/schema/") && !found.isTypeOnly;
    });
    expect(values).toEqual([]);
  });

  const deciders = SOURCES.filter((file) => /^daemons\/[^/]+\/decide\.ts$/.test(file));
  test.each(deciders)("%s loads nothing that could read a clock, a file or a process", (decider) => {
    const isPure = (target: string): boolean => target === "zod" || /^lib\/(domain|schema)\//.test(target);
    const own = `${dirname(decider)}/`;
    const impure = [...reachedFrom(decider)].filter(([target]) => !isPure(target) && !target.startsWith(own));
    expect(impure).toEqual([]);
    const shell = [...reachedFrom(decider).keys()].filter((target) =>
      /\/(main|perform|[a-z-]*source)\.ts$/.test(target),
    );
    expect(shell).toEqual([]);
  });
});
