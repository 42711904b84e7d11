import { parseIp, parsePortRange } from '../../addr/index.ts';
import type { UnpublishSpec } from '../../model/index.ts';
import { UsageError } from '../errors.ts';
import { protocolOf } from './publish.ts';

/**
 * `[ADDRESS:]HOSTPORT[-HOSTPORT][/PROTOCOL]`, IPv6 addresses in brackets: what `netloom port` shows on the right.
 * @throws UsageError, NetloomError EBADPORT, EBADADDRESS
 */
export function parseUnpublish(text: string): UnpublishSpec {
  const slash = text.lastIndexOf('/');
  const protocol = protocolOf(slash < 0 ? 'tcp' : text.slice(slash + 1), text);
  const form = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?([^:]+)$/.exec(slash < 0 ? text : text.slice(0, slash));
  // `8080:80` is how it was published.
  if (form === null || /^\d+(-\d+)?$/.test(form[2] ?? ''))
    throw new UsageError(
      `"${text}" is no published port`,
      'Write the port of the host: 8080, 127.0.0.1:8080/udp, [::1]:8080 or 8000-8010.',
    );
  const [, bracketed, plain, ports = ''] = form;
  const { first, last } = parsePortRange(ports);
  const address = bracketed ?? plain;
  return {
    protocol,
    ...(address === undefined ? {} : { hostAddress: parseIp(address).text }),
    hostPort: first,
    count: last - first + 1,
  };
}
