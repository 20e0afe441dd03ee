import { registerHooks } from 'node:module'

/** Loaded before programs of users that are run from the tree: there `countersign/client` is what they are to find. */
registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier === 'countersign/client'
        ? new URL('../../src/client/assertion-provider.ts', import.meta.url).href
        : specifier,
      context,
    ),
})
