import type { ConntrackEntry } from '../../../src/conntrack/index.ts';

/** What conntrack(8) is asked to insert, and how the entry must read; `id` and `timeout` come from the capture. */
export const ENTRIES: Readonly<Record<string, Omit<ConntrackEntry, 'id' | 'timeout'>>> = {
  '-p tcp -s 192.0.2.9 -d 192.0.2.1 --sport 40000 --dport 8080 -r 172.18.0.2 -q 192.0.2.9 --reply-port-src 80 --reply-port-dst 40000 --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 300 -m 7':
    {
      family: 4,
      orig: { src: '192.0.2.9', dst: '192.0.2.1', protocol: 6, sport: 40_000, dport: 8080 },
      reply: { src: '172.18.0.2', dst: '192.0.2.9', protocol: 6, sport: 80, dport: 40_000 },
      status: ['seen-reply', 'assured', 'confirmed'],
      mark: 7,
      zone: 0,
      tcpState: 'ESTABLISHED',
    },
  '-p udp -s 2001:db8::9 -d 2001:db8::1 --sport 5000 --dport 53 -t 60': {
    family: 6,
    orig: { src: '2001:db8::9', dst: '2001:db8::1', protocol: 17, sport: 5000, dport: 53 },
    reply: { src: '2001:db8::1', dst: '2001:db8::9', protocol: 17, sport: 53, dport: 5000 },
    status: ['confirmed'],
    mark: 0,
    zone: 0,
  },
  '-p icmp -s 192.0.2.9 -d 192.0.2.1 --icmp-type 8 --icmp-code 0 --icmp-id 77 -t 30': {
    family: 4,
    orig: { src: '192.0.2.9', dst: '192.0.2.1', protocol: 1, icmp: { id: 77, type: 8, code: 0 } },
    reply: { src: '192.0.2.1', dst: '192.0.2.9', protocol: 1, icmp: { id: 77, type: 0, code: 0 } },
    status: ['confirmed'],
    mark: 0,
    zone: 0,
  },
  '-p sctp -s 192.0.2.9 -d 192.0.2.2 --sport 1 --dport 2 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2 -t 120 -w 5':
    {
      family: 4,
      orig: { src: '192.0.2.9', dst: '192.0.2.2', protocol: 132, sport: 1, dport: 2 },
      reply: { src: '192.0.2.2', dst: '192.0.2.9', protocol: 132, sport: 2, dport: 1 },
      status: ['confirmed'],
      mark: 0,
      zone: 5,
    },
};
