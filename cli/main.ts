#!/usr/bin/env node
/** The `heald` command. @module */
import { run } from "./program.js";

process.exitCode = await run(process.argv.slice(2));
