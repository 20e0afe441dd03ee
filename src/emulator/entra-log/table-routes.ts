import type { ControlRoute } from '../control.ts'
import type { VaultLog } from '../vault-log/vault-log.ts'
import { auditRow, wideRow } from '../vault-log/table-rows.ts'
import { directoryAuditRow, graphDirectoryAudit } from './directory-audit.ts'
import type { EntraLog } from './entra-log.ts'
import { graphSignIn, signInRow } from './sign-in.ts'

/** The logs as Log Analytics and Microsoft Graph have them: all that happened, delivered or not. */
export const tableRoutes = (vaultLog: VaultLog, entraLog: EntraLog): readonly ControlRoute[] => [
  read('/tables/AZKVAuditLogs', 'rows of vaults', () => vaultLog.records().map(auditRow)),
  read('/tables/AzureDiagnostics', 'the same in the older table', () =>
    vaultLog.records().map(wideRow),
  ),
  read('/tables/AADServicePrincipalSignInLogs', 'sign-ins of applications', () =>
    entraLog.signIns().map(signInRow),
  ),
  read('/tables/AuditLogs', 'changes of the directory', () =>
    entraLog.credentialsChanges().map(directoryAuditRow),
  ),
  read('/graph/auditLogs/signIns', 'sign-ins as Microsoft Graph has them', () =>
    page('signIns', entraLog.signIns().map(graphSignIn)),
  ),
  read('/graph/auditLogs/directoryAudits', 'changes of the directory likewise', () =>
    page('directoryAudits', entraLog.credentialsChanges().map(graphDirectoryAudit)),
  ),
  {
    method: 'POST',
    path: '/entra-log/flush',
    summary: "delivers every record of Entra's logs that is held back",
    handle: () => {
      entraLog.flush()
    },
  },
]

const read = (path: string, summary: string, handle: () => unknown): ControlRoute => ({
  method: 'GET',
  path,
  summary,
  handle,
})

const page = (collection: string, value: readonly unknown[]) => ({
  '@odata.context': `https://graph.microsoft.com/beta/$metadata#auditLogs/${collection}`,
  value,
})
