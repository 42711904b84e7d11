/** Fields of what runtimes fill in, as the conventions write them. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  portMappings: ['hostPort', 'containerPort', 'protocol', 'hostIP'],
  bandwidth: ['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst'],
  ipRanges: ['subnet', 'rangeStart', 'rangeEnd', 'gateway'],
  dns: ['servers', 'searches', 'options', 'nameservers', 'domain', 'search'],
};

/**
 * `runtimeConfig` with the fields of its capabilities in the conventions' letters. containerd's are written by Go without
 * names of their own (`HostPort`, `IngressRate`), and every plugin in Go reads them, since Go does not tell the case apart.
 */
export function inOurLetters(runtimeConfig: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(runtimeConfig).map(([capability, value]) => {
      const fields = Object.hasOwn(FIELDS, capability) ? FIELDS[capability] : undefined;
      return [capability, fields ? renamed(value, new Map(fields.map((each) => [each.toLowerCase(), each]))) : value];
    }),
  );
}

function renamed(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map((each) => renamed(each, names));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [names.get(key.toLowerCase()) ?? key, each]));
}
