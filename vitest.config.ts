import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    maxWorkers: 2,
    // Tests of real processes may starve on a machine that others use too; a fault shows twice.
    retry: process.env.CI ? 1 : 0,
  },
});
