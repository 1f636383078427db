/** Guarantee: the pages lead somewhere, and name what exists. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { packageRoot } from "../../lib/platform/package.js";
import { DAEMONS } from "../../lib/schema/records.js";

const ROOT = packageRoot();
const PAGES = [
  ...readdirSync(ROOT).filter((name) => name.endsWith(".md")),
  ...readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
].sort();

const textOf = (page: string): string => readFileSync(join(ROOT, page), "utf8");

/** Headings as the names that links use. */
function anchorsOf(page: string): string[] {
  return [...textOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describe("the pages", () => {
  test.each(PAGES)("%s has only links that lead to a file, and to a heading in it", (page) => {
    const broken = [...textOf(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].filter(
      ([, path, anchor]) => {
        const target = path === "" ? page : join(dirname(page), path ?? "");
        if (!existsSync(join(ROOT, target))) return true;
        return (
          anchor !== undefined && !statSync(join(ROOT, target)).isDirectory() && !anchorsOf(target).includes(anchor)
        );
      },
    );
    expect(broken.map(([link]) => link)).toEqual([]);
  });

  test("name as code only files of the project that are there", () => {
    const named = PAGES.flatMap((page) =>
      [...textOf(page).matchAll(/`((?:lib|daemons|cli|test|scripts|systemd|config|docs)\/[\w./-]+\.\w+)`/g)].map(
        ([, path = ""]) => ({ page, path }),
      ),
    );
    expect(named.length).toBeGreaterThan(10);
    // In a page about the coordination directory, config/ is the one below it.
    const missing = named.filter(({ path }) => !existsSync(join(ROOT, path)) && !/^config\/[\w-]+\.json$/.test(path));
    expect(missing).toEqual([]);
  });

  test.each(DAEMONS)("of %s has the parts that an operator looks for", (daemon) => {
    const page = textOf(`docs/daemons/${daemon}.md`);
    expect(page.startsWith(`# ${daemon}\n`)).toBe(true);
    for (const part of ["Reads", "Writes", "Never", "Steps", "Failure modes", "Example"])
      expect(page).toContain(`\n## ${part}\n`);
  });

  test("of decisions are all in their list, and each weighs options", () => {
    const names = readdirSync(join(ROOT, "docs", "decisions")).filter((name) => name !== "README.md");
    const list = textOf("docs/decisions/README.md");
    expect(names.filter((name) => !list.includes(`(${name})`))).toEqual([]);
    for (const name of names) {
      const text = textOf(join("docs", "decisions", name));
      for (const part of ["Context", "Options", "Choice", "Consequences", "We would notice"])
        expect(text, name).toContain(`**${part}`);
    }
  });

  test("of decisions weigh every package that the project depends on", () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Record<
      string,
      Record<string, string>
    >;
    const packages = Object.keys({ ...dependencies, ...devDependencies }).filter((name) => !name.startsWith("@types/"));
    const text = PAGES.filter((page) => page.startsWith("docs/decisions/"))
      .map(textOf)
      .join("\n")
      .toLowerCase();
    const spoken = (name: string): string => (name === "@biomejs/biome" ? "biome" : name);
    expect(packages.filter((name) => !text.includes(spoken(name)))).toEqual([]);
  });
});
