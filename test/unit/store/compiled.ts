/** Compiles one of the programs beside the tests, so that a process of its own can run it. @module */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const FOLDER = fileURLToPath(new URL(".", import.meta.url));

let output: string | null = null;

/** The path of a compiled program; everything it imports is compiled with it. */
export function compiled(name: string): string {
  const folder = outputFolder();
  const program = join(folder, "test", "unit", "store", name.replace(/\.ts$/, ".js"));
  if (!existsSync(program)) compile(folder, join(FOLDER, name));
  return program;
}

function outputFolder(): string {
  if (output === null) {
    output = mkdtempSync(join(tmpdir(), "heald-compiled-"));
    symlinkSync(join(ROOT, "node_modules"), join(output, "node_modules"));
    writeFileSync(join(output, "package.json"), '{"name":"heald","version":"0.0.0","type":"module"}');
  }
  return output;
}

afterAll(() => {
  if (output !== null) rmSync(output, { recursive: true, force: true });
  output = null;
});

function compile(folder: string, source: string): void {
  const project = join(folder, "tsconfig.json");
  const compilerOptions = { rootDir: ROOT, outDir: folder, declaration: false, sourceMap: false, noCheck: true };
  writeFileSync(
    project,
    JSON.stringify({ extends: join(ROOT, "tsconfig.json"), compilerOptions, files: [source], include: [] }),
  );
  execFileSync(process.execPath, [join(ROOT, "node_modules", "typescript", "bin", "tsc"), "-p", project], {
    stdio: "inherit",
  });
}
