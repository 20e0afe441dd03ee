import { Secret } from '../base/secret.ts'

/**
 * Every environment variable that plays a part, once. This file alone reads `process.env`; what is
 * configured belongs into `countersign.yaml`, and the environment says where that is.
 */
export const environmentVariables = {
  COUNTERSIGN_CONFIG: 'Path of countersign.yaml; ./countersign.yaml when absent.',
  COUNTERSIGN_LOG_LEVEL: 'fatal, error, warn, info (when absent), debug, trace or silent.',
  COUNTERSIGN_WEBHOOK_SECRET:
    'For reconcile --watch: signs what is posted to the webhook, where no file has the secret.',
  AZURE_CLIENT_ID: 'Client id of a user-assigned managed identity; also read by the Azure SDKs.',
  COUNTERSIGN_URL: 'For callers: origin of the service that token and assertion ask.',
  COUNTERSIGN_TOKEN: "For callers: the caller's own token.",
  COUNTERSIGN_TOKEN_FILE: "For callers: a file with the caller's own token, read at each use.",
  ACTIONS_ID_TOKEN_REQUEST_URL: 'For callers in GitHub Actions: where the job gets its token.',
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'For callers in GitHub Actions: what it shows to get it.',
  SYSTEM_OIDCREQUESTURI: 'For callers in Azure Pipelines: where the job gets its token.',
  SYSTEM_ACCESSTOKEN: 'For callers in Azure Pipelines: what it shows to get it.',
  AZURESUBSCRIPTION_SERVICE_CONNECTION_ID:
    'For token and assertion in Azure Pipelines: the service connection; set by the tasks that name one.',
} as const

/** Read by the Azure SDKs, PostgreSQL's driver and Node, never by us: how the service itself signs in. */
export const environmentVariablesOfLibraries = {
  IDENTITY_ENDPOINT: 'Managed identity in the App Service shape: where its tokens are.',
  IDENTITY_HEADER: 'Managed identity in the App Service shape: the secret that it asks for.',
  IMDS_ENDPOINT: 'Managed identity of Azure Arc: says that IDENTITY_ENDPOINT is one of it.',
  MSI_ENDPOINT: 'Managed identity of Cloud Shell, and of older App Service: where its tokens are.',
  MSI_SECRET: 'Managed identity of older App Service: the secret that it asks for.',
  DEFAULT_IDENTITY_CLIENT_ID: 'Managed identity in the Machine Learning shape: its client id.',
  AZURE_POD_IDENTITY_AUTHORITY_HOST:
    'Managed identity of a virtual machine: origin of its IMDS, where that is not 169.254.169.254.',
  AZURE_TENANT_ID: 'Tenant of the workload identity.',
  AZURE_FEDERATED_TOKEN_FILE: "File with the workload identity's token.",
  AZURE_AUTHORITY_HOST: 'Authority of the workload identity, where it is not the public one.',
  PGPASSWORD: "Password of the ledger's role, where its URL has none.",
  NODE_TLS_REJECT_UNAUTHORIZED: 'Refused when it is 0: TLS is always verified.',
  NODE_EXTRA_CA_CERTS: 'PEM file with more roots, for every connection of the process.',
} as const

/**
 * Those that hold secrets, and those that hold secrets for kinds of credential that are not used here:
 * what is set may be repeated by whatever reads it.
 */
const secretVariables = [
  'COUNTERSIGN_TOKEN',
  'COUNTERSIGN_WEBHOOK_SECRET',
  'ACTIONS_ID_TOKEN_REQUEST_TOKEN',
  'SYSTEM_ACCESSTOKEN',
  'IDENTITY_HEADER',
  'MSI_SECRET',
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PASSWORD',
  'AZURE_PASSWORD',
  'PGPASSWORD',
] as const

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export interface Environment {
  /** As named, relative to the working directory. */
  readonly configFile: string
  readonly logLevel: LogLevel
  /** Of the identity that the service reaches the vaults with; absent for a system-assigned one. */
  readonly identityClientId: string | undefined
  readonly webhookSecret: Secret<string> | undefined
  readonly caller: CallerEnvironment
}

