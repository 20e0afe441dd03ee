import { defineConfig } from 'eslint/config'
import tseslint from 'typescript-eslint'

/** `@azure/*` may be imported by these files and no others: one adapter for each Azure interface. */
const azureAdapters = [
  'src/agent/managed-identity.ts',
  'src/signer/key-vault-signer.ts',
  'src/certificate/key-vault-certificate.ts',
  'src/custody/key-vault-head-key.ts',
  'src/custody/log-analytics.ts',
  'src/reconcile/workspace/table-client.ts',
  'src/sealing/key-vault-wrapping-key.ts',
  'src/vault-access/*.ts',
]

export default defineConfig(
  { ignores: ['dist', 'coverage', 'node_modules'] },
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: {
          allowDefaultProject: ['bin/*.js', 'eslint.config.js'],
        },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      // Express counts parameters, so one that is not used may still have to stand.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'no-console': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      // Interpolating a number is how every message here names a limit.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['@azure/*'], message: 'Azure SDKs live in adapter files only.' }] },
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: "MemberExpression[object.name='process'][property.name='env']",
          message: 'src/config/environment.ts is the only reader of process.env.',
        },
        {
          selector: "NewExpression[callee.name='Date'], MemberExpression[object.name='Date']",
          message: 'Ask base/clock.ts for the time.',
        },
      ],
    },
  },
  { files: azureAdapters, rules: { 'no-restricted-imports': 'off' } },
  {
    files: ['src/config/environment.ts', 'src/base/clock.ts', 'src/emulator/emulator-clock.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  {
    files: ['test/**/*.ts'],
    ignores: ['test/support/drawn-cases.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [
            {
              name: 'fast-check',
              message: 'Take it from test/support/drawn-cases.ts, which has the seed.',
            },
          ],
        },
      ],
    },
  },
  // Programs of users, in plain JavaScript.
  { files: ['examples/**/*.mjs'], extends: [tseslint.configs.disableTypeChecked] },
  {
    files: ['src/cli/**/*.ts', 'scripts/**/*.ts', 'bench/**/*.ts', 'examples/**/*.{mjs,ts}'],
    rules: { 'no-console': 'off' },
  },
)
