import { canHaveArcFolder } from './arc-folder.ts'
import { missingBrowser } from './browser.ts'
import { missingKubectl, missingSystemdAnalyze, missingTerraform } from './foreign-programs.ts'

const missing: readonly (readonly [what: string, why: string | undefined])[] = [
  ["the auditor's page in a real browser", missingBrowser],
  ['examples/terraform by Terraform itself', missingTerraform],
  ['the manifests of examples/kubernetes and deploy/kubernetes by kubectl', missingKubectl],
  ['the units of deploy/systemd by systemd itself', missingSystemdAnalyze],
  [
    "Azure Arc by Azure's own clients",
    canHaveArcFolder ? undefined : 'root alone can make the folder of its keys',
  ],
]

/** Once for each run, because a reporter that is brief does not name what was skipped. */
export function setup(): void {
  for (const [what, why] of missing) {
    if (why === undefined) continue
    // eslint-disable-next-line no-console -- the runner has nothing else to say it with
    console.log(`LEFT OUT: ${what}, because ${why}`)
  }
}