/** What `token` and `assertion` find out about the service and about whom they ask for. */
export interface CallerEnvironment {
  readonly url?: string
  readonly token?: Secret<string>
  readonly tokenFile?: string
  /** Both or neither: a job of GitHub Actions with `id-token: write`. */
  readonly githubActions?: { readonly requestUrl: string; readonly requestToken: Secret<string> }
  /** Both or neither: a job of Azure Pipelines that maps `System.AccessToken`. */
  readonly azurePipelines?: { readonly requestUrl: string; readonly requestToken: Secret<string> }
  /** Of Azure Pipelines: whose token a job is given. */
  readonly serviceConnection?: string
}

/** A variable that does not say what it may say. The message names it and not its value. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError'
}

/** The environment of a process that we start: ours, and what it is given besides. */
export const childEnvironment = (more: Readonly<Record<string, string>>) => ({
  ...process.env,
  ...more,
})

/** Where Azure's clients find an identity, whichever of them they look at first. */
const identityVariables = [
  'IDENTITY_ENDPOINT',
  'IDENTITY_HEADER',
  'IDENTITY_SERVER_THUMBPRINT',
  'IMDS_ENDPOINT',
  'MSI_ENDPOINT',
  'MSI_SECRET',
  'DEFAULT_IDENTITY_CLIENT_ID',
  'AZURE_POD_IDENTITY_AUTHORITY_HOST',
  'AZURE_CLIENT_ID',
  'AZURE_TENANT_ID',
  'AZURE_FEDERATED_TOKEN_FILE',
  'AZURE_AUTHORITY_HOST',
  'AZURE_KUBERNETES_TOKEN_PROXY',
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PATH',
  'AZURE_CLIENT_CERTIFICATE_PASSWORD',
  'AZURE_USERNAME',
  'AZURE_PASSWORD',
  'AZURE_TOKEN_CREDENTIALS',
  'AZURESUBSCRIPTION_CLIENT_ID',
  'AZURESUBSCRIPTION_TENANT_ID',
  'AZURESUBSCRIPTION_SERVICE_CONNECTION_ID',
  'ARM_CLIENT_SECRET',
  'ARM_CLIENT_SECRET_FILE_PATH',
  'ARM_CLIENT_CERTIFICATE',
  'ARM_CLIENT_CERTIFICATE_PATH',
  'ARM_CLIENT_CERTIFICATE_PASSWORD',
  'ARM_OIDC_TOKEN',
  'ARM_OIDC_TOKEN_FILE_PATH',
  'ARM_OIDC_REQUEST_URL',
  'ARM_OIDC_REQUEST_TOKEN',
  'ARM_USE_MSI',
  'ARM_MSI_ENDPOINT',
  'MSAL_MANAGED_IDENTITY_ENDPOINT',
  'COUNTERSIGN_TOKEN',
  'COUNTERSIGN_TOKEN_FILE',
  'COUNTERSIGN_AGENT_SOCKET',
  'ACTIONS_ID_TOKEN_REQUEST_URL',
  'ACTIONS_ID_TOKEN_REQUEST_TOKEN',
  'SYSTEM_OIDCREQUESTURI',
  'SYSTEM_ACCESSTOKEN',
] as const

type Variables = Readonly<Partial<Record<string, string>>>

/**
 * The environment of a program that gets its identity from us: of ours, all but what would lead it to
 * another one, which may be our own.
 *
 * @param origin Where it asks us, on this machine: a proxy that it uses for all else must not get that.
 */
export const environmentOfProgram = (
  identity: Readonly<Record<string, string>>,
  origin: string,
) => ({
  ...withoutIdentity(process.env),
  ...identity,
  ...pastProxies(process.env, new URL(origin).hostname.replace(/^\[|\]$/g, '')),
})

/** Undefined is not there for a process that is started. */
export const withoutIdentity = (variables: Variables): Variables => ({
  ...variables,
  ...Object.fromEntries(identityVariables.map((name) => [name, undefined])),
})

