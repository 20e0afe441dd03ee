import type { Server } from 'node:http'

/** Often enough that nobody notices, and seldom enough to cost nothing. */
const idleEveryMs = 50

/** No new connection; resolves when what was asked has been answered, or after `deadlineMs`. */
export async function drain(server: Server, deadlineMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => {
      resolve()
    })
  })
  // Kept-alive connections end as soon as they have nothing to answer.
  const idle = setInterval(() => {
    server.closeIdleConnections()
  }, idleEveryMs)
  const cut = setTimeout(() => {
    server.closeAllConnections()
  }, deadlineMs)
  await closed
  clearInterval(idle)
  clearTimeout(cut)
}
