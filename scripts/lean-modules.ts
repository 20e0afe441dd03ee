import type { Plugin } from 'rolldown'

/** What is put into a bundle of a module, by the names that it is imported by. */
const lean: ReadonlyMap<string, string> = new Map([
  // A quarter of it: connections and requests, without fetch, WebSocket, caches and mocks.
  [
    'undici',
    `import Dispatcher from 'undici/lib/dispatcher/dispatcher.js'
     import requests from 'undici/lib/api/index.js'
     export { default as Agent } from 'undici/lib/dispatcher/agent.js'
     export { default as Pool } from 'undici/lib/dispatcher/pool.js'
     export { default as buildConnector } from 'undici/lib/core/connect.js'
     export { default as errors } from 'undici/lib/core/errors.js'
     Object.assign(Dispatcher.prototype, requests)`,
  ],
  // An import looks at every export, and Node makes three of these from its own fetch and WebSocket,
  // which it loads for it: a tenth of a start.
  ['http', leanHttp()],
  ['node:http', leanHttp()],
  // Express offers its parsers, with tables of every encoding; bodies are read by ourselves.
  ['body-parser', 'export default {}'],
  // Azure's SDK signs with it when it is given a private key; there is none here to give.
  ['jsonwebtoken', 'export default {}'],
])

const prefix = '\0lean:'

/** Gives a bundle less of some modules than there is of them: only what the program uses. */
export function leanModules(): Plugin {
  return {
    name: 'lean-modules',
    resolveId: (id, _importer, { kind }) => {
      // A `require` of a module of Node looks at no export by itself.
      if (id.endsWith('http') && kind !== 'import-statement') return null
      return lean.has(id) ? prefix + id : null
    },
    load: (id) => (id.startsWith(prefix) ? lean.get(id.slice(prefix.length)) : null),
  }
}

/** All that is there without being made when it is looked at. */
function leanHttp(): string {
  const exports = Object.getOwnPropertyDescriptors(process.getBuiltinModule('node:http'))
  const ready = Object.entries(exports).filter(([, one]) => 'value' in one)
  return `const http = process.getBuiltinModule('node:http')
    export default http
    export const { ${ready.map(([name]) => name).join(', ')} } = http`
}
