/** How it is known that a client works, the best first. */
export type ClientProof =
  | 'real client by environment alone'
  | 'real client with one option'
  | "the client's request replayed"

/** A client, what makes it come to us, and the test that shows that it does. */
export interface ProvenClient {
  readonly client: string
  /** What has a version: that of what is installed is on the page. Absent where the client was not run. */
  readonly package?: string
  readonly variables: readonly string[]
  /** What its program must say in code for this; absent: nothing. */
  readonly option?: string
  /** What does not work as well as one would think; absent: nothing. */
  readonly limit?: string
  readonly proof: ClientProof
  readonly test: ClientTest
}

export interface ClientTest {
  readonly file: string
  readonly describe?: string
  /** What stands for `$kind` in that. */
  readonly kind?: string
  readonly title: string
  /** What stands for `%s` in the title. */
  readonly each?: string
}

/** A client that does not come to us, or that nobody has seen coming. */
export interface UnprovenClient {
  readonly client: string
  readonly result: 'cannot work' | 'not tried'
  readonly reason: string
}

const identity = '@azure/identity'
const workload = [
  'AZURE_AUTHORITY_HOST',
  'AZURE_TENANT_ID',
  'AZURE_CLIENT_ID',
  'AZURE_FEDERATED_TOKEN_FILE',
]
const workloadTests = 'test/conformance/workload-identity.test.ts'
const oauthTests = 'test/conformance/oauth-clients.test.ts'
const agentTests = 'test/conformance/agent-identity.test.ts'
const packageTests = 'test/e2e/packed-package.test.ts'
const callerExamples = 'test/e2e/examples.test.ts'
const clientExamples = 'test/e2e/client-examples.test.ts'

const throughService: readonly ProvenClient[] = [
  {
    client: '`DefaultAzureCredential`',
    package: identity,
    variables: [...workload, 'AZURE_TOKEN_CREDENTIALS'],
    proof: 'real client by environment alone',
    test: {
      file: workloadTests,
      describe: identity,
      title: 'DefaultAzureCredential gets a token by its environment alone',
    },
  },
  {
    client: '`WorkloadIdentityCredential`',
    package: identity,
    variables: workload,
    option: '`disableInstanceDiscovery: true`',
    proof: 'real client with one option',
    test: {
      file: workloadTests,
      describe: identity,
      title: 'WorkloadIdentityCredential gets a token',
    },
  },
  {
    client: '`WorkloadIdentityCredential`, behind the token proxy of AKS',
    package: identity,
    variables: [...workload.slice(1), 'AZURE_KUBERNETES_TOKEN_PROXY', 'AZURE_KUBERNETES_CA_FILE'],
    option: '`enableAzureProxy: true`',
    proof: 'real client with one option',
    test: {
      file: workloadTests,
      describe: identity,
      title: 'behind the token proxy that AKS has, with the authority of the public cloud',
    },
  },
  {
    client: '`ClientAssertionCredential`, with a callback that reads the file',
    package: identity,
    variables: ['AZURE_AUTHORITY_HOST'],
    option: '`disableInstanceDiscovery: true`',
    proof: 'real client with one option',
    test: {
      file: workloadTests,
      describe: identity,
      title: 'ClientAssertionCredential gets a token',
    },
  },
  {
    client: '`ConfidentialClientApplication`, with a `clientAssertion` that reads the file',
    package: '@azure/msal-node',
    variables: [],
    option: 'the host of the service in `knownAuthorities`',
    proof: 'real client with one option',
    test: {
      file: workloadTests,
      describe: '@azure/msal-node',
      title: 'gets a token with the token of its workload for an assertion',
    },
  },
  {
    client: 'Logstash, the output plugin for Sentinel',
    variables: workload,
    proof: "the client's request replayed",
    test: {
      file: workloadTests,
      describe: "the Logstash output plugin for Sentinel's request",
      title: '%s is answered with what it reads',
      each: 'as it is',
    },
  },
]

