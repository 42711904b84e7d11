import { readFileSync } from 'node:fs';

/** Port by `http/tcp`. */
export type ServiceNumbers = ReadonlyMap<string, number>;

/** The names of well-known ports; those that containers use most, where the host has no such file. @see services(5) */
export function readServices(path = '/etc/services'): ServiceNumbers {
  const numbers = new Map(Object.entries(COMMON));
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return numbers;
  }
  for (const line of text.split('\n')) {
    const [name, port, ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    const [number, protocol] = port?.split('/') ?? [];
    if (name === undefined || protocol === undefined) continue;
    for (const each of [name, ...aliases]) numbers.set(`${each.toLowerCase()}/${protocol}`, Number(number));
  }
  return numbers;
}

/** A service's port, by name or by number as text. */
export function portNumber(services: ServiceNumbers, service: string, protocol: string): number | undefined {
  if (/^\d{1,5}$/.test(service)) return Number(service) <= 65535 ? Number(service) : undefined;
  return services.get(`${service}/${protocol}`);
}

const COMMON: Readonly<Record<string, number>> = {
  'http/tcp': 80,
  'https/tcp': 443,
  'domain/tcp': 53,
  'domain/udp': 53,
  'smtp/tcp': 25,
  'ldap/tcp': 389,
  'mysql/tcp': 3306,
  'postgresql/tcp': 5432,
  'redis/tcp': 6379,
  'amqp/tcp': 5672,
};
