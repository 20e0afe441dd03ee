import { readdirSync, readFileSync } from 'node:fs'

/** What the kernel knows of a process of this machine (Linux). */

/** Clock ticks of /proc/PID/stat, per second: fixed for user space on Linux. */
const ticksPerSecond = 100

/** Processor time that it has used, in user space and for it in the kernel. @see proc_pid_stat(5), fields 14 and 15. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** In memory now. @see proc_pid_status(5), VmRSS. */
export function residentMegabytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}

/** Files, sockets and whatever else it has open. */
export const openHandles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length