const withAssertion: readonly ProvenClient[] = [
  {
    client: '`ClientAssertionCredential`, of Entra itself',
    package: identity,
    variables: [],
    option: '`assertionProvider(…)`',
    proof: 'real client with one option',
    test: {
      file: packageTests,
      describe: 'the library',
      title: 'gives %s what it asks for, twice and again, for one signature',
      each: 'ClientAssertionCredential',
    },
  },
  {
    client: '`ConfidentialClientApplication`, of Entra itself',
    package: '@azure/msal-node',
    variables: [],
    option: '`clientAssertion: assertionProvider(…)`',
    proof: 'real client with one option',
    test: {
      file: packageTests,
      describe: 'the library',
      title: 'gives %s what it asks for, twice and again, for one signature',
      each: 'msal-node',
    },
  },
  {
    client: 'Terraform, its azurerm backend, with an assertion',
    variables: [
      ...['ARM_USE_OIDC', 'ARM_TENANT_ID', 'ARM_CLIENT_ID'],
      ...['ARM_OIDC_REQUEST_URL', 'ARM_OIDC_REQUEST_TOKEN'],
    ],
    proof: 'real client by environment alone',
    test: {
      file: clientExamples,
      describe: 'examples/terraform, by Terraform itself',
      title: 'gets its token with an assertion of the service, and takes it to its storage account',
    },
  },
  {
    client: '`az login --federated-token "$(countersign assertion …)"`, MSAL for Node in its place',
    variables: ['COUNTERSIGN_URL'],
    proof: "the client's request replayed",
    test: {
      file: clientExamples,
      describe: 'examples/azure-cli',
      title: 'signs in with a fresh assertion, which is presented twice',
    },
  },
  {
    client: 'Terraform, the azurerm and azuread providers, with an assertion',
    variables: [
      ...['ARM_USE_OIDC', 'ARM_TENANT_ID', 'ARM_CLIENT_ID'],
      ...['ARM_OIDC_REQUEST_URL', 'ARM_OIDC_REQUEST_TOKEN'],
    ],
    proof: "the client's request replayed",
    test: {
      file: 'test/http/assertion.test.ts',
      describe: 'GET /v1/assertion/{application}/{tenant}',
      title: 'gives the assertion as the request URL of a runner does, with %s',
      each: "Entra's audience of token exchange",
    },
  },
]

const anyOauth: readonly ProvenClient[] = ['oauth4webapi', 'openid-client'].map((client) => ({
  client: 'client credentials and token exchange',
  package: client,
  variables: [],
  option: 'a client authentication that sets `client_assertion`',
  proof: 'real client with one option',
  test: {
    file: oauthTests,
    describe: client,
    title: 'gets a token with the token of its pipeline for a client assertion',
  },
}))

