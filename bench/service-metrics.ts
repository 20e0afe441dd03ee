/** What the service counts of itself, as `/metrics` tells it. */
export type ServiceMetrics = ReadonlyMap<string, number>

export async function metricsOf(port: number): Promise<ServiceMetrics> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`)
  return parseMetrics(await response.text())
}

/** By name, the values of all labels added up (Prometheus' text format, version 0.0.4). */
export function parseMetrics(text: string): ServiceMetrics {
  const sums = new Map<string, number>()
  for (const [, name = '', value] of text.matchAll(/^([a-zA-Z_:][\w:]*)(?:\{[^}]*\})? (\S+)/gm)) {
    sums.set(name, (sums.get(name) ?? 0) + Number(value))
  }
  return sums
}