/**
 * Both spellings, because clients look at one or the other first: what one of them does not say is taken
 * from the other, so that whoever looks finds what it would have found.
 *
 * @param host Of the agent; empty where it is on a socket, which programs name beside a URL of localhost.
 */
export function pastProxies(variables: Variables, host: string) {
  const { NO_PROXY: upper, no_proxy: lower } = variables
  const hosts = host === '' ? ['localhost'] : [host, 'localhost']
  return {
    NO_PROXY: withHosts(upper ?? lower ?? '', hosts),
    no_proxy: withHosts(lower ?? upper ?? '', hosts),
  }
}

/** A star means all hosts, and to curl only where nothing else is beside it. */
function withHosts(list: string, hosts: readonly string[]): string {
  if (list.trim() === '*') return list
  const there = list.split(/[,\s]+/).filter((name) => name !== '')
  return [...there, ...hosts.filter((host) => !there.includes(host))].join(',')
}

/** @throws EnvironmentError for a value that cannot be taken. */
export function readEnvironment(): Environment {
  return environmentFrom(process.env)
}

/** The secrets of this environment, which no log may show. */
export const readSecrets = () => secretsFrom(process.env)

export const secretsFrom = (variables: Variables): readonly Secret<string>[] =>
  secretVariables
    .map((name) => variables[name]?.trim() ?? '')
    .filter((value) => value !== '')
    .map((value) => new Secret(value))

/** A variable that is set to nothing counts as absent. */
export function environmentFrom(variables: Variables): Environment {
  if (variables['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    throw new EnvironmentError(
      'NODE_TLS_REJECT_UNAUTHORIZED is 0, and TLS is always verified here: unset it, and name a private CA in trust.caFiles or NODE_EXTRA_CA_CERTS.',
    )
  }
  const get = (name: keyof typeof environmentVariables) => variables[name]?.trim() || undefined
  return {
    configFile: get('COUNTERSIGN_CONFIG') ?? 'countersign.yaml',
    logLevel: parseLogLevel(get('COUNTERSIGN_LOG_LEVEL') ?? 'info'),
    identityClientId: get('AZURE_CLIENT_ID'),
    webhookSecret: secretFrom(get('COUNTERSIGN_WEBHOOK_SECRET')),
    caller: callerEnvironmentFrom(get),
  }
}

const secretFrom = (value: string | undefined) =>
  value === undefined ? undefined : new Secret(value)

function callerEnvironmentFrom(
  get: (name: keyof typeof environmentVariables) => string | undefined,
): CallerEnvironment {
  const [url, token] = [get('COUNTERSIGN_URL'), get('COUNTERSIGN_TOKEN')]
  const tokenFile = get('COUNTERSIGN_TOKEN_FILE')
  const githubActions = requestUrlFrom(
    get('ACTIONS_ID_TOKEN_REQUEST_URL'),
    get('ACTIONS_ID_TOKEN_REQUEST_TOKEN'),
  )
  const serviceConnection = get('AZURESUBSCRIPTION_SERVICE_CONNECTION_ID')
  const azurePipelines = requestUrlFrom(get('SYSTEM_OIDCREQUESTURI'), get('SYSTEM_ACCESSTOKEN'))
  return {
    ...(url === undefined ? {} : { url }),
    ...(token === undefined ? {} : { token: new Secret(token) }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(githubActions === undefined ? {} : { githubActions }),
    ...(azurePipelines === undefined ? {} : { azurePipelines }),
    ...(serviceConnection === undefined ? {} : { serviceConnection }),
  }
}

const requestUrlFrom = (requestUrl: string | undefined, requestToken: string | undefined) =>
  requestUrl === undefined || requestToken === undefined
    ? undefined
    : { requestUrl, requestToken: new Secret(requestToken) }

function parseLogLevel(text: string): LogLevel {
  const level = logLevels.find((known) => known === text.toLowerCase())
  if (level !== undefined) return level
  throw new EnvironmentError(`COUNTERSIGN_LOG_LEVEL must be one of ${logLevels.join(', ')}.`)
}