const throughAgent: readonly ProvenClient[] = [
  {
    client: 'Terraform, its azurerm backend, below the agent with `imds`',
    variables: ['ARM_USE_MSI', 'ARM_MSI_ENDPOINT'],
    proof: 'real client by environment alone',
    test: {
      file: clientExamples,
      describe: 'examples/terraform, by Terraform itself',
      title:
        'gets its token from the agent, by no variable of its own, and takes it to its storage account',
    },
  },
  {
    client: '`az login --identity`, below the agent with `appService`, MSAL for Node in its place',
    variables: ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER'],
    proof: "the client's request replayed",
    test: {
      file: clientExamples,
      describe: 'examples/azure-cli',
      title: 'signs in below the agent, as a managed identity, with tokens alone',
    },
  },
  ...['the Azure CLI, by MSAL for Python', 'Azure PowerShell, by MSAL for .NET'].map(
    (each): ProvenClient => ({
      client: `${each}, below the agent with \`appService\``,
      variables: ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER'],
      proof: "the client's request replayed",
      test: {
        file: agentTests,
        title: 'the request of %s, as it stands, gets a token that it can use',
        each,
      },
    }),
  ),
  {
    client: '`ManagedIdentityCredential`, agent with `appService`',
    package: identity,
    variables: ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER'],
    proof: 'real client by environment alone',
    test: {
      file: agentTests,
      title: 'ManagedIdentityCredential gets the token of the mapping',
    },
  },
  {
    client: '`DefaultAzureCredential`, agent with `appService`',
    package: identity,
    variables: ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER'],
    proof: 'real client by environment alone',
    test: {
      file: agentTests,
      title: 'DefaultAzureCredential finds the agent before anything else',
    },
  },
  {
    client: '`ManagedIdentityCredential` with the older variables alone, agent with `appService`',
    package: identity,
    variables: ['MSI_ENDPOINT', 'MSI_SECRET'],
    limit: 'takes each token for ended at once, and asks again for every use',
    proof: 'real client by environment alone',
    test: {
      file: agentTests,
      title: 'ManagedIdentityCredential gets it by the older variables alone, for ended at once',
    },
  },
  {
    client: 'SDKs that know the older variables alone, agent with `appService`',
    variables: ['MSI_ENDPOINT', 'MSI_SECRET'],
    proof: "the client's request replayed",
    test: {
      file: agentTests,
      title:
        'the request of SDKs that know the older variables alone, as it stands, gets the token too',
    },
  },
  {
    client: '`ManagedIdentityCredential`, agent with `imds`',
    package: identity,
    variables: ['AZURE_POD_IDENTITY_AUTHORITY_HOST'],
    proof: 'real client by environment alone',
    test: {
      file: agentTests,
      title: 'ManagedIdentityCredential gets the token of the mapping from %s',
      each: 'imds',
    },
  },
  {
    client: '`ManagedIdentityCredential`, agent with `cloudShell`',
    package: identity,
    variables: ['MSI_ENDPOINT'],
    proof: 'real client by environment alone',
    test: {
      file: agentTests,
      title: 'ManagedIdentityCredential gets the token of the mapping from %s',
      each: 'cloudShell',
    },
  },
  {
    client: '`SecretClient` with `ManagedIdentityCredential`, agent with `appService`',
    package: '@azure/keyvault-secrets',
    variables: ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER'],
    option: '`disableChallengeResourceVerification`, for a vault that is emulated',
    proof: 'real client with one option',
    test: {
      file: clientExamples,
      describe: 'examples/azure-sdk/read-secret.ts',
      title: 'reads a secret of another tenant, by its environment',
    },
  },
  {
    client: 'curl as on an Arc-enabled server, agent with `arc`',
    variables: ['IDENTITY_ENDPOINT'],
    proof: 'real client by environment alone',
    test: {
      file: clientExamples,
      describe: 'examples/arc',
      title: 'lists the resources of a subscription and reads a secret, each for a key file',
    },
  },
  {
    client: '`ManagedIdentityCredential`, agent with `arc`',
    package: identity,
    variables: ['IDENTITY_ENDPOINT', 'IMDS_ENDPOINT'],
    proof: 'real client by environment alone',
    test: {
      file: agentTests,
      describe: 'Azure Arc, as root',
      title: 'ManagedIdentityCredential gets the token of the mapping',
    },
  },
  {
    client: '`ManagedIdentityApplication`, agent with `arc`',
    package: '@azure/msal-node',
    variables: ['IDENTITY_ENDPOINT', 'IMDS_ENDPOINT'],
    proof: 'real client by environment alone',
    test: {
      file: agentTests,
      describe: 'Azure Arc, as root',
      title: 'ManagedIdentityApplication of msal-node gets the token of the mapping',
    },
  },
  {
    client: 'curl with `--unix-socket`, agent with a `socket`',
    variables: ['COUNTERSIGN_AGENT_SOCKET'],
    option: '`--unix-socket`',
    proof: 'real client with one option',
    test: {
      file: 'test/e2e/agent.test.ts',
      describe: 'countersign agent on a socket',
      title: 'gives a program its token there, past a proxy, and removes the socket at the end',
    },
  },
  {
    client: 'tools that ask GitHub Actions for a token, agent with `requestUrl`',
    variables: ['ACTIONS_ID_TOKEN_REQUEST_URL', 'ACTIONS_ID_TOKEN_REQUEST_TOKEN'],
    proof: "the client's request replayed",
    test: {
      file: 'test/agent/assertions.test.ts',
      describe: 'the request URLs of CI platforms',
      title: 'give a fresh assertion for each request',
    },
  },
  {
    client: 'tools that ask Azure Pipelines for a token, agent with `requestUrl`',
    variables: ['SYSTEM_OIDCREQUESTURI', 'SYSTEM_ACCESSTOKEN'],
    proof: "the client's request replayed",
    test: {
      file: 'test/agent/assertions.test.ts',
      describe: 'the request URLs of CI platforms',
      title: 'speak as Azure Pipelines do too',
    },
  },
]

