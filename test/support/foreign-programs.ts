import { spawnSync } from 'node:child_process'

/** Programs of others that some tests run themselves, where they are on the machine. */

/** Nothing is asked of HashiCorp: not whether there is a newer one, either. */
export const quietTerraform = { CHECKPOINT_DISABLE: '1' }

/** Why it cannot be run; undefined where it can. */
const missing = (program: string, ...args: readonly string[]): string | undefined => {
  const env = { ...process.env, ...quietTerraform }
  const { status } = spawnSync(program, args, { stdio: 'ignore', env })
  return status === 0 ? undefined : `${program} is not on this machine`
}

export const missingTerraform = missing('terraform', 'version')
export const missingKubectl = missing('kubectl', 'version', '--client')
export const missingSystemdAnalyze = missing('systemd-analyze', '--version')