const inJob = (client: string, kind: string, variables: readonly string[]): ProvenClient => ({
  client,
  variables,
  proof: 'real client by environment alone',
  test: {
    file: callerExamples,
    describe: 'examples/$kind',
    kind,
    title: 'serves what its callers run',
  },
})

const byCommandLine: readonly ProvenClient[] = [
  inJob('`countersign assertion`, in a job of GitHub Actions', 'github', [
    'COUNTERSIGN_URL',
    'ACTIONS_ID_TOKEN_REQUEST_URL',
    'ACTIONS_ID_TOKEN_REQUEST_TOKEN',
  ]),
  inJob('`countersign token`, in a job of GitLab', 'gitlab', [
    'COUNTERSIGN_URL',
    'COUNTERSIGN_TOKEN',
  ]),
  inJob('`countersign token`, in a step of Azure Pipelines', 'azure-devops', [
    'COUNTERSIGN_URL',
    'SYSTEM_OIDCREQUESTURI',
    'SYSTEM_ACCESSTOKEN',
    'AZURESUBSCRIPTION_SERVICE_CONNECTION_ID',
  ]),
  inJob('`countersign token`, in a pod', 'kubernetes', [
    'COUNTERSIGN_URL',
    'COUNTERSIGN_TOKEN_FILE',
  ]),
  {
    client: '`countersign token` and curl, to the Event Hubs of two tenants',
    variables: ['COUNTERSIGN_URL', 'COUNTERSIGN_TOKEN_FILE'],
    proof: 'real client by environment alone',
    test: {
      file: clientExamples,
      describe: 'examples/event-hubs',
      title: 'sends to the hubs of two tenants as one application',
    },
  },
]

export const provenClients: readonly ProvenClient[] = [
  ...throughService,
  ...withAssertion,
  ...anyOauth,
  ...throughAgent,
  ...byCommandLine,
]

/** Written by hand: no test shows what is not there. */
export const unprovenClients: readonly UnprovenClient[] = [
  {
    client: '`azure/login`, in a workflow of GitHub',
    result: 'cannot work',
    reason:
      'GitHub overwrites its request variables in every step, so `env:` cannot lead it here; `az login` takes an assertion',
  },
  {
    client: 'Logstash, the same plugin without the four variables',
    result: 'cannot work',
    reason: 'it asks `169.254.169.254`, which no variable of its own changes',
  },
  {
    client: 'any client that shows a secret or a key of its own',
    result: 'cannot work',
    reason: '`client_secret` is refused unread: whoever asks shows who it is',
  },
  {
    client: '`az` and Azure PowerShell themselves',
    result: 'not tried',
    reason:
      'they are not where the tests run: what they would send is replayed, and shown as that above',
  },
  {
    client: '`az login --federated-token-callback`',
    result: 'not tried',
    reason:
      'no release has it (Azure/azure-cli, pull request 33989); `countersign assertion` prints a fresh assertion and nothing else each time',
  },
  {
    client: 'the azurerm and azuread providers of Terraform themselves',
    result: 'not tried',
    reason: 'they are not where the tests run; the backend, which is in Terraform, is run itself',
  },
  {
    client: 'Azure SDKs and others that variables lead, to an agent on a socket',
    result: 'cannot work',
    reason: 'the variables that they know are URLs, and no URL names a socket',
  },
  {
    client: 'Logstash itself',
    result: 'not tried',
    reason: "it is not where the tests run: its plugin's request is replayed",
  },
  {
    client: '`DefaultAzureCredential` of .NET, Go, Java and Python',
    result: 'not tried',
    reason: 'the variables of App Service are theirs too, by their documentation',
  },
]
